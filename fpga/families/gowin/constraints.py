"""Constraint files of Gowin: CST. It has no words for the frequency of the oscillator."""

__all__ = ["cst"]


def cst(_oscillator, ports):
    """The text of a CST file.

    Args:
        _oscillator (str): frequency of the port `clock`, in MHz, which is left out.
        ports (Iterable[PortPin]): ports and their pins.

    Returns:
        str: the text.
    """
    lines = []
    for each in ports:
        lines.append(f'IO_LOC "{each.port}" {each.pin};')
        if each.io:
            lines.append(f'IO_PORT "{each.port}" {" ".join(f"{key}={value}" for key, value in each.io.items())};')
    return "\n".join([*lines, ""])
