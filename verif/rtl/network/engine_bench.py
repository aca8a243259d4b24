"""Drives the engine alone: a tape in, logits out, with what is around the engine in a few lines of Python.

    bench = EngineBench(dut, config)
    outcome = await bench.run(tape, patches)

A tape is read as `docs/network.md` says; nothing is checked here, since other blocks do that.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import ceil

import numpy as np
from cocotb.triggers import ClockCycles, RisingEdge

from taylorvit.rtl.network.command import (
    COMMAND_BYTES,
    CONSTANTS_FIELDS,
    EXPONENTIAL_BYTES,
    FIELDS,
    HEADER_BYTES,
    KERNELS,
    Destination,
    Flag,
    Opcode,
)

__all__ = ["EngineBench", "Outcome", "items_of"]


_KERNEL = CONSTANTS_FIELDS["kernel"]

RESET_CYCLES = 8
"""Cycles until a reset has come to all blocks."""


@dataclass
class Outcome:
    """What an image left.

    Attributes:
        logits (list[int]): in the order of the classes.
        cycles (int): from the first command to the end.
        kinds (dict[int, int]): cycles by kind.
        busy (int): cycles in which the array was busy.
        stalls (dict[str, int]): cycles by reason.
        events (list[tuple[int, str]]): what happened when.
    """

    logits: list[int]
    cycles: int
    kinds: dict[int, int] = field(default_factory=dict)
    busy: int = 0
    stalls: dict[str, int] = field(default_factory=dict)


def items_of(tape: bytes, config) -> list[tuple[str, object]]:
    """Commands, tables and payload rows of a tape, in the order in which the engine gets them."""
    columns = config.columns
    rows = [tape[start : start + columns] for start in range(0, len(tape), columns)]
    place = ceil(HEADER_BYTES / columns)
    command_rows = ceil(COMMAND_BYTES / columns)
    items = []
    while True:
        command = b"".join(rows[place : place + command_rows])[:COMMAND_BYTES]
        place += command_rows
        values = {name: int.from_bytes(command[f.place : f.place + f.bytes], "little") for name, f in FIELDS.items()}
        if values["opcode"] == Opcode.PRODUCT and values["flags"] & Flag.TABLE:
            table_rows = ceil(256 / columns)
            items.append(("table", b"".join(rows[place : place + table_rows])[:256]))
            place += table_rows
        if values["opcode"] == Opcode.CONSTANTS and command[_KERNEL.place] == KERNELS.index("softmax"):
            length = EXPONENTIAL_BYTES * config.exponential_entries
            table_rows = ceil(length / columns)
            items.append(("exponentials", b"".join(rows[place : place + table_rows])[:length]))
            place += table_rows
        items.append(("command", int.from_bytes(command, "little")))
        if values["opcode"] == Opcode.END:
            return items
        if values["opcode"] == Opcode.PRODUCT:
            items += [("row", int.from_bytes(row, "little")) for row in rows[place : place + values["payload"]]]
            place += values["payload"]


async def write_image(dut, config, patches: np.ndarray) -> None:
    """Writes an image, (patches, pixels of a patch) of 0 to 255, into the image banks."""
    count, pixels = patches.shape
    lanes = config.image_lanes
    dut.image_write__valid.value = 1
    for patch in range(count):
        for first in range(0, pixels, lanes):
            beat = [int(pixel) - 128 & 0xFF for pixel in patches[patch, first : first + lanes]]
            row, tile = first % config.rows, first // config.rows
            dut.image_write__group.value = row // lanes
            dut.image_write__address.value = tile * count + patch
            dut.image_write__data.value = sum(byte << (8 * lane) for lane, byte in enumerate(beat))
            await RisingEdge(dut.clk)
    dut.image_write__valid.value = 0


class EngineBench:
    """What is around an engine that is out of reset: a tape comes as fast as it is taken, a word a cycle."""

    def __init__(self, dut, config):
        self.dut, self.config = dut, config
        self.items = deque()
        self.room = config.tape_queue_rows
        self.address = 0
        self.group = 0
        self.tables = 0
        self.kernel_1 = 0  # products of that destination that were taken and are not finished
        self.entry = 0

    async def run(self, tape: bytes, patches: np.ndarray, *, limit: int = 100_000) -> Outcome:
        """One image, (patches, pixels of a patch), through the engine."""
        await ClockCycles(self.dut.clk, RESET_CYCLES)
        await write_image(self.dut, self.config, patches)
        self.dut.image_ready.value = 1
        self.dut.logits_room.value = 1
        self.items = deque(items_of(tape, self.config))
        return await self._run(limit)

    async def _run(self, limit):
        dut, outcome, logits = self.dut, Outcome([], 0), {}
        stalls = ("tape", "image", "output", "data")
        outcome.stalls = dict.fromkeys(stalls, 0)
        freed = deque([0] * (self.config.columns + 1))  # rows that were read, until the last column has done so
        for cycle in range(limit):
            self.drive()
            await RisingEdge(dut.clk)
            if int(dut.command_valid.value) and int(dut.command_taken.value):
                command = self.items.popleft()[1]
                of_kernel_1 = command >> 8 * FIELDS["destination"].place & 0xFF == Destination.KERNEL_1
                self.kernel_1 += command & 0xFF == Opcode.PRODUCT and of_kernel_1
            if "softmax" in self.config.kernels:
                self.kernel_1 -= int(dut.kernel_1_finished.value)
            freed.append(int(dut.tape_read.value))
            self.room += freed.popleft()
            self.tables -= int(dut.table_finished.value)
            outcome.busy += int(dut.array_busy.value)
            kind = int(dut.kind.value)
            outcome.kinds[kind] = outcome.kinds.get(kind, 0) + 1
            for name in stalls:
                outcome.stalls[name] += int(getattr(dut, f"stall_{name}").value)
            if int(dut.logit_valid.value):
                logits[int(dut.logit_address.value)] = int(dut.logit.value.to_signed())
            if int(dut.image_done.value):
                outcome.cycles = cycle
                outcome.logits = [logits[key] for key in sorted(logits)]
                return outcome
        left = len(self.items)
        raise AssertionError(f"the engine must end within {limit} cycles, and has {left} items left: {self.where()}")

    def where(self):
        dut = self.dut
        signals = ("kind", "array_busy", "stall_tape", "stall_image", "stall_output", "stall_data")
        return {name: str(getattr(dut, name).value) for name in signals} | {"next": str(self.items[0])[:60]}

    def drive(self):
        """The inputs of the next cycle. Rows are of one word here: the bench writes all groups at once."""
        dut, config = self.dut, self.config
        dut.command_valid.value = 0
        dut.tape_write__enable.value = 0
        dut.tape_written.value = 0
        dut.table_write__valid.value = 0
        if "softmax" in config.kernels:
            dut.exponential_write__valid.value = 0
        if not self.items:
            return
        what, value = self.items[0]
        if what == "command":
            dut.command.value = value
            dut.command_valid.value = 1
        elif what == "row" and self.room:
            groups = config.columns // config.tape_bytes
            group = self.group
            mask = (1 << config.tape_width) - 1
            dut.tape_write__enable.value = 1 << group
            dut.tape_write__address.value = self.address
            dut.tape_write__data.value = value >> (group * config.tape_width) & mask
            self.group = (group + 1) % groups
            if self.group == 0:
                dut.tape_written.value = 1
                self.address = (self.address + 1) % config.tape_queue_rows
                self.room -= 1
                self.items.popleft()
        elif what == "table" and (self.entry or not self.tables):
            dut.table_write__valid.value = 1
            dut.table_write__entry.value = self.entry
            dut.table_write__data.value = value[self.entry]
            self.entry = (self.entry + 1) % 256
            if self.entry == 0:
                self.tables += 1
                self.items.popleft()
        elif what == "exponentials" and (self.entry or not self.kernel_1):
            place = EXPONENTIAL_BYTES * self.entry
            dut.exponential_write__valid.value = 1
            dut.exponential_write__entry.value = self.entry
            dut.exponential_write__data.value = int.from_bytes(value[place : place + EXPONENTIAL_BYTES], "little")
            self.entry = (self.entry + 1) % config.exponential_entries
            if self.entry == 0:
                self.items.popleft()
