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

    table = Table(title="Boards")
    for heading in ("board", "device", "preset", "array", "PEs", "core clock", "tokens", "head dim", "buffers", "link"):
        table.add_column(heading, justify="left" if heading in ("board", "device", "preset", "link") else "right")
    for name in board_names():
        board = load_board(name)
        for index, (preset_name, preset) in enumerate(board.presets.items()):
            config = preset.config
            clock = core_clock(board.with_core_hz(preset.core_hz))
            table.add_row(
                name if index == 0 else "",
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
    console().print(table)
