"""Sites for the array's multipliers and block RAMs: neighbours in the array are neighbours on the chip.

On an ECP5, multipliers and block RAM lie in a few bands. A placer takes all of their sites for interchangeable and
tears the array apart: PEs lie thirty tiles away from their own multiplier, in a design that fills a quarter of the
device. Yet a good arrangement is simple. Most wires of the array run down a column (partial sums and stationary
operands; the streamed operand alone runs to the right), so a band takes a few columns of the array. Their rows lie side
by side, folded in the middle: the first and the last row are both at the left end, and so are the buffers that feed a
column and the logic that takes its sums.

    band 2    row 0: columns 5, 6, 7             row 15: columns 5, 6, 7             row 1 ...
    band 1    row 0: columns 2, 3, 4             row 15: columns 2, 3, 4             row 1 ...
    band 0    row 0: SA-Diag, columns 0, 1       row 15: SA-Diag, columns 0, 1       row 1 ...

If the columns do not fit in this way, rows take the place of columns. Each block RAM of an attention accelerator goes
next to the PE that it feeds or is fed by; those of columns with Booth multipliers join the other columns in turn.

A network accelerator has more of them: as many banks of rows, which get what all columns compute, as banks of columns.
So there the rows are folded twice, and the first and the last one are in the middle. The banks of the rows take the
first bands of block RAM, which lie between the PEs, row beside row like the PEs; those of the columns take the next
bands, where the logic of the columns then gathers, column beside column and folded likewise. What all rows or columns
share is in their midst: amid the rows, the buffers of the diagonal and of the kernel's center; amid the columns, the
statistics of LayerNorm and the logits.

    bands of multipliers   row 4  row 3  ...  row 7  row 0             row 15  row 8  ...  row 12  row 11
    first bands            row 4  row 3  ...  row 7  row 0   diagonal  row 15  row 8  ...  row 12  row 11
    next bands             column 2  column 1  column 3  column 0  LayerNorm  column 7  column 4  column 6  column 5

The sums of a column come out at the last row. With the rows folded once, the sums of the farthest column had to cross
the whole device in a cycle.

The products of LayerNorm take the sites that the array leaves, each the nearest to the block RAM of its column, its
columns or the statistics.

Everything else is left to the placer: the bias unit, PEs with Booth multipliers, the memory of tapes, the host link,
and all logic of LUTs and registers.
"""

import re
from dataclasses import dataclass
from math import ceil

__all__ = ["array_sites"]


@dataclass(frozen=True)
class _Device:
    """A device's grid of tiles.

    Attributes:
        multipliers (tuple[int, ...]): rows of tiles with multipliers.
        block_rams (tuple[int, ...]): rows of tiles with block RAM.
        groups (tuple[int, ...]): columns where a group of four multipliers or block RAMs begins.
    """

    multipliers: tuple[int, ...]
    block_rams: tuple[int, ...]
    groups: tuple[int, ...]

    def bands(self):
        """(x, y, site as nextpnr names it) of all multipliers, band by band, from left to right."""
        return [
            [(x + at, y, f"X{x + at}/Y{y}/MULT18_{at}") for x in self.groups for at in (0, 1, 4, 5)]
            for y in self.multipliers
        ]

    def block_ram_sites(self):
        """(x, y, site) of all block RAMs."""
        return [
            (x + 2 * at, y, f"X{x + 2 * at}/Y{y}/EBR{at}")
            for y in self.block_rams
            for x in self.groups
            for at in range(4)
        ]


#: Size of an LFE5 -> its grid, by nextpnr: the sites of a netlist that uses all multipliers and all block RAMs.
_DEVICES = {
    "12": _Device((13,), (25, 37), (4, 13, 22, 33, 42, 51, 60)),
    "25": _Device((13,), (25, 37), (4, 13, 22, 33, 42, 51, 60)),
    "45": _Device((22, 46), (10, 34, 58), (4, 13, 22, 31, 42, 51, 60, 69, 78)),
    "85": _Device((10, 34, 58), (22, 46, 70, 82), (4, 13, 22, 31, 40, 49, 58, 69, 78, 87, 96, 105, 114)),
}

#: Pattern of a block RAM's name below the accelerator, row and column of its PE; row -1 is the last one, column -1 is
#: SA-Diag. The first pattern that matches counts.
_NEIGHBOURS = (
    (r"operand_row_(?P<row>\d+)\.", -1, -1),
    (r"column_(?P<column>\d+)\.(v|g)_bank\.", 0, -1),
    (r"column_(?P<column>\d+)\.", -1, -1),
    (r"diagonal_column\.k_hat_sum_bank\.", 0, -1),
    (r"diagonal_column\.", -1, -1),
)

#: Patterns of a block RAM's name below a network accelerator: its rows and columns are in groups, and share some banks.
_OF_ROW = re.compile(r"engine\.rows_(\d+)\.row_(\d+)\.")
_OF_COLUMN = re.compile(r"engine\.columns_(\d+)\.column_(\d+)\.")
_AMID_ROWS = re.compile(r"engine\.(diagonal_column|kernel_center)\.")
_AMID_COLUMNS = re.compile(r"(engine\.norm_statistics|host_side\.logits_sender)\.")

#: Accelerator -> names of the instances between it and its array.
_ABOVE_THE_ARRAY = {"attention": "", "network": "engine."}


