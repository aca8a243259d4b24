"""`Fabric`: the sites of a family's devices, as nextpnr names, counts and places them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

__all__ = ["RESOURCES", "Fabric", "patterns"]

#: The kinds of sites that are counted, in the order of reports -> their headings.
RESOURCES = {"lut": "LUT", "ff": "FF", "dsp": "DSP", "block_ram": "block RAM"}


def patterns(**of_kind: str) -> dict[str, re.Pattern[str]]:
    """Compiles a regular expression for each kind of site.

    Args:
        **of_kind (str): kind -> regular expression.

    Returns:
        dict[str, re.Pattern[str]]: kind -> compiled expression.
    """
    return {kind: re.compile(pattern) for kind, pattern in of_kind.items()}


@dataclass(frozen=True, kw_only=True)
class Fabric:
    """The sites of a family's devices. A tile has a column x, a row y, and in it several sites, each at a place.

    Attributes:
        site (re.Pattern): what a cell's attribute NEXTPNR_BEL looks like, with groups `x`, `y` and `place`.
        kinds (Mapping[str, re.Pattern]): kind in `RESOURCES` -> what the places of this kind look like.
        reported_as (Mapping[str, str]): kind in `RESOURCES` -> name of these sites in nextpnr's report.
        device_setting (str): the setting of a placed design that names the device.
        grids (Mapping[str, tuple[int, int]]): device -> columns and rows of tiles, with those of the I/O at the rim.
        y_up (bool): whether row 0 is at the bottom.
        quarters (Callable): function of the place of a LUT or flip-flop; returns the quarters of the tile that it
            covers, 0 to 3 in reading order.
        hard_block (Callable): function of kind and place of a multiplier or block RAM; returns its distance from the
            tile's left edge, its width and its height, in tiles.
        amounts (Mapping[str, int]): place -> how many sites one that is there counts as, if not 1.
        register_parameter (str): parameter of a logic cell that is 1 if its flip-flop is used beside its LUT; "" if
            LUTs and flip-flops are cells of their own.
    """

    site: re.Pattern[str]
    kinds: Mapping[str, re.Pattern[str]]
    reported_as: Mapping[str, str]
    device_setting: str
    grids: Mapping[str, tuple[int, int]]
    quarters: Callable[[str], tuple[int, ...]]
    hard_block: Callable[[str, str], tuple[float, float, float]]
    y_up: bool = False
    amounts: Mapping[str, int] = field(default_factory=dict)
    register_parameter: str = ""
