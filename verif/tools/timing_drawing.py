"""A timing diagram as SVG: panels of lanes, each lane with bars over the cycles in which something was active."""

from __future__ import annotations

from typing import NamedTuple, Protocol

__all__ = ["Bar", "Panel", "draw"]

WIDTH, LEFT, RIGHT = 1080, 118, 16
LANE, BAR = 26, 18
FIRST_TOP, BETWEEN, BELOW = 44, 74, 34
STYLE = """
  .paper { fill: #ffffff } text { font: 12px system-ui, sans-serif; fill: #1f2328 }
  .title { font-weight: 600; font-size: 13px } .small { font-size: 10px; fill: #59636e }
  .inside { font-size: 10.5px; fill: #1f2328; text-anchor: middle } .lane { text-anchor: end }
  .grid { stroke: #d1d9e0; stroke-width: 1 } .window { fill: none; stroke: #cf222e; stroke-dasharray: 4 3 }
  .h0 { fill: #7cb7e8 } .h1 { fill: #f0b35a } .h2 { fill: #7fc99a } .h3 { fill: #d79ac4 } .h4 { fill: #d8cb57 }
  .idle { fill: #b9c0c8 }
  .QG { fill-opacity: .55 } rect.span { stroke: #1f2328; stroke-opacity: .35; stroke-width: .6 }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #0d1117 } text { fill: #e6edf3 } .small { fill: #9198a1 } .grid { stroke: #3d444d }
    .window { stroke: #ff7b72 } .inside { fill: #0d1117 } .QG { fill-opacity: .75 }
    rect.span { stroke: #0d1117; stroke-opacity: .9 }
  }"""


class Bar(Protocol):
    """Something active from cycle `start` up to, not including, `stop`."""

    @property
    def start(self) -> int:
        """Its first cycle."""

    @property
    def stop(self) -> int:
        """The cycle behind its last one."""

    @property
    def style(self) -> str:
        """Classes of the style sheet."""

    @property
    def label(self) -> str:
        """What stands in it; where that is too long, what stands in front of its first comma, or nothing."""


class Panel(NamedTuple):
    """Lanes over a window of cycles."""

    title: str
    lanes: dict[str, list[Bar]]
    window: tuple[int, int]


def draw(panels: list[Panel], framed: str) -> str:
    """The SVG: panels below each other; the windows of all but the first are framed in its lane `framed`."""
    first, *details = panels
    tops = [FIRST_TOP]
    for panel in panels:
        tops.append(tops[-1] + LANE * len(panel.lanes) + BETWEEN)
    height = tops[-1] - BETWEEN + BELOW
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">',
        f"<style>{STYLE}\n</style>",
        f'<rect class="paper" width="{WIDTH}" height="{height}" rx="6"/>',
        *_panel(first, tops[0]),
    ]
    start, stop = first.window
    scale = (WIDTH - LEFT - RIGHT) / (stop - start)
    top = tops[0] + LANE * list(first.lanes).index(framed) - 4
    for detail in details:
        x, width = LEFT + (detail.window[0] - start) * scale, (detail.window[1] - detail.window[0]) * scale
        parts.append(f'<rect class="window" x="{x:.1f}" y="{top}" width="{width:.1f}" height="{LANE}"/>')
    for detail, top in zip(details, tops[1:]):
        parts += _panel(detail, top)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(panel: Panel, top: int) -> list[str]:
    first, last = panel.window
    scale = (WIDTH - LEFT - RIGHT) / (last - first)
    bottom = top + LANE * len(panel.lanes)
    parts = [f'<text class="title" x="{LEFT}" y="{top - 20}">{panel.title}</text>']
    step = _step((last - first) / 10)
    for cycle in range(-(-first // step) * step, last + 1, step):
        x = LEFT + (cycle - first) * scale
        parts.append(f'<path class="grid" d="M{x:.1f} {top - 6}V{bottom}"/>')
        parts.append(f'<text class="small" x="{x:.1f}" y="{bottom + 13}" text-anchor="middle">{cycle:,}</text>')
    parts.append(f'<text class="small lane" x="{LEFT - 10}" y="{bottom + 13}">cycle</text>')
    for index, (name, bars) in enumerate(panel.lanes.items()):
        y = top + LANE * index
        parts.append(f'<text class="lane" x="{LEFT - 10}" y="{y + 13}">{name}</text>')
        for bar in bars:
            start, stop = max(bar.start, first), min(bar.stop, last)
            if start >= stop:
                continue
            x, width = LEFT + (start - first) * scale, (stop - start) * scale
            parts.append(f'<rect class="span {bar.style}" x="{x:.1f}" y="{y}" width="{width:.1f}" height="{BAR}"/>')
            text = bar.label
            if len(text) * 6.2 + 4 > width:
                text = text.partition(",")[0]
            if len(text) * 6.2 + 4 <= width:
                parts.append(f'<text class="inside" x="{x + width / 2:.1f}" y="{y + 13}">{text}</text>')
    return parts


def _step(ideal: float) -> int:
    """1, 2 or 5 times a power of ten, at least `ideal`."""
    return next(step for power in range(9) for step in (10**power, 2 * 10**power, 5 * 10**power) if step >= ideal)
