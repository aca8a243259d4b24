"""Control and status registers of the network accelerator, behind AXI4-Lite.

The hardware side of `rtl.network.control.registers`; `rtl.control.register_block` has how registers are read and
written.
"""

from amaranth.hdl import Signal
from amaranth.lib.wiring import In, Out, Signature

from taylorvit.rtl.common.pipeline import delay
from taylorvit.rtl.common.widths import index_width
from taylorvit.rtl.control.description import DATA_WIDTH
from taylorvit.rtl.control.register_block import RegisterBlock, count_up
from taylorvit.rtl.network.command import Kind

from .registers import EVENTS, IMAGES_WIDTH, KIND_COUNTERS, register_map

__all__ = ["CORE_EVENTS", "COUNTED", "NetworkControlStatus", "core_events"]

_OWN_EVENTS = ("BAD_VALUE", "START_WHILE_BUSY")

CORE_EVENTS = tuple(name for name in EVENTS if name not in _OWN_EVENTS)
"""Events that the core tells; the others are the registers' own."""


COUNTED = {"image_done": 1, "array_busy": 1, "stall_tape": 1, "stall_image": 1, "stall_output": 1, "stall_data": 1,
           "kind": 3}  # fmt: skip
"""What the core tells for all counters to be counted: port -> its bits."""


def core_events():
    """Signature of the pulses of `CORE_EVENTS`, by their names in small letters."""
    return Signature({name.lower(): Out(1) for name in CORE_EVENTS})


class NetworkControlStatus(RegisterBlock):
    """Registers of the network accelerator: AXI4-Lite on one side, the core on the other.

    Args:
        config (NetworkConfig): the whole configuration, which this block also reports to the host.

    Ports:
        s_axil, interrupt, start, soft_reset, timeout, busy: as in `rtl.control.register_block.RegisterBlock`.
        check (1 bit, output): the job only reads the tape; constant like the parameters of the job.
        images (16 bits, output): images of the job; 1 if it only reads the tape.
        patches (bits of max_tokens - 1, output): patches of an image.
        patch_pixels (bits of max_patch, output): pixels of a patch.
        image_order (1 bit, output): images come patch by patch (0) or row by row (1).
        patch_size (bits of largest_patch_size, output): pixels of a side of a patch, if row by row.
        patches_a_row (bits of max_tokens - 1, output): patches beside each other, if row by row.
        classes (bits of max_classes, output): logits of an image.
        tape_length (32 bits, output): bytes of the tape.
        tape_base (32 bits, output): its address, unless it comes as a stream.
        tape_sum (32 bits, input): CRC-32 of what has been read of the tape.
        tape_write (valid: 1 bit, address, data: 32 bits, output): with memory on the chip, a word for it; the address
            counts words.
        events (core_events, input): what the core tells.
        image_sent (1 bit, input): unless there are no counters, pulse: the logits of an image have left.
        image_done (1 bit, input): if there are all counters, like those that follow: pulse: the logits of an image are
            complete.
        kind (3 bits, input): the part of the network that a cycle is counted for.
        array_busy (1 bit, input): counted in every cycle in which `busy` is high, like those that follow.
        stall_tape (1 bit, input): the array waits for the tape.
        stall_image (1 bit, input): it waits for an image.
        stall_output (1 bit, input): it waits for room for logits.
        stall_data (1 bit, input): it waits for what earlier products or a LayerNorm write.
    """

    module_name = "network_control_status"
    starts = ("START", "CHECK")

    def __init__(self, config):
        self.config = config
        self.has_base = config.tape_source != "stream"
        self.has_memory = config.tape_source == "memory"
        memory = {}
        if self.has_memory:
            address = index_width(config.tape_memory_bytes // 4)
            memory["tape_write"] = Out(Signature({"valid": Out(1), "address": Out(address), "data": Out(DATA_WIDTH)}))
        super().__init__(
            register_map(config),
            job_parameters=(
                *("images", "patches", "patch_pixels", "image_order", "patch_size", "patches_a_row"),
                *("classes", "tape_length"),
                *(("tape_base",) if self.has_base else ()),
            ),
            ports={
                "check": Out(1),
                "images": Out(IMAGES_WIDTH),
                "patches": Out((config.max_tokens - 1).bit_length()),
                "patch_pixels": Out(config.max_patch.bit_length()),
                "image_order": Out(1),
                "patch_size": Out(config.largest_patch_size.bit_length()),
                "patches_a_row": Out((config.max_tokens - 1).bit_length()),
                "classes": Out(config.max_classes.bit_length()),
                "tape_length": Out(DATA_WIDTH),
                **({"tape_base": Out(DATA_WIDTH)} if self.has_base else {}),
                "tape_sum": In(DATA_WIDTH),
                **memory,
                "timeout": Out(config.counter_width),
                "busy": In(1),
                "events": In(core_events()),
                **({"image_sent": In(1)} if config.counters != "none" else {}),
                **({name: In(width) for name, width in COUNTED.items()} if config.counters == "all" else {}),
            },
        )

    @property
    def parameters(self):
        """What distinguishes two of these blocks: the configuration."""
        return self.config.to_mapping()

    def happening(self):
        """Event -> its pulse."""
        return {name: getattr(self.events, name.lower()) for name in CORE_EVENTS}

    def counted(self):
        """Performance counter -> what it counts."""
        if self.config.counters == "none":
            return {}
        counted = {"CYCLES": self.busy, "IMAGES_DONE": self.image_sent}
        if self.config.counters == "all":
            levels = ("array_busy", "stall_tape", "stall_image", "stall_output", "stall_data")
            counted |= {name.upper(): self.busy & getattr(self, name) for name in levels}
            counted |= {name: self.busy & (self.kind == kind) for name, kind in zip(KIND_COUNTERS, Kind)}
        return counted

    def accept_start(self, m, register, written):
        """Whether the job only reads the tape."""
        m.d.sync += self.check.eq(written[register["CHECK"].low])

    def connect_more(self, m, values, starting):
        """One tape for a check, its sum, cycles from one image to the next, address of the memory on the chip."""
        with m.If(starting & self.check):
            m.d.sync += self.images.eq(1)
        m.d.comb += values["TAPE_SUM"].eq(self.tape_sum)
        if self.config.counters == "all":
            self._count_cycles_of_image(m, values)
        if self.has_memory:
            with m.If(self.tape_write.valid):
                m.d.sync += [self.tape_write.valid.eq(0), values["TAPE_ADDRESS"].eq(values["TAPE_ADDRESS"] + 4)]

    def _count_cycles_of_image(self, m, values):
        """Cycles from one image to the next."""
        cycles = Signal.like(values["IMAGE_CYCLES"], name="cycles_of_image")
        with m.If(self.start):
            m.d.sync += [cycles.eq(0), values["IMAGE_CYCLES"].eq(0)]
        with m.Else():
            # A cycle late, like all that is counted.
            count_up(m, cycles, delay(m, self.busy, 1, "busy"))
            with m.If(delay(m, self.image_done, 1, "image_done")):
                m.d.sync += [cycles.eq(1), values["IMAGE_CYCLES"].eq(cycles)]

    def taken_word(self, m, register, word, values, events):
        """A word for the memory on the chip."""
        address = values[register.name.replace("DATA", "ADDRESS")]
        fits = address < self.config.tape_memory_bytes
        m.d.comb += events["BAD_VALUE"].eq(~fits)
        m.d.sync += [
            self.tape_write.valid.eq(fits),
            self.tape_write.address.eq(address[2:]),
            self.tape_write.data.eq(word),
        ]
        return fits
