"""Logits sender: keeps the logits of two images, and sends each image's as one AXI4-Stream packet.

The engine writes the logits of an image in any order; when `image_done` says that they are complete, and the tape was
right, they leave in the order of the classes.

    logit --> [bank {half, class}] --> [read queue] --> m_axis_logits
"""

from amaranth.hdl import Cat, Module, Signal, signed
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.axi import AxiStream
from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.memory_bank import MemoryBank
from taylorvit.rtl.common.pipeline import delay
from taylorvit.rtl.common.read_queue import ReadQueue
from taylorvit.rtl.common.widths import index_width, up_to

__all__ = ["LogitsSender"]

_HALVES = 2


class LogitsSender(Block):
    """Sends a logit a cycle while the sink is ready, the first `latency` cycles after `image_done`.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        m (AxiStream of logit_width bits, source): the stream, a logit a beat, TLAST with the last class of an image.
        classes (bits of max_classes, input): logits of an image, constant while the job runs.
        logit_valid (1 bit, input): there is a logit.
        logit_address (bits of an index of max_classes, input): its class.
        logit (logit_width bits signed, input): the logit.
        image_done (1 bit, input): pulse: all logits of an image have come, and it may leave.
        ending (1 bit, input): the job is being ended: logits of an image that is not complete are forgotten. Those that
            may leave do so.
        logits_room (1 bit, output): there is room for the logits of one more image.
        sent (1 bit, output): the last logit of an image is taken.
        idle (1 bit, output): nothing is left to send.
    """

    module_name = "logits_sender"

    def __init__(self, config):
        self.class_bits = index_width(config.max_classes)
        self.bank = MemoryBank(
            depth=(1 << self.class_bits) + config.max_classes, width=config.logit_width, pipeline=config.memory_pipeline
        )
        self.queue = ReadQueue(name="logits", width=config.logit_width + 1, memory_latency=self.bank.latency)
        super().__init__(
            {
                "m": Out(AxiStream(config.logit_width)),
                "classes": In(config.max_classes.bit_length()),
                "logit_valid": In(1),
                "logit_address": In(self.class_bits),
                "logit": In(signed(config.logit_width)),
                "image_done": In(1),
                "ending": In(1),
                "logits_room": Out(1, init=1),
                "sent": Out(1),
                "idle": Out(1, init=1),
            }
        )

    @property
    def latency(self):
        """Cycles from `image_done` to the first beat: counting the image, bank and queue."""
        return 1 + self.queue.latency

    def elaborate(self, platform):
        m = Module()
        bank = instantiate(m, "bank", self.bank)
        queue = instantiate(m, "queue", self.queue)
        half_in = Signal()
        half_out = Signal()
        number = Signal(self.class_bits)  # of the logit that is read
        last_number = Signal.like(self.classes, reset_less=True)
        complete = Signal()
        is_last = Signal()
        read_out = Signal()  # the last logit of a half
        held = Signal(up_to(_HALVES))  # halves that wait to be read
        held_next = Signal.like(held)
        unsent = Signal(up_to(_HALVES + self.queue.depth))  # images whose last logit has not been taken
        unsent_next = Signal.like(unsent)
        m.d.comb += [
            complete.eq(self.image_done & ~self.ending),
            is_last.eq(number == last_number),
            queue.ask.eq((held != 0) & queue.room),
            read_out.eq(queue.ask & is_last),
            held_next.eq(held + complete - read_out),
            unsent_next.eq(unsent + complete - self.sent),
            bank.write_enable.eq(self.logit_valid),
            bank.write_address.eq(Cat(self.logit_address, half_in)),
            bank.write_data.eq(self.logit),
            bank.read_address.eq(Cat(number, half_out)),
            queue.word.eq(Cat(bank.read_data, delay(m, is_last, self.bank.latency, "is_last"))),
            Cat(self.m.tdata, self.m.tlast).eq(queue.data),
            self.m.tvalid.eq(queue.valid),
            queue.ready.eq(self.m.tready),
            self.sent.eq(self.m.tvalid & self.m.tready & self.m.tlast),
        ]
        m.d.sync += [
            last_number.eq(self.classes - 1),
            held.eq(held_next),
            unsent.eq(unsent_next),
            self.logits_room.eq(held_next != _HALVES),
            self.idle.eq(unsent_next == 0),
            half_in.eq(half_in ^ complete),
            half_out.eq(half_out ^ read_out),
        ]
        with m.If(queue.ask):
            m.d.sync += number.eq(number + 1)
        with m.If(read_out):
            m.d.sync += number.eq(0)
        return m
