"""What an accelerator is, by its registers alone, without its configuration."""

from taylorvit.rtl.control.host_view import LAYOUT, VIEW_REGISTERS, HostView

from .errors import WrongBoard

__all__ = ["READ_AFTER_RESET", "check_identification", "differences", "view_of"]

READ_AFTER_RESET = {name: LAYOUT[name].offset for name in ("ID", "VERSION", *VIEW_REGISTERS)}
"""Registers that tell what an accelerator is, if they are read before any is written: name -> byte address."""

_VERSION = LAYOUT["VERSION"]


def check_identification(words, where):
    """Checks ID and VERSION.

    In another minor version, registers may mean something else; in another patch level they mean the same.

    Args:
        words (Mapping[str, int]): register name -> value.
        where (str): name of the port.

    Raises:
        WrongBoard: what answers is no accelerator, or one of another version.
    """
    identification = LAYOUT["ID"].reset
    if words["ID"] != identification:
        raise WrongBoard(
            f"register ID on {where} must be {identification:#010x}, not {words['ID']:#010x}: "
            "this is no TaylorViT accelerator"
        )
    ours, theirs = (
        [_VERSION[name].of(word) for name in ("MAJOR", "MINOR", "PATCH")] for word in (_VERSION.reset, words["VERSION"])
    )
    if theirs[:2] != ours[:2]:
        raise WrongBoard(
            f"version of the accelerator on {where} must be {ours[0]}.{ours[1]}.x, that of this program, "
            f"not {'.'.join(map(str, theirs))}: build and load its bitstream anew"
        )


def view_of(words, name, where):
    """The accelerator that registers describe.

    Args:
        words (Mapping[str, int]): register name -> value.
        name (str): what to call it.
        where (str): name of the port.

    Returns:
        HostView: the accelerator.

    Raises:
        WrongBoard: no such accelerator can be built.
    """
    try:
        return HostView.from_registers(words, name)
    except ValueError as error:
        raise WrongBoard(f"accelerator on {where} must be one that can be built: {error}") from None


def differences(words, view, expected):
    """How an accelerator differs from the one expected.

    Args:
        words (Mapping[str, int]): register name -> value.
        view (HostView): the accelerator that they describe.
        expected (HostView): the accelerator expected.

    Returns:
        list[str]: "PATCH is 1, not 0", "ROWS is 4, not 16", for example.
    """
    ours, theirs = (_VERSION["PATCH"].of(word) for word in (_VERSION.reset, words["VERSION"]))
    return [*([f"PATCH is {theirs}, not {ours}"] if theirs != ours else []), *view.differences(expected)]
