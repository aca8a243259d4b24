"""A layer of softmax attention for the engine of `verif.rtl.network.kernel_engine`, and what it gives."""

from __future__ import annotations

from math import ceil

from taylorvit.golden.attention.integer_softmax import SoftmaxConstants, integer_softmax_attention
from taylorvit.golden.attention.kernels.softmax import SoftmaxKernel
from taylorvit.jobs import format_of
from taylorvit.rtl.attention.softmax.spec import query_blocks
from taylorvit.rtl.network.bundles import LoadKind, address_widths
from taylorvit.rtl.network.command import Destination, Source
from verif.rtl.network.kernel_layer import Layer

__all__ = ["SoftmaxLayer"]


class SoftmaxLayer(Layer):
    """A layer of softmax attention, constants `shift_s`, `shift_z` and `exponentials`."""

    kernel = "softmax"

    @staticmethod
    def random_constants(generator, numpy, attention, number, operands):
        """Constants that fit the operands, or any, or extreme ones."""
        limits = format_of(attention)
        if number % 3 == 0:
            return SoftmaxKernel().choose_scales(*operands, 0, 0, 0, limits).constants
        most = limits.exponential_max
        drawn = [generator.choice((0, most, generator.randint(0, most))) for _ in range(limits.exponential_entries)]
        shifts = (generator.randint(*ends) for ends in SoftmaxConstants.ranges(limits).values())
        return SoftmaxConstants(*shifts, (max(1, drawn[0]), *drawn[1:]))

    def golden(self):
        number_format = format_of(self.attention_of(self.config))
        steps = integer_softmax_attention(self.padded_q, self.k, self.v, self.constants, number_format)
        return steps.z[:, : self.rows], 0

    def fields(self):
        names = ("shift_s", "shift_z")
        return {name: getattr(self.constants, name) for name in names} | {"key_stride": self.padded_head_dim}

    @property
    def table(self):
        return list(self.constants.exponentials)

    @property
    def blocks(self):
        return query_blocks(self.rows, self.config.attention.longest_block)

    @property
    def key_multiple(self):
        return self.config.columns

    @property
    def _key_tiles(self):
        return ceil(self.tokens / self.config.columns)

    def key_is_free(self, head, done):
        return done["kernel_0"] >= (head - 1) * len(self.blocks)  # K of the head before last is in use

    def key_address(self, head):
        base = self.half(head, self._key_tiles * self.padded_head_dim)
        # The bank means nothing, and the address is that of the first tile of tokens.
        return lambda tile, token: (token % self.config.rows, base + tile * self.config.columns)

    def passes(self):
        blocks = []  # (number, head, first query, queries)
        for head in range(self.heads):
            first = 0
            for length in self.blocks:
                blocks.append((len(blocks), head, first, length))
                first += length
        order = [(self._scores, blocks[0])]
        for block, following in zip(blocks, [*blocks[1:], None]):
            more = [(self._scores, following)] if following else []
            order += [*more, (self._ev, block)] if self.ahead else [(self._ev, block), *more]
        for product, block in order:
            yield from product(*block)

    def _score_base(self, number):
        return self.half(number, ceil(self.tokens / self.config.rows) * max(self.blocks))

    def _scores(self, number, head, first, length):
        q = self.q[head].tolist()
        base = self._score_base(number)

        def element(j, i, t):
            address = base + j * length + t
            # As the engine has them: the address of an output tile, whichever row it begins with.
            mask = (1 << address_widths(self.config)["destination"]) - 1
            result = {"destination": Destination.KERNEL_0, "address": address & mask}
            result["following"] = address + length & mask
            return {"source": Source.ACTIVATION}, result, self.operands_of(q, first + t, i)

        needs = (lambda done: done["key"] > head, lambda done: done["kernel_1"] >= number - 1)
        yield from self.product(
            kind=LoadKind.KERNEL_1, output_tiles=self._key_tiles, reduction=self.head_dim,
            stride=self.padded_head_dim, base=self.half(head, self._key_tiles * self.padded_head_dim), length=length,
            element=element, needs=needs,
        )  # fmt: skip

    def _ev(self, number, head, first, length):
        rows, base = self.config.rows, self._score_base(number)

        def element(j, i, t):
            control = {"source": Source.KERNEL, "address": base + i * length + t}
            operands = [self.generator.randint(-128, 127) for _row in range(rows)]
            return control, self.z_result(head, j, first + t), operands

        needs = (lambda done: done["value"] > head, lambda done: done["kernel_0"] > number)
        yield from self.product(
            kind=LoadKind.KERNEL_0, output_tiles=self.column_tiles, reduction=self.tokens, stride=self.tokens,
            base=self.half(head, self.column_tiles * self.tokens), length=length, element=element, needs=needs,
        )  # fmt: skip
