"""One column of the network accelerator, with a kernel column that only shows what it gets, against Python integers.

Everything comes by the ports, as in a job: bytes of the tape, tables, rows of tiles and of constants, partial sums of
products for every destination, the embedding, tokens of LayerNorms. What the residual stream holds is seen by what is
added to it later, and by the LayerNorm.
"""

from __future__ import annotations

import random

import cocotb
import numpy as np

from taylorvit.gen.verilog import emit
from taylorvit.golden.arithmetic.number_format import saturate, shift_right_round_half_up
from taylorvit.golden.network.integer_layers import layer_norm
from taylorvit.rtl.network.bundles import LoadKind
from taylorvit.rtl.network.command import Destination
from taylorvit.rtl.network.network_column import NetworkColumn
from taylorvit.simulation import build, expect_equal, run
from verif.rtl.harness import (
    SideBySide,
    Timeline,
    drive,
    expect_passed_on,
    integers,
    on_every_block,
    passed_to,
    ports_of,
    wrapped,
)
from verif.rtl.network.configurations import CONFIGURATIONS, config_of
from verif.rtl.network.layer_norms import layer_norm_inputs
from verif.rtl.network.tiny_kernel import TinyKernelColumn

COLUMNS = (*CONFIGURATIONS, "one_lane")
ROUNDS = 3  # with a product for each destination, and a LayerNorm
STROBES = (
    "load_in__valid", "result_in__valid", "norm_in__valid", "sums_in__valid", "tape_write__enable",
    "table_write__valid", "kernel_in__valid", "normalized__valid",
)  # fmt: skip
# What changes on the way to the next column, or comes with a sum of this one.
CHANGED = ("result_in__bank", "result_in__address", "norm_in__bank", "norm_in__destination", "sums_in__total",
           "sums_in__squares")  # fmt: skip
KERNEL = (Destination.KERNEL_0, Destination.KERNEL_1)
KEPT = (Destination.KEY, Destination.VALUE)
SIGNED = ("stationary", "activation__data", "logit", "sums_out__total", "report__total", "report__value")
OPERANDS = ("feature", "left_shift", "gamma", "beta")


def block_of(config):
    return NetworkColumn(config, kernel_column=TinyKernelColumn(config))


def blocks():
    return {name: block_of(config_of(name)) for name in COLUMNS}


def constant_bytes(*numbers_and_sizes):
    """Numbers of either sign, little-endian, one behind the other."""
    return b"".join((number % (1 << 8 * size)).to_bytes(size, "little") for number, size in numbers_and_sizes)


# Benches: run inside the simulator.


