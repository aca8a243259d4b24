"""Stream loader against a model of its banks: every word of every head, whatever the stream does."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass

import cocotb
import numpy as np
import pytest
from cocotb.triggers import RisingEdge

from taylorvit.gen.verilog import emit
from taylorvit.rtl.streams.stream_loader import StreamLoader
from taylorvit.simulation import PATTERNS, build, expect_equal, pack, pattern, run
from verif.rtl.harness import SideBySide, View, bits, integers, limits, on_every_block, tile_bits

MAX_HEADS = 200
LIMIT = 200_000  # cycles of one job
SIZES = {  # lanes, data width, container, most tokens, largest head dimension, banks, pipelined
    "default": (4, 8, 8, 256, 64, 16, True),
    "one_group": (4, 8, 8, 50, 12, 4, False),
    "odd": (1, 6, 8, 17, 13, 5, True),
    "wide": (2, 12, 16, 198, 32, 6, False),
    "narrow": (2, 4, 8, 16, 8, 4, True),
    "smallest": (1, 8, 8, 1, 1, 1, False),
    "tiny": (2, 8, 8, 2, 3, 2, True),
}
READERS = {"feature": 2, "token": 1}  # by `banked_by`


def blocks():
    return {
        f"{name}_{banked_by}": StreamLoader(
            name=name, lanes=lanes, data_width=data_width, element_width=element_width, max_tokens=max_tokens,
            max_head_dim=max_head_dim, max_heads=MAX_HEADS, banks=banks, banked_by=banked_by, readers=readers,
            pipelined=pipelined,
        )
        for name, (lanes, data_width, element_width, max_tokens, max_head_dim, banks, pipelined) in SIZES.items()
        for banked_by, readers in READERS.items()
    }  # fmt: skip


@dataclass(frozen=True)
class Packet:
    """What the source does for one head: beats with TLAST or not, and whether it then gives up."""

    beats: list[tuple[int, int]]
    abandoned: bool
    elements: np.ndarray  # what must be in the banks, (tokens, head_dim)
    early: int
    late: int


class Bench:
    """Source, consumer and monitor of one loader, and the model of its banks."""

    def __init__(self, view, name, seed):
        self.view = view
        self.name = name
        self.generator = random.Random(seed)
        size, _, self.banked_by = name.rpartition("_")
        (self.lanes, self.data_width, self.element_width, self.max_tokens, self.max_head_dim,
         self.banks, _pipelined) = SIZES[size]  # fmt: skip
        self.memory = {}  # (bank, address) -> lanes of a word
        self.held = [deque() for _ in range(READERS[self.banked_by])]  # (half, matrix) that a reader has not released

    # Packets

    def packet(self, tokens, head_dim, kind="good", position=0):
        """`kind`: good; early: TLAST with beat `position`; late: by `position` + 1 beats; stops: before beat
        `position`, for ever; endless: stops `position` beats after its end, without TLAST."""
        per_row = -(-head_dim // self.lanes)
        matrix = np.array(
            integers(self.generator, self.data_width, tokens * per_row * self.lanes), dtype=np.int64
        ).reshape(tokens, per_row * self.lanes)
        if self.generator.random() < 0.1:
            matrix[:] = self.generator.choice(limits(self.data_width))
        rows = matrix.reshape(tokens * per_row, self.lanes).copy()
        beats = [(self.word(row), int(beat == len(rows) - 1)) for beat, row in enumerate(rows.tolist())]

        def garbage(last):
            return self.generator.getrandbits(self.lanes * self.element_width), last

        if kind == "early":
            beats = [*beats[:position], (beats[position][0], 1)]
            rows[position + 1 :] = 0
        elif kind == "stops":
            beats = beats[:position]
            rows[position:] = 0
        elif kind in ("late", "endless"):
            beats[-1] = (beats[-1][0], 0)
            beats += [garbage(0) for _ in range(position)]
            beats += [garbage(1)] if kind == "late" else []
        expected = rows.reshape(tokens, -1)[:, :head_dim]
        return Packet(
            beats, kind in ("stops", "endless"), expected, int(kind == "early"), int(kind in ("late", "endless"))
        )

    def word(self, row):
        """A beat of TDATA; the bits of a container above its element are anything."""
        width, above = self.data_width, self.element_width - self.data_width
        containers = [self.generator.getrandbits(above) << width | element % (1 << width) for element in row]
        return pack(containers, self.element_width)

    # The banks

    def place(self, half, token, feature):
        """(bank, address, lane) of an element, as the loader's description says."""
        if self.banked_by == "feature":
            tiles, inner_bits = -(-self.max_head_dim // self.banks), bits(self.max_tokens)
            bank, tile, inner = feature % self.banks, feature // self.banks, token
            lane = bank % self.lanes
        else:
            tiles, inner_bits = -(-self.max_tokens // self.banks), tile_bits(-(-self.max_head_dim // self.lanes))
            bank, tile, inner = token % self.banks, token // self.banks, feature // self.lanes
            lane = feature % self.lanes
        return bank, (half << tile_bits(tiles) | tile) << inner_bits | inner, lane

    def stored(self, half, tokens, head_dim):
        """The matrix that the model of the banks holds in a half."""
        mask = (1 << self.data_width) - 1
        sign = 1 << (self.data_width - 1)

        def element(token, feature):
            bank, address, lane = self.place(half, token, feature)
            return ((self.memory[bank, address] >> lane * self.data_width & mask) ^ sign) - sign

        return [[element(token, feature) for feature in range(head_dim)] for token in range(tokens)]

    # A job

    async def job(self, tokens, head_dim, packets, activity="always", consumer="random"):
        """Runs one job of `packets` and compares every head, for as long as a reader holds it."""
        view, generator = self.view, self.generator
        edge = RisingEdge(view.clk)
        view.tokens.value, view.head_dim.value, view.heads.value, view.start.value = tokens, head_dim, len(packets), 1
        await edge
        view.start.value = 0

        source_active = pattern(activity, generator.getrandbits(32))
        readers = [pattern(consumer, generator.getrandbits(32)) for _ in self.held]
        per_row = -(-head_dim // self.lanes)
        faultless = all(not packet.early and not packet.late and not packet.abandoned for packet in packets)
        waiting = deque(packets)
        beats, abandoned = deque(), False
        rows = []  # (row_first, row_half, row_beat) of the head that is coming in
        loaded = early = late = patience = 0
        starving = False
        for _ in range(LIMIT):
            if not beats and not abandoned and waiting:
                beats.extend(waiting[0].beats)
                abandoned = waiting.popleft().abandoned
            # The source gives up where the loader has been waiting for it for a while.
            give_up = not beats and abandoned and starving and patience == 0
            patience = generator.randint(0, 9) if not starving else max(0, patience - 1)
            valid = bool(beats) and next(source_active)
            word, last = (
                beats[0]
                if valid
                else (generator.getrandbits(self.lanes * self.element_width), generator.getrandbits(1))
            )
            view.s_tvalid.value, view.s_tdata.value, view.s_tlast.value = valid, word, last
            # Out of time while a beat is offered means nothing.
            view.input_timeout.value = give_up or (valid and generator.random() < 0.3)
            releasing = [held for held, active in zip(self.held, readers) if next(active) and held]
            view.released.value = pack([any(held is one for one in releasing) for held in self.held], 1)
            await edge

            ready = bool(view.s_tready.value)
            starving = bool(view.starving.value)
            expect_equal("starving", starving, ready and not valid)
            expect_equal("gave up", view.gave_up.value, starving and give_up)
            if valid and ready:
                beats.popleft()
            if give_up:
                abandoned = starving = False
            early += int(view.tlast_early.value)
            late += int(view.tlast_late.value)
            if view.write__valid.value:
                self.write(view)
                half = int(view.row_half.value)
                rows.append((int(view.row_first.value), half, int(view.row_beat.value)))
                in_use = {half for held in self.held for half, _matrix in held}
                expect_equal("the half being written is free", half not in in_use, True)
            expect_equal("row_write", view.row_write.value, view.write__valid.value)
            if view.loaded.value:
                half, elements = loaded % 2, packets[loaded].elements
                order = [(int(token == 0), half, beat) for token in range(tokens) for beat in range(per_row)]
                expect_equal(f"beats of head {loaded}", rows, order)
                for held in self.held:
                    held.append((half, elements.tolist()))
                for half, matrix in max(self.held, key=len):
                    expect_equal(f"half {half} with head {loaded}", self.stored(half, tokens, head_dim), matrix)
                rows = []
                loaded += 1
            if faultless and max(map(len, self.held)) == 2:
                expect_equal("ready with both halves held", ready, False)
            for held in releasing:
                held.popleft()
            if view.idle.value and loaded == len(packets) and not any(self.held) and not abandoned:
                break
        counts = len(packets), sum(packet.early for packet in packets), sum(packet.late for packet in packets)
        expect_equal("heads, early and late packets", (loaded, early, late), counts)
        expect_equal("the source is empty", (len(beats), len(waiting)), (0, 0))
        view.s_tvalid.value, view.released.value, view.input_timeout.value = 1, 0, 0
        for _ in range(3):
            await edge
            expect_equal("ready between jobs", view.s_tready.value, 0)
            expect_equal("idle between jobs", view.idle.value, 1)
        view.s_tvalid.value = 0

    def write(self, view):
        """One cycle's writes into the model of the banks."""
        address, data = int(view.write__address.value), int(view.write__data.value)
        first = -int(view.write__offset.value) % (1 << len(view.write__offset))
        if self.banked_by == "token":
            self.memory[first, address] = data
            return
        for lane in range(self.lanes):
            # The model's word has a place for each lane, of which a bank fills one.
            kept = self.memory.get((first + lane, address), 0) & ~((1 << self.data_width) - 1 << lane * self.data_width)
            element = data >> lane * self.data_width & ((1 << self.data_width) - 1)
            self.memory[first + lane, address] = kept | element << lane * self.data_width


async def on_every_loader(dut, jobs):
    """Runs `jobs(bench)` on all loaders at once."""
    await on_every_block(dut, blocks(), lambda view, name, seed: jobs(Bench(view, name, seed)))


@cocotb.test()
async def heads_of_every_size(dut):
    """Heads of every size get to their banks, whatever the pace of source and consumer."""

    async def jobs(bench):
        sizes = [(1, 1), (bench.max_tokens, bench.max_head_dim), (2, 8), (7, 12), (16, 5), (50, 13), (197, 3), (3, 64)]
        sizes += [(bench.generator.randint(1, 20), bench.generator.randint(1, 32)) for _ in range(8)]
        for number, (tokens, head_dim) in enumerate(sizes):
            tokens, head_dim = min(tokens, bench.max_tokens), min(head_dim, bench.max_head_dim)
            heads = 1 if tokens * head_dim > 1000 else 5
            activity = PATTERNS[number % len(PATTERNS)] if tokens * head_dim < 300 else "bursts"
            consumer = bench.generator.choice(PATTERNS)
            packets = [bench.packet(tokens, head_dim) for _ in range(heads)]
            await bench.job(tokens, head_dim, packets, activity, consumer)

    await on_every_loader(dut, jobs)


@cocotb.test()
async def packets_of_any_length(dut):
    """Packets that end early or late, or not at all, damage no other head, and each is an event."""

    async def jobs(bench):
        for tokens, head_dim in ((1, 1), (3, 3 * bench.lanes - 1), (5, bench.lanes), (4, bench.max_head_dim)):
            tokens, head_dim = min(tokens, bench.max_tokens), min(head_dim, bench.max_head_dim)
            total = tokens * -(-head_dim // bench.lanes)
            faults = [("early", position) for position in range(total - 1)]
            faults += [("late", extra) for extra in (0, 1, total, 2 * total)]
            faults += [("stops", position) for position in range(total)]
            faults += [("endless", extra) for extra in (0, 1, 5)]
            faults = bench.generator.sample(faults, min(len(faults), 40))
            # Between faults a good packet, or another fault.
            faults += [("good", 0)] * (len(faults) // 2)
            bench.generator.shuffle(faults)
            packets = [bench.packet(tokens, head_dim, *fault) for fault in faults]
            await bench.job(tokens, head_dim, packets, bench.generator.choice(("always", "random", "bursts")))

    await on_every_loader(dut, jobs)


@cocotb.test()
async def reset_in_the_middle(dut):
    """After a reset within a packet, the next job comes out right."""

    async def jobs(bench):
        tokens, head_dim = min(4, bench.max_tokens), min(8, bench.max_head_dim)
        await bench.job(tokens, head_dim, [bench.packet(tokens, head_dim) for _ in range(3)])

    await on_every_loader(dut, jobs)
    benches = [Bench(View(dut, name), name, f"{cocotb.RANDOM_SEED}-{name}") for name in blocks()]
    edge = RisingEdge(dut.clk)
    for bench in benches:
        bench.view.tokens.value, bench.view.head_dim.value, bench.view.heads.value = bench.max_tokens, 1, 5
        bench.view.start.value, bench.view.s_tvalid.value, bench.view.s_tlast.value = 1, 1, 0
    for _ in range(bench.generator.randint(3, 9)):
        await edge
        for bench in benches:
            bench.view.start.value = 0
    dut.rst.value = 1
    await edge
    dut.rst.value = 0
    for bench in benches:
        bench.view.s_tvalid.value = 0
    tasks = [cocotb.start_soon(jobs(bench)) for bench in benches]
    for task in tasks:
        await task


# Tests: run by pytest.


@pytest.fixture(scope="module")
def simulation():
    block = SideBySide(blocks())
    return build(emit(block), block.module_name)


@pytest.mark.parametrize("testcase", ["heads_of_every_size", "packets_of_any_length", "reset_in_the_middle"])
def test_stream_loader(simulation, testcase):
    run(simulation, __name__, testcase=testcase)


def test_banks_must_be_a_multiple_of_the_lanes():
    size = {"name": "q", "data_width": 8, "element_width": 8, "max_tokens": 4, "max_head_dim": 4, "max_heads": 1}
    with pytest.raises(ValueError, match="banks must be a multiple of the 4 lanes, not 6"):
        StreamLoader(lanes=4, banks=6, banked_by="token", **size)
    with pytest.raises(ValueError, match="banked_by must be 'feature' or 'token', not 'head'"):
        StreamLoader(lanes=1, banks=6, banked_by="head", **size)
