"""`taylorvit boards`: the boards and what is built for each."""

from argparse import ArgumentParser, Namespace

from taylorvit.boundary.command import console
from taylorvit.fpga.board import board_names, load_board
from taylorvit.fpga.clock_generator import core_clock

__all__ = ["add_arguments", "run"]


def add_arguments(parser: ArgumentParser) -> None:
    """Adds the arguments of the command: there are none."""


def run(arguments: Namespace) -> None:
    """Carries out the command."""
    from rich.table import Table

    screen = console()
    boards = [load_board(name) for name in board_names()]
    screen.print(_presets(boards, Table(title="Boards")))
    screen.print(_networks(boards, Table(title="Networks")))


def _presets(boards, table):
    """Each board with its attention accelerators."""
    for heading in ("board", "device", "preset", "array", "PEs", "core clock", "tokens", "head dim", "buffers", "link"):
        table.add_column(heading, justify="left" if heading in ("board", "device", "preset", "link") else "right")
    for board in boards:
        for index, (preset_name, preset) in enumerate(board.presets.items()):
            config = preset.config
            clock = core_clock(board.with_core_hz(preset.core_hz))
            table.add_row(
                board.name if index == 0 else "",
                board.device_and_speed if index == 0 else "",
                preset_name,
                f"{config.rows} x {config.columns} + {config.rows} x 1",
                f"{config.processing_elements:,}",
                f"{float(clock.hz) / 1e6:.4g} MHz",
                str(config.max_tokens),
                str(config.max_head_dim),
                f"{sum(config.buffer_bytes.values()):,} bytes",
                f"UART {board.baud / 1e6:g} Mbaud" if index == 0 else "",
            )
    return table


def _networks(boards, table):
    """Each board with the accelerators for its networks."""
    headings = ("board", "network", "array", "PEs", "core clock", "kernel", "tokens", "features", "buffers", "tape")
    for heading in headings:
        table.add_column(heading, justify="left" if heading in ("board", "network", "kernel", "tape") else "right")
    for board in boards:
        for index, (name, network) in enumerate(board.networks.items()):
            config = network.config
            clock = core_clock(board.with_core_hz(network.core_hz))
            on_chip = config.tape_source == "memory"
            table.add_row(
                board.name if index == 0 else "",
                name,
                f"{config.rows} x {config.columns} + {config.rows} x 1",
                f"{config.processing_elements:,}",
                f"{float(clock.hz) / 1e6:.4g} MHz",
                config.kernel,
                str(config.max_tokens),
                str(config.max_width),
                f"{sum(config.buffer_bytes.values()) - config.tape_memory_bytes:,} bytes",
                f"{config.tape_memory_bytes:,} bytes on the chip" if on_chip else "external memory",
            )
    return table
