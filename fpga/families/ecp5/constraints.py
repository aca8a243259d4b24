"""Constraint files of Lattice ECP5: LPF."""

__all__ = ["lpf"]


def lpf(oscillator, ports):
    """The text of an LPF file.

    Args:
        oscillator (str): frequency of the port `clock`, in MHz.
        ports (Iterable[PortPin]): ports and their pins.

    Returns:
        str: the text.
    """
    # Resets from pins go through two registers, so the paths from pins need no timing.
    lines = ["BLOCK RESETPATHS;", "BLOCK ASYNCPATHS;"]
    for each in ports:
        lines.append(f'LOCATE COMP "{each.port}" SITE "{each.pin}";')
        if each.io:
            attributes = " ".join(f"{key}={value}" for key, value in each.io.items())
            lines.append(f'IOBUF PORT "{each.port}" {attributes};')
    lines.append(f'FREQUENCY PORT "clock" {oscillator} MHZ;')
    return "\n".join([*lines, ""])
