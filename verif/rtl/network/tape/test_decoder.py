"""Tape decoder: commands in their order, tables and payload before they are used, END when the CRC was right."""

from __future__ import annotations

import random
from itertools import takewhile

import cocotb
import pytest
from cocotb.triggers import ClockCycles, RisingEdge

from taylorvit.gen.verilog import emit
from taylorvit.rtl.network.command import (
    EXPONENTIAL_BYTES,
    FIELDS,
    KERNELS,
    Destination,
    Flag,
    Opcode,
    Source,
    Stationary,
)
from taylorvit.rtl.network.config import NetworkConfig
from taylorvit.rtl.network.tape.decoder import TapeDecoder
from taylorvit.simulation import build, expect_equal, pattern, run
from verif.rtl.harness import SideBySide, View, on_every_block
from verif.rtl.network.configurations import config_of
from verif.rtl.network.tapes import Command, Tape, random_tape, words_of

SIZES = {  # rows, columns, bits of a word, rows of the tape banks
    "byte": (4, 4, 8, 8),
    "row": (4, 4, 32, 16),
    "odd": (5, 3, 24, 16),
    "column": (2, 1, 8, 4),
    "wide": (128, 128, 1024, 256),
    "half": (32, 32, 128, 64),
}

SOFTMAX = {"byte": "softmax", "odd": "taylor+softmax", "wide": "softmax", "half": "taylor+softmax"}  # others: taylor
WITHOUT_QUEUE = ("row", "odd", "column", "half")
ENTRIES = 16
LIMIT = 30_000


def configuration(name):
    rows, columns, width, queue = SIZES[name]
    base = config_of("default").to_mapping() | {"tape_queue_rows": queue, "tape_source": "stream"}
    kernel = {"kernel": SOFTMAX.get(name, "taylor"), "exponential_entries": ENTRIES}
    base |= {"command_queue": 0 if name in WITHOUT_QUEUE else 2}
    return NetworkConfig.from_mapping(base | {"rows": rows, "columns": columns, "tape_width": width} | kernel)


def blocks():
    return {name: TapeDecoder(configuration(name)) for name in SIZES}


def _divides(command):
    return command.values.get("destination") == Destination.KERNEL_1


def _is_softmax(command):
    return command.values["opcode"] == Opcode.CONSTANTS and command.values.get("kernel") == 1


