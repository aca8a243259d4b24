"""Job control of the network accelerator: how jobs end, and what the watchdogs see."""

from __future__ import annotations

import random

import cocotb
import pytest
from cocotb.triggers import RisingEdge

from taylorvit.gen.verilog import emit
from taylorvit.rtl.network.control.job_control import NetworkJobControl
from taylorvit.simulation import build, expect_equal, run
from verif.rtl.harness import SideBySide, on_every_block
from verif.rtl.network.configurations import config_of

NAMES = ("default", "smallest")


def blocks():
    return {name: NetworkJobControl(config_of(name)) for name in NAMES}


class Bench:
    def __init__(self, view, name, seed):
        self.view = view
        self.block = NetworkJobControl(config_of(name))
        self.generator = random.Random(seed)
        self.edge = RisingEdge(view.clk)

    async def cycles(self, count=1, **inputs):
        """Cycles with some inputs high; returns the outputs that were high, by name, and how often."""
        view = self.view
        for name, value in inputs.items():
            getattr(view, name).value = value
        seen = dict.fromkeys(("busy", "running", "ending", "done", "tape_timeout", "image_timeout", "stuck"), 0)
        for _ in range(count):
            await self.edge
            for name in seen:
                seen[name] += int(getattr(view, name).value)
        for name in inputs:
            getattr(view, name).value = 0
        return seen

    async def start(self, images=1, timeout=50):
        self.view.images.value, self.view.timeout.value = images, timeout
        await self.cycles(start=1)
        # What keeps the watchdogs quiet until something else is wanted.
        self.view.array_busy.value, self.view.sender_idle.value, self.view.inputs_idle.value = 1, 1, 1
        expect_equal("running", (await self.cycles())["running"], 1)

    async def expect_ending(self, sender_idle=True):
        """The job has been ended in the cycle before: everything is cleared, then it waits, then it is over."""
        view, clear = self.view, self.block.ending_cycles
        view.sender_idle.value = sender_idle
        seen = await self.cycles(clear)
        expect_equal("busy, running, ending", (seen["busy"], seen["running"], seen["ending"]), (clear, 0, clear))
        seen = await self.cycles(clear - 1)
        expect_equal("busy, ending", (seen["busy"], seen["ending"]), (clear - 1, 0))
        if not sender_idle:
            expect_equal("busy while logits leave", (await self.cycles(30))["busy"], 30)
            view.sender_idle.value = 1
            await self.cycles(1)
        expect_equal("busy in the end", (await self.cycles(5))["busy"], 0)


@cocotb.test()
async def jobs_in_good_order(dut):
    """A job is done when the logits of all images have left and the inputs stand at the ends of packets."""

    async def job(view, name, seed):
        bench = Bench(view, name, seed)
        for images in (1, 2, 7):
            await bench.start(images)
            for _ in range(images):
                expect_equal("done", (await bench.cycles(bench.generator.randint(3, 20)))["done"], 0)
                view.inputs_idle.value = images == 1
                await bench.cycles(image_sent=1)
            if images > 1:
                expect_equal("done before the inputs are", (await bench.cycles(20))["done"], 0)
            view.inputs_idle.value = 1
            seen = await bench.cycles(20)
            expect_equal("done, endings", (seen["done"], seen["ending"]), (1, 0))
            expect_equal("busy", (await bench.cycles(1))["busy"], 0)

    await on_every_block(dut, blocks(), job)


@cocotb.test()
async def faults_end_a_job(dut):
    """A fault ends the job, once; logits that may leave do so first."""

    async def job(view, name, seed):
        bench = Bench(view, name, seed)
        for sender_idle in (True, False, True):
            await bench.start(3)
            await bench.cycles(bench.generator.randint(1, 20))
            await bench.cycles(fault=1)
            await bench.expect_ending(sender_idle)
        expect_equal("endings between jobs", (await bench.cycles(10, fault=1))["ending"], 0)

    await on_every_block(dut, blocks(), job)


@cocotb.test()
async def silent_sources_are_given_up(dut):
    """A source is given up after `timeout` cycles in which nothing else moved."""

    async def job(view, name, seed):
        bench = Bench(view, name, seed)
        cases = [
            ("tape_timeout", {"tape_starving": 1}),
            ("image_timeout", {"image_starving": 1, "image_wanted": 1}),
        ]
        for timeout in (1, 2, 40):
            for event, inputs in cases:
                await bench.start(2, timeout)
                for mover in ("tape_moving", "image_moving", "array_busy", "sink_waits"):
                    view.array_busy.value = 0
                    if timeout > 4:
                        seen = await bench.cycles(timeout - 3, **inputs)
                        expect_equal("given up early", seen[event], 0)
                    seen = await bench.cycles(3 * timeout, **inputs, **{mover: 1})
                    expect_equal(f"given up with {mover}", seen[event], 0)
                    view.array_busy.value = 1
                    await bench.cycles(3)
                view.array_busy.value = 0
                waited = 0
                for _ in range(timeout + 6):
                    seen = await bench.cycles(1, **inputs)
                    for port, value in inputs.items():
                        getattr(view, port).value = value
                    if seen[event]:
                        break
                    waited += 1
                # A register before the watchdog.
                expect_equal(f"cycles until {event}", waited, timeout + 1)
                for port in inputs:
                    getattr(view, port).value = 0
                await bench.expect_ending()
        # An image that nobody waits for is not missed, unless all else is over.
        await bench.start(1, 10)
        view.array_busy.value = 0
        expect_equal("given up", (await bench.cycles(60, image_starving=1))["image_timeout"], 0)
        view.inputs_idle.value = 0
        await bench.cycles(image_sent=1)
        expect_equal("given up in the end", (await bench.cycles(60, image_starving=1))["image_timeout"], 1)

    await on_every_block(dut, blocks(), job)


@cocotb.test()
async def a_job_in_which_nothing_moves(dut):
    """A job in which nothing moves, and nothing is waited for, is ended after `stuck_cycles`."""

    async def job(view, name, seed):
        bench = Bench(view, name, seed)
        await bench.start(1, timeout=20)
        view.array_busy.value = 0
        half = bench.block.stuck_cycles // 2
        expect_equal("stuck", (await bench.cycles(half + 100))["stuck"], 0)
        await bench.cycles(1, image_moving=1)
        expect_equal("stuck", (await bench.cycles(half + 100))["stuck"], 0)
        seen = await bench.cycles(half + 100)
        expect_equal("stuck and then over", (seen["stuck"], seen["tape_timeout"]), (1, 0))
        expect_equal("busy", (await bench.cycles(5))["busy"], 0)

    await on_every_block(dut, blocks(), job)


# Tests: run by pytest.


@pytest.fixture(scope="module")
def simulation():
    block = SideBySide(blocks())
    return build(emit(block), block.module_name)


@pytest.mark.parametrize(
    "testcase",
    ["jobs_in_good_order", "faults_end_a_job", "silent_sources_are_given_up", "a_job_in_which_nothing_moves"],
)
def test_job_control(simulation, testcase):
    run(simulation, __name__, testcase=testcase)
