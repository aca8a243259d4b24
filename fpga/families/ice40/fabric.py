"""The sites of Lattice iCE40. Grids are those of Project IceStorm."""

import re

from taylorvit.fpga.families.fabric import Fabric, patterns

__all__ = ["FABRIC"]


def _quarters(place):
    return (int(place[-1]) // 2,)  # lc0 .. lc7


def _hard_block(kind, _place):
    return (0, 1, 4) if kind == "dsp" else (0, 1, 2)


FABRIC = Fabric(
    site=re.compile(r"X(?P<x>\d+)/Y(?P<y>\d+)/(?P<place>.+)"),
    # A logic cell is a LUT, also where only its flip-flop is used: nextpnr counts so, too.
    kinds=patterns(lut=r"lc\d", dsp=r"mac16_\d", block_ram="ram"),
    reported_as={"lut": "ICESTORM_LC", "ff": "ICESTORM_LC", "dsp": "ICESTORM_DSP", "block_ram": "ICESTORM_RAM"},
    device_setting="arch.type",
    grids={"up5k": (26, 32), "hx1k": (14, 18), "lp1k": (14, 18), "hx8k": (34, 34), "lp8k": (34, 34)},
    y_up=True,
    quarters=_quarters,
    hard_block=_hard_block,
    register_parameter="DFF_ENABLE",
)
