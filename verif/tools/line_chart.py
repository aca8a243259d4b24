"""A chart as SVG: lines over a logarithmic axis, side by side in panels."""

from __future__ import annotations

from math import ceil, floor, log10
from typing import NamedTuple

__all__ = ["Chart", "Mark", "draw"]

WIDTH, LEFT, RIGHT, BETWEEN = 1080, 78, 20, 84
TOP, HEIGHT, BELOW = 60, 300, 48
STYLE = """
  .paper { fill: #ffffff } text { font: 12px system-ui, sans-serif; fill: #1f2328 }
  .title { font-weight: 600; font-size: 13px } .small { font-size: 10px; fill: #59636e }
  .grid { stroke: #d1d9e0; stroke-width: 1 } .line { fill: none; stroke-width: 2 } .dot { stroke: none }
  .mark { stroke: #59636e; stroke-dasharray: 4 3 }
  .h0 { stroke: #2f81c4; fill: #2f81c4 } .h1 { stroke: #c77d0a; fill: #c77d0a } .line.h0, .line.h1 { fill: none }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #0d1117 } text { fill: #e6edf3 } .small { fill: #9198a1 } .grid { stroke: #3d444d }
    .mark { stroke: #9198a1 }
  }"""


class Mark(NamedTuple):
    """A place on the axis below that has a meaning.

    Attributes:
        x (float): where it is.
        text (str): what it is.
    """

    x: float
    text: str


class Chart(NamedTuple):
    """A panel.

    Attributes:
        title (str): what it shows.
        lines (dict[str, list[tuple[float, float]]]): points (x, y) of each line, by its name; at most two lines.
        mark (Mark | None): a vertical line.
    """

    title: str
    lines: dict[str, list[tuple[float, float]]]
    mark: Mark | None = None


def draw(charts: list[Chart], below: str) -> str:
    """The SVG of some panels.

    Args:
        charts (list[Chart]): the panels, with positive numbers.
        below (str): name of the axis below.
    """
    height = TOP + HEIGHT + BELOW
    width = (WIDTH - LEFT - RIGHT - BETWEEN * (len(charts) - 1)) / len(charts)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">',
        f"<style>{STYLE}\n</style>",
        f'<rect class="paper" width="{WIDTH}" height="{height}" rx="6"/>',
    ]
    for index, chart in enumerate(charts):
        parts += _panel(chart, LEFT + index * (width + BETWEEN), width, below)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(chart: Chart, left: float, width: float, below: str) -> list[str]:
    points = [point for line in chart.lines.values() for point in line]
    first, last = (log10(end(x for x, _y in points)) for end in (min, max))
    least, most = floor(log10(min(y for _x, y in points))), ceil(log10(max(y for _x, y in points)))
    bottom = TOP + HEIGHT

    def place(x: float, y: float) -> tuple[float, float]:
        across = (log10(x) - first) / (last - first) * width
        return left + across, bottom - (log10(y) - least) / (most - least) * HEIGHT

    parts = [f'<text class="title" x="{left:.1f}" y="{TOP - 34}">{chart.title}</text>']
    for decade in range(least, most + 1):
        y = place(10**first, 10.0**decade)[1]
        parts.append(f'<path class="grid" d="M{left:.1f} {y:.1f}H{left + width:.1f}"/>')
        parts.append(f'<text class="small" x="{left - 6:.1f}" y="{y + 3:.1f}" text-anchor="end">{10**decade:,}</text>')
    for x in sorted({x for x, _y in points}):
        across = place(x, 10.0**least)[0]
        parts.append(f'<path class="grid" d="M{across:.1f} {bottom}V{bottom + 4}"/>')
        parts.append(f'<text class="small" x="{across:.1f}" y="{bottom + 16}" text-anchor="middle">{x:,}</text>')
    parts.append(
        f'<text class="small" x="{left + width / 2:.1f}" y="{bottom + 34}" text-anchor="middle">{below}</text>'
    )
    if chart.mark:
        across = place(chart.mark.x, 10.0**least)[0]
        parts.append(f'<path class="mark" d="M{across:.1f} {TOP}V{bottom}"/>')
        parts.append(f'<text class="small" x="{across + 5:.1f}" y="{bottom - 8}">{chart.mark.text}</text>')
    for index, (name, line) in enumerate(chart.lines.items()):
        places = [place(x, y) for x, y in line]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        parts.append(f'<path class="line h{index}" d="M{path}"/>')
        parts += [f'<circle class="dot h{index}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in places]
        parts.append(f'<circle class="dot h{index}" cx="{left + 6 + 90 * index:.1f}" cy="{TOP - 17}" r="4"/>')
        parts.append(f'<text x="{left + 16 + 90 * index:.1f}" y="{TOP - 13}">{name}</text>')
    return parts
