"""Raster walker: where the pixels of each beat go in an image that comes row by row.

The image banks hold the whole image, so another order needs other addresses and nothing else. In a row of the image, L
= `image_lanes` neighbouring pixels come in one beat, the beats of their colours one after another:

    for each row of patches:           next patch: the one after the last
      for each row of pixels in it:    a patch's beat: one further
        for each patch in that row:    next patch; beats as at the first
          for each L pixels of it:     one beat further
            for each colour:           a colour further

Beat b of a patch, counted as in the patch walker's order, goes to the group b mod (R / L) of rows, R / L beats to a
*tile*, whose patches are neighbours in the banks. So a step of some beats is a step of groups and one of tiles, which
is one more where the groups wrap. How far it is from a colour to the next, and how many colours there are, is found out
when a job starts, by walking through the beats of one patch; nothing is multiplied or divided. If the sizes do not fit
each other, this shows on the way.

The walk is a beat or two ahead, in a queue of two places: so a step begins at registers, not at the stream.
"""

from types import SimpleNamespace

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.pair_queue import PairQueue
from taylorvit.rtl.common.pipeline import delay
from taylorvit.rtl.common.widths import index_width

__all__ = ["RasterWalker"]


class RasterWalker(Block):
    """Place of the next beat, of one image after the other.

    After `start` it takes as many cycles as a patch has beats, or an image rows of patches, and some more, until it is
    `ready` or has `refused`.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        start (1 bit, input): a job begins.
        patches (bits of max_tokens - 1, input): patches of an image, constant while the job runs.
        patch_pixels (bits of max_patch, input): pixels of a patch, colours counted, likewise.
        patch_size (bits of largest_patch_size, input): pixels of a side of a patch, likewise.
        patches_a_row (bits of max_tokens - 1, input): patches beside each other, likewise.
        ready (1 bit, output): the sizes fit each other, and beats may come.
        refused (1 bit, output): pulse: they do not: a row of a patch is not of whole beats, a patch not of whole
            colours, or an image not of whole rows of patches.
        step (1 bit, input): a beat is taken, only while `ready`. There may be one in every cycle.
        group (index_width(rows / image_lanes) bits, output): which rows take the next beat.
        address (index_width(image_depth) bits, output): address in their banks.
        last (1 bit, output): it is the last beat of an image.
    """

    module_name = "raster_walker"

    def __init__(self, config):
        patches = config.max_tokens - 1
        self.lanes = config.image_lanes
        self.groups = config.rows // config.image_lanes
        self.places = PairQueue(name="place", width=index_width(self.groups) + index_width(config.image_depth) + 1)
        super().__init__(
            {
                "start": In(1),
                "patches": In(patches.bit_length()),
                "patch_pixels": In(config.max_patch.bit_length()),
                "patch_size": In(config.largest_patch_size.bit_length()),
                "patches_a_row": In(patches.bit_length()),
                "ready": Out(1),
                "refused": Out(1),
                "step": In(1),
                "group": Out(index_width(self.groups)),
                "address": Out(index_width(config.image_depth)),
                "last": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        colours = Signal.like(self.patch_pixels, name="colours")
        idle = Signal(init=1)  # all loops are at their beginnings
        measuring = Signal()
        walking = Signal()  # the sizes fit each other
        step = Signal()
        last = Signal()
        pixels = _Loop(m, "pixels", self.patch_pixels, self.lanes)  # of a patch, while it is measured
        loops = SimpleNamespace(
            colour=_Loop(m, "colour", colours, 1),
            x=_Loop(m, "x", self.patch_size, self.lanes),
            column=_Loop(m, "column", self.patches_a_row, 1),
            y=_Loop(m, "y", self.patch_size, 1),
            rows=_Loop(m, "rows", self.patches, self.patches_a_row),
        )
        colour, x, column, y, rows = vars(loops).values()

        # While a patch is measured, it is walked through as if it were the only one, and each colour of it another.
        column_ends = colour.last & x.last & column.last
        x_moves = Mux(measuring, ~pixels.last, step & colour.last)
        column_moves = step & (colour.last & x.last)
        y_moves = Mux(measuring, ~pixels.last & x.last, step & column_ends)
        rows_move = Mux(measuring, ~rows.last, step & (column_ends & y.last))
        colour_measured = measuring & ~pixels.last & x.last & y.last
        m.d.comb += idle.eq(~measuring & ~walking)
        with m.If(idle):
            for loop in (pixels, *vars(loops).values()):
                loop.restart()
        pixels.move(measuring & ~pixels.last)
        colour.move(step)
        x.move(x_moves)
        column.move(column_moves)
        y.move(y_moves)
        rows.move(rows_move)

        finished = measuring & pixels.last & rows.last
        fits = pixels.exact & rows.exact & x.exact & x.last & y.last
        m.d.comb += [
            self.refused.eq(finished & ~fits),
            last.eq(colour.last & x.last & column.last & y.last & rows.last),
        ]
        with m.If(colour_measured):
            m.d.sync += colours.eq(colours + 1)
        with m.If(delay(m, self.start, 1, "start")):
            m.d.sync += measuring.eq(1)
        with m.If(finished):
            m.d.sync += measuring.eq(0)
        # The loops begin anew in the cycle between.
        with m.If(delay(m, finished & fits, 1, "finished")):
            m.d.sync += walking.eq(1)
        with m.If(self.start):
            m.d.sync += [walking.eq(0), measuring.eq(0), colours.eq(1)]
        step_measured = colour_measured & (colours == 1)
        group, address = self._walk(m, loops, idle, step, last, x_moves, column_moves, step_measured)

        # What was ahead in one job is nothing in the next, which begins with a cycle of `idle`.
        places = instantiate(m, "places", self.places, reset=idle)
        m.d.comb += [
            step.eq(walking & places.room),
            places.put.eq(step),
            places.incoming.eq(Cat(group, address, last)),
            self.ready.eq(walking & places.valid),
            Cat(self.group, self.address, self.last).eq(places.word),
            places.taken.eq(self.step),
        ]
        return m

    def _walk(self, m, loops, idle, step, last, x_moves, column_moves, step_measured):
        """The next beat's place in its patch, and the patch; returns its group and address."""
        column, y = loops.column, loops.y
        place, first, row_start, colour_step = (  # `first`: of the first colour; `row_start`: of the row of pixels
            (Signal.like(self.group, name=f"{name}_group"), Signal.like(self.address, name=f"{name}_tile"))
            for name in ("place", "first", "row_start", "colour_step")
        )
        patch, first_patch = (Signal.like(self.patches, name=name) for name in ("patch", "first_patch"))
        colour_and_tile = Signal.like(self.address)
        m.d.sync += colour_and_tile.eq(colour_step[1] + self.patches)
        next_beat = self._sum(first, 1, 0, self.patches)
        next_colour = self._sum(place, *colour_step, colour_and_tile)

        def go(places, to):
            m.d.sync += [part.eq(value) for each in places for part, value in zip(each, to)]

        with m.If(step_measured):
            go([colour_step], next_beat)
        with m.If(x_moves):
            go([place, first], next_beat)
        with m.Elif(step):
            go([place], next_colour)
        with m.If(column_moves):
            go([place, first], row_start)
            m.d.sync += patch.eq(patch + 1)
            with m.If(column.last):
                go([place, first, row_start], next_beat)
                m.d.sync += patch.eq(first_patch)
                with m.If(y.last):
                    go([place, first, row_start], (0, 0))
                    m.d.sync += [patch.eq(patch + 1), first_patch.eq(patch + 1)]
        with m.If(idle | (step & last)):
            go([place, first, row_start], (0, 0))
            m.d.sync += [patch.eq(0), first_patch.eq(0)]
        return place[0], (place[1] + patch)[: len(self.address)]

    def _sum(self, place, groups, tile, tile_if_wrapped):
        """The place some groups and a tile further on; the address of a tile tells, too, where groups wrap."""
        group = place[0] + groups
        wraps = group >= self.groups
        return Mux(wraps, group - self.groups, group), place[1] + Mux(wraps, tile_if_wrapped, tile)


class _Loop:
    """One of nested loops: goes from 0 in steps of `by` as long as it is less than `size`.

    Whether a step is the last one is found out a step ahead, so that it is a register.

    Args:
        m (amaranth.hdl.Module): the module that gets the registers.
        name (str): for their names.
        size (amaranth.hdl.Value): constant from a cycle before `restart` on.
        by (amaranth.hdl.Value | int): likewise.

    Attributes:
        last (Signal): the last step.
        exact (Value): while `last`: it ends at `size`, not behind it.
    """

    def __init__(self, m, name, size, by):
        self._m, self._size, self._by = m, size, by
        width = max(len(size), len(Const(by)) if isinstance(by, int) else len(by))
        self._beyond = Signal(signed(width + 1), name=f"{name}_beyond")  # what is left behind this step
        self._only = Signal(name=f"{name}_only")
        self.last = Signal(name=f"{name}_last")
        self.exact = self._beyond == 0
        m.d.sync += self._only.eq(size <= by)

    def restart(self):
        """To the first step."""
        self._m.d.sync += [self._beyond.eq(self._size - self._by), self.last.eq(self._only)]

    def move(self, moves):
        """To the next step, if `moves` (1 bit): behind the last one it is the first."""
        with self._m.If(moves):
            self._m.d.sync += [self._beyond.eq(self._beyond - self._by), self.last.eq(self._beyond <= self._by)]
            with self._m.If(self.last):
                self.restart()
