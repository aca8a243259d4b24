"""The routed netlist of a whole board, as its bitstream has it, driven through the pins.

The build is that of `taylorvit build`, with the board's own device, pins and PLL. Two things are set: the link has
a quarter of the core clock, since every bit of it is simulated, and the core clock is one that any board meets.
"""

from __future__ import annotations

from taylorvit.fpga.board import Board, load_board
from taylorvit.fpga.flow.build import prepare
from taylorvit.fpga.top import BoardTop
from taylorvit.jobs import golden_steps
from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.simulation import RunResult, run
from taylorvit.simulation.places import cache_folder
from verif.fpga.board_pins import CYCLES_PER_BIT
from verif.regression.jobs import captured_job

from . import routed_board_bench
from .cell_models import CELL_MODELS
from .designs import ON_BOARDS
from .netlist import Netlist, read_netlist
from .pair import build_pair

__all__ = ["board_with_fast_link", "routed_board", "run_board"]

CORE_HZ = 24_000_000
TOKENS, HEAD_DIM = 19, 13  # of the job, at most


def board_with_fast_link(name: str) -> Board:
    """The board with a core clock of `CORE_HZ` and a link of `CYCLES_PER_BIT` cycles a bit.

    The core clock is the oscillator's where the netlist does not show what the PLL drives.
    Raises `ValueError` for a family whose routed cells have no models.
    """
    board = load_board(name)
    family = board.family.name
    if family not in ON_BOARDS:
        raise ValueError(f"family of a board must be one of {', '.join(ON_BOARDS)}, not {family!r}")
    core_hz = CORE_HZ if CELL_MODELS[family].shows_pll else board.clock_hz
    return board.with_core_hz(core_hz).with_baud(core_hz // CYCLES_PER_BIT)


def routed_board(board: Board, config: AcceleratorConfig, progress=None) -> tuple[BoardTop, Netlist]:
    """A board's top level, and the netlist that its bitstream is packed from; `progress` as in `Build.run`.

    Raises `fpga.flow.build.BuildError` or `fpga.flow.toolchain.FpgaToolError` if it cannot be built.
    """
    build = prepare(board, config, root=cache_folder())
    build.run(progress)
    return build.top, read_netlist(build.directory / "placed.json")


def run_board(top: BoardTop, netlist: Netlist) -> RunResult:
    """Captured tensors in, Z out, twice, through the pins of the netlist; all of them as those of the RTL."""
    config = top.config
    job = captured_job("mnist_vit", slice(0, 2), config, tokens=min(TOKENS, config.max_tokens),
                       head_dim=min(HEAD_DIM, config.max_head_dim))  # fmt: skip
    pair = build_pair(top, netlist, CELL_MODELS[top.board.family.name], clock="clock")
    return run(
        pair, routed_board_bench.__name__, timeout_s=3600,
        parameters={"board": top.board.name, "config": config.to_mapping(), "job": job.to_mapping(),
                    "z": golden_steps(job, config).z},
    )  # fmt: skip
