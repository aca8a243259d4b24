"""Tile loader: every row and every pass of random tapes, in order and within the rules, whatever has to be waited for.

The bench stands in for tape, columns, norm scheduler, retirement queue and streamer. What the loader sends is compared
with `products.Product`, the model; that it is not sent too early, with what the bench has told the loader.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field

import cocotb
import pytest
from cocotb.triggers import FallingEdge, RisingEdge

from taylorvit.gen.verilog import emit
from taylorvit.rtl.network.bundles import LoadKind, sequence_width
from taylorvit.rtl.network.command import CONSTANT_BYTES, Destination, Flag, Opcode, Stationary
from taylorvit.rtl.network.tile_loader import TileLoader
from taylorvit.simulation import build, expect_equal, run
from verif.rtl.harness import SideBySide, expect_members, on_every_block

from .products import CONFIGS, command_bits, random_product

CONTROL = 1  # cycles from a row to its `load_control`
COMMAND = 2  # cycles in which a command is taken and its addresses are set, between two passes
OTHER_COMMAND = 2  # cycles from a command CONSTANTS or END to the next command
CONSTANTS = CONSTANT_BYTES + 1  # cycles between the last row of a tile and its pass, if constants come behind it
MOST_UNFINISHED = 16
QUEUE = 4  # commands that wait
NUMBERS = 1 << sequence_width
LOAD_LATENCY = {name: 2 + config.memory_pipeline for name, config in CONFIGS.items()}
TILES = (LoadKind.TAPE_TILE, LoadKind.KERNEL_0, LoadKind.KERNEL_1)
FROM_KERNEL = (LoadKind.KERNEL_0, LoadKind.KERNEL_1)


def blocks():
    return {name: TileLoader(config, load_latency=LOAD_LATENCY[name]) for name, config in CONFIGS.items()}


# Benches: run inside the simulator.


@dataclass
class Pace:
    """How fast the bench answers: chances of a cycle, and most cycles of a delay."""

    command: float = 1
    tape: float = 1
    take: float = 1
    begun_after: int = 2  # cycles from a pass to the effect of its constants, at least
    begun: int = 0  # and at most so many more
    finish: int = 0
    norm: int = 0
    drain: int = 0
    busy: float = 0
    full: float = 0  # chance that the retirement queue has no room, whatever is in it
    first: int = 0  # cycle in which the first pass may be taken
    apart: bool = False  # passes are taken `pass_length` cycles apart, as the streamer does

    @classmethod
    def at_random(cls, generator):
        def chance():
            return generator.choice((0.1, 0.5, 1, 1))

        return cls(
            command=chance(), tape=chance(), take=chance(), begun=generator.choice((0, 20)),
            finish=generator.choice((0, 5, 60)), norm=generator.choice((0, 40)), drain=generator.choice((0, 30)),
            busy=generator.choice((0, 0, 0.5)), full=generator.choice((0, 0, 0.8)), apart=generator.random() < 0.3,
        )  # fmt: skip


@dataclass
class Record:
    """When what happened, for tests of the timing."""

    taken: list[int] = field(default_factory=list)  # passes
    commands: list[int] = field(default_factory=list)
    first_rows: list[int] = field(default_factory=list)  # of tiles
    starving: int = 0
    held_up: int = 0


def expected_events(items, first_sequence):
    """All that the loader does, in order: what, the item, and the members that it must show."""
    sequence = first_sequence
    for what, item in items:
        if what == "product":
            yield what, item, None
            for row in item.norm_loads():
                yield "row", item, row
            if item.norm:
                yield "norm", item, None
            for tiles in item.tiles():
                for row in item.loads(*tiles):
                    yield "row", item, row
                yield "pass", item, item.payload(*tiles, sequence % NUMBERS)
            sequence += 1
        else:
            yield what, item, None


class Bench:
    """One loader and what is around it. Times are cycles; an input of a cycle is answered in the same cycle."""

    def __init__(self, view, config, load_latency, generator, items, pace, *, sequence=0, address=0):
        self.view, self.config, self.generator, self.pace = view, config, generator, pace
        self.load_latency = load_latency
        self.events = deque(expected_events(items, sequence))
        self.commands, self.queue = deque(items), deque()
        self.payload = 0  # rows of the commands that have been in the queue
        self.written, self.read, self.free = 0, 0, config.tape_queue_rows  # rows of the tape
        self.address = address  # of the next row, in the tape banks
        self.sequence = sequence  # products begun
        self.finished = sequence
        self.finishes = deque()  # cycles in which products are finished
        self.begins = deque()  # cycles in which constants take effect
        self.constants_waiting = False
        self.norm_idle, self.norm_ends, self.norm_product = True, None, None
        self.busy_until = -1
        self.tile = None  # rows of a tile that were sent, and the cycle of the last one
        self.loads = {}
        self.freed = deque([0] * (config.columns + 1))  # rows that were read, until the last column has done so
        self.before = None  # what was seen in the cycle before
        self.record = Record()
        self.cycle = 0

    @property
    def held(self):
        return self.written - self.read

    def drive(self):
        """Inputs of this cycle that do not depend on what the loader says in it."""
        view, generator, pace, cycle = self.view, self.generator, self.pace, self.cycle
        if len(self.queue) < QUEUE and self.commands and generator.random() < pace.command:
            what, item = self.commands.popleft()
            self.queue.append((what, item))
            self.payload += item.tape_rows() if what == "product" else 0
        if self.queue:
            what, item = self.queue[0]
            view.command.value = item.bits if what == "product" else item
        view.command_valid.value = bool(self.queue)
        can_write = self.written < self.payload and self.free
        self.writes = bool(can_write) and generator.random() < pace.tape
        view.tape_written.value = self.writes
        view.finished.value = self.finished % NUMBERS
        self.room = self.sequence - self.finished < MOST_UNFINISHED and generator.random() >= pace.full
        view.retirement_room.value = self.room
        self.begun = bool(self.begins) and self.begins[0] <= cycle
        view.constants_begun.value = self.begun
        view.norm_idle.value = self.norm_idle
        self.busy = self.busy_until >= cycle or generator.random() < pace.busy

    def take(self):
        """Whether the pass is taken that the loader shows; and what follows from it."""
        view, pace, cycle = self.view, self.pace, self.cycle
        valid = bool(view.loaded__valid.value)
        follows_too_early = cycle < (self.next_pass if pace.apart and self.record.taken else pace.first)
        waits_for_norm = bool(view.loaded__payload__norm.value) and not self.norm_idle
        ready = not follows_too_early and not waits_for_norm and self.generator.random() < pace.take
        self.taken = valid and ready
        if self.taken and view.loaded__payload__result__destination.value == Destination.RESIDUAL:
            if view.loaded__payload__result__last.value:
                self.busy = True
                self.busy_until = cycle + self.generator.randint(0, pace.drain)
        view.loaded__ready.value = ready
        view.residual_busy.value = self.busy
        return valid

    def expect(self, what):
        """The next event must be one of `what`."""
        expect_equal(f"something is left to come, not {what}", bool(self.events), True)
        kind, item, members = self.events[0]
        expect_equal(f"{what} comes next, not {kind} of {item}", kind == what, True)
        self.events.popleft()
        return item, members

    def check_row(self):
        """The row that is in `load_control`; it was decided in the cycle before."""
        view, then = self.view, self.before
        if not view.load_control__valid.value:
            whole = self.tile is None or self.tile == self.config.rows
            expect_equal("a tile's rows follow each other", whole, True)
            expect_equal("tape_read without a row", then["tape_read"], 0)
            return
        product, members = self.expect("row")
        kind = members["kind"]
        expect_equal("tape_read", then["tape_read"], int(kind not in FROM_KERNEL))
        if kind not in FROM_KERNEL:
            members = members | {"address": self.address}
            expect_equal("a row is there before it is read", then["held"] > 0, True)
            self.address = (self.address + 1) % self.config.tape_queue_rows
            self.read += 1
        expect_members(view, "load_control", members, f"of {product}")
        if kind in TILES:
            first = self.tile is None or self.tile == self.config.rows
            self.tile = 1 if first else self.tile + 1
            if first:
                self.record.first_rows.append(self.cycle - CONTROL)
                if kind == LoadKind.TAPE_TILE:
                    expect_equal("all rows of the tile are there", then["held"] >= self.config.rows, True)
            self.loads[self.cycle - CONTROL + self.load_latency] = [1, int(first)]
        else:
            expect_equal("a tile's rows follow each other", self.tile in (None, self.config.rows), True)
        if kind in (*FROM_KERNEL, LoadKind.EMBEDDING):
            expect_equal("few enough products are unfinished", then["unfinished"] <= product.wait, True)
        if kind == LoadKind.EMBEDDING:
            expect_equal("no total on its way into the residual stream", then["busy"], False)
        if kind == LoadKind.NORM_CONSTANT:
            expect_equal("no LayerNorm that needs the constants", then["norm_idle"], True)
        if kind == LoadKind.CONSTANT and members["byte"] == CONSTANT_BYTES - 1:
            expect_equal("the constants before are in effect", then["constants_waiting"], False)
            self.constants_waiting = True

    def check_cycle_before(self):
        """Commands, passes and the start of a LayerNorm come behind the row of the same cycle."""
        then = self.before
        if then["norm_start"]:
            self.expect("norm")
        if then["valid"]:
            kind, item, members = self.events[0]
            expect_equal(f"a pass comes next, not {kind} of {item}", kind == "pass", True)
            expect_equal(f"{', '.join(members)} of the pass of {item}", then["payload"], list(members.values()))
        if then["taken"]:
            self.expect("pass")

    def sample(self, valid):
        """What the loader shows in this cycle, compared where it can be now, kept where its row is seen later."""
        view, pace, cycle = self.view, self.pace, self.cycle
        if self.before:
            self.check_row()
            self.check_cycle_before()
        expect_equal("load, load_first", [int(view.load.value), int(view.load_first.value)],
                     self.loads.pop(cycle, [0, 0]))  # fmt: skip
        self.freed.append(int(view.tape_read.value))
        self.free += self.freed.popleft() - self.writes
        waiting = [bool(view.starving.value), bool(view.held_up.value)]
        expect_equal("one reason to wait at most", sum(waiting) + valid <= 1, True)
        if waiting[0]:
            expect_equal("rows that are there while it starves", self.held < self.config.rows, True)
        self.record.starving += waiting[0]
        self.record.held_up += waiting[1]

        before = {
            "held": self.held, "tape_read": self.freed[-1], "valid": valid, "busy": self.busy,
            "norm_idle": self.norm_idle,
            "unfinished": (self.sequence - 1 - self.finished), "constants_waiting": self.constants_waiting,
            "norm_start": bool(view.norm_start.value), "taken": self.taken,
        }  # fmt: skip
        coming = next(((item, members) for kind, item, members in self.events if kind == "pass"), None)
        if coming and (valid or self.tile):
            product, members = coming
            before["payload"] = [int(getattr(view, f"loaded__payload__{name}").value) for name in members]
        if valid:
            expect_equal("payload in the cycle before `valid`", self.before["payload"], before["payload"])
        if before["norm_start"]:
            expect_equal("product of a LayerNorm", int(view.product.value), self.latest.bits)
            expect_equal("its number", int(view.product_number.value), (self.sequence - 1) % NUMBERS)
            self.norm_product = self.latest.bits
            self.norm_ends = cycle + 1 + self.generator.randint(0, pace.norm)
        elif not self.norm_idle:
            expect_equal("product while a LayerNorm runs", int(view.product.value), self.norm_product)
        self.before = before
        self.commands_taken()
        if self.taken:
            self.record.taken.append(cycle)
            self.next_pass = cycle + product.pass_length
            if product.has_constants and members["result__last"]:
                self.later(self.begins, pace.begun_after, pace.begun)
            if members["product_last"]:
                self.later(self.finishes, 3, pace.finish)

    def later(self, cycles, least, more):
        """Something that comes some cycles later, but not before what came in front of it."""
        soonest = cycles[-1] + 1 if cycles else 0
        cycles.append(max(soonest, self.cycle + least + self.generator.randint(0, more)))

    def commands_taken(self):
        """The command of this cycle, if it is taken."""
        view = self.view
        taken = bool(view.command_taken.value)
        pulses = [bool(getattr(view, name).value) for name in ("issued", "constants_valid", "ended")]
        if not taken:
            expect_equal("issued, constants_valid, ended without a command", pulses, [False] * 3)
            return
        expect_equal("a command is taken that is there", bool(self.queue), True)
        what, item = self.queue.popleft()
        self.record.commands.append(self.cycle)
        expect_equal("issued, constants_valid, ended", pulses, [what == "product", what == "constants", what == "end"])
        if what != "constants":
            expect_equal("room in the retirement queue", self.room, True)
        if what == "product":
            expect_equal("issued_destination", int(view.issued_destination.value), item.destination)
            expect_equal("issued_table", bool(view.issued_table.value), item.table)
            self.latest = item
            if item.norm and self.pace.norm and self.norm_idle:
                # As if an earlier LayerNorm were still under way.
                self.norm_idle, self.norm_product = False, item.bits
                self.norm_ends = self.cycle + self.generator.randint(1, self.pace.norm)
            self.sequence += 1
        elif what == "constants":
            expect_equal("constants", int(view.constants.value), item)
        self.expect(what)

    def clock(self):
        """What the next cycle finds."""
        self.written += self.writes
        if self.begun:
            self.begins.popleft()
            self.constants_waiting = False
        if self.finishes and self.finishes[0] <= self.cycle:
            self.finishes.popleft()
            self.finished += 1
        if self.before["norm_start"]:
            self.norm_idle = False
        elif not self.norm_idle and self.norm_ends <= self.cycle:
            self.norm_idle = True
        self.cycle += 1

    async def run(self):
        """Runs until everything has come, and some cycles more, in which nothing may come."""
        view, rising, falling = self.view, RisingEdge(self.view.clk), FallingEdge(self.view.clk)
        last, quiet = 0, 0
        while quiet < 2 * self.config.rows + 10:
            left = len(self.events)
            self.drive()
            await falling
            valid = self.take()
            await rising
            self.sample(valid)
            self.clock()
            last = self.cycle if len(self.events) < left else last
            assert self.cycle - last < 1000, f"the loader must go on with {self.events[0] if self.events else None}"
            over = not self.events and not self.begins and self.finished == self.sequence
            quiet = quiet + 1 if over else 0
        for name in ("command_valid", "tape_written", "constants_begun", "loaded__ready", "residual_busy"):
            getattr(view, name).value = 0
        expect_equal("rows of the tape that were written and not read", self.held, 0)
        return self.record


class Jobs:
    """Jobs one after another on one loader, which counts on."""

    def __init__(self, view, name, generator):
        self.view, self.config, self.load_latency = view, CONFIGS[name], LOAD_LATENCY[name]
        self.generator = generator
        self.sequence = self.address = 0

    async def run(self, items, pace):
        bench = Bench(
            self.view, self.config, self.load_latency, self.generator, items, pace,
            sequence=self.sequence, address=self.address,
        )  # fmt: skip
        record = await bench.run()
        self.sequence, self.address = bench.sequence, bench.address
        return record


def others(generator, *commands):
    """Commands that are no products."""
    return [(what, command_bits(opcode=getattr(Opcode, what.upper()), payload=generator.getrandbits(32)))
            for what in commands]  # fmt: skip


async def on_every_loader(dut, job):
    async def jobs(view, name, seed):
        generator = random.Random(seed)
        await job(Jobs(view, name, generator), CONFIGS[name], generator)

    await on_every_block(dut, blocks(), jobs)


@cocotb.test()
async def every_row_and_pass_in_order_and_none_too_early(dut):
    """Random tapes at random paces: all comes as the model says, no rule is broken, and nothing hangs."""

    async def job(jobs, config, generator):
        for _ in range(8):
            items = []
            for _ in range(generator.randint(1, 8)):
                items.append(("product", random_product(config, generator)))
                items += others(generator, *generator.choice(((), (), ("constants",), ("end",), ("end", "constants"))))
            await jobs.run([*items, *others(generator, "end")], Pace.at_random(generator))

    await on_every_loader(dut, job)


def exact(config, generator, **values):
    """A product that waits for nothing before it."""
    return random_product(config, generator, wait=31, **values)


@cocotb.test()
async def every_wait_is_as_short_as_said(dut):
    """With the rows there, a tile moves in from the cycle after its predecessor's pass was taken."""

    async def job(jobs, config, generator):
        rows = config.rows
        linear = {"stationary": Stationary.TAPE, "destination": Destination.ACTIVATION, "flags": 0}
        kernel = {"stationary": Stationary.KERNEL_0, "destination": Destination.KERNEL_0, "flags": 0}
        cases = [
            (exact(config, generator, **linear, input_tiles=2, output_tiles=2), ()),
            (exact(config, generator, **kernel, input_tiles=2, output_tiles=3), ()),
            (exact(config, generator, **kernel, input_tiles=1, output_tiles=1), ("constants",)),
            (exact(config, generator, **linear, input_tiles=1, output_tiles=2), ("end",)),
            (exact(config, generator, **linear | {"flags": Flag.NORM}, input_tiles=2, norm_tiles=2), ()),
            (exact(config, generator, **linear | {"flags": Flag.EMBEDDING, "destination": Destination.RESIDUAL},
                   input_tiles=2, output_tiles=2, length=4, embedding_chunk=3), ()),
        ]  # fmt: skip
        items, rows_after, gaps = [], [], []
        between = 0
        for product, commands in cases:
            norm = CONSTANT_BYTES * product.norm_tiles if product.norm else 0
            for output_tile, input_tile in product.tiles():
                first = (output_tile, input_tile) == (0, 0)
                wait = between + COMMAND + norm if first else 0
                loads = list(product.loads(output_tile, input_tile))
                more = len(loads) - rows
                behind = more + product.embedding + 1 if more else 0
                rows_after.append(wait + 1)
                gaps.append(wait + rows + behind)
            items += [("product", product), *others(generator, *commands)]
            between = OTHER_COMMAND * len(commands)
        record = await jobs.run(items, Pace(first=3 * config.tape_queue_rows))
        got = [row - taken for taken, row in zip(record.taken, record.first_rows[1:])]
        expect_equal("cycles from taking a pass to the first row of the next tile", got, rows_after[1:])
        got = [after - taken for taken, after in zip(record.taken, record.taken[1:])]
        expect_equal("cycles from taking a pass to the next one", got, gaps[1:])

    await on_every_loader(dut, job)


