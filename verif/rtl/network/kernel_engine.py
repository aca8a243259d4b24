"""An engine in Python that gives a kernel the products of layers, and the test of a kernel with it."""

from __future__ import annotations

import random
from collections.abc import Callable

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge

from taylorvit.rtl.network.bundles import ActivationWrite, ExponentialWrite, LoadControl, ResultControl, StreamControl
from taylorvit.rtl.network.config import NetworkConfig
from taylorvit.simulation import WaitError, expect_equal, pack, start, unpack
from verif.rtl.harness import idle_inputs

from .kernel_layer import Layer
from .kernel_top import DONE, KernelTop, Packed

__all__ = ["Engine", "compare_layers"]

LONGEST_SILENCE = 3000  # cycles in which nothing is finished


class Engine:
    """Gives a `KernelTop` the products of layers, as early as the rules allow or some cycles later.

    Two lanes go side by side: K and V of the heads, and the products of the kernel.
    """

    def __init__(self, dut, config: NetworkConfig, generator: random.Random):
        self.dut, self.config, self.generator = dut, config, generator
        self._packed = {
            "stream": Packed(StreamControl(config)),
            "load": Packed(LoadControl(config)),
            "value": Packed(ResultControl(config)),
        }
        if "softmax" in config.kernels:
            self._packed["exponential"] = Packed(ExponentialWrite(config))
        self._write = Packed(ActivationWrite(config))
        self._driven = {}
        self.errors = 0

    async def run(self, layer: Layer) -> list[np.ndarray]:
        """Z of each head of a layer, (rows, head_dim), as it was when its last product was finished."""
        lanes = await self._begin(layer)
        results = []
        silent = 0
        blocks = len(layer.blocks)
        while self.done != layer.expected:
            before = dict(self.done)
            await self._advance(lanes)
            if self.done["kernel_1"] // blocks > len(results):
                results.append(layer.z_of(len(results), self._z))
            silent = silent + 1 if self.done == before else 0
            if silent > LONGEST_SILENCE:
                raise WaitError(f"nothing was finished within {LONGEST_SILENCE} cycles; finished are {self.done}")
        return results

    async def abandon(self, layer: Layer, cycles: int):
        """Some cycles of a layer, and a reset."""
        lanes = await self._begin(layer)
        for _cycle in range(cycles):
            await self._advance(lanes)
        self.dut.rst.value = 1
        await self._step({})
        self.dut.rst.value = 0

    async def _begin(self, layer):
        self.done = dict.fromkeys(DONE, 0)
        self.room = 0
        self.errors = 0
        self._z = {}
        self._slot = None
        self._cycle, self._next_promise = 0, 0
        # The table comes before the constants, when no product of the layer before is unfinished.
        for entry, data in enumerate(layer.table):
            await self._step({"exponential": self._packed["exponential"].word(valid=1, entry=entry, data=data)})
        await self._step({"constants_valid": 1, "constants": layer.command()})
        return [self._values(layer), self._streamer(), self._loader(layer)]

    async def _advance(self, lanes):
        inputs = {}
        for lane in lanes:
            inputs |= next(lane, None) or {}
        await self._step(inputs)

    async def _step(self, inputs):
        """A cycle: what is not among the inputs is 0."""
        for port in ("constants_valid", "constants", "exponential", "stream", "operands", "load", "load_first", "value",
                     "values", "promised"):  # fmt: skip
            value = inputs.get(port, 0)
            if self._driven.get(port) != value:
                getattr(self.dut, port).value = value
                self._driven[port] = value
        await RisingEdge(self.dut.clk)
        self._cycle += 1
        dut = self.dut
        self.room = int(dut.room.value)
        done = int(dut.done.value)
        for place, name in enumerate(DONE):
            self.done[name] += done >> place & 1
        self.errors += int(dut.denominator_error.value)
        self._take_z(str(dut.z.value))

    def _take_z(self, bits):
        """Keeps what columns write; where there is nothing, a four-state simulator may not know the rest."""
        width = self._write.width
        for column in range(self.config.columns):
            word = bits[-width * (column + 1) : len(bits) - width * column]
            if word[-1] != "0":  # `valid`, the first member
                write = self._write.members(int(word, 2))
                self._z[write["bank"], write["address"]] = unpack(write["data"], self.config.data_width, 1)[0]

    # Lanes: generators of inputs, cycle by cycle.

    def _values(self, layer):
        """K and V."""
        for each in layer.values(self.done):
            if each is None:
                yield
                continue
            members, values = each
            yield {"value": self._packed["value"].word(**members), "values": pack(values, self.config.data_width)}

    def _loader(self, layer):
        """Tiles, each while the one before it streams."""
        for each in layer.passes():
            while self._slot is not None or not each.may_load(self.done):
                yield
            for number, row in enumerate(each.rows):
                yield {"load": self._packed["load"].word(**row), "load_first": number == 0}
            self._slot = each

    def _streamer(self):
        """Passes, each when its tile is there and what it needs."""
        rows = self.config.rows
        while True:
            each = self._slot
            if (
                each is None
                or not each.may_stream(self.done)
                or (each.completes and not (self.room and self._cycle >= self._next_promise))
                or self.generator.random() < 0.1
            ):
                yield
                continue
            self._slot = None
            if each.completes:
                self._next_promise = self._cycle + 3
            for number in range(max(rows, len(each.elements))):
                inputs = {"promised": each.completes and number == 0}
                if number < len(each.elements):
                    control, operands = each.elements[number]
                    inputs["stream"] = self._packed["stream"].word(**control)
                    inputs["operands"] = pack(operands, self.config.data_width)
                yield inputs


async def compare_layers(
    dut, config: NetworkConfig, layers: int, draw: Callable[..., Layer]
) -> list[tuple[Layer, int]]:
    """Z of every head of random layers, and the rows without a divisor; before some, another layer is abandoned.

    Returns the layers, and how many rows of each had no divisor.
    """
    generator = random.Random(cocotb.RANDOM_SEED)
    await start(dut, **idle_inputs(KernelTop(config)))
    engine = Engine(dut, config, generator)
    compared = []
    for number in range(layers):
        if generator.random() < 0.2:
            await engine.abandon(draw(generator, config, number), generator.randint(1, 400))
        layer = draw(generator, config, number)
        z, invalid = layer.golden()
        got = await engine.run(layer)
        what = (
            f"layer {number} ({layer.kernel}) of {layer.heads} heads, {layer.rows}/{layer.tokens} tokens, "
            f"{layer.head_dim} features"
        )
        for head, (seen, right) in enumerate(zip(got, z, strict=True)):
            expect_equal(f"z of head {head}, {what}", seen, right)
        # Each column tile divides the row anew.
        expect_equal(f"rows without a divisor, {what}", engine.errors, invalid * layer.column_tiles)
        compared.append((layer, invalid))
    return compared
