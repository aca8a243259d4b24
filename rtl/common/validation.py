"""Rules about the numbers that a block is built from, each with a text that names parameter, rule and value."""

__all__ = ["require_choice", "require_multiple", "require_power_of_two", "require_range"]


def require_range(name, value, low, high=None):
    """Holds a parameter to a range of integers.

    Args:
        name (str): name of the parameter.
        value (int): its value.
        low (int): the least that it may be.
        high (int | None): the most, if there is a limit.

    Raises:
        TypeError: `value` is not an integer.
        ValueError: it is out of the range.
    """
    if not isinstance(value, int):
        raise TypeError(f"{name} must be an integer, not {value!r}")
    if high is None and value < low:
        raise ValueError(f"{name} must be {low} or more, not {value!r}")
    if high is not None and not low <= value <= high:
        raise ValueError(f"{name} must be {low}..{high}, not {value!r}")


def require_multiple(name, value, unit, of):
    """Holds a parameter to the positive multiples of `unit`, which is called `of`; raises like `require_range`."""
    require_range(name, value, 1)
    if value % unit:
        raise ValueError(f"{name} must be a multiple of the {unit} {of}, not {value!r}")


def require_power_of_two(name, value):
    """Holds a parameter to 2, 4, 8, ...

    Raises:
        ValueError: `value` is anything else.
    """
    if not isinstance(value, int) or value < 2 or value & (value - 1):
        raise ValueError(f"{name} must be a power of two, 2 or more, not {value!r}")


def require_choice(name, value, choices):
    """Holds a parameter to one of `choices`.

    Raises:
        ValueError: `value` is none of them.
    """
    if value not in choices:
        raise ValueError(f"{name} must be {' or '.join(map(repr, choices))}, not {value!r}")
