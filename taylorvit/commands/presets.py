"""`taylorvit presets`: the presets with their sizes."""

from argparse import ArgumentParser, Namespace

from taylorvit.boundary.command import console
from taylorvit.gen.presets import load_preset, of_kind, preset_names
from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.rtl.network.config import NetworkConfig

__all__ = ["add_arguments", "run"]

_DEIT_TOKENS, _DEIT_HEAD_DIM = 197, 64


def add_arguments(parser: ArgumentParser) -> None:
    """Adds the arguments of the command: there are none."""


def run(arguments: Namespace) -> None:
    """Carries out the command."""
    screen = console()
    screen.print(_attention())
    screen.print(_network())


def _table(title, *headings):
    from rich.table import Table

    table = Table(title=title)
    for heading in headings:
        table.add_column(heading, justify="left" if heading in ("preset", "array") else "right")
    return table


def _attention():
    table = _table(
        "Attention accelerators",
        *("preset", "array", "PEs", "bits", "tokens", "head dim", "stream", "buffers", "array cycles a head"),
    )
    for name in preset_names("attention"):
        config = of_kind(load_preset(name), AcceleratorConfig, "table")
        tokens = min(config.max_tokens, _DEIT_TOKENS)
        head_dim = min(config.max_head_dim, _DEIT_HEAD_DIM)
        table.add_row(
            *_array(config),
            str(config.data_width),
            str(config.max_tokens),
            str(config.max_head_dim),
            f"{config.stream_width} bits",
            f"{sum(config.buffer_bytes.values()):,} bytes",
            f"{config.array_cycles(tokens, head_dim):,} (n = {tokens}, d = {head_dim})",
        )
    return table


def _network():
    table = _table(
        "Network accelerators",
        *("preset", "array", "PEs", "tokens", "width", "hidden", "patch", "classes", "head dim", "tape", "buffers"),
    )
    for name in preset_names("network"):
        config = of_kind(load_preset(name), NetworkConfig, "table")
        sizes = (config.max_tokens, config.max_width, config.max_hidden, config.max_patch, config.max_classes)
        table.add_row(
            *_array(config),
            *(f"{size:,}" for size in (*sizes, config.max_head_dim)),
            f"{config.tape_width} bits",
            f"{sum(config.buffer_bytes.values()):,} bytes",
        )
    return table


def _array(config):
    return config.name, f"{config.rows} x {config.columns} + {config.rows} x 1", f"{config.processing_elements:,}"
