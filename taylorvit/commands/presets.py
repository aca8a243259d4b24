"""`taylorvit presets`: the presets with their sizes."""

from argparse import ArgumentParser, Namespace

from taylorvit.boundary.command import console
from taylorvit.gen.presets import load_preset, preset_names

__all__ = ["add_arguments", "run"]

_DEIT_TOKENS, _DEIT_HEAD_DIM = 197, 64


def add_arguments(parser: ArgumentParser) -> None:
    """Adds the arguments of the command: there are none."""


def run(arguments: Namespace) -> None:
    """Carries out the command."""
    from rich.table import Table

    table = Table(title="Presets")
    for heading in ("preset", "array", "PEs", "bits", "tokens", "head dim", "stream", "buffers", "array cycles a head"):
        table.add_column(heading, justify="left" if heading in ("preset", "array") else "right")
    for name in preset_names():
        config = load_preset(name)
        tokens = min(config.max_tokens, _DEIT_TOKENS)
        head_dim = min(config.max_head_dim, _DEIT_HEAD_DIM)
        table.add_row(
            name,
            f"{config.rows} x {config.columns} + {config.rows} x 1",
            f"{config.processing_elements:,}",
            str(config.data_width),
            str(config.max_tokens),
            str(config.max_head_dim),
            f"{config.stream_width} bits",
            f"{sum(config.buffer_bytes.values()):,} bytes",
            f"{config.array_cycles(tokens, head_dim):,} (n = {tokens}, d = {head_dim})",
        )
    console().print(table)