class Column:
    """Puts together what goes on at the ports, and what must come of it."""

    def __init__(self, config, generator):
        self.config = config
        self.generator = generator
        self.block = block_of(config)
        self.timeline = Timeline(self.block, generator, STROBES)
        self.load_cycle = self.result_cycle = 4
        self.began = 0  # cycle of the first total of the latest tile that has constants
        self.tape_row = 0
        self.residual = [0] * config.residual_depth
        self.table = [0] * 256
        self.stationary = {}  # cycle -> operand
        self.activations = {}  # cycle -> bank, address, data
        self.logits = {}  # cycle -> address, logit
        self.totals = {}  # cycle -> destination, address, total
        self.values = {}  # cycle -> destination, address, bank, begin, end, finish, value
        self.sums = {}  # cycle -> total, squares
        self.operands = {name: {} for name in OPERANDS}  # cycle -> of a token, for the lane

    # Loads.

    def load(self, byte, *, kind, earliest=0, **members):
        """A row that comes by the tape, from `earliest` on; returns its cycle."""
        self.load_cycle = max(self.load_cycle, earliest) + self.generator.choice((1, 1, 1, 1, 2, 6))
        cycle, address = self.load_cycle, self.tape_row
        self.timeline.set(cycle - 1, tape_write__enable=1, tape_write__address=address, tape_write__data=byte)
        self.timeline.set(cycle, load_in__valid=1, load_in__kind=kind, load_in__address=address, **members)
        self.tape_row = (address + 1) % self.config.tape_queue_rows
        return cycle

    def load_tile(self):
        """Rows of a stationary tile, of any kind."""
        kind = self.generator.choice((LoadKind.TAPE_TILE, LoadKind.KERNEL_0, LoadKind.KERNEL_1))
        for _ in range(self.config.rows):
            if kind == LoadKind.TAPE_TILE:
                [value] = integers(self.generator, 8, 1)
                cycle = self.load(value, kind=kind, load_in__blank=0)
            else:
                self.load_cycle += 1
                cycle = self.load_cycle
                address = self.generator.randrange(1 << len(self.block.load_in.address))
                blank = int(self.generator.random() < 0.3)
                value = 0 if blank else wrapped(address + 64 * (kind == LoadKind.KERNEL_1), 8)
                self.timeline.set(
                    cycle, load_in__valid=1, load_in__kind=kind, load_in__address=address, load_in__blank=blank
                )
            self.stationary[cycle + self.block.load_latency] = (value,)

    def load_constants(self):
        """Constants of an output tile; returns them. As early as they may come, or later."""
        config, generator = self.config, self.generator
        [bias] = integers(generator, config.sum_width, 1)
        shifts = {
            name: generator.choice((0, most, generator.randint(0, most)))
            for name, most in (
                ("stream", config.stream_shift_max), ("branch", config.branch_shift_max),
                ("right", config.right_shift_limit), ("left", config.left_shift_max),
            )
        }  # fmt: skip
        if generator.random() < 0.7:  # so that results are neither 0 nor at an end
            bits = generator.choice((config.sum_width, config.residual_width, 8)) + 2
            shifts["right"] = max(0, min(config.right_shift_limit, config.sum_width + shifts["branch"] - bits))
        data = constant_bytes((bias, 4), *((shifts[name], 1) for name in ("stream", "branch", "right", "left")))
        for number, byte in enumerate(data):
            # With its last byte a set may replace one that is in effect by then.
            earliest = self.began - 1 if number == 7 else 0
            cycle = self.load(byte, kind=LoadKind.CONSTANT, earliest=earliest, load_in__byte=number)
        self.result_cycle = max(self.result_cycle, cycle + 1)
        return bias, shifts

    # Products.

    def product(self, destination):
        """Passes of partial sums, output tile by output tile."""
        config, generator = self.config, self.generator
        length = generator.choice((1, config.longest_pass, generator.randint(1, config.longest_pass)))
        input_tiles, output_tiles = generator.choice((1, 1, 2, 3)), generator.randint(1, 3)
        has_table = int(destination == Destination.ACTIVATION and generator.random() < 0.5)
        if has_table and generator.random() < 0.4:
            self.new_table()
        width = config.partial_sum_width if destination in KERNEL else config.sum_width
        for output_tile in range(output_tiles):
            sums = np.zeros(length, dtype=object)
            for input_tile in range(input_tiles):
                if generator.random() < 0.5:
                    self.load_tile()
                first, last = input_tile == 0, input_tile == input_tiles - 1
                constants = self.load_constants() if last and destination not in KERNEL else None
                if destination == Destination.RESIDUAL:
                    # What was written before is read.
                    self.result_cycle += self.block.residual_latency
                # Constants come in 8 rows.
                begin = self.result_cycle = max(self.result_cycle, self.began + 8)
                base = generator.randrange(config.residual_depth)
                gaps = generator.choice(((0,), (0, 0, 0, 2)))
                for index in range(length):
                    [partial_sum] = integers(generator, width, 1)
                    sums[index] += partial_sum
                    self.element(
                        destination, base + index, index, partial_sum, int(sums[index]), constants,
                        first=first, last=last,
                        first_tile=output_tile == 0, last_tile=output_tile == output_tiles - 1,
                        begin=last and index == 0, end=last and index == length - 1, table=has_table,
                        finish=last and index == length - 1 and output_tile == output_tiles - 1,
                    )  # fmt: skip
                    self.result_cycle += 1 + generator.choice(gaps)
                if last and destination not in KERNEL:
                    self.began = begin
                # An element comes back when it has been added.
                since = begin if gaps == (0,) else self.result_cycle - 1
                self.result_cycle = max(self.result_cycle, since + self.block.accumulator.latency)

    def element(self, destination, place, index, partial_sum, total, constants, **flags):
        """A partial sum; if it is the last one, what becomes of its total."""
        generator, block = self.generator, self.block
        cycle = self.result_cycle
        address = generator.randrange(1 << len(block.result_in.address))
        if destination == Destination.LOGITS and generator.random() < 0.8:
            address %= self.config.max_classes + self.config.columns  # some columns of the last tile have no class
        if destination == Destination.RESIDUAL:  # each place once a pass
            address = place % self.config.residual_depth
        bank = generator.randrange(self.config.rows)
        self.timeline.set(
            cycle, result_in__valid=1, result_in__destination=destination, result_in__index=index,
            result_in__address=address, result_in__bank=bank, **{f"result_in__{name}": v for name, v in flags.items()},
        )  # fmt: skip
        self.timeline.set(cycle + block.sum_delay, partial_sum=partial_sum)
        if not flags["last"]:
            return
        total = wrapped(total, self.config.partial_sum_width)
        self.totals[cycle + block.total_latency] = (destination, address, total)
        if destination not in KERNEL:
            self.linear(cycle, destination, address, bank, total, constants, flags)

    def linear(self, cycle, destination, address, bank, total, constants, flags):
        """A total of a linear layer."""
        config, generator, block = self.config, self.generator, self.block
        bias, shifts = constants
        total = wrapped(total + bias, config.sum_width)
        if destination == Destination.LOGITS:
            if address < config.max_classes:
                self.logits[cycle + block.logit_latency] = (address, total)
            return
        aligned = total << shifts["branch"]
        if destination == Destination.RESIDUAL:
            aligned += self.residual[address] << shifts["stream"]
        aligned = wrapped(aligned, config.aligned_width)
        feature = saturate(shift_right_round_half_up(aligned, shifts["right"]), config.residual_width)
        if destination == Destination.RESIDUAL:
            self.residual[address] = feature
            x = feature << shifts["left"]
            before = generator.getrandbits(config.norm_square_width - 1)
            [before_total] = integers(generator, config.norm_sum_width, 1)
            self.timeline.set(
                cycle + block.sums_delay, sums_in__valid=1, sums_in__total=before_total, sums_in__squares=before
            )
            self.sums[cycle + block.sums_delay + 1] = (
                wrapped(before_total + x, config.norm_sum_width),
                (before + x * x) % (1 << config.norm_square_width),
            )
            return
        value = saturate(feature, 8)
        if flags["table"]:
            value = self.table[value + 128]
        if destination == Destination.ACTIVATION:
            address %= 1 << len(block.activation.address)
            self.activations[cycle + block.activation_latency] = (bank, address, value)
        else:
            ends = tuple(int(flags[name]) for name in ("begin", "end", "finish"))
            self.values[cycle + block.value_latency] = (destination, address, bank, *ends, value)

    def new_table(self):
        """A table, when the values of the one before have gone through it."""
        self.table = integers(self.generator, 8, 256)
        self.result_cycle += self.block.activation_latency
        for entry, data in enumerate(self.table):
            self.timeline.set(self.result_cycle, table_write__valid=1, table_write__entry=entry, table_write__data=data)
            self.result_cycle += 1

    # Between products.

    def drain(self):
        """Nothing is under way any more."""
        self.result_cycle += self.block.activation_latency + 2
        self.load_cycle = self.result_cycle = max(self.load_cycle + self.block.load_latency, self.result_cycle)

    def embed(self, places):
        """Writes the residual stream by way of the tape: place -> feature."""
        self.drain()
        for place, feature in places.items():
            data = constant_bytes((feature, 2))
            for number, byte in enumerate(data):
                cycle = self.load(byte, kind=LoadKind.EMBEDDING, load_in__byte=number, load_in__place=place)
            self.residual[place] = feature
        self.result_cycle = max(self.result_cycle, cycle + self.block.embedding_latency + 1)

    def norm(self):
        """A LayerNorm, of features that come with an embedding; or of what additions have left there."""
        config, generator, block = self.config, self.generator, self.block
        most = min(config.max_width, 8 * config.columns)
        features = generator.choice((1, most, generator.randint(1, most)))
        x, left_shifts, epsilon = layer_norm_inputs(config, generator, features=features)
        tokens = len(x)
        column = generator.randrange(min(config.columns, features))  # this one is it
        mine = range(column, features, config.columns)
        self.embed(
            {
                tile * config.max_tokens + token: int(x[token, f])
                for tile, f in enumerate(mine)
                for token in range(tokens)
            }
        )
        gamma = np.array(integers(generator, generator.choice((2, config.gamma_width)), features))
        beta = np.array(integers(generator, generator.choice((2, 20, config.beta_width)), features))
        shift = generator.choice((0, 63, generator.randint(8, 30)))
        shift = min(max(shift, config.norm_shift_min), config.norm_shift_max)
        golden = layer_norm(x, left_shifts, epsilon, gamma, beta, shift, 8)
        shift %= 1 << config.norm_shift_bits  # as it is told
        for tile, f in enumerate(mine):
            data = constant_bytes((int(gamma[f]), 2), (int(beta[f]), 4), (int(left_shifts[f]), 1), (0, 1))
            for number, byte in enumerate(data):
                self.load(byte, kind=LoadKind.NORM_CONSTANT, load_in__byte=number, load_in__place=tile)
        self.drain()
        for tile, f in enumerate(mine):
            for token in range(tokens):
                cycle, bank = self.result_cycle, generator.randrange(config.rows)
                address, output = generator.randrange(config.activation_depth), int(golden.output[token, f])
                self.activations[cycle + block.norm_latency] = (bank, address, output)
                self.result_cycle += 1 + generator.choice((0, 0, 0, 1))
                self.timeline.set(
                    cycle, norm_in__valid=1, norm_in__address=tile * config.max_tokens + token, norm_in__tile=tile
                )
                if block.shares_lane:
                    self.timeline.set(
                        cycle + block.norm_lane.latency, normalized__valid=1, normalized__bank=bank,
                        normalized__address=address, normalized__data=output,
                    )  # fmt: skip
                    operand_delay, scale_delay = block.norm_lane.operand_delay, block.norm_lane.scale_delay
                    self.operands["feature"][cycle + operand_delay] = int(x[token, f])
                    self.operands["left_shift"][cycle + operand_delay] = int(left_shifts[f])
                    self.operands["gamma"][cycle + scale_delay] = int(gamma[f])
                    self.operands["beta"][cycle + scale_delay] = int(beta[f])
                    continue
                variance = int(golden.variance[token, 0])
                reciprocal = int(golden.reciprocal[token, 0])
                self.timeline.set(
                    cycle, norm_in__factor=features * reciprocal, norm_in__norm_shift=shift,
                    norm_in__offset=int(golden.total[token, 0]) * reciprocal, norm_in__bank=bank,
                    norm_in__right_shift=17 + ((variance.bit_length() - 29) >> 1), norm_in__destination=address,
                )  # fmt: skip
        self.result_cycle += block.norm_latency
        self.drain()

    def z(self):
        """Elements of Z in some of the cycles that no other activation has."""
        before = 1 + self.block.choice_latency  # the kernel's register, and the column's
        for cycle in range(before, self.timeline.length):
            if cycle not in self.activations and self.generator.random() < 0.05:
                address = self.generator.randrange(self.config.activation_depth)
                bank, [data] = self.generator.randrange(self.config.rows), integers(self.generator, 8, 1)
                self.timeline.set(
                    cycle - before,
                    kernel_in__valid=1,
                    kernel_in__bank=bank,
                    kernel_in__address=address,
                    kernel_in__data=data,
                )
                self.activations[cycle] = (bank, address, data)


