"""Pictures of placed designs, and what each block of them uses.

`draw` makes one SVG of what nextpnr wrote: the grid of the device with every used site in the colour of its block, the
critical path across it, and beside it how full the device is and what each block uses. A tile of logic is drawn as four
quarters (on ECP5 a quarter is a slice, on iCE40 two logic cells, on Gowin two LUTs), each in the colour of the block
that has most of its sites; multipliers and block RAM are larger rectangles.

The picture follows the reader's light or dark theme. Adjacent sites of one colour are one line, which keeps the picture
of a full 85K device at some hundred kilobytes.
"""

import json
import re
from collections import Counter
from pathlib import Path
from xml.sax.saxutils import escape

from taylorvit.fpga.families import RESOURCES

from .placement import read

__all__ = ["available_sites", "critical_path", "draw", "modules", "resources"]

#: Of the blocks in the order of legends.
_COLOURS = ("#8a5cf0", "#2f81f7", "#17a2b8", "#f0883e", "#d9485f", "#b4713d", "#3fa34d", "#b3a125", "#5f7f9f",
            "#e05bb4", "#8b949e")  # fmt: skip

# Pixels.
_MARGIN, _TOP, _PANEL, _GAP = 16, 52, 540, 28
_LARGEST_GRID = (764, 600)
_BAR, _LINE = 13, 21

_STYLE = """
  .paper { fill: #ffffff } .die { fill: #f3f5f8; stroke: #afb8c1 } .empty { fill: #e6e9ed }
  text { font: 12.5px system-ui, sans-serif; fill: #1f2328 } .title { font-size: 16px; font-weight: 600 }
  .head, .axis { fill: #59636e } .axis { font-size: 10px } .number { text-anchor: end } .total { font-weight: 600 }
  .rule { stroke: #afb8c1 } .hard { stroke: #ffffff; stroke-width: .16 } .run { fill: none; stroke-width: 1 }
  .halo, .path { fill: none; stroke-linejoin: round } .halo { stroke: #ffffff; stroke-width: 4.5 }
  .path { stroke: #1f2328; stroke-width: 1.8 } .start { fill: #1f2328 }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #0d1117 } .die { fill: #161b22; stroke: #3d444d } .empty { fill: #21262d }
    text { fill: #e6edf3 } .head, .axis { fill: #9198a1 } .rule { stroke: #3d444d } .hard { stroke: #0d1117 }
    .halo { stroke: #0d1117 } .path { stroke: #f0f6fc } .start { fill: #f0f6fc }
  }
"""


def resources(placed_json, *, family, accelerator="attention"):
    """What each block of a placed design uses.

    Args:
        placed_json (str | Path): the file that nextpnr's `--write` left.
        family (Family): the family of its device.
        accelerator (str): which accelerator is in the design, as in `placement.read`.

    Returns:
        dict[str, dict[str, int]]: block of the accelerator or `placement.REST` -> kind of `RESOURCES` -> used.

    Raises:
        ValueError: the file holds no design that was placed for the family.
    """
    placement = read(placed_json, family=family, accelerator=accelerator)
    counts = placement.count(lambda site: site.block)
    return {block: counts[block] for block in placement.blocks if block in counts}


def modules(placed_json, *, family):
    """What each instance of a placed design uses, without the instances in it.

    Instances whose paths differ in numbers alone are one row, `accelerator.column_*.divider` for example.

    Args:
        placed_json (str | Path): the file that nextpnr's `--write` left.
        family (Family): the family of its device.

    Returns:
        dict[str, dict[str, int]]: path, "" for the top -> "instances" and the kinds of `RESOURCES` -> how many; sorted
            by path.

    Raises:
        ValueError: the file holds no design that was placed for the family.
    """
    paths = read(placed_json, family=family).count(lambda site: site.path)
    rows: dict[str, dict[str, int]] = {}
    for path, counts in paths.items():
        row = rows.setdefault(re.sub(r"_\d+(?=\.|$)", "_*", path), dict.fromkeys(("instances", *RESOURCES), 0))
        row["instances"] += 1
        for kind, count in counts.items():
            row[kind] += count
    return dict(sorted(rows.items()))


def available_sites(report, *, family):
    """What a device has.

    Args:
        report (dict): nextpnr's `--report`, parsed.
        family (Family): the family of the device.

    Returns:
        dict[str, int]: kind of `RESOURCES` -> how many sites.
    """
    return {kind: report["utilization"][name]["available"] for kind, name in family.fabric.reported_as.items()}


