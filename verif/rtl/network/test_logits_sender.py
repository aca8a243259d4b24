"""Logits sender: packets of logits in the order of the classes, as long as there is room, whatever the sink does."""

from __future__ import annotations

import random

import cocotb
import pytest
from cocotb.triggers import RisingEdge

from taylorvit.gen.verilog import emit
from taylorvit.rtl.network.config import NetworkConfig
from taylorvit.rtl.network.logits_sender import LogitsSender
from taylorvit.simulation import PATTERNS, build, expect_equal, pattern, run
from verif.rtl.harness import SideBySide, integers, on_every_block
from verif.rtl.network.configurations import config_of

LIMIT = 20_000
SIZES = {"one": (1, 0), "ten": (10, 1), "many": (100, 2)}  # most classes, registers behind the memory


def configuration(name):
    classes, pipeline = SIZES[name]
    changes = {"max_classes": classes, "memory_pipeline": pipeline}
    return NetworkConfig.from_mapping(config_of("default").to_mapping() | changes)


def blocks():
    return {name: LogitsSender(configuration(name)) for name in SIZES}


class Bench:
    def __init__(self, view, name, seed):
        self.view, self.config = view, configuration(name)
        self.generator = random.Random(seed)
        self.edge = RisingEdge(view.clk)
        self.received = []  # packets of logits
        self.packet = []
        self.sent = 0
        self.pace = pattern("always", 0)
        self.block = LogitsSender(self.config)

    async def sink(self):
        """Takes what is offered; what has been offered stays until it is taken."""
        view, offered = self.view, None
        while True:
            view.m_tready.value = next(self.pace)
            await self.edge
            if not view.m_tvalid.value:
                expect_equal("an offer that was taken back", offered is not None, False)
                continue
            beat = (view.m_tdata.value.to_signed(), int(view.m_tlast.value))
            expect_equal("the offer", beat, offered or beat)
            offered = beat
            if view.m_tready.value:
                offered = None
                self.packet.append(beat[0])
                if beat[1]:
                    expect_equal("sent", view.sent.value, 1)
                    self.received.append(self.packet)
                    self.packet = []

    async def write(self, logits, *, done=True, pace="always"):
        """Writes the logits of an image, in any order."""
        view, active = self.view, pattern(pace, self.generator.getrandbits(32))
        order = list(enumerate(logits))
        self.generator.shuffle(order)
        while order:
            valid = next(active)
            number, value = order[0] if valid else (0, 0)
            view.logit_valid.value, view.logit_address.value = valid, number
            view.logit.value = value & 0xFFFFFFFF
            await self.edge
            if valid:
                order.pop(0)
        view.logit_valid.value = 0
        view.image_done.value = done
        await self.edge
        view.image_done.value = 0

    async def room(self):
        for _ in range(LIMIT):
            await self.edge
            if self.view.logits_room.value:
                return
        raise AssertionError(f"there must be room within {LIMIT} cycles")

    async def idle(self):
        for _ in range(LIMIT):
            await self.edge
            if self.view.idle.value:
                return
        raise AssertionError(f"all must have been sent within {LIMIT} cycles")


@cocotb.test()
async def logits_leave_in_order(dut):
    """All logits of all images leave, at every pace of the sink, and no more come than there is room for."""

    async def job(view, name, seed):
        bench = Bench(view, name, seed)
        cocotb.start_soon(bench.sink())
        for kind in PATTERNS:
            classes = bench.generator.randint(1, bench.config.max_classes)
            view.classes.value = classes
            await bench.edge
            bench.pace = pattern(kind, bench.generator.getrandbits(32))
            images = [integers(bench.generator, 32, classes) for _ in range(6)]
            for logits in images:
                await bench.room()
                await bench.write(logits, pace=bench.generator.choice(("always", "random")))
            await bench.idle()
            expect_equal("packets", len(bench.received), len(images))
            expect_equal("logits", bench.received, images)
            bench.received = []

    await on_every_block(dut, blocks(), job)


@cocotb.test()
async def there_is_room_for_two(dut):
    """While nothing is taken, there is room for the images of two halves and what the queue holds, and no more."""

    async def job(view, name, seed):
        bench = Bench(view, name, seed)
        classes = bench.config.max_classes
        view.classes.value = classes
        view.m_tready.value = 0
        images = 0
        for _ in range(20):
            for _ in range(3 * classes + 10):
                await bench.edge
            if not view.logits_room.value:
                break
            await bench.write([images * classes + number for number in range(classes)])
            images += 1
        queued = bench.block.queue.depth // classes
        expect_equal("images", images, 2 + queued)
        cocotb.start_soon(bench.sink())
        await bench.idle()
        every = [[image * classes + number for number in range(classes)] for image in range(images)]
        expect_equal("logits", bench.received, every)

    await on_every_block(dut, blocks(), job)


@cocotb.test()
async def the_first_logit_comes_at_once(dut):
    """The first beat comes `latency` cycles after `image_done`, and then one a cycle."""

    async def job(view, name, seed):
        bench = Bench(view, name, seed)
        classes = bench.config.max_classes
        view.classes.value = classes
        view.m_tready.value = 1
        await bench.write(list(range(classes)))
        for cycle in range(1, bench.block.latency + classes + 3):
            await bench.edge
            inside = bench.block.latency <= cycle < bench.block.latency + classes
            expect_equal(f"a beat {cycle} cycles after image_done", view.m_tvalid.value, inside)

    await on_every_block(dut, blocks(), job)


@cocotb.test()
async def an_ended_job_sends_what_was_complete(dut):
    """Logits of images that are complete leave; those that are not, or come late, are forgotten."""

    async def job(view, name, seed):
        bench = Bench(view, name, seed)
        cocotb.start_soon(bench.sink())
        classes = bench.config.max_classes
        view.classes.value = classes
        bench.pace = pattern("rare", seed)
        good = [integers(bench.generator, 32, classes) for _ in range(2)]
        await bench.write(good[0])
        await bench.room()
        await bench.write(integers(bench.generator, 32, classes)[: bench.generator.randint(1, classes)], done=False)
        view.ending.value = 1
        await bench.write(integers(bench.generator, 32, classes))
        view.ending.value = 0
        await bench.idle()
        await bench.write(good[1])
        await bench.idle()
        expect_equal("logits", bench.received, good)

    await on_every_block(dut, blocks(), job)


# Tests: run by pytest.


@pytest.fixture(scope="module")
def simulation():
    block = SideBySide(blocks())
    return build(emit(block), block.module_name)


@pytest.mark.parametrize(
    "testcase",
    [
        "logits_leave_in_order",
        "there_is_room_for_two",
        "the_first_logit_comes_at_once",
        "an_ended_job_sends_what_was_complete",
    ],
)
def test_logits_sender(simulation, testcase):
    run(simulation, __name__, testcase=testcase)
