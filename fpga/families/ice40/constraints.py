"""Constraint files of Lattice iCE40: PCF."""

__all__ = ["pcf"]


def pcf(oscillator, ports):
    """The text of a PCF file.

    Args:
        oscillator (str): frequency of the port `clock`, in MHz.
        ports (Iterable[PortPin]): ports and their pins.

    Returns:
        str: the text.
    """
    lines = []
    for each in ports:
        options = "".join(f"-{key} {value} " for key, value in each.io.items())
        lines.append(f"set_io {options}{each.port} {each.pin}")
    lines.append(f"set_frequency clock {oscillator}")
    return "\n".join([*lines, ""])