@cocotb.test()
async def passes_follow_each_other_without_a_bubble(dut):
    """Passes that are long enough come in time, whatever product they belong to."""

    async def job(jobs, config, generator):
        rows = config.rows
        # The constants of a pass are in effect so late that the last byte of the next ones just comes in time.
        begun_after = rows + CONSTANTS
        for pass_length, tiles, destination in (
            (rows + COMMAND, (1, 3), Destination.KERNEL_0),
            (rows + COMMAND, (3, 1), Destination.KERNEL_1),
            (rows + CONSTANTS, (3, 3), Destination.VALUE),
            (rows + CONSTANTS, (2, 1), Destination.LOGITS),
            (rows + COMMAND + CONSTANTS, (1, 1), Destination.ACTIVATION),
            (rows + COMMAND + CONSTANTS, (1, 4), Destination.KEY),
        ):
            fixed = {"input_tiles": tiles[0], "output_tiles": tiles[1], "pass_length": pass_length, "length": 1,
                     "flags": 0, "stationary": Stationary.TAPE, "destination": destination}  # fmt: skip
            items = [("product", exact(config, generator, **fixed)) for _ in range(4)]
            pace = Pace(apart=True, begun_after=begun_after, first=3 * config.tape_queue_rows)
            record = await jobs.run(items, pace)
            got = [after - taken for taken, after in zip(record.taken, record.taken[1:])]
            expect_equal(f"cycles from pass to pass, tiles {tiles}", got, [pass_length] * len(got))

    await on_every_loader(dut, job)


