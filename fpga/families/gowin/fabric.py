"""The sites of Gowin GW1N and GW2A. Grids are those of apycula.

A bit of an adder (ALU) takes the site of a LUT and counts as one, a RAM16SDP4 takes four. Multipliers are counted in
9x9 of them, of which an 18x18 takes two.
"""

import re

from taylorvit.fpga.families.fabric import Fabric, patterns

__all__ = ["FABRIC"]

_RAM = "RAM16SDP4"


def _quarters(place):
    return (0, 1) if place == _RAM else (int(place[-1]) // 2,)  # LUT0 .. LUT7, and so on


def _hard_block(kind, place):
    if kind == "block_ram":
        return 0, 3, 1
    # A DSP is 9 tiles wide and has two macros of four 9x9 multipliers: MULT9X9<macro><index>.
    return (4 * int(place[-2]) + int(place[-1])) * 9 / 8, 9 / 8, 1


FABRIC = Fabric(
    site=re.compile(r"X(?P<x>\d+)Y(?P<y>\d+)/(?P<place>.+)"),
    # A larger multiplier has a dummy cell on each 9x9 that it takes.
    kinds=patterns(lut=rf"(LUT|ALU)\d|{_RAM}", ff=r"DFF\d", dsp=r"MULT9X9\d\d", block_ram=r"BSRAM"),
    reported_as={"lut": "LUT4", "ff": "DFF", "dsp": "MULT9X9", "block_ram": "BSRAM"},
    device_setting="packer.chipdb",
    grids={"GW1N-9C": (47, 29), "GW2A-18C": (56, 55)},
    quarters=_quarters,
    hard_block=_hard_block,
    amounts={_RAM: 4},
)