class Bench:
    """Gives the body of a tape, and takes what comes out of it, as an engine would."""

    def __init__(self, view, name, seed):
        self.view, self.config = view, configuration(name)
        self.generator = random.Random(seed)
        self.edge = RisingEdge(view.clk)
        self.ring = 0

    def body_of(self, commands):
        """Words of the body, the last one marked."""
        tape = Tape(self.config, commands)
        content = b"".join(
            tape.filled(command.content) + tape.filled(command.table) + b"".join(command.rows) for command in commands
        )
        words = words_of(content, self.config)
        return [(word, int(place == len(words) - 1)) for place, word in enumerate(words)]

    async def run(self, commands, words, *, pace="always", taking=None, passes=True, limit=LIMIT):
        """Until all commands have been taken, or an error came; returns its name, or nothing.

        Of each command, its table must be complete when it is taken. Its payload is read later, row by row.
        """
        view, generator, config = self.view, self.generator, self.config
        offers = pattern(pace, generator.getrandbits(32))
        reads, takes = (pattern(taking or pace, generator.getrandbits(32)) for _ in range(2))
        written = told = 0  # bytes in the banks, and rows that are said to be there
        banks, table, exponentials, place, waiting = {}, {}, {}, 0, list(commands)
        softmax = "softmax" in config.kernels
        divided = []  # cycles in which the products with destination KERNEL_1 are finished, that have been taken
        rows, held, checks = [], 0, {}  # rows that are still to be read, those in the banks, (column, row) by cycle
        finishes = ends = None
        for cycle in range(limit):
            valid = place < len(words) and next(offers)
            view.body__valid.value = valid
            view.body__data.value, view.body__last.value = words[place] if valid else (generator.getrandbits(8), 1)
            view.command_taken.value = next(takes)
            view.table_finished.value = finishes == cycle
            view.passed.value = passes and ends == cycle
            if softmax:
                view.kernel_1_finished.value = cycle in divided
            reading = bool(rows) and held > 0 and next(reads)
            view.tape_read.value = reading
            if reading:
                held -= 1
                row = rows.pop(0)
                for column in range(config.columns):
                    checks.setdefault(cycle + column + 2, []).append((self.ring, column, row[column]))
                self.ring = (self.ring + 1) % config.tape_queue_rows
            await self.edge
            for ring, column, byte in checks.pop(cycle, ()):
                expect_equal(f"byte of column {column} in row {ring} of the ring", banks.get((ring, column)), byte)
            if view.table_write__valid.value:
                if finishes is not None and finishes >= cycle:
                    raise AssertionError("a table must not be written while a product uses the one before")
                table[int(view.table_write__entry.value)] = int(view.table_write__data.value)
            if softmax and view.exponential_write__valid.value:
                before = takewhile(lambda each: not _is_softmax(each), waiting)
                if any(map(_divides, before)) or any(finished >= cycle for finished in divided):
                    raise AssertionError("exponentials must not be written while a product uses those before")
                entry, data = (int(getattr(view, f"exponential_write__{name}").value) for name in ("entry", "data"))
                exponentials[entry] = data
            if view.tape_written.value:
                told, held = told + 1, held + 1
                expect_equal("a row is told when it is in the banks", told * config.columns <= written, True)
            enable = int(view.tape_write__enable.value)
            if enable:
                written += config.tape_bytes
                group = enable.bit_length() - 1
                data, ring = int(view.tape_write__data.value), int(view.tape_write__address.value)
                for byte in range(config.tape_bytes):
                    banks[ring, group * config.tape_bytes + byte] = data >> 8 * byte & 0xFF
            if view.command_valid.value and view.command_taken.value:
                command = waiting.pop(0)
                expect_equal("command", view.command.value, command.word, width=512)
                rows += command.rows
                if _divides(command):
                    divided.append(max([cycle, *divided]) + generator.randint(1, 400))
                if _is_softmax(command):
                    mask = (1 << config.exponential_width) - 1
                    wanted = [number & mask for number in command.exponentials]
                    expect_equal("exponentials", [exponentials.pop(entry, None) for entry in range(ENTRIES)], wanted)
                elif command.table:
                    expect_equal("table", [table.get(entry) for entry in range(256)], list(command.table))
                    finishes = cycle + generator.randint(1, 700)
            if valid and view.body__ready.value:
                place += 1
                if place == len(words):
                    ends = cycle + generator.randint(2, 20)
            for error in ("command_error", "length_error"):
                if getattr(view, error).value:
                    return error
            over = all(finished < cycle for finished in [*divided, finishes] if finished is not None)
            if not waiting and not rows and not checks and over:
                break
        expect_equal("commands that were not given out, END if there is no CRC", len(waiting), 0 if passes else 1)
        return None

    async def reset(self):
        self.view.body__valid.value = self.view.command_taken.value = self.view.passed.value = 0
        self.view.tape_read.value = self.view.table_finished.value = 0
        await ClockCycles(self.view.clk, 3)


@cocotb.test()
async def tapes_come_apart(dut):
    """Commands, tables and rows come as the tape has them, at every pace, with more rows than the banks hold."""

    async def job(view, name, seed):
        bench = Bench(view, name, seed)
        for pace in ("always", "random", "bursts"):
            most_rows = 3 * bench.config.tape_queue_rows if name != "wide" else 6
            tape = random_tape(bench.config, bench.generator, 3, most_rows=min(most_rows, 60))
            error = await bench.run(tape.commands, bench.body_of(tape.commands), pace=pace)
            expect_equal(f"error {error}", error is None, True)
        # Rows that are read later than they come.
        tape = random_tape(bench.config, bench.generator, 4, most_rows=6 if name == "wide" else 60)
        error = await bench.run(tape.commands, bench.body_of(tape.commands), taking="rare")
        expect_equal(f"error {error}", error is None, True)
        # Commands alone, which come faster than they are taken.
        numbers = (bench.generator.getrandbits(16) for _ in range(8))
        commands = [Command({"opcode": Opcode.PRODUCT, "length": number}) for number in numbers]
        commands.append(Command({"opcode": Opcode.END}))
        words = bench.body_of(commands)
        error = await bench.run(commands, words, taking="rare")
        expect_equal(f"error {error}", error is None, True)
        # Exponentials behind products that still use those before.
        if "softmax" in bench.config.kernels:
            commands = []
            for _ in range(4):
                divides = {"opcode": Opcode.PRODUCT, "destination": Destination.KERNEL_1}
                constants = {"opcode": Opcode.CONSTANTS, "kernel": KERNELS.index("softmax")}
                commands += [Command(divides)] * bench.generator.randint(1, 3)
                commands.append(Command(constants, bench.generator.randbytes(EXPONENTIAL_BYTES * ENTRIES)))
            commands.append(Command({"opcode": Opcode.END}))
            error = await bench.run(commands, bench.body_of(commands))
            expect_equal(f"error {error}", error is None, True)
        await bench.reset()

    await on_every_block(dut, blocks(), job)


