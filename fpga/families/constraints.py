"""Constraint files: where each port of the board's top level goes, and how fast its clocks are.

Each family has a format of its own: LPF (ECP5), PCF (iCE40), CST (Gowin). The frequency of the oscillator is in the
same file where the format has words for it, and nextpnr derives from it what the PLL makes; `--freq` says the same once
more. What `io` of a board's pins says goes into the file as it is.
"""

__all__ = ["constraints"]


def constraints(board, margin_percent=0):
    """Text of the constraint file of a board (`fpga.board.Board`).

    The oscillator, from which nextpnr derives the core clock, is said to be `margin_percent` faster than it is.
    """
    oscillator = f"{board.clock_hz * (1 + margin_percent / 100) / 1e6:.6g}"
    return _WRITERS[board.family](oscillator, list(_ports(board)))


def _ports(board):
    """(port, pin, io) of each bit of the top level."""
    signals = {"clock": board.clock, "uart_rx": board.uart_rx, "uart_tx": board.uart_tx, "button": board.button}
    for name, pins in signals.items():
        if pins is not None:
            yield name, pins.pins[0], pins.io
    for index, pin in enumerate(board.led.pins):
        yield f"led[{index}]" if len(board.led.pins) > 1 else "led", pin, board.led.io


def _lpf(oscillator, ports):
    # Resets go through two registers, so that nothing waits for the paths from pins.
    lines = ["BLOCK RESETPATHS;", "BLOCK ASYNCPATHS;"]
    for name, pin, io in ports:
        lines.append(f'LOCATE COMP "{name}" SITE "{pin}";')
        if io:
            lines.append(f'IOBUF PORT "{name}" {" ".join(f"{key}={value}" for key, value in io.items())};')
    lines.append(f'FREQUENCY PORT "clock" {oscillator} MHZ;')
    return "\n".join([*lines, ""])


def _pcf(oscillator, ports):
    lines = []
    for name, pin, io in ports:
        options = "".join(f"-{key} {value} " for key, value in io.items())
        lines.append(f"set_io {options}{name} {pin}")
    lines.append(f"set_frequency clock {oscillator}")
    return "\n".join([*lines, ""])


def _cst(_oscillator, ports):
    lines = []
    for name, pin, io in ports:
        lines.append(f'IO_LOC "{name}" {pin};')
        if io:
            lines.append(f'IO_PORT "{name}" {" ".join(f"{key}={value}" for key, value in io.items())};')
    return "\n".join([*lines, ""])


_WRITERS = {"ecp5": _lpf, "ice40": _pcf, "gowin": _cst}
