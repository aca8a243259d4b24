"""A placed design, read from the JSON that nextpnr writes: which site each cell uses, and which block it belongs to.

Synthesis flattens the design but keeps where a cell came from in its name, and nextpnr's `--write` adds the site:

    accelerator.column_3.divider.remainder_0_TRELLIS_FF_Q_5    NEXTPNR_BEL = X26/Y20/SLICEB.FF0
    \\------------- path --------/\\-------- leaf ---------/                  x, y, and where in the tile

Yosys names a cell after a net that it drives, so the path is right where a net is inside one block. A register at the
border of two blocks may have its name from either, and logic merged across a border belongs to one of them: shares of
blocks are to the nearest per cent, not to the LUT. Cells that nextpnr makes have no path (the ends of carry chains,
`$nextpnr_...`); they belong where most of the cells do that they are connected with.

What is counted: on ECP5 a TRELLIS_COMB is a LUT. On iCE40 a logic cell is a LUT, whether used for its LUT or for its
flip-flop only, as nextpnr counts it too. On Gowin a LUT is one, so is a bit of an adder (ALU), which takes the site of
one, and a RAM16SDP4 is four; multipliers are counted in 9x9 of them, of which an 18x18 takes two.
"""

import json
import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

__all__ = ["BLOCKS", "FAMILIES", "KINDS", "REST", "Family", "Placement", "Site", "block_of", "read"]

#: What is counted, in the order of reports.
KINDS = ("lut", "ff", "dsp", "block_ram")

#: The blocks of a board's design, in the order of legends; each is what its pattern finds in a cell's name, the first
#: that does. Names without a path are the top's own: wires between blocks carry the block in their name.
BLOCKS = {
    "systolic array": r"array(\.|__)",
    "operand rows": r"(operand_row_\d+|mean_bank)(\.|__)",
    "column buffers": r"column_\d+\.(v_bank|g_bank|z_bank|bias_bank|row_queue)\.",
    "adders, dividers": r"column_\d+\.(adder|divider)\.",
    "partial sums": r"column_\d+(\.|__)",
    "diagonal column": r"diagonal_column(\.|__)",
    "column sums, bias": r"(k_sums|v_sums|bias_unit)(\.|__)",
    "loaders, sender": r"(loader_[qkv]|sender)(\.|__)|[sm]_axis_[qkvz]_",
    "control": r"(control_status|job_control|pass_scheduler|division_scheduler|\w+_reset)(\.|__)|s_axil_",
    "host link": r"host_link(\.|__)",
}
REST = "clock, pins, rest"

_PATTERNS = {name: re.compile(rf"(?:accelerator(?:\.|__))?(?:{pattern})") for name, pattern in BLOCKS.items()}
_MEMORY = re.compile(r"\.\w+(\.\d+)+$")  # Yosys names the parts of a memory like instances in it
_MOST_ENDS = 8  # a net with more of them is a clock, a reset or an enable: it does not say where a cell belongs


@dataclass(frozen=True)
class Family:
    """How a family's placed designs are read.

    Attributes
    ----------
    site: pattern of a NEXTPNR_BEL attribute with groups x, y and place (where in the tile).
    kinds: kind -> pattern of the places that are of it.
    device: name of the setting of the design that holds the device.
    grids: device -> (columns, rows) of tiles, the rim of I/O included.
    y_up: whether row 0 is at the bottom.
    """

    site: re.Pattern
    kinds: dict[str, re.Pattern]
    device: str
    grids: dict[str, tuple[int, int]]
    y_up: bool = False


def _kinds(**patterns):
    return {kind: re.compile(pattern) for kind, pattern in patterns.items()}


#: Grids of ECP5 are those of Project Trellis (devices.json), of iCE40 those of Project IceStorm, of Gowin apycula's.
FAMILIES = {
    "ecp5": Family(
        site=re.compile(r"X(?P<x>\d+)/Y(?P<y>\d+)/(?P<place>.+)"),
        kinds=_kinds(lut=r"SLICE\w\.(K|COMB)\d", ff=r"SLICE\w\.FF\d", dsp=r"MULT18_\d", block_ram=r"EBR\d"),
        device="arch.type",
        grids={
            f"{part}_{size}": grid
            for part in ("lfe5u", "lfe5um", "lfe5um5g")
            for size, grid in (("12f", (73, 51)), ("25f", (73, 51)), ("45f", (91, 72)), ("85f", (127, 96)))
        },
    ),
    "ice40": Family(
        site=re.compile(r"X(?P<x>\d+)/Y(?P<y>\d+)/(?P<place>.+)"),
        kinds=_kinds(lut=r"lc\d", dsp=r"mac16_\d", block_ram="ram"),
        device="arch.type",
        grids={"up5k": (26, 32), "hx1k": (14, 18), "lp1k": (14, 18), "hx8k": (34, 34), "lp8k": (34, 34)},
        y_up=True,
    ),
    "gowin": Family(
        site=re.compile(r"X(?P<x>\d+)Y(?P<y>\d+)/(?P<place>.+)"),
        # A larger multiplier has a dummy cell on each 9x9 that it takes.
        kinds=_kinds(lut=r"(LUT|ALU)\d|RAM16SDP4", ff=r"DFF\d", dsp=r"MULT9X9\d\d", block_ram=r"BSRAM"),
        device="packer.chipdb",
        grids={"GW1N-9C": (47, 29), "GW2A-18C": (56, 55)},
    ),
}


