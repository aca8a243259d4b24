"""The constraint file of a board: the pin of each port of its top level, and the frequency of its oscillator.

The format is the family's. nextpnr derives the core clock from the oscillator's frequency, where the format can state
it; `--freq` states the core clock in any case. The I/O attributes of a board's file go into the constraint file as they
are.
"""

from taylorvit.fpga.families import PortPin

__all__ = ["constraints"]


def constraints(board, margin_percent=0, *, sdram=False):
    """The text of the constraint file of a board.

    Args:
        board (Board): the board.
        margin_percent (int): how much faster than it is the oscillator is said to be, so that place and route makes
            the core clock as much faster, in per cent; negative for slower.
        sdram (bool): whether the pins of the board's SDRAM are used.

    Returns:
        str: the text.
    """
    oscillator = f"{board.clock_hz * (1 + margin_percent / 100) / 1e6:.6g}"
    return board.family.constraints(oscillator, list(_port_pins(board, sdram)))


def _port_pins(board, sdram):
    signals = {"clock": board.clock, "uart_rx": board.uart_rx, "uart_tx": board.uart_tx, "button": board.button}
    for name, pins in signals.items():
        if pins is not None:
            yield PortPin(name, pins.pins[0], pins.io)
    buses = {"led": board.led}
    if sdram:
        buses |= {f"sdram_{name}": pins for name, pins in board.sdram.pins.items()}
    for name, pins in buses.items():
        for index, pin in enumerate(pins.pins):
            yield PortPin(f"{name}[{index}]" if len(pins.pins) > 1 else name, pin, pins.io)
