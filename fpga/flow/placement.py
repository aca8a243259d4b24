r"""A placed design, read from the JSON that nextpnr writes: which site each cell uses, and which block it belongs to.

Synthesis flattens the design but keeps where a cell came from in its name, and nextpnr's `--write` adds the site:

    accelerator.column_3.divider.remainder_0_TRELLIS_FF_Q_5    NEXTPNR_BEL = X26/Y20/SLICEB.FF0
    \------------- path --------/\-------- leaf ---------/                  x, y, and the place in the tile

Yosys names a cell after a net that it drives, so the path is right where the net is inside one block. A register at the
border of two blocks may have its name from either, and logic merged across a border belongs to one of them: shares of
blocks are right to a per cent, not to a LUT. Cells that nextpnr adds have no path (the ends of carry chains,
`$nextpnr_...`); each counts for the block that most of its neighbours belong to.

What is counted, and how, is in the `Fabric` of the family.
"""

import json
import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from taylorvit.fpga.families import RESOURCES, Fabric

__all__ = ["BLOCKS", "NETWORK_BLOCKS", "REST", "Placement", "Site", "block_of", "read"]

#: The blocks of a board's design, in the order of legends -> pattern of the names of their cells; the first that
#: matches counts. Names without a path are the top's own: wires between blocks have the block in their name. These are
#: those of the attention accelerator.
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
#: Likewise of the network accelerator, as many of them.
NETWORK_BLOCKS = {
    "systolic array": r"engine\.array(\.|__)",
    "attention kernel": r"engine\.(columns_\d+\.(column_\d+\.)?kernel(\.|__)|rows_\d+\.(row_\d+\.)?kernel_row(\.|__)"
    r"|kernel_|diagonal_column(\.|__)|key_turner(\.|__))",
    "LayerNorm": r"engine\.(columns_\d+\.(column_\d+\.)?norm_|norm_|reciprocal_root|row_sums)",
    "output stages": r"engine\.columns_\d+\.column_\d+\.(output_stage|constants)(\.|__)",
    "columns": r"engine\.columns_\d+(\.|__)",
    "rows": r"engine\.rows_\d+(\.|__)",
    "sequence": r"engine(\.|__)",
    "memory of tapes": r"(host_side\.tape_source|sdram\w*|memory\w*)(\.|__)",
    "host side": r"host_side(\.|__)|[sm]_axis_(image|logits)_|s_axil_",
    "host link": r"(host_link|register_loader)(\.|__)",
}
REST = "clock, pins, rest"

_PATTERNS = {
    accelerator: {name: re.compile(rf"(?:accelerator(?:\.|__))?(?:{pattern})") for name, pattern in blocks.items()}
    for accelerator, blocks in (("attention", BLOCKS), ("network", NETWORK_BLOCKS))
}
_MEMORY = re.compile(r"\.\w+(\.\d+)+$")  # Yosys names the parts of a memory like instances in it
_MOST_ENDS = 8  # a net with more ends is a clock, a reset or an enable, and does not tell where a cell belongs


@dataclass(frozen=True, slots=True)
class Site:
    """A used site.

    Attributes:
        kind (str): one of `RESOURCES`, or "other": pins, clocks, multiplexers that join LUTs.
        amount (int): how many of the kind it counts as.
        uses_ff (bool): whether it has a flip-flop in use, beside what `kind` says.
        x (int): column of its tile.
        y (int): row of its tile.
        place (str): where it is in the tile, in nextpnr's words.
        block (str): one of `BLOCKS` or `NETWORK_BLOCKS`, or `REST`.
        path (str): the instance that its cell came from, "" for the top.
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
    """A placed design.

    Attributes:
        fabric (Fabric): the sites of the family.
        device (str): the device, as nextpnr names it.
        grid (tuple[int, int]): columns and rows of tiles.
        blocks (tuple[str, ...]): the blocks that there can be, in the order of legends.
        sites (tuple[Site, ...]): the used sites.
    """

    fabric: Fabric
    device: str
    grid: tuple[int, int]
    blocks: tuple[str, ...]
    sites: tuple[Site, ...]

    def count(self, key):
        """Counts the used sites in groups.

        Args:
            key (Callable[[Site], str]): the group of a site.

        Returns:
            dict[str, dict[str, int]]: group -> kind -> how many, every kind of `RESOURCES` in each.
        """
        counts: dict = {}
        for site in self.sites:
            if site.kind in RESOURCES:
                row = counts.setdefault(key(site), dict.fromkeys(RESOURCES, 0))
                row[site.kind] += site.amount
                row["ff"] += site.uses_ff
        return counts


def read(placed_json, *, family, accelerator="attention"):
    """Reads a placed design.

    Args:
        placed_json (str | Path): the file that nextpnr's `--write` left.
        family (Family): the family of its device.
        accelerator (str): "attention" for the blocks `BLOCKS`, "network" for `NETWORK_BLOCKS`.

    Returns:
        Placement: the design.

    Raises:
        ValueError: the file holds no design that was placed for the family.
    """
    path = Path(placed_json)
    return _read(path, path.stat().st_mtime_ns, family, accelerator)


@lru_cache(maxsize=1)  # hundreds of megabytes of JSON, and each figure of a report asks anew
def _read(placed_json, _modified, family, accelerator):
    fabric = family.fabric
    try:
        modules = json.loads(placed_json.read_text(encoding="utf-8"))["modules"]
        (module,) = (each for each in modules.values() if "settings" in each)  # the others are libraries of cells
        device = module["settings"][fabric.device_setting].strip()
        cells = module["cells"]
        owners = _owners(cells, accelerator)
        sites = tuple(_site(cell, owner, fabric) for cell, owner in zip(cells.values(), owners))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(
            f"{placed_json} must be a design that nextpnr placed for {family.name}, not anything else"
        ) from None
    # A device without a known grid is drawn as far as it is used.
    width, height = (1 + max((getattr(site, axis) for site in sites), default=0) for axis in "xy")
    blocks = (*_PATTERNS[accelerator], REST)
    return Placement(fabric, device, fabric.grids.get(device, (width, height)), blocks, sites)


def block_of(name, accelerator="attention"):
    """The block that a cell belongs to, by its name.

    Args:
        name (str): the cell's name.
        accelerator (str): as in `read`.

    Returns:
        str: one of the accelerator's blocks; `REST` if the name says none.
    """
    return next((block for block, pattern in _PATTERNS[accelerator].items() if pattern.match(name)), REST)


def _site(cell, owner, fabric):
    bel = fabric.site.fullmatch(cell["attributes"]["NEXTPNR_BEL"])
    place = bel["place"]
    block, path = owner
    return Site(
        kind=next((kind for kind, pattern in fabric.kinds.items() if pattern.fullmatch(place)), "other"),
        amount=fabric.amounts.get(place, 1),
        uses_ff=cell["parameters"].get(fabric.register_parameter, "0").endswith("1"),
        x=int(bel["x"]),
        y=int(bel["y"]),
        place=place,
        block=block,
        path=path,
    )


def _owners(cells, accelerator):
    """(block, path) of each cell: by its name, or else those that most of the cells on its nets have."""
    owners = {
        name: (block_of(name, accelerator), _MEMORY.sub("", name.rpartition(".")[0]))
        for name in cells
        if not name.startswith("$")
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