async def check(view, name, seed):
    """Operands, activations, logits, totals, values and sums come in the cycles foretold, and are right."""
    generator = random.Random(seed)
    config = config_of(name)
    model = Column(config, generator)
    block = model.block
    model.embed(dict(enumerate(integers(generator, config.residual_width, config.residual_depth))))
    for _ in range(ROUNDS):
        for destination in generator.sample(list(Destination), len(Destination)):
            model.product(destination)
        model.norm()
    model.drain()
    model.z()

    inputs = model.timeline.inputs()
    passed = [port for port in inputs if "_in__" in port and port not in CHANGED]
    outputs = [port for port, (_width, incoming) in ports_of(block).items() if not incoming]
    got = await drive(view, inputs, outputs, extra=max(block.activation_latency, block.norm_latency))
    expect_passed_on(got, inputs, passed, model.timeline.length)
    expect_next_places(config, got, inputs)

    expect(got, "operands", model.stationary, "stationary")
    if block.shares_lane:
        expect_operands(got, model)
    activation = ("activation__bank", "activation__address", "activation__data")
    expect(got, "activations", model.activations, *activation, valid=cycles_of(got, "activation__valid"))
    expect(got, "logits", model.logits, "logit_address", "logit", valid=cycles_of(got, "logit_valid"))
    quiet = [cycle for cycle in range(len(got["logit"])) if cycle not in model.logits]
    for port in ("logit", "logit_address"):
        expect_equal(f"{port} where there is none", [int(got[port][cycle]) for cycle in quiet], [0] * len(quiet))
    expect(got, "sums", model.sums, "sums_out__total", "sums_out__squares", valid=cycles_of(got, "sums_out__valid"))
    for what, expected, members, destinations in (
        ("total", model.totals, ("destination", "address"), tuple(Destination)),
        ("value", model.values, ("destination", "address", "bank", "begin", "end", "finish"), KEPT),
    ):
        control = f"report__{what}_control__"
        valid = [
            cycle
            for cycle in cycles_of(got, control + "valid")
            if int(got[control + "last"][cycle]) and int(got[control + "destination"][cycle]) in destinations
        ]
        expect(got, f"{what}s", expected, *(control + member for member in members), f"report__{what}", valid=valid)


