"""A layer of Taylor attention for the engine of `verif.rtl.network.kernel_engine`, and what it gives."""

from __future__ import annotations

from dataclasses import replace
from math import ceil

import numpy as np

from taylorvit.golden.attention.integer_attention import integer_taylor_attention
from taylorvit.jobs import format_of
from taylorvit.rtl.network.bundles import LoadKind
from taylorvit.rtl.network.command import Destination, Source
from verif.regression.jobs import fitting_constants, random_constants
from verif.rtl.network.kernel_layer import Layer

__all__ = ["TaylorLayer"]


class TaylorLayer(Layer):
    """A layer of Taylor attention, constants `shift_g`, `shift_z`, `c_v`, `c_d`."""

    kernel = "taylor"

    @staticmethod
    def random_constants(generator, numpy, attention, number, operands):
        """Constants that fit the operands, any, or with a c_d so small that rows have no divisor."""
        kind = number % 4
        fits = kind != 2
        constants = fitting_constants(numpy, attention, *operands) if fits else random_constants(attention, numpy)
        if kind == 3:
            bits = attention.constant_fraction + 4
            constants = replace(constants, c_d=0 if number == 3 else generator.getrandbits(bits))
        return constants

    def golden(self):
        number_format = format_of(self.attention_of(self.config))
        steps = integer_taylor_attention(self.padded_q, self.k, self.v, self.constants, number_format)
        return steps.z[:, : self.rows], int(np.count_nonzero(steps.t_d[:, : self.rows] <= 0))

    def fields(self):
        return vars(self.constants)

    @property
    def key_multiple(self):
        return self.config.rows

    def key_is_free(self, head, done):
        return done["kernel_0"] >= head - 1  # K and V of the head before last are in use

    def key_address(self, head):
        rows, columns, stride = self.config.rows, self.config.columns, self.padded_head_dim
        base = self.half(head, ceil(self.tokens / rows) * stride)
        return lambda tile, token: (token % rows, base + token // rows * stride + tile * columns)

    def passes(self):
        order = [(self._g, 0)]
        for head in range(self.heads):
            following = [(self._g, head + 1)] if head + 1 < self.heads else []
            order += [*following, (self._qg, head)] if self.ahead else [(self._qg, head), *following]
        for product, head in order:
            yield from product(head)

    def _g(self, head):
        rows, tokens, head_dim = self.config.rows, self.tokens, self.head_dim
        key_base = self.half(head, ceil(tokens / rows) * self.padded_head_dim)
        g_base = self.half(head, self.column_tiles * head_dim)

        def element(j, i, t):
            control = {"source": Source.KERNEL, "address": key_base + i * self.padded_head_dim + t}
            result = {"destination": Destination.KERNEL_0, "address": g_base + j * head_dim + t}
            return control, result, [self.generator.randint(-128, 127) for _row in range(rows)]

        needs = (lambda done: done["value"] > head, lambda done: done["key"] > head)
        yield from self.product(
            kind=LoadKind.KERNEL_0, output_tiles=self.column_tiles, reduction=tokens, stride=tokens,
            base=self.half(head, self.column_tiles * tokens), length=head_dim, element=element, needs=needs,
        )  # fmt: skip

    def _qg(self, head):
        q = self.q[head].tolist()

        def element(j, i, t):
            return {"source": Source.ACTIVATION}, self.z_result(head, j, t), self.operands_of(q, t, i)

        needs = (lambda done: done["kernel_0"] > head, lambda done: True)
        yield from self.product(
            kind=LoadKind.KERNEL_1, output_tiles=self.column_tiles, reduction=self.head_dim, stride=self.head_dim,
            base=self.half(head, self.column_tiles * self.head_dim), length=self.rows, element=element, needs=needs,
        )  # fmt: skip