def critical_path(report):
    """The slowest path between registers of one clock.

    Args:
        report (dict): nextpnr's `--report`, parsed.

    Returns:
        tuple[float, list[tuple[int, int]]]: its delay in nanoseconds, and the column and row of each tile on it;
            (0.0, []) if the design has no such path.
    """
    slowest: tuple[float, list[tuple[int, int]]] = (0.0, [])
    for candidate in report["critical_paths"]:
        if candidate["from"] == candidate["to"] != "<async>":
            delay = sum(hop["delay"] for hop in candidate["path"])
            if delay > slowest[0]:
                slowest = (delay, [tuple(hop["to"]["loc"]) for hop in candidate["path"]])
    return slowest


def draw(placed_json, svg, *, title, family, report, accelerator="attention"):
    """Writes the picture of a placed design.

    Args:
        placed_json (str | Path): the file that nextpnr's `--write` left.
        svg (str | Path): the file to write.
        title (str): one line: board, array, frequency.
        family (Family): the family of its device.
        report (str | Path): the file that nextpnr's `--report` left of the same run.
        accelerator (str): which accelerator is in the design, as in `placement.read`.

    Raises:
        ValueError: `placed_json` holds no design that was placed for the family.
    """
    placement = read(placed_json, family=family, accelerator=accelerator)
    facts = json.loads(Path(report).read_text(encoding="utf-8"))
    columns, rows = placement.grid
    tile = min(_LARGEST_GRID[0] // columns, _LARGEST_GRID[1] // rows) // 2 * 2  # even: quarters are whole pixels
    width, height = columns * tile, rows * tile
    delay, tiles = critical_path(facts)
    panel_x = _MARGIN + 14 + width + _GAP
    panel, panel_height = _panel(placement, available_sites(facts, family=family), panel_x)
    caption = f"critical path, {delay:.2f} ns ({1000 / delay:.1f} MHz), from the dot" if tiles else ""
    total = (panel_x + _PANEL + _MARGIN, _TOP + max(height + 34, panel_height) + _MARGIN)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total[0]} {total[1]}" width="{total[0]}" '
        f'height="{total[1]}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>{_STYLE}</style>",
        f'<rect class="paper" width="{total[0]}" height="{total[1]}"/>',
        f'<text class="title" x="{_MARGIN}" y="31">{escape(title)}</text>',
        f'<g transform="translate({_MARGIN + 14} {_TOP})">',
        f'<rect class="die" x="-1" y="-1" width="{width + 2}" height="{height + 2}"/>',
        *_axes(placement, tile),
        f'<g transform="scale({tile // 2})">',
        *_sites(placement),
        "</g>",
        *_path(placement, tiles, tile),
        "</g>",
        f'<text class="head" x="{_MARGIN + 14}" y="{_TOP + height + 32}">{placement.device}, {columns} x {rows} tiles'
        f"{'; ' if caption else ''}{caption}</text>",
        *panel,
        "</svg>",
        "",
    ]
    Path(svg).write_text("\n".join(lines), encoding="utf-8")


def _axes(placement, tile):
    """Coordinates of tiles as nextpnr counts them, every tenth."""
    columns, rows = placement.grid
    for x in range(0, columns, 10):
        yield f'<text class="axis" x="{x * tile}" y="{rows * tile + 13}">{x}</text>'
    for y in range(0, rows, 10):
        row = _row(placement, y, 1)
        yield f'<text class="axis number" x="-4" y="{row * tile + 9}">{y}</text>'


def _row(placement, y, height):
    """The picture's row, counted from above, in which what covers rows y .. y + height - 1 of the device begins."""
    return placement.grid[1] - y - height if placement.fabric.y_up else y