def cycles_of(got, port):
    """The cycles in which a flag is set."""
    return [cycle for cycle, value in enumerate(got[port]) if int(value)]


def expect(got, what, expected, *ports, valid=None):
    """Compares the cycles in which something is there, and what some ports show in them."""
    assert expected
    if valid is not None:
        expect_equal(f"cycles of {what}", valid, sorted(expected))
    for place, port in enumerate(ports):
        cycles = list(expected)
        numbers = [int(expected[cycle][place]) for cycle in cycles]
        seen = [got[port][cycle].to_signed() if port in SIGNED else int(got[port][cycle]) for cycle in cycles]
        wrong = [cycle for cycle, one, other in zip(cycles, seen, numbers) if one != other]
        expect_equal(f"{port} of {what} (wrong in cycles {wrong[:5]})", seen, numbers)


def expect_operands(got, model):
    """Compares what a shared lane gets: the operands of a token, and 0 in all other cycles."""
    for name, expected in model.operands.items():
        words = got[f"operand__{name}"]
        whole = [expected.get(cycle, 0) % (1 << len(word)) for cycle, word in enumerate(words)]
        assert any(whole) or name == "left_shift"
        expect_equal(f"{name} for the lane", [int(word) for word in words], whole)


def expect_next_places(config, got, inputs):
    """Compares what the column on the right is told of its own places: bank or address go on by one."""

    def wrapping(bank, address, following):
        if bank + 1 == config.rows and config.rows % config.columns:
            return 0, following
        return bank + 1, address

    widths = {port: width for port, (width, _incoming) in ports_of(block_of(config)).items()}
    for bundle, name in (("result", "address"), ("norm", "destination")):
        bank_port, address_port = f"{bundle}_in__bank", f"{bundle}_in__{name}"
        if bank_port not in inputs:  # the shared lane knows the places of its columns
            continue
        expected = []
        for cycle in range(len(inputs[bank_port]) - 1):
            bank, address = inputs[bank_port][cycle], inputs[address_port][cycle]
            following = inputs[f"{bundle}_in__following"][cycle]
            destination = inputs["result_in__destination"][cycle] if bundle == "result" else Destination.ACTIVATION
            if destination == Destination.ACTIVATION:
                bank, address = wrapping(bank, address, following)
            elif destination in (Destination.KEY, Destination.LOGITS):
                address += 1
            expected.append((bank % (1 << widths[bank_port]), address % (1 << widths[address_port])))
        for port, numbers in zip((bank_port, address_port), zip(*expected)):
            seen = [int(value) for value in got[passed_to(port)][1 : 1 + len(numbers)]]
            expect_equal(f"{passed_to(port)}", seen, list(numbers))


@cocotb.test()
async def columns_equal_the_model(dut):
    """Columns of all configurations, at once."""
    await on_every_block(dut, blocks(), check)


# Tests: run by pytest.


def test_network_column():
    block = SideBySide(blocks())
    result = run(build(emit(block), block.module_name), __name__)
    assert result.compared > 10_000 * len(COLUMNS)