def array_sites(config, device, block_rams, products=()):
    """Sites for the multipliers of an array, for the block RAMs around it and for other products.

    Args:
        config (AcceleratorConfig | NetworkConfig): the accelerator's configuration.
        device (str): the ECP5, "LFE5U-85F" for example.
        block_rams (Iterable[str]): names of the block RAM cells below the accelerator, as synthesis left them.
        products (Iterable[str]): names of the multipliers besides the array's that are instantiated as cells, likewise.

    Returns:
        dict[str, str]: cell below the accelerator -> site. Empty if the multipliers are not instantiated cells of ECP5,
            or do not fit.
    """
    if config.multiplier != "ecp5":
        return {}
    grid = _DEVICES[device[-3:-1]]
    columns = [-1, *range(config.columns - config.booth_columns)]
    rows = [*range(config.rows)]
    folded = _folded_twice(rows) if config.accelerator == "network" else _folded(rows)
    places = _fold(columns, folded, grid.bands()) or {
        (column, row): place for (row, column), place in _fold(rows, columns, grid.bands()).items()
    }
    if not places:
        return {}
    above = _ABOVE_THE_ARRAY[config.accelerator]
    sites: dict[str, str] = {}
    for (column, row), (_x, _y, site) in places.items():
        pe = "diagonal" if column < 0 else f"general_{column}"
        sites[f"{above}array.row_{row}.{pe}.multiplier.dsp"] = site
    if config.accelerator == "network":
        banks = _bank_sites(grid, block_rams, folded, config.columns)
        free = [place for band in grid.bands() for place in band if place not in set(places.values())]
        return sites | banks | _product_sites(grid, products, banks, free)
    free = grid.block_ram_sites()
    for name in sorted(block_rams):
        place = places.get(_neighbour(name, config.rows, config.columns - config.booth_columns))
        if place is not None and free:
            sites[name] = _take_nearest(free, *place[:2])
    return sites


def _take_nearest(free, x, y):
    """The site nearest to a place, which is not free any more."""
    nearest = min(free, key=lambda candidate: abs(candidate[0] - x) + abs(candidate[1] - y))
    free.remove(nearest)
    return nearest[2]


def _folded(rows):
    """Rows side by side from the first and the last one on: 0, 3, 1, 2."""
    return [row for pair in zip(rows, reversed(rows)) for row in pair][: len(rows)]


def _folded_twice(rows):
    """Likewise, with the first and the last one in the middle: 2, 1, 3, 0, 7, 4, 6, 5."""
    half = len(rows) // 2
    return _folded(rows[:half])[::-1] + _folded(rows[half:][::-1])


def _bank_sites(grid, block_rams, rows, columns):
    """Block RAM of a network accelerator -> site: the rows' in this order, the columns', and that amid them."""
    bands = list(grid.block_rams)
    sites: dict[str, str] = {}
    for pattern, pattern_amid, order, around_what_is_left in (
        (_OF_ROW, _AMID_ROWS, rows, True),
        (_OF_COLUMN, _AMID_COLUMNS, _folded_twice([*range(columns)]), False),
    ):
        half = len(order) // 2
        on_the_left, on_the_right = (_in_order(pattern, side, block_rams) for side in (order[:half], order[half:]))
        needed = len(on_the_left) + len(on_the_right)
        share = ceil(needed / len(grid.groups) / 4)
        taken, bands = bands[:share], bands[share:]
        places = sorted(site for site in grid.block_ram_sites() if site[1] in taken)
        left_over = len(places) - needed
        if left_over < 0:
            break  # the placer may find room for them
        amid = sorted(filter(pattern_amid.match, block_rams))[:left_over]
        # What is left over lies together, since a wide memory takes several: amid the rows, at the ends of the columns.
        free = [None] * (left_over - len(amid))
        before, behind = free[: len(free) // 2], free[len(free) // 2 :]
        if around_what_is_left:
            line = [*on_the_left, *before, *amid, *behind, *on_the_right]
        else:
            line = [*before, *on_the_left, *amid, *on_the_right, *behind]
        sites |= {name: site for name, (_x, _y, site) in zip(line, places, strict=True) if name is not None}
    return sites


def _product_sites(grid, products, banks, free):
    """Product -> the free site nearest to the middle of the block RAM beside it, or beside what it is part of."""
    places = {site: (x, y) for x, y, site in grid.block_ram_sites()}
    sites: dict[str, str] = {}
    # The statistics first, or their sites would be taken by what can be anywhere around.
    for name in sorted(products, key=lambda name: (not _AMID_COLUMNS.match(name), name))[: len(free)]:
        path = name
        beside: list[tuple[int, int]] = []
        while not beside and "." in path:
            path = path.rpartition(".")[0]
            beside = [places[site] for bank, site in banks.items() if bank.startswith(f"{path}.")]
        if beside:
            sites[name] = _take_nearest(free, *(sum(axis) / len(beside) for axis in zip(*beside)))
    return sites


def _in_order(pattern, order, block_rams):
    """Block RAM of the rows or columns in `order`, one after another."""
    matches = [match for match in map(pattern.match, block_rams) if match]
    numbers = {match.string: sum(map(int, match.groups())) for match in matches}
    return sorted(
        (name for name in numbers if numbers[name] in order), key=lambda name: (order.index(numbers[name]), name)
    )


def _fold(split, whole, bands):
    """(member of `split`, member of `whole`) -> place, with the same share of `split` in each band; {} if too long."""
    share = ceil(len(split) / len(bands))
    if share * len(whole) > len(bands[0]):
        return {}
    return {
        (first, second): bands[index // share][share * position + index % share]
        for index, first in enumerate(split)
        for position, second in enumerate(whole)
    }


def _neighbour(name, rows, columns):
    """(column, row) of the PE, of those with sites, that a block RAM belongs to; None if there is none."""
    for pattern, row, column in _NEIGHBOURS:
        if found := re.match(pattern, name):
            given = {key: int(value) for key, value in found.groupdict().items()}
            column = given.get("column", column)
            return column if column < 0 else column % max(1, columns), given.get("row", row) % rows
    return None
