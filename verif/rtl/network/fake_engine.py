"""Stands for the engine behind the host side: takes what a tape brings, checks it, and gives logits.

It does nothing of a network, but keeps the engine's side of every agreement: rows of the tape are read column by
column, late in the last one; products are finished some time after they began; the image is released by the product
that reads it; logits come in any order when there is room for them; the end of the tape is told when all is finished.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable

from cocotb.triggers import RisingEdge

from taylorvit.rtl.network.bundles import COMMAND_BITS
from taylorvit.rtl.network.command import FIELDS, Destination, Flag, Opcode, Source
from taylorvit.rtl.network.config import NetworkConfig
from taylorvit.simulation import expect_equal

from .tapes import Tape

__all__ = ["FakeEngine", "logits_of"]

RESET_DELAY = 5
"""Cycles after which the engine's blocks are reset: those of two reset lines, one behind the other."""


def logits_of(image: int, classes: int, config: NetworkConfig) -> list[int]:
    """Some logits for an image."""
    generator = random.Random(image)
    bits = config.logit_width - 1
    return [generator.randrange(-(1 << bits), 1 << bits) for _ in range(classes)]


class FakeEngine:
    """Runs for as long as the simulation.

    Attributes:
        tape (Tape): what the host side must give; None: nothing is compared.
        images (Callable[[int], list[list[int]]]): number of an image of the job -> its patches of pixels.
        pace (float): share of the cycles in which it does something, where it has a choice.
        done (int): images of this job whose tape has ended.
        hangs (bool): it takes nothing any more.
        holds_end (bool): an END that it has taken waits.
    """

    def __init__(self, view, config: NetworkConfig, seed):
        self.view = view
        self.config = config
        self.generator = random.Random(seed)
        self.tape: Tape | None = None
        self.images: Callable[[int], list[list[int]]] = lambda number: []
        self.classes = 1
        self.pace = 1.0
        self.hangs = False
        self.holds_end = False
        self.resets = deque([0] * RESET_DELAY)
        self.banks = {}  # (row of the ring, column) -> byte
        self.pixels = {}  # (row of the array, address) -> pixel
        self.table, self.exponentials = {}, {}
        self.inputs = self.driven = {}  # input -> value, in this cycle and in the one before
        self.clear()
        self.done = 0

    def clear(self):
        """What a reset does."""
        self.commands = deque()
        self.expected = deque(self.tape.commands if self.tape else ())
        self.held = 0  # rows that are written and not read
        self.ring = 0
        self.work = None
        self.reading = {}  # cycle -> (column, place, byte that must be there)
        self.finishing = deque()  # cycles at which products with a table are finished
        self.dividing = deque()  # of an accelerator with softmax, those at which products for KERNEL_1 are finished
        self.logits = []
        self.ends_at = None
        self.image_is_read = False

    def job(self, tape: Tape | None, classes: int, images=None) -> None:
        """Sets what the next job must bring."""
        self.tape, self.classes = tape, classes
        if images is not None:
            self.images = images
        self.done = 0
        self.hangs = False
        self.expected = deque(tape.commands if tape else ())

    async def run(self):
        view, edge = self.view, RisingEdge(self.view.clk)
        cycle = 0
        while True:
            self.drive(cycle)
            await edge
            cycle += 1
            self.resets.append(int(view.engine_reset.value))
            self.hear(cycle)
            if self.resets.popleft():
                self.clear()

    def hear(self, cycle):
        """What the host side gives in a cycle."""
        view, config = self.view, self.config
        for column, place, byte in self.reading.pop(cycle, ()):
            expect_equal(f"row {place} of the ring in column {column}", self.banks.get((place, column)), byte)
        enable = int(view.tape_write__enable.value)
        if enable:
            group = enable.bit_length() - 1
            expect_equal("groups that take a word", enable, 1 << group)
            data, place = int(view.tape_write__data.value), int(view.tape_write__address.value)
            for byte in range(config.tape_bytes):
                self.banks[place, group * config.tape_bytes + byte] = data >> 8 * byte & 0xFF
        self.held += int(view.tape_written.value)
        if view.table_write__valid.value:
            expect_equal("products that use the table", len(self.finishing), 0)
            self.table[int(view.table_write__entry.value)] = int(view.table_write__data.value)
        if "softmax" in config.kernels and view.exponential_write__valid.value:
            at_work = self.work is not None and self.work[0]["destination"] == Destination.KERNEL_1
            expect_equal("products that use the exponentials", len(self.dividing) + at_work, 0)
            self.exponentials[int(view.exponential_write__entry.value)] = int(view.exponential_write__data.value)
        if view.image_write__valid.value:
            group, address = int(view.image_write__group.value), int(view.image_write__address.value)
            data = int(view.image_write__data.value)
            for lane in range(config.image_lanes):
                row = group * config.image_lanes + lane
                self.pixels[row, address] = (data >> 8 * lane & 0xFF) ^ 0x80
        if view.command_valid.value and view.command_taken.value:
            self.begin(int(view.command.value))

    def begin(self, word):
        """A command has been taken."""
        command = {name: word >> 8 * place.place & (1 << 8 * place.bytes) - 1 for name, place in FIELDS.items()}
        rows = [b""] * min(command["payload"], 1 << 16)
        if self.tape is not None:
            if not self.expected:
                self.expected.extend(self.tape.commands)
            right = self.expected.popleft()
            expect_equal("command", word, right.word, width=COMMAND_BITS)
            rows = list(right.rows)
            if right.table and command["opcode"] == Opcode.CONSTANTS:
                numbers = [number & (1 << self.config.exponential_width) - 1 for number in right.exponentials]
                expect_equal("exponentials", [self.exponentials.get(entry) for entry in range(len(numbers))], numbers)
            elif right.table:
                expect_equal("table", [self.table.get(entry) for entry in range(256)], list(right.table))
        self.work = (command, deque(rows))

    def drive(self, cycle):
        """The inputs of the next cycle; those that are not set are 0."""
        self.inputs = {}
        acts = self.generator.random() < self.pace and not self.hangs
        if self.finishing and self.finishing[0] <= cycle:
            self.finishing.popleft()
            self.inputs["table_finished"] = 1
        if self.dividing and self.dividing[0] <= cycle:
            self.dividing.popleft()
            self.inputs["kernel_1_finished"] = 1
        if self.work is None:
            self.inputs |= {"command_taken": acts, "stall_tape": 1}
        elif acts:
            waits = self.work_on(cycle)
            if waits:
                self.inputs[f"stall_{waits}"] = 1
        for port in self.driven | self.inputs:
            value = int(self.inputs.get(port, 0))
            if self.driven.get(port, 0) != value:
                getattr(self.view, port).value = value
        self.driven = self.inputs

    def work_on(self, cycle):
        """One step of the command; returns what it waits for."""
        view, inputs, (command, rows) = self.view, self.inputs, self.work
        if command["opcode"] == Opcode.END:
            if self.finishing or self.dividing or self.holds_end:
                return ""
            inputs["image_done"] = 1
            self.done += 1
            self.work = None
            return ""
        if command["opcode"] == Opcode.PRODUCT:
            if command["source"] == Source.IMAGE and not self.image_is_read:
                if not view.image_ready.value:
                    return "image"
                self.read_image()
                inputs["image_release"] = 1
                self.image_is_read = True
                return ""
            if rows:
                if not self.held:
                    return "tape"
                self.read_row(cycle, rows.popleft())
                return ""
            if command["destination"] == Destination.LOGITS and self.logits is not None:
                if not self.logits:
                    if not view.logits_room.value:
                        return "output"
                    values = logits_of(self.done, self.classes, self.config)
                    self.logits = list(enumerate(values))
                    self.generator.shuffle(self.logits)
                number, value = self.logits.pop()
                inputs |= {"logit_valid": 1, "logit_address": number}
                inputs["logit"] = value & (1 << self.config.logit_width) - 1
                if self.logits:
                    return ""
            self.image_is_read = False
            if command["flags"] & Flag.TABLE:
                self.finishing.append(cycle + self.generator.randint(1, 60))
            if command["destination"] == Destination.KERNEL_1 and "softmax" in self.config.kernels:
                self.dividing.append(max([cycle, *self.dividing]) + self.generator.randint(1, 60))
        self.work = None
        return ""

    def read_row(self, cycle, row):
        """Reads a row of the ring: each column a cycle later than the one before it."""
        self.inputs["tape_read"] = 1
        self.held -= 1
        place = self.ring
        self.ring = (self.ring + 1) % self.config.tape_queue_rows
        for column, byte in enumerate(row):
            # `tape_read` is high from this cycle to the next edge; column c's bank sees the address c + 2 edges later.
            self.reading.setdefault(cycle + 1 + column + 2, []).append((column, place, byte))

    def read_image(self):
        """Compares the image in the banks."""
        patches = self.images(self.done)
        rows = self.config.rows
        got = [
            [self.pixels.get((pixel % rows, pixel // rows * len(patches) + number)) for pixel in range(len(patch))]
            for number, patch in enumerate(patches)
        ]
        expect_equal(f"image {self.done}", got, patches)
