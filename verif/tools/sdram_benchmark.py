"""What an SDRAM costs a network: the accelerator, the real controller and a model of the chip that has the tape.

    python -m verif.tools.sdram_benchmark [-o build/sdram_bench.json] [--case NAME ...] [--megahertz N]

Two images go back to back through the accelerator `deit-tiny` of the ULX3S-85F, 16 x 8 PEs, whose tape lies in an SDRAM
of 16 bits with the accelerator's clock, that of the board if no other is given. The figures:

    cycles an image   of the second image: from the last logit of the first to its own
    ideal             the same by the cycle model (`taylorvit.compiler.cycles_of`) with a word of 16 bits in every cycle
    lost              what the memory takes of the time: 1 - ideal / cycles an image
    tape stalls       share of both images' cycles in which the array waits for the tape
    bytes a cycle     bytes of the tape / cycles an image; two are the most that the chip's pins bear

`layer` is DeiT-Tiny with one of its twelve layers. Weights are random, which changes no cycle. Logits are compared with
the integer model. Exit status 1 if one is wrong or more is lost than `MOST_LOST`.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from amaranth.hdl import Module
from amaranth.lib.wiring import In, flipped
from rich.console import Console
from rich.table import Table

from taylorvit.boundary.writing import check_output_file
from taylorvit.compiler import Memory, compile_network, cycles_of
from taylorvit.fpga.board import load_board
from taylorvit.fpga.families.ecp5.sdram_pads import Ecp5SdramPads
from taylorvit.fpga.memory.chips import SdramChip, SdramTiming
from taylorvit.fpga.memory.pads import chip_pads, chip_pins
from taylorvit.fpga.memory.phase import chip_clock
from taylorvit.fpga.memory.sdram import SdramController
from taylorvit.gen.verilog import emit
from taylorvit.golden.network.vit import SHAPES, VitShape
from taylorvit.jobs.patches import image_beats
from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.bus import connect
from taylorvit.rtl.network.accelerator import NetworkAccelerator
from taylorvit.rtl.network.config import NetworkConfig
from taylorvit.simulation import ToolError, build
from taylorvit.simulation.dsp_cells import with_dsp_models
from taylorvit.simulation.network import MAIN, NetworkJob, NetworkSimulation, simulate_network
from taylorvit.simulation.sdram import with_sdram
from verif.golden.network.random_models import random_model

from .figures import console, environment, write_report

__all__ = ["CASES", "Case", "main", "measure", "missed_targets", "simulation_of"]

IMAGES = 2
MOST_LOST = 0.05
#: What the host's main program does before the first image takes longer than this wait at power-up.
START = 10_000  # ns


@dataclass(frozen=True, kw_only=True)
class Case:
    """A network on an accelerator with SDRAM.

    Attributes:
        name (str): what the command line calls it.
        shape (VitShape): the network.
        config (NetworkConfig): the accelerator.
        chip (SdramChip): the memory.
    """

    name: str
    shape: VitShape
    config: NetworkConfig
    chip: SdramChip


_BOARD = load_board("ulx3s-85f")
_NETWORK = _BOARD.network("deit-tiny")


def _cases():
    shape, config, chip = SHAPES["deit_tiny"], _NETWORK.config, _BOARD.sdram.chip
    return (
        Case(name="layer", shape=replace(shape, depth=1), config=config, chip=chip),
        Case(name="deit_tiny", shape=shape, config=config, chip=chip),
    )


CASES = _cases()


class NetworkWithSdram(Block):
    """A network accelerator and the controller of the memory that has its tape."""

    module_name = "network_with_sdram"
    waivers = {("SYMRSVDWORD", "interrupt"): "The usual name."}

    def __init__(self, config, timing):
        self.config = config
        self.timing = timing
        self.accelerator = NetworkAccelerator(config)
        self.controller = SdramController(timing, Ecp5SdramPads, address_width=config.address_width)
        self.outside = {
            name: member for name, member in self.accelerator.signature.members.items() if name != "m_axi_tape"
        }
        super().__init__({**self.outside, "chip_clock": In(1), **chip_pins(timing.chip)})
        self.pads = chip_pads(timing.chip)

    def elaborate(self, platform):
        m = Module()
        accelerator = instantiate(m, "accelerator", self.accelerator)
        controller = instantiate(m, "controller", self.controller, pads=self.pads)
        for name, member in self.outside.items():
            if member.is_port:
                m.d.comb += getattr(self, name).eq(getattr(accelerator, name))
            else:
                connect(m, flipped(getattr(self, name)), getattr(accelerator, name))
        connect(m, accelerator.m_axi_tape, controller.read)
        m.d.comb += [controller.chip_clock.eq(self.chip_clock), controller.write.valid.eq(0), controller.test.eq(0)]
        m.d.comb += [getattr(self, pin).eq(getattr(controller, pin)) for pin in chip_pins(self.timing.chip)]
        # A job would wait for the memory; it is to be measured without the wait at power-up.
        for channel in ("aw", "w", "ar"):
            valid, ready = (f"{channel}{what}" for what in ("valid", "ready"))
            m.d.comb += [
                getattr(accelerator.s_axil, valid).eq(getattr(self.s_axil, valid) & controller.initialized),
                getattr(self.s_axil, ready).eq(getattr(accelerator.s_axil, ready) & controller.initialized),
            ]
        return m


def simulation_of(config: NetworkConfig, chip: SdramChip, hz: int) -> NetworkSimulation:
    """Makes the simulation of an accelerator, its controller and the chip.

    Raises:
        ToolError: a tool is missing or refuses the Verilog.
        ValueError: the chip is too slow.
    """
    placed = chip_clock(chip, Ecp5SdramPads.pin_timing, hz)
    timing = SdramTiming(replace(chip, start=START), hz, placed.late)
    block = NetworkWithSdram(config, timing)
    verilog, top = with_sdram(with_dsp_models(emit(block)), block, timing)
    return NetworkSimulation(build(verilog, top, simulator="verilator", waves=False, main=MAIN), config)


def measure(case: Case, hz: int, images: int = IMAGES) -> dict:
    """Run some images of random pixels back to back.

    Raises:
        ToolError: the simulation cannot be built.
        ValueError: the chip is too slow.
    """
    vit, config = random_model(case.shape, 1), case.config
    network = compile_network(vit, config)
    shape = case.shape
    pixels = np.random.default_rng(1).integers(
        0, 256, (images, shape.channels, shape.image_size, shape.image_size), dtype=np.uint8
    )
    simulation = simulation_of(config, case.chip, hz)
    job = NetworkJob(
        tape=network.tape,
        beats=image_beats(pixels, shape, config.image_lanes),
        patches=network.patches,
        patch_pixels=network.patch_pixels,
        classes=shape.classes,
    )
    run = simulate_network(simulation, job)
    golden = vit(pixels)
    if run.logits.shape != golden.shape:
        raise ValueError(f"logits of {case.name} must be of shape {golden.shape!r}, not {run.logits.shape!r}")
    ideal = cycles_of([part.step for part in network.parts], config, Memory()).cycles
    cycles, (counters,) = run.image_cycles[-1], run.jobs
    return {
        "case": case.name,
        "megahertz": hz / 1e6,
        "cycles": cycles,
        "ideal": ideal,
        "lost": round(1 - ideal / cycles, 4),
        "tape_stalls": round(counters["STALL_TAPE"] / counters["CYCLES"], 4),
        "tape_bytes": len(network.tape),
        "bytes_per_cycle": round(len(network.tape) / cycles, 3),
        "images_per_second": round(hz / cycles, 2),
        "compared": golden.size,
        "mismatches": int(np.count_nonzero(run.logits != golden)),
        "simulation_seconds": round(run.seconds, 2),
    }


def missed_targets(rows: list[dict]) -> list[str]:
    """What is wrong or slower than it has to be, one line each."""
    missed = []
    for row in rows:
        if row["mismatches"]:
            missed.append(f"{row['case']}: {row['mismatches']} of {row['compared']} logits differ from the golden")
        if row["lost"] > MOST_LOST:
            missed.append(f"{row['case']}: memory must take at most {MOST_LOST:.0%} of the time, not {row['lost']:.1%}")
    return missed


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    names = [case.name for case in CASES]
    parser = argparse.ArgumentParser(prog="python -m verif.tools.sdram_benchmark", description="networks with SDRAM")
    parser.add_argument("-o", "--output", type=Path, help="write the figures there as JSON, too")
    parser.add_argument("--case", action="append", choices=names, help="instead of all; may be given more than once")
    parser.add_argument(
        "--megahertz",
        type=int,
        default=_NETWORK.core_hz // 1_000_000,
        help="clock of accelerator and memory (default: that of the board, %(default)s)",
    )
    options = parser.parse_args(arguments)
    progress = Console(stderr=True, highlight=False)
    rows = []
    try:
        if options.output is not None:
            options.output.parent.mkdir(parents=True, exist_ok=True)
            check_output_file(options.output, endings=(".json",))
        for case in CASES:
            if case.name in (options.case or names):
                with progress.status(f"building and simulating {case.name}"):
                    rows.append(measure(case, options.megahertz * 1_000_000))
    except (ToolError, ValueError) as error:
        print(f"sdram_benchmark: error: {error}", file=sys.stderr)
        return 2
    report = {**environment(), "networks": rows, "missed": missed_targets(rows)}
    write_report(options.output, report)
    _print(report)
    return 1 if report["missed"] else 0


def _print(report: dict) -> None:
    table = Table(title="two images back to back, tape in an SDRAM of 16 bits")
    for heading in (
        "network", "MHz", "cycles an image", "ideal", "lost", "tape stalls", "bytes a cycle", "images/s", "mismatches",
    ):  # fmt: skip
        table.add_column(heading, justify="left" if heading == "network" else "right")
    for row in report["networks"]:
        table.add_row(
            row["case"],
            f"{row['megahertz']:g}",
            f"{row['cycles']:,}",
            f"{row['ideal']:,}",
            f"{row['lost']:.2%}",
            f"{row['tape_stalls']:.2%}",
            f"{row['bytes_per_cycle']:g}",
            f"{row['images_per_second']:g}",
            f"{row['mismatches']} of {row['compared']:,}",
        )
    shown = console()
    shown.print(table)
    for line in report["missed"]:
        shown.print(f"missed: {line}", soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
