"""Image loader: writes images into the image banks, one at a time.

A packet of the stream (up to TLAST) is an image, patch by patch or row by row. Patch by patch, each patch begins with a
new beat; what a patch's last beat has beyond its pixels is not looked at. The next image moves in as soon as the array
has read the last pixel of the one before; if it lies in the activation banks, when the one before is finished.

    s_axis_image --> [check TLAST] --> pixels minus 128 --> banks of the rows
    [patch walker] or [raster walker] --> where they go --^

An image that is too short is filled up with zeros. Of one that is too long, the rest up to TLAST is dropped. Both are
reported, and the next image is not affected, since it begins after TLAST. When a job is ended, the rest of a packet
that has begun is dropped up to its TLAST, unless its source has been given up.
"""

from amaranth.hdl import Cat, Module, Mux, ResetSignal, Signal
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.axi import AxiStream
from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.pipeline import delay

from .bundles import ImageWrite
from .control.registers import IMAGES_WIDTH
from .patch_walker import PatchWalker
from .raster_walker import RasterWalker

__all__ = ["ImageLoader"]


class ImageLoader(Block):
    """Takes the images of a job, a beat a cycle; `write` comes one cycle after the beat.

    The first beat of an image is taken two cycles after the banks are released at the earliest.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        s (AxiStream of 8 image_lanes bits, sink): the stream.
        closed (1 bit, input): no beat is taken, whatever else.
        start (1 bit, input): a job begins.
        images (16 bits, input): its images.
        patches (bits of max_tokens - 1, input): patches of an image, constant while the job runs.
        patch_pixels (bits of max_patch, input): pixels of a patch, likewise.
        image_order (1 bit, input): images come patch by patch (0) or row by row (1), likewise.
        patch_size (bits of largest_patch_size, input): pixels of a side of a patch, likewise, if row by row.
        patches_a_row (bits of max_tokens - 1, input): patches beside each other, likewise.
        image_release (1 bit, input): pulse: the last pixel of the image has been read.
        image_done (1 bit, input): pulse, later: an image is finished. Only if it lies in the activation banks.
        gave_up (1 bit, input): the stream is not waited for any longer; a packet that has begun is over.
        ending (1 bit, input): the job is being ended.
        write (ImageWrite, output): pixels for the banks.
        image_ready (1 bit, output): an image is in the banks.
        image_short (1 bit, output): pulse: a packet was too short.
        image_long (1 bit, output): pulse: a packet was too long.
        sizes_error (1 bit, output): pulse: row by row, the sizes do not fit each other, and no beat is taken.
        preparing (1 bit, output): a job has begun, and beats are not taken yet.
        starving (1 bit, output): it is ready, but no beat comes.
        idle (1 bit, output): all images of the job are in, and the stream stands at the end of a packet.
    """

    module_name = "image_loader"

    def __init__(self, config):
        self.lanes = config.image_lanes
        self.data_width = config.data_width
        self.patch_walker = PatchWalker(config)
        self.raster_walker = RasterWalker(config)
        self.waits_for_end = config.shares_image_banks
        patches = (config.max_tokens - 1).bit_length()
        super().__init__(
            {
                "s": In(AxiStream(config.data_width * config.image_lanes)),
                "closed": In(1),
                "start": In(1),
                "images": In(IMAGES_WIDTH),
                "patches": In(patches),
                "patch_pixels": In(config.max_patch.bit_length()),
                "image_order": In(1),
                "patch_size": In(config.largest_patch_size.bit_length()),
                "patches_a_row": In(patches),
                "image_release": In(1),
                **({"image_done": In(1)} if self.waits_for_end else {}),
                "gave_up": In(1),
                "ending": In(1),
                "write": Out(ImageWrite(config)),
                "image_ready": Out(1),
                "image_short": Out(1),
                "image_long": Out(1),
                "sizes_error": Out(1),
                "preparing": Out(1),
                "starving": Out(1),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        images_left = Signal(IMAGES_WIDTH)
        some_left = Signal()
        full = Signal()  # an image is in the banks, or its last pixels are on their way
        within = Signal()  # a packet
        dropping = Signal()
        moves = Signal()
        # Of two bits, the one of the order in which pixels come. So a step of its walker, on which much depends, comes
        # from the stream and registers alone.
        open_ = Signal(2)  # for beats of an image
        takes = Signal(2)  # a beat of an image
        filling = Signal(2)
        steps = Signal(2)
        finish = Signal()
        # They begin anew after a job that was ended in the middle of an image, a cycle after everything else.
        ended = delay(m, self.ending, 1, "ending")
        patches, raster = (
            instantiate(m, name, walker, reset=ResetSignal() | ended)
            for name, walker in (("patch_walker", self.patch_walker), ("raster_walker", self.raster_walker))
        )
        by_row = self.image_order
        order = Cat(~by_row, by_row)
        last = Cat(patches.last, raster.last)
        for walker in (patches, raster):
            m.d.comb += [walker.patches.eq(self.patches), walker.patch_pixels.eq(self.patch_pixels)]
        m.d.comb += [
            patches.start.eq(self.start),
            Cat(patches.step, raster.step).eq(steps),
            raster.start.eq(self.start & by_row),
            raster.patch_size.eq(self.patch_size),
            raster.patches_a_row.eq(self.patches_a_row),
            self.sizes_error.eq(raster.refused),
            self.preparing.eq(some_left & by_row & ~raster.ready),
            self.s.tready.eq((open_.any() | dropping) & ~self.closed),
            moves.eq(self.s.tvalid & self.s.tready),
            takes.eq(Mux(self.s.tvalid & ~self.closed, open_, 0)),
            steps.eq(takes | filling),
            finish.eq((steps & last).any()),
            self.image_short.eq((takes & ~last).any() & self.s.tlast),
            self.image_long.eq((takes & last).any() & ~self.s.tlast),
            self.starving.eq(self.s.tready & ~self.s.tvalid),
            self.idle.eq(~some_left & ~filling.any() & ~dropping),
        ]
        m.d.sync += open_.eq(Mux(some_left & ~full & ~filling.any() & ~dropping & ~self.preparing, order, 0))
        # A beat that is taken in the first cycle of `ending` is as good as one in the cycle before.
        with m.If(finish | self.image_short | self.image_long | self.ending):
            m.d.sync += open_.eq(0)
        with m.If(moves):
            m.d.sync += within.eq(~self.s.tlast)
        with m.If(self.image_short):
            m.d.sync += filling.eq(order)
        with m.If(self.image_long):
            m.d.sync += dropping.eq(1)
        with m.If(dropping & moves & self.s.tlast):
            m.d.sync += dropping.eq(0)
        with m.If(finish):
            m.d.sync += [filling.eq(0), full.eq(1)]
        # The count may wait a cycle: `full` is already there.
        with m.If(delay(m, finish, 1, "finish")):
            m.d.sync += [
                self.image_ready.eq(1),
                images_left.eq(images_left - 1),
                some_left.eq(images_left != 1),
            ]
        with m.If(self.image_release):
            m.d.sync += self.image_ready.eq(0)
        with m.If(self.image_done if self.waits_for_end else self.image_release):
            m.d.sync += full.eq(0)
        with m.If(self.ending):
            m.d.sync += [
                some_left.eq(0),
                filling.eq(0),
                full.eq(0),
                self.image_ready.eq(0),
                dropping.eq(within & ~(moves & self.s.tlast)),
            ]
        with m.If(self.gave_up):
            m.d.sync += [within.eq(0), dropping.eq(0)]
        with m.If(self.start):
            m.d.sync += [images_left.eq(self.images), some_left.eq(1)]
        pixels = [Mux(filling.any(), 0, self.s.tdata.word_select(lane, self.data_width)) for lane in range(self.lanes)]
        m.d.sync += [
            self.write.valid.eq(steps.any()),
            self.write.group.eq(Mux(by_row, raster.group, patches.group)),
            self.write.address.eq(Mux(by_row, raster.address, patches.address)),
            self.write.data.eq(Cat(Cat(pixel[:-1], ~pixel[-1]) for pixel in pixels)),
        ]
        return m
