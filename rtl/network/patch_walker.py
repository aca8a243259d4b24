"""Patch walker: where the pixels of each beat go in an image that comes patch by patch.

The pixels of a patch come by colour, row, column; pixel p of patch k lies in bank p mod R, at address
(p div R) patches + k. Each patch begins with a new beat.
"""

from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.widths import index_width
from taylorvit.rtl.streams.matrix_position import MatrixPosition

__all__ = ["PatchWalker"]


class PatchWalker(Block):
    """Place of the next beat, of one image after the other.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        start (1 bit, input): a job begins.
        patches (bits of max_tokens - 1, input): patches of an image, constant while the job runs.
        patch_pixels (bits of max_patch, input): pixels of a patch, likewise.
        step (1 bit, input): a beat is taken, no earlier than in the cycle after `start`.
        group (index_width(rows / image_lanes) bits, output): which rows take the next beat.
        address (index_width(image_depth) bits, output): address in their banks.
        last (1 bit, output): it is the last beat of an image.
    """

    module_name = "patch_walker"

    def __init__(self, config):
        patches = config.max_tokens - 1
        self.groups = config.rows // config.image_lanes
        self.position = MatrixPosition(lanes=config.image_lanes, max_tokens=patches, max_head_dim=config.max_patch)
        super().__init__(
            {
                "start": In(1),
                "patches": In(patches.bit_length()),
                "patch_pixels": In(config.max_patch.bit_length()),
                "step": In(1),
                "group": Out(index_width(self.groups)),
                "address": Out(index_width(config.image_depth)),
                "last": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        position = instantiate(m, "position", self.position)
        tile = Signal.like(self.address)  # address of its first patch
        m.d.comb += [
            position.start.eq(self.start),
            position.tokens.eq(self.patches),
            position.head_dim.eq(self.patch_pixels),
            position.step.eq(self.step),
            self.address.eq(tile + position.token),
            self.last.eq(position.head_last),
        ]
        with m.If(self.step):
            m.d.sync += self.group.eq(self.group + 1)
            with m.If(self.group == self.groups - 1):
                m.d.sync += [self.group.eq(0), tile.eq(tile + self.patches)]
            with m.If(position.row_last):
                m.d.sync += [self.group.eq(0), tile.eq(0)]
        return m
