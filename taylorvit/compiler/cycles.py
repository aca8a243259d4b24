"""The cycles of a network on an accelerator: every pass, every row of the tape, and what each of them waits for.

It follows the hardware event by event, from sizes alone. All times are cycles; the numbers between two events are those
of `taylorvit.compiler.latencies`.

    tape        command, table, rows of payload: a word a cycle, if the memory has it and the ring has room
                (`taylorvit.compiler.tape_cycles`)
    loader      a tile moves in R cycles after the pass before has been taken, then embedding and constants
    streamer    takes a pass when its tile is there, the pass before is over, and what it reads is finished
    kernel      means, biases, scores, divisions (`taylorvit.compiler.attention_cycles`)

`cycles_of` computes some images back to back; the last one shows what an image costs in a row of many.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

from taylorvit.golden.network.vit import VitShape
from taylorvit.rtl.network.command import (
    CONSTANT_BYTES,
    KERNELS,
    Destination,
    Flag,
    Kind,
    Opcode,
    Source,
    Stationary,
)
from taylorvit.rtl.network.config import NetworkConfig

from .attention_cycles import CYCLES, Divider, RowQueue
from .latencies import latencies_of
from .plan import plan_of
from .steps import Step
from .tape_cycles import Memory, TapeCycles

__all__ = ["ImageCycles", "StepCycles", "cycles_of"]


@dataclass
class StepCycles:
    """Cycles of one command.

    Attributes:
        step (Step): the command.
        cycles (int): from the end of the command before to its own: passes, and what comes before each of them.
        busy (int): cycles in which an element enters the array.
        tape (int): of the others, those in which the tile loader waits for the tape.
        data (int): those in which it waits for products before it, a LayerNorm or the kernel.
        image (int): those in which it waits for the image.
    """

    step: Step
    cycles: int = 0
    busy: int = 0
    tape: int = 0
    data: int = 0
    image: int = 0


@dataclass(frozen=True)
class ImageCycles:
    """Cycles of an image in a row of images.

    Attributes:
        steps (tuple[StepCycles, ...]): its commands.
        cycles (int): from the end of the image before to its own.
        tape_bytes (int): bytes of the tape.
        macs (int): products of the network.
        kinds (dict[Kind, int]): cycles by part of the network, as the hardware counts them.
        done (tuple[int, ...]): the cycle in which each image was done, from the beginning of the job.
    """

    steps: tuple[StepCycles, ...]
    cycles: int
    tape_bytes: int
    macs: int
    kinds: dict[Kind, int]
    done: tuple[int, ...]

    @property
    def busy(self) -> int:
        """Cycles in which an element enters the array."""
        return sum(step.busy for step in self.steps)

    def utilization(self, config: NetworkConfig) -> float:
        """Share of the multipliers of SA-General that do a product of the network, over all cycles."""
        return self.macs / (self.cycles * config.rows * config.columns)


def cycles_of(
    network: VitShape | Sequence[Step],
    config: NetworkConfig,
    memory: Memory | None = None,
    *,
    images: int = 3,
    kernels: Sequence[str] | None = None,
) -> ImageCycles:
    """Computes the cycles of the last of some images back to back.

    Args:
        network (VitShape | Sequence[Step]): the network, or its plan for this accelerator.
        config (NetworkConfig): the accelerator.
        memory (Memory | None): what feeds the tape; there always is a word if left out.
        images (int): images, at least 1.
        kernels (Sequence[str] | None): of a network, attention kernel of each layer, as in `plan_of`.
    """
    plan = plan_of(network, config, kernels) if isinstance(network, VitShape) else list(network)
    machine = _Machine(plan, config, memory or Memory())
    for _image in range(images):
        machine.image()
    return machine.result()


class _LastRow(NamedTuple):
    """The last row of a product, which is finished when it is divided.

    Attributes:
        row (int): its number, of all rows of the row queue.
    """

    row: int


class _Machine:
    """Loader, streamer and kernel."""

    def __init__(self, plan: Sequence[Step], config: NetworkConfig, memory: Memory) -> None:
        self.plan, self.config = plan, config
        self.latencies = latencies_of(config)
        self.tape = TapeCycles(plan, config, memory)
        self.divider = Divider(config)
        self.row_queue = RowQueue(config, self.divider)
        self.kernels = {name: CYCLES[name](config, self.divider) for name in config.kernels}
        self.kernel = self.kernels[config.kernels[0]]
        self.batch = 0  # rows that a pass promises to the row queue
        self.loader = 0  # the cycle from which the loader may take a command
        self.next_row = 0  # of the tape
        self.over = 0  # the last cycle of the last pass
        self.constants_free = 0
        self.residual_free = 0
        self.norm_idle = 0
        self.prepared: list[int] = []
        self.image_ready = 0
        self.patches = self.patch_beats = 0  # of an image; beats of a patch
        self.table_product = -1  # the last one with a table
        self.kind = Kind.EMBEDDING  # of the last pass
        # Cycles in which the loader waited for the tape, for products before; since the last pass, (first, end).
        self.starved: list[tuple[int, int]] = []
        self.held_up: list[tuple[int, int]] = []
        self.within_tape = False
        self._done: list[int | _LastRow] = []  # pulse of each product, or what it waits for
        self._finished: list[int] = []
        self.steps: list[list[StepCycles]] = []
        self.kinds: list[dict[Kind, int]] = []
        self.image_done: list[int] = []

    # Products that are finished

    def finished(self, product: int) -> int:
        """The cycle from which a product counts as finished, and all before it."""
        while len(self._finished) <= product:
            done = self._done[len(self._finished)]
            if isinstance(done, _LastRow):
                done = self.divider.start(done.row) + self.latencies.z
            before = self._finished[-1] + 1 if self._finished else 0
            self._finished.append(max(done + self.latencies.retire, before))
        return self._finished[product] if product >= 0 else 0

    # Commands

    def image(self) -> None:
        """Computes one more image."""
        self.steps.append([])
        self.kinds.append(dict.fromkeys(Kind, 0))
        for step in self.plan:
            self.steps[-1].append(StepCycles(step))
            if step.table and self.table_product >= 0:
                self.tape.table_free = self.finished(self.table_product) + self.latencies.table
            if step.opcode == Opcode.CONSTANTS:
                self._begin_layer(step)
            there = max(self.tape.command(step), self.tape.taken[-1] + 1)
            taken = max(self.loader, there + self.latencies.command)
            if self.within_tape:
                self.starved.append((self.loader, there))
            self.within_tape = step.opcode != Opcode.END
            self.tape.take(taken)
            self.loader = taken + 1
            if step.opcode == Opcode.PRODUCT:
                self._product(step, self.steps[-1][-1])
            elif step.opcode == Opcode.END:
                self.image_done.append(max(taken + 2, self.finished(len(self._done) - 1) + 1))
                if self.config.shares_image_banks:
                    self._next_image(self.image_done[-1])

    def _begin_layer(self, step: Step) -> None:
        """Constants of a layer: its kernel, and the rows that a pass promises. Exponentials wait for those in use."""
        self.kernel = self.kernels[KERNELS[step["kernel"]]]
        self.batch = step["rows"]
        if KERNELS[step["kernel"]] == "softmax":
            self.batch = min(self.batch, self.config.attention.longest_block)
            rows = self.row_queue.rows
            free = self.divider.start(rows - 1) + self.latencies.z + self.latencies.table if rows else 0
            self.tape.exponentials_free = free

    def result(self) -> ImageCycles:
        """Numbers of the last image."""
        steps = self.steps[-1]
        return ImageCycles(
            tuple(steps),
            sum(step.cycles for step in steps),
            self.tape.size,
            sum(step.step.macs for step in steps),
            self.kinds[-1],
            tuple(self.image_done),
        )

    def _read(self, first: int, may_go: int) -> int:
        """Reads a row of the tape, which is due in a cycle and may not go before another one."""
        there = self.tape.row(self.next_row)
        self.next_row += 1
        if there <= first and may_go <= first:
            self.tape.reads.append(first)
            return first
        cycle = max(first, there, may_go)
        self.starved.append((first, there))
        self.held_up.append((max(first, there), may_go))
        self.tape.reads.append(cycle)
        return cycle

    def _product(self, step: Step, counts: StepCycles) -> None:
        config = self.config
        number = len(self._done)
        if step.table:
            self.table_product = number
        before = number - 1 - step["wait"]  # the last product that must be finished
        destination = Destination(step["destination"])
        cycle = self.loader
        written: list[int] = []
        if Flag.NORM in step.flags:
            for _row in range(CONSTANT_BYTES * step["norm_tiles"]):
                cycle = self._read(cycle, self.norm_idle) + 1
            written = self._layer_norm(step, cycle - 1, number)
        taken = 0
        for output_tile in range(step["output_tiles"]):
            token = 0
            for input_tile in range(step["input_tiles"]):
                is_last = input_tile == step["input_tiles"] - 1
                loaded = self._tile(step, cycle, before, waits=not input_tile and not output_tile)
                if Flag.EMBEDDING in step.flags:
                    loaded, token = self._embedding(step, loaded + 1, token, before)
                if is_last and destination < Destination.KERNEL_0:
                    loaded = self._constants(loaded + (Flag.EMBEDDING not in step.flags))
                waits = self.finished(before) if before >= 0 else 0
                if written and output_tile == 0:
                    tiles = ceil((input_tile + 1) * config.rows / config.columns)
                    waits = max(waits, written[min(tiles, len(written)) - 1])
                if is_last and destination == Destination.KERNEL_1:
                    waits = max(waits, self.row_queue.room(self.batch))
                waits += self.latencies.wait
                image = self.image_ready + self.latencies.wait if step["source"] == Source.IMAGE else 0
                taken = max(loaded, self.over, waits, image)
                self._count(step, counts, loaded, taken, waits, image)
                self._results(step, destination, taken, is_last, output_tile)
                cycle = taken
        self.loader = taken + 1
        self._end(step, destination, taken)

    def _count(self, step: Step, counts: StepCycles, loaded: int, taken: int, waits: int, image: int) -> None:
        """Counts the cycles since the last pass, and those of this one, as the hardware does."""
        kinds, idle = self.kinds[-1], self.over + 1
        # Until the tile is there, they belong to the pass before.
        unloaded = max(min(loaded, taken) - idle, 0)
        kinds[self.kind] += unloaded
        counts.tape += _within(self.starved, idle, loaded)
        counts.data += _within(self.held_up, idle, loaded)
        first = max(idle, loaded)
        counts.image += max(image - first, 0)
        counts.data += max(waits - max(first, image), 0)
        counts.busy += step["length"]
        cycles = taken - self.over + step["pass_length"]
        counts.cycles += cycles
        kinds[step.kind] += cycles - unloaded
        self.over = taken + step["pass_length"]
        self.kind = step.kind
        self.starved.clear()
        self.held_up.clear()

    # What the loader does

    def _tile(self, step: Step, cycle: int, before: int, *, waits: bool) -> int:
        """Moves a tile in, from a cycle on in which the loader sees that it may; returns the cycle of its last row.

        If it `waits` in this cycle already, it may be starving; otherwise it has just seen a pass being taken.
        """
        rows = self.config.rows
        first = cycle + (not waits)
        if step["stationary"] != Stationary.TAPE:
            seen = max(cycle, self.finished(before) if before >= 0 else 0)
            self.held_up.append((first, seen))
            return seen + rows
        seen = max(cycle, self.tape.row(self.next_row + rows - 1))
        self.starved.append((first, seen))
        self.tape.reads.extend(range(seen + 1, seen + rows + 1))
        self.next_row += rows
        return seen + rows

    def _embedding(self, step: Step, cycle: int, token: int, before: int) -> tuple[int, int]:
        """Loads a part of the embedding; returns the cycle behind it, in which the next state begins, and the token."""
        begin = max(self.residual_free, self.finished(before) if before >= 0 else 0)
        tokens = min(step["embedding_chunk"], step["length"] - token)
        for _row in range(2 * tokens):
            cycle = self._read(cycle, begin) + 1
        return cycle + 1, token + tokens

    def _constants(self, cycle: int) -> int:
        """Loads the constants of an output tile; returns the cycle behind them.

        The last row puts them in the place of those before, when these have taken effect.
        """
        for row in range(CONSTANT_BYTES):
            cycle = self._read(cycle, self.constants_free if row == CONSTANT_BYTES - 1 else 0) + 1
        return cycle

    def _layer_norm(self, step: Step, start: int, number: int) -> list[int]:
        """The cycles from which each tile of a LayerNorm counts as written."""
        latencies, tokens = self.latencies, step["norm_rows"]
        interval = latencies.token_interval
        cycle = max(start + 1, self.finished(number - 1)) + latencies.norm_begin
        first = last = max(cycle, self.prepared[0])
        for token in range(1, tokens):
            last = max(last + interval, self.prepared[token])
        # Tiles of few tokens begin C cycles apart where C does not divide R.
        least = self.config.columns if self.config.rows % self.config.columns else 0
        written = [last + latencies.norm_written]
        for _tile in range(1, step["norm_tiles"]):
            first = max(last + interval, first + least)
            last = first + (tokens - 1) * interval
            written.append(last + latencies.norm_written)
        self.norm_idle = written[-1]
        return written

    # What becomes of the results

    def _results(self, step: Step, destination: Destination, taken: int, is_last: bool, output_tile: int) -> None:
        """Results of a pass, whose first one comes `result` cycles after the pass was taken."""
        if not is_last:
            return
        latencies, length = self.latencies, step["length"]
        first = taken + latencies.result
        if destination < Destination.KERNEL_0:
            self.constants_free = first + latencies.constants_free
        if destination == Destination.RESIDUAL:
            self.residual_free = self.over + latencies.residual_drain + 1
            if output_tile == step["output_tiles"] - 1:
                if not step["first_token"]:
                    self.prepared = []
                prepared = self.prepared[-1] if self.prepared else 0
                for token in range(length):
                    prepared = max(first + token + latencies.prepared, prepared + latencies.norm_interval)
                    self.prepared.append(prepared)
        if destination == Destination.KERNEL_1:
            self.row_queue.begin(taken, length, self.batch)
            self.kernel.rows(first, length, ends=output_tile == step["output_tiles"] - 1)

    def _end(self, step: Step, destination: Destination, taken: int) -> None:
        """The pulse of a product, from its last pass."""
        last = taken + self.latencies.result + step["length"] - 1
        tiles = step["output_tiles"]
        done: int | _LastRow = last + self.latencies.linear
        match destination:
            case Destination.KEY:
                done = self.kernel.key(last, tiles)
            case Destination.VALUE:
                done = self.kernel.value(last, tiles)
            case Destination.KERNEL_0:
                done = self.kernel.kernel_0(last)
            case Destination.KERNEL_1:
                done = _LastRow(self.row_queue.rows - 1)
        if step["source"] == Source.IMAGE:
            self.patches = self.plan[0]["length"] - step["prefix"]
            self.patch_beats = ceil(int((step.inputs >= 0).sum()) / self.config.image_lanes)
            if not self.config.shares_image_banks:
                self._next_image(last)
        self._done.append(done)

    def _next_image(self, released: int) -> None:
        """The next image comes into the banks, a beat a cycle, from two cycles behind their release on."""
        self.image_ready = released + self.patches * self.patch_beats + 3


def _within(intervals: list[tuple[int, int]], first: int, end: int) -> int:
    """Cycles of intervals, which do not overlap, that are from a first one to before an end."""
    return sum(max(min(each_end, end) - max(each_first, first), 0) for each_first, each_end in intervals)
