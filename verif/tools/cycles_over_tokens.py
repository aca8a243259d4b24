"""Taylor and softmax attention over the number of tokens: `python -m verif.tools.cycles_over_tokens`.

The cycles of DeiT-Tiny with images of several sizes, so with 50 to 4,097 tokens, are computed for both kernels: those
of its attention alone (products of kind ATTENTION), and those of the whole network. They are drawn into
`docs/cycles_over_tokens.svg` and printed, with the number of tokens from which Taylor attention takes fewer cycles.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from taylorvit.boundary.errors import CommandError
from taylorvit.boundary.writing import check_output_file, written_whole
from taylorvit.compiler import Memory, cycles_of
from taylorvit.gen.presets import load_preset
from taylorvit.golden.network.vit import SHAPES, VitShape
from taylorvit.rtl.network.command import Kind
from verif import ROOT

from .line_chart import Chart, Mark, draw

__all__ = ["Figures", "crossing", "figures_of", "main"]

PRESET = "vit-16x16"
NETWORK = "deit_tiny"
MEMORY = Memory(2, 20)
SIDES = (7, 8, 10, 14, 20, 24, 32, 45, 64)
"""Patches in a row of an image."""

QUERY_BLOCK = 256
KERNELS = ("taylor", "softmax")

_TITLES = {"attention": "Attention alone", "network": "The whole network"}


@dataclass(frozen=True)
class Figures:
    """Cycles of an image.

    Attributes:
        tokens (int): tokens of it.
        attention (int): those of the products of attention.
        network (int): all.
    """

    tokens: int
    attention: int
    network: int


def figures_of(shape: VitShape, side: int, kernel: str) -> Figures:
    """Cycles of a network with images of another size.

    Args:
        shape (VitShape): the network.
        side (int): patches in a row of the image.
        kernel (str): attention kernel of all layers.
    """
    shape = replace(shape, image_size=side * shape.patch_size)
    sizes = {"max_tokens": max(2, shape.tokens), "query_block": min(QUERY_BLOCK, shape.tokens)}
    config = replace(load_preset(PRESET), kernel=kernel, **sizes)
    image = cycles_of(shape, config, MEMORY, images=2)
    return Figures(shape.tokens, image.kinds[Kind.ATTENTION], image.cycles)


def crossing(softmax: Sequence[tuple[int, int]], taylor: Sequence[tuple[int, int]]) -> float | None:
    """The tokens from which Taylor attention takes fewer cycles, between two points by a line; None if it never does.

    Args:
        softmax (Sequence[tuple[int, int]]): tokens and cycles.
        taylor (Sequence[tuple[int, int]]): likewise, of the same tokens.
    """
    before = None
    for (tokens, slow), (_tokens, fast) in zip(softmax, taylor, strict=True):
        gain = slow - fast
        if gain > 0:
            if before is None:
                return float(tokens)
            earlier, loss = before
            return earlier + (tokens - earlier) * -loss / (gain - loss)
        before = tokens, gain
    return None


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m verif.tools.cycles_over_tokens", description="draws cycles of both kernels over the tokens"
    )
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "docs" / "cycles_over_tokens.svg")
    parser.add_argument("--sides", type=int, nargs="+", default=SIDES, help="patches in a row of each image")
    parser.add_argument("--network", choices=SHAPES, default=NETWORK, help="whose images have other sizes")
    options = parser.parse_args(arguments)
    try:
        check_output_file(options.output, endings=(".svg",))
        shape = SHAPES[options.network]
        figures = {kernel: [figures_of(shape, side, kernel) for side in options.sides] for kernel in KERNELS}
    except (CommandError, ValueError) as error:
        print(f"cycles_over_tokens: error: {error}", file=sys.stderr)
        return getattr(error, "status", 2)
    text = draw([_chart(figures, name, options.network) for name in _TITLES], "tokens of an image")
    with written_whole(options.output) as partial:
        partial.write_text(text, encoding="utf-8")
    print("tokens  attention: taylor  softmax  ratio  network: taylor  softmax  ratio")
    for taylor, softmax in zip(figures["taylor"], figures["softmax"], strict=True):
        columns = [
            f"{getattr(taylor, name):>12,}  {getattr(softmax, name):>12,}  "
            f"{getattr(softmax, name) / getattr(taylor, name):5.2f}"
            for name in ("attention", "network")
        ]
        print(f"{taylor.tokens:>6,}  {'  '.join(columns)}")
    print(f"wrote {options.output}, {len(text):,} bytes")
    return 0


def _chart(figures: dict[str, list[Figures]], name: str, network: str) -> Chart:
    lines = {kernel: [(each.tokens, getattr(each, name)) for each in figures[kernel]] for kernel in KERNELS}
    place = crossing(lines["softmax"], lines["taylor"])
    title = f"{_TITLES[name]}: cycles of an image, {network} on {PRESET.removeprefix('vit-').replace('x', ' x ')} PEs"
    mark = None if place is None else Mark(place, f"Taylor pays from about {place:.0f} tokens on")
    return Chart(title, lines, mark)


if __name__ == "__main__":
    raise SystemExit(main())