def _sites(placement):
    """Quarters of tiles as horizontal runs, one path a block, and hard blocks; in units of half a tile."""
    quarters: dict[tuple[int, int], dict[str, int]] = {}
    hard: dict[str, list[tuple[int, int, int, int]]] = {}
    for site in placement.sites:
        if site.kind in ("lut", "ff"):
            for quarter in placement.fabric.quarters(site.place):
                where = (2 * site.x + quarter % 2, 2 * _row(placement, site.y, 1) + quarter // 2)
                quarters.setdefault(where, Counter())[site.block] += 1
        elif site.kind in RESOURCES:
            offset, width, height = placement.fabric.hard_block(site.kind, site.place)
            rectangle = (2 * (site.x + offset), 2 * _row(placement, site.y, height), 2 * width, 2 * height)
            hard.setdefault(site.block, []).append(rectangle)
    owner = {where: max(counts, key=counts.__getitem__) for where, counts in quarters.items()}
    for block, colour in zip(placement.blocks, _COLOURS, strict=True):
        runs: list[list[int]] = []
        for x, y in sorted((where for where in owner if owner[where] == block), key=lambda where: where[::-1]):
            if runs and runs[-1][1] == y and runs[-1][0] + runs[-1][2] == x:
                runs[-1][2] += 1
            else:
                runs.append([x, y, 1])
        if runs:
            data = "".join(f"M{x} {y}h{length}" for x, y, length in runs)
            yield (
                f'<path class="run" shape-rendering="crispEdges" transform="translate(0 .5)" stroke="{colour}" '
                f'd="{data}"><title>{block}</title></path>'
            )
    for block, rectangles in hard.items():
        data = "".join(f"M{x:g} {y:g}h{w:g}v{h:g}h{-w:g}z" for x, y, w, h in rectangles)
        yield f'<path class="hard" fill="{_colour(placement, block)}" d="{data}"><title>{block}</title></path>'


def _colour(placement, block):
    return _COLOURS[placement.blocks.index(block)]


def _path(placement, tiles, tile):
    if not tiles:
        return
    points = [((x + 0.5) * tile, (_row(placement, y, 1) + 0.5) * tile) for x, y in tiles]
    data = " ".join(f"{x:g},{y:g}" for x, y in points)
    for name in ("halo", "path"):
        yield f'<polyline class="{name}" points="{data}"/>'
    yield f'<circle class="start" cx="{points[0][0]:g}" cy="{points[0][1]:g}" r="4"/>'


def _panel(placement, available, left):
    """(lines of SVG, height): a bar for each kind of site, below it the legend with what each block uses."""
    counts = placement.count(lambda site: site.block)
    counts = {block: counts[block] for block in placement.blocks if block in counts}
    totals = {kind: sum(row[kind] for row in counts.values()) for kind in RESOURCES}
    lines, y = [], _TOP
    for kind in RESOURCES:
        share = f"{100 * totals[kind] / available[kind]:.1f} %"
        lines += [
            f'<text x="{left}" y="{y + 11}">{RESOURCES[kind]}</text>',
            f'<text class="number" x="{left + _PANEL}" y="{y + 11}">{totals[kind]:,} of {available[kind]:,}, {share}'
            "</text>",
            f'<rect class="empty" x="{left}" y="{y + 17}" width="{_PANEL}" height="{_BAR}"/>',
        ]
        x = left
        for block, row in counts.items():
            width = _PANEL * row[kind] / available[kind]
            if width >= 0.05:
                lines.append(
                    f'<rect fill="{_colour(placement, block)}" x="{x:.1f}" y="{y + 17}" width="{width:.1f}" '
                    f'height="{_BAR}"/>'
                )
            x += width
        y += 17 + _BAR + 14
    y += 12
    rights = [left + _PANEL - 100 * index for index in reversed(range(len(RESOURCES)))]
    lines += [
        f'<text class="head number" x="{right}" y="{y}">{RESOURCES[kind]}</text>'
        for kind, right in zip(RESOURCES, rights)
    ]
    lines.append(f'<path class="rule" d="M{left} {y + 7}h{_PANEL}"/>')
    for block, row in [*counts.items(), ("all", totals)]:
        y += _LINE
        style = "number"
        if block in placement.blocks:
            lines.append(f'<rect fill="{_colour(placement, block)}" x="{left}" y="{y - 5}" width="12" height="12"/>')
        else:
            lines.append(f'<path class="rule" d="M{left} {y - 9}h{_PANEL}"/>')
            y += 2
            style += " total"
        lines.append(f'<text x="{left + 20}" y="{y + 5}">{block}</text>')
        for kind, right in zip(RESOURCES, rights):
            lines.append(f'<text class="{style}" x="{right}" y="{y + 5}">{_amount(row[kind], totals[kind])}</text>')
    return lines, y + 12 - _TOP


def _amount(count, total):
    if count == total or count == 0:
        return f"{count:,}" if count else "-"
    return f"{count:,} ({100 * count / total:.0f} %)"