@cocotb.test()
async def no_end_without_a_crc(dut):
    """END is not given out before the CRC was right."""

    async def job(view, name, seed):
        bench = Bench(view, name, seed)
        commands = [Command({"opcode": Opcode.PRODUCT}), Command({"opcode": Opcode.END})]
        await bench.run(commands, bench.body_of(commands), passes=False, limit=400)

    await on_every_block(dut, blocks(), job)


def wrong_commands(generator, kernels=()):
    """Commands that must be refused by an accelerator with these kernels."""
    numbers = [number for number, kernel in enumerate(KERNELS) if kernel not in kernels]
    product = {"opcode": Opcode.PRODUCT, "length": generator.getrandbits(16)}
    return [
        *({"opcode": opcode} for opcode in (0, 3, 14, 16, 129, 255)),
        product | {"source": max(Source) + 1},
        product | {"stationary": max(Stationary) + 1},
        product | {"destination": max(Destination) + 1},
        product | {"flags": sum(Flag) + 1},
        *({"opcode": Opcode.PRODUCT, "check": generator.getrandbits(16)} for _ in range(3)),
        {"opcode": Opcode.CONSTANTS, "kernel": generator.choice([*numbers, len(KERNELS)])},
        {"opcode": Opcode.CONSTANTS, "kernel": generator.randrange(len(KERNELS), 256)},
    ]


async def reset_all(dut):
    dut.rst.value = 1
    await ClockCycles(dut.clk, 1)
    dut.rst.value = 0


@cocotb.test()
async def wrong_commands_are_refused(dut):
    """Unknown commands and wrong sums are told, and nothing of them is given out; after a reset all is well."""
    first = True
    for number in range(len(wrong_commands(random.Random(0)))):

        async def job(view, name, seed, number=number):
            bench = Bench(view, name, f"{seed}-{number}")
            values = wrong_commands(bench.generator, bench.config.kernels)[number]
            good = Command({"opcode": Opcode.PRODUCT, "length": bench.generator.getrandbits(16)})
            body = bench.body_of([good, Command(values), good])
            error = await bench.run([good, good], body, pace=bench.generator.choice(("always", "random")))
            expect_equal(f"whether {values} gives a command_error, not {error}", error == "command_error", True)
            await bench.reset()

        if first:
            await on_every_block(dut, blocks(), job)
        else:
            tasks = [cocotb.start_soon(job(View(dut, name), name, f"{cocotb.RANDOM_SEED}-{name}")) for name in blocks()]
            for task in tasks:
                await task
        first = False
        await reset_all(dut)


@cocotb.test()
async def a_bit_of_a_command_is_missed_by_no_sum(dut):
    """Whatever bit of a command is wrong, it is refused."""

    async def job(view, name, seed):
        bench = Bench(view, name, seed)
        values = {
            field: bench.generator.getrandbits(8 * FIELDS[field].bytes) for field in ("length", "epsilon", "prefix")
        }
        right = Command({"opcode": Opcode.PRODUCT} | values)
        bit = bench.generator.randrange(512)
        content = (right.word ^ 1 << bit).to_bytes(64, "little")
        words = [(word, 0) for word in words_of(Tape(bench.config, []).filled(content), bench.config)]
        error = await bench.run([right], words, limit=500)
        expect_equal(f"whether a wrong bit {bit} gives a command_error, not {error}", error == "command_error", True)

    await on_every_block(dut, blocks(), job)
    for number in range(15):
        await reset_all(dut)
        tasks = [
            cocotb.start_soon(job(View(dut, name), name, f"{cocotb.RANDOM_SEED}-{name}-{number}")) for name in blocks()
        ]
        for task in tasks:
            await task


# Tests: run by pytest.


@pytest.fixture(scope="module")
def simulation():
    block = SideBySide(blocks())
    return build(emit(block), block.module_name)


@pytest.mark.parametrize(
    "testcase",
    [
        "tapes_come_apart",
        "no_end_without_a_crc",
        "wrong_commands_are_refused",
        "a_bit_of_a_command_is_missed_by_no_sum",
    ],
)
def test_decoder(simulation, testcase):
    run(simulation, __name__, testcase=testcase)


def test_a_verdict_takes_longer_for_wider_words():
    latencies = [block.check_latency for block in blocks().values()]
    assert latencies == [3, 3, 3, 3, 4, 3]
