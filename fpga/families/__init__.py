"""FPGA families: how each is synthesized for, placed, routed and packed, and what its resources are called.

Everything that a build does differently for one family is here, but constraint files (`fpga.families.constraints`),
PLLs (`fpga.families.clocking`) and where the tools come from (`fpga.flow.toolchain`).

Multipliers. `synth_ice40` is never told to infer DSP cells (`-dsp`): it has been seen to merge registers that are not
the same. What the array needs of them it instantiates (`rtl.array.multiplier`).
"""

from collections.abc import Callable
from dataclasses import dataclass

from .array_sites import array_sites

__all__ = ["FAMILIES", "Family", "gowin_synthesis"]

#: Devices of ECP5 -> option of nextpnr.
_ECP5_DEVICES = {
    f"LFE5{kind}-{size}F": f"--{option}{size}k"
    for kind, option in (("U", ""), ("UM", "um-"), ("UM5G", "um5g-"))
    for size in (12, 25, 45, 85)
}


@dataclass(frozen=True, kw_only=True)
class Family:
    """One family.

    Attributes
    ----------
    part_keys: keys of a board's file that name the device.
    constraints: suffix of its constraint file; routed: file name that packing starts from; bitstream: suffix.
    synthesis: function of a board, the commands of Yosys that synthesize, in its words, with the board's own options.
    place_and_route: function of a board, the options of nextpnr that name the device and the constraint file.
    routed_option: option of nextpnr that writes `routed`; None where it is the design that `--write` leaves.
    pack: function of (board, routed, bitstream), the arguments of the packer.
    block_ram: cells that a buffer may become.
    sites: function that decides where some cells go, with the arguments and the result of
        `fpga.families.array_sites.array_sites`; None if the placer decides everything.
    note: what the report has to say of its figures, or "".
    """

    part_keys: tuple[str, ...]
    constraints: str
    routed: str
    bitstream: str
    synthesis: Callable[..., list[str]]
    place_and_route: Callable[..., list[str]]
    routed_option: str | None
    pack: Callable[..., list[str]]
    block_ram: tuple[str, ...]
    sites: Callable[..., dict[str, str]] | None = None
    note: str = ""


def _ecp5_place_and_route(board, constraints):
    if board.device not in _ECP5_DEVICES:
        raise ValueError(f"device must be one of {', '.join(_ECP5_DEVICES)}, not {board.device!r}")
    # Of the two routers, the one that finds a way for a large array, and in a fraction of the time; it tears up again
    # what is too slow, instead of leaving detours where the last wires were found. Timing weighs twice as much in
    # placement as nextpnr's own choice.
    return [_ECP5_DEVICES[board.device], "--package", board.package, "--speed", board.speed, "--lpf", constraints,
            "--router", "router2", "--tmg-ripup", "--placer-heap-timingweight", "20"]  # fmt: skip


def _ice40_synthesis(board):
    device = ["-device u"] if board.device == "UP5K" else []
    return [" ".join(["synth_ice40 -top board_top", *device, *board.synthesis])]


def _ice40_place_and_route(board, constraints):
    return [f"--{board.device.lower()}", "--package", board.package.lower(), "--pcf", constraints]


def gowin_synthesis(top, family, *options):
    """The commands that synthesize the module `top` for Gowin's `family`: Yosys's own, in two, and a pass between them.

    A slice has one enable and one reset for all of its flip-flops, so a signal that enables or resets a few of them
    keeps the others empty, and a device that is nearly full has no place left: such signals become logic.
    """
    command = " ".join([f"synth_gowin -top {top} -family {family}", *options])
    cells = " ".join(f"-cell {cell}" for cell in (
        "$_DFF_?_ 0", "$_DFFE_?P_ 0", "$_SDFF_?P?_ r", "$_SDFFE_?P?P_ r", "$_DFF_?P?_ r", "$_DFFE_?P?P_ r",
    ))  # fmt: skip
    return [f"{command} -run begin:map_ffs", f"dfflegalize -mince 6 -minsrst 6 {cells}", f"{command} -run map_ffs:"]


def _gowin_place_and_route(board, constraints):
    # A design that is too full ends with an error instead of days of attempts: the square of the cells over this.
    return ["--device", board.device, "--vopt", f"family={board.chip}", "--vopt", f"cst={constraints}",
            "--placer-heap-cell-placement-timeout", "2000"]  # fmt: skip


FAMILIES = {
    "ecp5": Family(
        part_keys=("device", "package", "speed"),
        constraints="lpf",
        routed="routed.config",
        bitstream="bit",
        # Module by module: in a third of the time, and registers that happen to be equal stay where they are needed.
        synthesis=lambda board: [" ".join(["synth_ecp5 -noflatten -top board_top", *board.synthesis])],
        sites=array_sites,
        place_and_route=_ecp5_place_and_route,
        routed_option="--textcfg",
        pack=lambda board, routed, bitstream: ["--compress", routed, bitstream],
        block_ram=("DP16KD",),
    ),
    "ice40": Family(
        part_keys=("device", "package"),
        constraints="pcf",
        routed="routed.asc",
        bitstream="bin",
        synthesis=_ice40_synthesis,
        place_and_route=_ice40_place_and_route,
        routed_option="--asc",
        pack=lambda board, routed, bitstream: [routed, bitstream],
        block_ram=("SB_RAM40_4K",),
        note="A logic cell has one LUT and one flip-flop: lut counts logic cells.",
    ),
    "gowin": Family(
        part_keys=("device", "chip"),
        constraints="cst",
        routed="placed.json",
        bitstream="fs",
        synthesis=lambda board: gowin_synthesis("board_top", board.chip[:4].lower(), *board.synthesis),
        place_and_route=_gowin_place_and_route,
        routed_option=None,
        pack=lambda board, routed, bitstream: ["-d", board.chip, "-o", bitstream, routed],
        block_ram=("DPB", "DPX9B", "SDPB", "SDPX9B", "SP", "SPX9"),
        note="nextpnr has no timing of Gowin's multipliers: paths through them are not in Fmax.",
    ),
}