@dataclass(frozen=True, slots=True)
class Site:
    """A used site.

    Attributes
    ----------
    kind: one of `KINDS`, or "other" (pins, clocks, multiplexers that join LUTs, ...); amount: how many of it.
    uses_ff: a flip-flop beside what `kind` says (a logic cell of iCE40).
    x, y: tile; place: where in the tile, in the family's own words.
    block: one of `BLOCKS`, or `REST`; path: the instance that it is from, "" for the top.
    """

    kind: str
    amount: int
    uses_ff: bool
    x: int
    y: int
    place: str
    block: str
    path: str


@dataclass(frozen=True)
class Placement:
    """A placed design: `device`, `grid` as (columns, rows) of tiles, and the used `sites`."""

    family: str
    device: str
    grid: tuple[int, int]
    sites: tuple[Site, ...]

    def count(self, key):
        """{key(site): {kind: how many}}, every kind of `KINDS` in each."""
        counts: dict = {}
        for site in self.sites:
            if site.kind in KINDS:
                row = counts.setdefault(key(site), dict.fromkeys(KINDS, 0))
                row[site.kind] += site.amount
                row["ff"] += site.uses_ff
        return counts


def read(placed_json, *, family):
    """The `Placement` in the file that nextpnr's `--write` left, for one of `FAMILIES`.

    Raises `ValueError` for another family, and for a file that holds no design placed for it.
    """
    if family not in FAMILIES:
        raise ValueError(f"family must be one of {', '.join(FAMILIES)}, not {family!r}")
    path = Path(placed_json)
    return _read(path, path.stat().st_mtime_ns, family)


@lru_cache(maxsize=1)  # hundreds of megabytes of JSON, and each figure of a report asks anew
def _read(placed_json, _modified, family):
    rules = FAMILIES[family]
    try:
        modules = json.loads(placed_json.read_text(encoding="utf-8"))["modules"]
        (module,) = (each for each in modules.values() if "settings" in each)  # the others are libraries of cells
        device = module["settings"][rules.device].strip()
        cells = module["cells"]
        sites = tuple(_site(cell, owner, rules) for cell, owner in zip(cells.values(), _owners(cells)))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(f"{placed_json} must be a {family} design placed by nextpnr, not anything else") from None
    # Of a device that is not in the table, as much as is used is drawn.
    width, height = (1 + max((getattr(site, axis) for site in sites), default=0) for axis in "xy")
    return Placement(family, device, rules.grids.get(device, (width, height)), sites)


def block_of(name):
    """The block in `BLOCKS` that a cell's name says, `REST` if none."""
    return next((block for block, pattern in _PATTERNS.items() if pattern.match(name)), REST)


def _site(cell, owner, rules):
    bel = rules.site.fullmatch(cell["attributes"]["NEXTPNR_BEL"])
    place = bel["place"]
    block, path = owner
    return Site(
        kind=next((kind for kind, pattern in rules.kinds.items() if pattern.fullmatch(place)), "other"),
        amount=4 if place == "RAM16SDP4" else 1,
        uses_ff=cell["parameters"].get("DFF_ENABLE", "0").endswith("1"),
        x=int(bel["x"]),
        y=int(bel["y"]),
        place=place,
        block=block,
        path=path,
    )


def _owners(cells):
    """(block, path) of each cell: by its name, or, if it has none, those of most cells that it is connected with."""
    owners = {
        name: (block_of(name), _MEMORY.sub("", name.rpartition(".")[0])) for name in cells if not name.startswith("$")
    }
    unnamed = [name for name in cells if name.startswith("$")]
    ends_of_net: dict = {}
    for name, cell in cells.items():
        for bits in cell["connections"].values():
            for bit in bits:
                ends_of_net.setdefault(bit, []).append(name)
    while unnamed:
        found = {}
        for name in unnamed:
            votes = Counter(
                owners[end]
                for bits in cells[name]["connections"].values()
                for bit in bits
                if len(ends_of_net[bit]) <= _MOST_ENDS
                for end in ends_of_net[bit]
                if end in owners
            )
            if votes:
                found[name] = votes.most_common(1)[0][0]
        if not found:  # constants, global buffers
            found = dict.fromkeys(unnamed, (REST, ""))
        owners |= found
        unnamed = [name for name in unnamed if name not in found]
    return [owners[name] for name in cells]
