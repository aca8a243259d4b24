"""Stream sender: heads out of a model of the Z banks, against the matrices that were put there."""

from __future__ import annotations

import random
from collections import deque

import cocotb
import pytest
from cocotb.triggers import RisingEdge

from taylorvit.gen.verilog import emit
from taylorvit.rtl.streams.stream_sender import StreamSender
from taylorvit.simulation import PATTERNS, build, expect_equal, pack, pattern, run, unpack
from verif.rtl.harness import SideBySide, bits, integers, on_every_block, tile_bits

LIMIT = 100_000  # cycles of one job
# Lanes, data width, container, columns, most tokens, largest head dimension, latency of the Z banks.
SIZES = {
    "default": (4, 8, 8, 16, 256, 64, 2),
    "one_group": (4, 8, 8, 4, 50, 12, 1),
    "odd": (1, 6, 8, 3, 17, 13, 3),
    "wide": (2, 12, 16, 8, 198, 32, 2),
    "narrow": (2, 4, 8, 4, 16, 8, 1),
    "smallest": (1, 8, 8, 1, 1, 1, 1),
}


def blocks():
    return {
        name: StreamSender(
            lanes=lanes, data_width=data_width, element_width=element_width, columns=columns, max_tokens=max_tokens,
            max_head_dim=max_head_dim, z_latency=z_latency,
        )
        for name, (lanes, data_width, element_width, columns, max_tokens, max_head_dim, z_latency) in SIZES.items()
    }  # fmt: skip


class Bench:
    """Producer, banks and sink of one sender."""

    def __init__(self, view, name, seed):
        self.latency = blocks()[name].latency
        self.view = view
        self.generator = random.Random(seed)
        (self.lanes, self.data_width, self.element_width, self.columns, self.max_tokens,
         self.max_head_dim, z_latency) = SIZES[name]  # fmt: skip
        self.banks = {}  # address -> elements of all columns
        self.on_their_way = deque([0] * z_latency, maxlen=z_latency)  # words of the Z banks

    def address(self, half, tile, token):
        """{half, column tile, token}."""
        tiles = -(-self.max_head_dim // self.columns)
        return (half << tile_bits(tiles) | tile) << bits(self.max_tokens) | token

    def fill(self, half, tokens, head_dim, matrix=None):
        """Puts a matrix into a half, or anything."""
        for token in range(tokens):
            for tile in range(-(-head_dim // self.columns)):
                word = integers(self.generator, self.data_width, self.columns)
                if matrix is not None:
                    row = matrix[token][tile * self.columns : (tile + 1) * self.columns]
                    word[: len(row)] = row
                self.banks[self.address(half, tile, token)] = word

    async def job(self, tokens, head_dim, heads, producer="random", sink="random"):
        """Sends `heads` heads and compares them."""
        view, generator = self.view, self.generator
        edge = RisingEdge(view.clk)
        per_row = -(-head_dim // self.lanes)
        view.tokens.value, view.head_dim.value, view.start.value = tokens, head_dim, 1
        await edge
        view.start.value = 0
        for half in (0, 1):
            self.fill(half, tokens, head_dim)

        producing = pattern(producer, generator.getrandbits(32))
        taking = pattern(sink, generator.getrandbits(32))
        matrices = deque()  # ready and not sent
        produced = sent = 0
        beats, offered = [], None
        ready_at = began_at = None
        for cycle in range(LIMIT):
            head_ready = produced < heads and len(matrices) < 2 and next(producing)
            if head_ready:
                matrix = [integers(generator, self.data_width, head_dim) for _ in range(tokens)]
                self.fill(produced % 2, tokens, head_dim, matrix)
                if not matrices:
                    ready_at = cycle
                matrices.append(matrix)
                produced += 1
            view.head_ready.value = head_ready
            taken = next(taking)
            view.m_tready.value = taken
            await edge

            word = self.banks.get(int(view.z_address.value)) if matrices else None
            if word is None:
                word = integers(generator, self.data_width, self.columns)
            self.on_their_way.append(pack(word, self.data_width))
            view.z_data.value = self.on_their_way[0]
            valid = bool(view.m_tvalid.value)
            last = valid and bool(view.m_tlast.value)
            expect_equal("sent", view.sent.value, valid and taken and last)
            if not valid:
                expect_equal("a beat that was offered stays offered", offered is None, True)
                continue
            expect_equal("beats are of a head that is ready", bool(matrices), True)
            if not beats and offered is None:
                began_at = cycle
                if ready_at is not None:
                    expect_equal("cycles to the first beat", cycle - ready_at, self.latency)
            beat = int(view.m_tdata.value), last
            if offered is not None:
                expect_equal("offered beat", beat, offered)
            offered = None if taken else beat
            if taken:
                beats.append(beat)
            if last and taken:
                rows = [unpack(word, self.element_width, self.lanes) for word, _last in beats]
                lasts = [last for _word, last in beats]
                expect_equal(f"TLAST of head {sent}", lasts, [False] * (tokens * per_row - 1) + [True])
                elements = [sum(rows[at : at + per_row], [])[:head_dim] for at in range(0, len(rows), per_row)]
                expect_equal(f"head {sent}", elements, matrices.popleft())
                if sink == "always":
                    expect_equal("cycles of a head", cycle - began_at + 1, tokens * per_row)
                self.fill(sent % 2, tokens, head_dim)
                sent += 1
                beats, ready_at = [], None
                if sent == heads:
                    break
        expect_equal("heads", sent, heads)
        view.m_tready.value = 1
        for _ in range(5):
            await edge
            expect_equal("valid between jobs", view.m_tvalid.value, 0)


async def on_every_sender(dut, jobs):
    """Runs `jobs(bench)` on all senders at once."""
    await on_every_block(dut, blocks(), lambda view, name, seed: jobs(Bench(view, name, seed)))


@cocotb.test()
async def heads_of_every_size(dut):
    """Heads of every size leave as packets, whatever the pace of heads and sink."""

    async def jobs(bench):
        sizes = [(1, 1), (bench.max_tokens, bench.max_head_dim), (2, 8), (7, 12), (16, 5), (50, 13), (197, 3), (3, 64)]
        sizes += [(bench.generator.randint(1, 20), bench.generator.randint(1, 32)) for _ in range(6)]
        for number, (tokens, head_dim) in enumerate(sizes):
            tokens, head_dim = min(tokens, bench.max_tokens), min(head_dim, bench.max_head_dim)
            heads = 1 if tokens * head_dim > 1000 else 5
            sink = PATTERNS[number % len(PATTERNS)] if tokens * head_dim < 300 else "bursts"
            await bench.job(tokens, head_dim, heads, bench.generator.choice(PATTERNS), sink)

    await on_every_sender(dut, jobs)


@cocotb.test()
async def one_beat_a_cycle(dut):
    """While the sink is ready, a head takes one cycle a beat, the first after `latency`."""

    async def jobs(bench):
        for tokens, head_dim in ((1, 1), (5, 3 * bench.lanes), (16, 64), (50, 9)):
            tokens, head_dim = min(tokens, bench.max_tokens), min(head_dim, bench.max_head_dim)
            await bench.job(tokens, head_dim, 4, "always", "always")
            await bench.job(tokens, head_dim, 3, "rare", "always")

    await on_every_sender(dut, jobs)


# Tests: run by pytest.


@pytest.fixture(scope="module")
def simulation():
    block = SideBySide(blocks())
    return build(emit(block), block.module_name)


@pytest.mark.parametrize("testcase", ["heads_of_every_size", "one_beat_a_cycle"])
def test_stream_sender(simulation, testcase):
    run(simulation, __name__, testcase=testcase)
