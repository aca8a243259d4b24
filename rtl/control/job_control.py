"""Job control: when a job ends, what happens when its source falls silent, and how its quotients are aligned.

A job ends when its last head has left and every input stream stands at the end of a packet: no beat of one job is ever
taken for one of the next job.

A watchdog keeps a job from waiting for ever: if only a silent source has held it up for `timeout` cycles,
`input_timeout` tells the loaders that are waiting to go on with zeros. It counts only while a loader that is ready gets
nothing, no other stream moves, the array rests and the sink of Z takes what is offered.
"""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.attention.divider_lane import align
from taylorvit.rtl.common.block import Block
from taylorvit.rtl.common.validation import require_range
from taylorvit.rtl.common.widths import up_to

__all__ = ["JobControl"]


class JobControl(Block):
    """Start, end and watchdog of a job.

    Args:
        config (AcceleratorConfig): the configuration.
        streams (int): number of input streams, at least 1.

    Ports:
        start (1 bit, input): a job begins.
        heads (bits of max_heads, input): heads of the job, constant while it runs.
        shift_z (range(shift_z_min, shift_z_max + 1), input): left shift of the numerators, constant while the job
            runs; from the kernel.
        timeout (counter_width bits, input): cycles of silence after which the source is given up.
        starving (streams bits, input): bit s: the loader of stream s waits for its source.
        moving (streams bits, input): bit s: stream s moves a beat.
        idle (streams bits, input): bit s: all heads of the job have come by stream s, and it stands at the end of a
            packet.
        array_busy (1 bit, input): an element streams into the array.
        sink_waits (1 bit, input): a beat of Z is offered and not taken.
        sent (1 bit, input): a head of Z has left.
        busy (1 bit, output): high from the cycle after `start` to the end of the job.
        done (1 bit, output): the last cycle with `busy`.
        input_timeout (1 bit, output): for one cycle, after more than `timeout` cycles of silence up to the one before:
            do not wait for the source any longer. A loader whose source is back in this very cycle ignores it.
        numerator_shift (up_to(numerator_shift_max), output): shift_z - (W - 1), or 0 if that is negative.
        divisor_shift (up_to(divisor_shift_max), output): (W - 1) - shift_z, or 0 if that is negative.

    Raises:
        TypeError: `streams` is not an integer.
        ValueError: `streams` is below 1.
    """

    module_name = "job_control"

    def __init__(self, config, *, streams):
        require_range("streams", streams, 1)
        self.data_width = config.data_width
        super().__init__(
            {
                "start": In(1),
                "heads": In(config.max_heads.bit_length()),
                "shift_z": In(up_to(config.shift_z_max, least=config.shift_z_min)),
                "timeout": In(config.counter_width),
                "starving": In(streams),
                "moving": In(streams),
                "idle": In(streams),
                "array_busy": In(1),
                "sink_waits": In(1),
                "sent": In(1),
                "busy": Out(1),
                "done": Out(1),
                "input_timeout": Out(1),
                "numerator_shift": Out(up_to(config.numerator_shift_max)),
                "divisor_shift": Out(up_to(config.divisor_shift_max)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        heads_left = Signal.like(self.heads)
        m.d.comb += self.done.eq(self.busy & (heads_left == 0) & self.idle.all())
        # A register: it comes from outside, by way of the sender. A job's end may wait a cycle.
        sent = Signal()
        m.d.sync += [sent.eq(self.sent), heads_left.eq(heads_left - sent)]
        with m.If(self.done):
            m.d.sync += self.busy.eq(0)
        with m.If(self.start):
            m.d.sync += [self.busy.eq(1), heads_left.eq(self.heads)]

        waited = Signal.like(self.timeout)
        waited_next = Signal.like(self.timeout)
        expired = Signal()
        waiting = Signal()
        occupied = Signal()
        silent = Signal()  # in the cycle before this one
        # Registers: what they are made of comes from the far ends of the accelerator, and from outside.
        m.d.sync += [
            waiting.eq(self.starving.any()),
            occupied.eq(self.moving.any() | self.array_busy | self.sink_waits),
        ]
        m.d.comb += [
            silent.eq(self.busy & waiting & ~occupied),
            self.input_timeout.eq(silent & expired),
            waited_next.eq(Mux(silent & ~expired, waited + 1, 0)),
        ]
        m.d.sync += [waited.eq(waited_next), expired.eq(waited_next >= self.timeout)]

        align(m, self.shift_z, self.data_width, self.numerator_shift, self.divisor_shift)
        return m
