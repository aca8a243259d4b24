"""A name for each layer, as a user writes it and as tables show it.

    by_layer(["all=softmax", "0-2,5=taylor"], ("taylor",) * 8, names=("taylor", "softmax"))
    text_of(("taylor", "taylor", "softmax"))        # "taylor in 0-1; softmax in 2"

Layers count from 0, as in the names of weights and steps.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

__all__ = ["by_layer", "text_of"]


def by_layer(choices: Iterable[str], otherwise: Sequence[str], *, names: Sequence[str]) -> tuple[str, ...]:
    """The name of each layer.

    Args:
        choices (Iterable[str]): texts LAYERS=NAME, where LAYERS is "all", or layers and ranges of them with commas in
            between; of two that name a layer, the later one counts.
        otherwise (Sequence[str]): names of the layers that no text names.
        names (Sequence[str]): the names that there are.

    Raises:
        ValueError: a text is of another form, or there is no such layer or name.
    """
    chosen = list(otherwise)
    for text in choices:
        layers, equals, name = text.partition("=")
        if not equals or not layers or not name:
            raise ValueError(f"attention must be LAYERS=KERNEL, for example all=softmax or 0-2,5=taylor, not {text!r}")
        if name not in names:
            raise ValueError(f"attention kernel must be one of {', '.join(names)}, not {name!r} in {text!r}")
        for part in layers.split(","):
            for layer in _layers(part, text, len(chosen)):
                chosen[layer] = name
    return tuple(chosen)


def _layers(part: str, text: str, depth: int) -> range:
    if part == "all":
        return range(depth)
    found = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", part, re.ASCII)
    if found is None:
        raise ValueError(f"layers must be all, or numbers and ranges with commas in between, not {part!r} in {text!r}")
    first, last = int(found[1]), int(found[2] or found[1])
    if last < first:
        raise ValueError(f"range of layers must not run backwards, as {part!r} in {text!r} does")
    if last >= depth:
        raise ValueError(f"layer must be 0 to {depth - 1}, not {last} in {text!r}")
    return range(first, last + 1)


def text_of(names: Sequence[str]) -> str:
    """The names in one line: one name, or which layers have each."""
    if len(set(names)) == 1:
        return names[0]
    texts = []
    for name in dict.fromkeys(names):
        layers = [layer for layer, each in enumerate(names) if each == name]
        texts.append(f"{name} in {','.join(_ranges(layers))}")
    return "; ".join(texts)


def _ranges(layers: list[int]) -> list[str]:
    ranges: list[list[int]] = []
    for layer in layers:
        if ranges and ranges[-1][1] == layer - 1:
            ranges[-1][1] = layer
        else:
            ranges.append([layer, layer])
    return [str(first) if first == last else f"{first}-{last}" for first, last in ranges]
