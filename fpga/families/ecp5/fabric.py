"""The sites of Lattice ECP5. Grids are those of Project Trellis (devices.json)."""

import re

from taylorvit.fpga.families.fabric import Fabric, patterns

__all__ = ["FABRIC"]


def _quarters(place):
    return ("ABCD".index(place[len("SLICE")]),)


def _hard_block(kind, _place):
    return (0, 1, 1) if kind == "dsp" else (0, 2, 1)


FABRIC = Fabric(
    site=re.compile(r"X(?P<x>\d+)/Y(?P<y>\d+)/(?P<place>.+)"),
    kinds=patterns(lut=r"SLICE\w\.(K|COMB)\d", ff=r"SLICE\w\.FF\d", dsp=r"MULT18_\d", block_ram=r"EBR\d"),
    reported_as={"lut": "TRELLIS_COMB", "ff": "TRELLIS_FF", "dsp": "MULT18X18D", "block_ram": "DP16KD"},
    device_setting="arch.type",
    grids={
        f"{part}_{size}": grid
        for part in ("lfe5u", "lfe5um", "lfe5um5g")
        for size, grid in (("12f", (73, 51)), ("25f", (73, 51)), ("45f", (91, 72)), ("85f", (127, 96)))
    },
    quarters=_quarters,
    hard_block=_hard_block,
)
