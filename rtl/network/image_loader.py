"""Image loader: writes images into the image banks, one at a time.

A packet of the stream (up to TLAST) is an image, patch by patch. Each patch begins with a new beat; what a patch's last
beat has beyond its pixels is not looked at. The next image moves in as soon as the array has read the last pixel of the
one before.

    s_axis_image --> [check TLAST, count patch and pixel] --> pixels minus 128, address --> banks of the rows

An image that is too short is filled up with zeros. Of one that is too long, the rest up to TLAST is dropped. Both are
reported, and the next image is not affected, since it begins after TLAST. When a job is ended, the rest of a packet
that has begun is dropped up to its TLAST, unless its source has been given up.
"""

from amaranth.hdl import Cat, Module, Mux, ResetSignal, Signal
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.axi import AxiStream
from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.pipeline import delay
from taylorvit.rtl.common.widths import index_width
from taylorvit.rtl.streams.matrix_position import MatrixPosition

from .bundles import ImageWrite
from .control.registers import IMAGES_WIDTH

__all__ = ["ImageLoader"]


class ImageLoader(Block):
    """Takes the images of a job, a beat a cycle; `write` comes one cycle after the beat.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        s (AxiStream of 8 image_lanes bits, sink): the stream.
        closed (1 bit, input): no beat is taken, whatever else.
        start (1 bit, input): a job begins.
        images (16 bits, input): its images.
        patches (bits of max_tokens - 1, input): patches of an image, constant while the job runs.
        patch_pixels (bits of max_patch, input): pixels of a patch, likewise.
        image_release (1 bit, input): pulse: the last pixel of the image has been read.
        gave_up (1 bit, input): the stream is not waited for any longer; a packet that has begun is over.
        ending (1 bit, input): the job is being ended.
        write (ImageWrite, output): pixels for the banks.
        image_ready (1 bit, output): an image is in the banks.
        image_short (1 bit, output): pulse: a packet was too short.
        image_long (1 bit, output): pulse: a packet was too long.
        starving (1 bit, output): it is ready, but no beat comes.
        idle (1 bit, output): all images of the job are in, and the stream stands at the end of a packet.
    """

    module_name = "image_loader"

    def __init__(self, config):
        self.lanes = config.image_lanes
        self.groups = config.rows // config.image_lanes
        self.data_width = config.data_width
        patches = config.max_tokens - 1
        self.position = MatrixPosition(lanes=self.lanes, max_tokens=patches, max_head_dim=config.max_patch)
        super().__init__(
            {
                "s": In(AxiStream(config.data_width * config.image_lanes)),
                "closed": In(1),
                "start": In(1),
                "images": In(IMAGES_WIDTH),
                "patches": In(patches.bit_length()),
                "patch_pixels": In(config.max_patch.bit_length()),
                "image_release": In(1),
                "gave_up": In(1),
                "ending": In(1),
                "write": Out(ImageWrite(config)),
                "image_ready": Out(1),
                "image_short": Out(1),
                "image_long": Out(1),
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
        filling = Signal()
        dropping = Signal()
        taking = Signal()
        moves = Signal()
        takes = Signal()  # a beat of an image
        step = Signal()
        finish = Signal()
        # Counts from 0 again after a job that was ended in the middle of an image.
        position = instantiate(m, "position", self.position, reset=ResetSignal() | self.ending)
        image_last = position.head_last
        m.d.comb += [
            position.start.eq(self.start),
            position.tokens.eq(self.patches),
            position.head_dim.eq(self.patch_pixels),
            position.step.eq(step),
            taking.eq(some_left & ~full & ~filling & ~dropping & ~self.ending),
            self.s.tready.eq((taking | dropping) & ~self.closed),
            moves.eq(self.s.tvalid & self.s.tready),
            takes.eq(moves & taking),
            step.eq(takes | filling),
            finish.eq(step & image_last),
            self.image_short.eq(takes & self.s.tlast & ~image_last),
            self.image_long.eq(takes & ~self.s.tlast & image_last),
            self.starving.eq(self.s.tready & ~self.s.tvalid),
            self.idle.eq(~some_left & ~filling & ~dropping),
        ]
        with m.If(moves):
            m.d.sync += within.eq(~self.s.tlast)
        with m.If(self.image_short):
            m.d.sync += filling.eq(1)
        with m.If(self.image_long):
            m.d.sync += dropping.eq(1)
        with m.If(dropping & moves & self.s.tlast):
            m.d.sync += dropping.eq(0)
        with m.If(finish):
            m.d.sync += [
                filling.eq(0),
                full.eq(1),
                images_left.eq(images_left - 1),
                some_left.eq(images_left != 1),
            ]
        with m.If(delay(m, finish, 1, "finish")):
            m.d.sync += self.image_ready.eq(1)
        with m.If(self.image_release):
            m.d.sync += [full.eq(0), self.image_ready.eq(0)]
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
        self._write(m, step, filling, position)
        return m

    def _write(self, m, step, filling, position):
        """Pixels go to the rows of their group, those of a patch's next R pixels `patches` addresses further on."""
        group = Signal(index_width(self.groups))
        tile = Signal.like(self.write.address)  # address of its first patch
        with m.If(step):
            m.d.sync += group.eq(group + 1)
            with m.If(group == self.groups - 1):
                m.d.sync += [group.eq(0), tile.eq(tile + self.patches)]
            with m.If(position.row_last):
                m.d.sync += [group.eq(0), tile.eq(0)]
        with m.If(self.ending):
            m.d.sync += [group.eq(0), tile.eq(0)]
        pixels = [Mux(filling, 0, self.s.tdata.word_select(lane, self.data_width)) for lane in range(self.lanes)]
        m.d.sync += [
            self.write.valid.eq(step),
            self.write.group.eq(group),
            self.write.address.eq(tile + position.token),
            self.write.data.eq(Cat(Cat(pixel[:-1], ~pixel[-1]) for pixel in pixels)),
        ]
