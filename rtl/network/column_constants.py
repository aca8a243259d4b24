"""Column constants: bytes that the tape has for one column, put together.

Constants of an output tile, constants of a LayerNorm's tile and the embedding come a byte at a time, low bytes first.
The bytes of one thing follow each other, so one shift register collects them; with the last byte the thing goes where
it belongs.

    byte --> [collected] --+--> [waiting] --> [active] --> output stage     (constants of an output tile)
                           |--> memory for the LayerNorm lane               (constants of a LayerNorm's tile)
                           '--> residual stream                             (embedding)
"""

from amaranth.hdl import Cat, Module, Signal, signed
from amaranth.lib.wiring import In, Out, Signature

from taylorvit.rtl.common.block import Block
from taylorvit.rtl.common.widths import index_width, up_to

from .bundles import LoadKind
from .command import CONSTANT_BYTES

__all__ = ["ColumnConstants", "NormConstants", "OutputConstants"]


class OutputConstants(Signature):
    """What the output stage of a column needs for an output tile.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        bias (sum_width bits, signed): added to the total; bytes 0 to 3 of the tape.
        stream_shift (up_to(stream_shift_max)): left shift of the residual stream; byte 4.
        branch_shift (up_to(branch_shift_max)): left shift of the total; byte 5.
        right_shift (up_to(right_shift_limit)): right shift of their sum; byte 6.
        left_shift (up_to(left_shift_max)): of the new feature's channel, for the LayerNorm; byte 7.
    """

    def __init__(self, config):
        super().__init__(
            {
                "bias": Out(signed(config.sum_width)),
                "stream_shift": Out(up_to(config.stream_shift_max)),
                "branch_shift": Out(up_to(config.branch_shift_max)),
                "right_shift": Out(up_to(config.right_shift_limit)),
                "left_shift": Out(up_to(config.left_shift_max)),
            }
        )


class NormConstants(Signature):
    """Constants of a tile of a LayerNorm on their way into the memory of one column.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        valid (1 bit): there are some.
        tile (index_width(residual_tiles) bits): of which tile.
        gamma (gamma_width bits): the channel's factor, signed; bytes 0 and 1 of the tape.
        beta (beta_width bits): the channel's summand, signed; bytes 2 to 5.
        left_shift (up_to(left_shift_max)): of the channel, to the exponent of all; byte 6.
    """

    def __init__(self, config):
        super().__init__(
            {
                "valid": Out(1),
                "tile": Out(index_width(config.residual_tiles)),
                "gamma": Out(config.gamma_width),
                "beta": Out(config.beta_width),
                "left_shift": Out(up_to(config.left_shift_max)),
            }
        )


class ColumnConstants(Block):
    """Collects bytes, and holds the constants of an output tile twice: those in effect and those that come next.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        valid (1 bit, input): there is a byte.
        kind (LoadKind, input): of what; others than CONSTANT, NORM_CONSTANT and EMBEDDING are ignored.
        number (3 bits, input): which one of the thing, beginning with 0.
        place (bits of residual_depth, input): of NORM_CONSTANT the tile, of EMBEDDING the address.
        data (8 bits, input): the byte.
        take (1 bit, input): the constants that were completed last are in effect from the next cycle on.
        constants (OutputConstants, output): those in effect.
        norm (NormConstants, output): constants of a LayerNorm's tile, in the cycle of their last byte.
        embedding_valid (1 bit, output): a feature of the embedding, one cycle after its second byte.
        embedding_address (bits of residual_depth, output): its place in the residual stream.
        embedding (residual_width bits, output): the feature, signed.
    """

    module_name = "column_constants"

    def __init__(self, config):
        super().__init__(
            {
                "valid": In(1),
                "kind": In(LoadKind),
                "number": In(3),
                "place": In(index_width(config.residual_depth)),
                "data": In(config.data_width),
                "take": In(1),
                "constants": Out(OutputConstants(config)),
                "norm": Out(NormConstants(config)),
                "embedding_valid": Out(1),
                "embedding_address": Out(index_width(config.residual_depth)),
                "embedding": Out(config.residual_width),
            }
        )

    @property
    def embedding_latency(self):
        """Cycles from the second byte of a feature of the embedding to the feature."""
        return 1

    def elaborate(self, platform):
        m = Module()
        collected = Signal(8 * (CONSTANT_BYTES - 1), reset_less=True)  # the latest byte is the uppermost
        is_constant = self.kind == LoadKind.CONSTANT
        is_norm = self.kind == LoadKind.NORM_CONSTANT
        is_embedding = self.kind == LoadKind.EMBEDDING
        last = self.valid & (self.number == CONSTANT_BYTES - 1)
        with m.If(self.valid & (is_constant | is_norm | is_embedding)):
            m.d.sync += collected.eq(Cat(collected[8:], self.data))

        whole = Cat(collected, self.data)
        places = {"bias": 0, "stream_shift": 4, "branch_shift": 5, "right_shift": 6, "left_shift": 7}
        for name, place in places.items():
            port = getattr(self.constants, name)
            waiting = Signal.like(port, name=f"{name}_waiting", reset_less=True)
            active = Signal.like(port, name=f"{name}_active", reset_less=True)
            with m.If(last & is_constant):
                m.d.sync += waiting.eq(whole[8 * place :][: len(port)])
            with m.If(self.take):
                m.d.sync += active.eq(waiting)
            m.d.comb += port.eq(active)

        # Of the LayerNorm's 8 bytes the last one says nothing.
        m.d.comb += [
            self.norm.valid.eq(last & is_norm),
            self.norm.tile.eq(self.place),
            self.norm.gamma.eq(collected),
            self.norm.beta.eq(collected[16:]),
            self.norm.left_shift.eq(collected[48:]),
        ]

        embedding_address = Signal.like(self.place, name="embedding_address_register", reset_less=True)
        m.d.sync += [
            self.embedding_valid.eq(self.valid & is_embedding & (self.number == 1)),
            embedding_address.eq(self.place),
        ]
        m.d.comb += [
            self.embedding_address.eq(embedding_address),
            self.embedding.eq(collected[-16:]),  # both bytes are in the register by then
        ]
        return m