@cocotb.test()
async def constants_wait_for_those_before(dut):
    """The last byte of a pass's constants goes in the cycle after the constants before have taken effect."""

    async def job(jobs, config, generator):
        begun_after = config.rows + 3 * CONSTANTS  # the other rows have come long before
        product = exact(config, generator, input_tiles=1, output_tiles=4, length=1, flags=0,
                        stationary=Stationary.TAPE, destination=Destination.ACTIVATION)  # fmt: skip
        record = await jobs.run([("product", product)], Pace(begun_after=begun_after, first=3 * config.tape_queue_rows))
        got = [after - taken for taken, after in zip(record.taken, record.taken[1:])]
        expect_equal("cycles from pass to pass", got, [begun_after + 2] * 3)

    await on_every_loader(dut, job)


@cocotb.test()
async def it_says_what_it_waits_for(dut):
    """A slow tape is told from products before that are not finished."""

    async def job(jobs, config, generator):
        linear = [("product", exact(config, generator, flags=0, stationary=Stationary.TAPE, input_tiles=2))] * 2
        record = await jobs.run([*linear, *others(generator, "end")], Pace(tape=0.2))
        expect_equal("it starves", record.starving > config.rows, True)
        expect_equal("it is held up", record.held_up, 0)
        kernel = random_product(config, generator, flags=0, stationary=Stationary.KERNEL_1, wait=0,
                                destination=Destination.KERNEL_1)  # fmt: skip
        record = await jobs.run([("product", kernel)] * 3, Pace(finish=100))
        expect_equal("it is held up", record.held_up > 0, True)

    await on_every_loader(dut, job)


# Tests: run by pytest.


@pytest.fixture(scope="module")
def simulation():
    block = SideBySide(blocks())
    return build(emit(block), block.module_name)


@pytest.mark.parametrize("testcase", [
    "every_row_and_pass_in_order_and_none_too_early", "every_wait_is_as_short_as_said",
    "passes_follow_each_other_without_a_bubble", "constants_wait_for_those_before", "it_says_what_it_waits_for",
])  # fmt: skip
def test_tile_loader(simulation, testcase):
    run(simulation, __name__, testcase=testcase)
