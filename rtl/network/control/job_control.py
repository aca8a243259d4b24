"""Job control: when a job of the network accelerator ends, in good order or not.

    IDLE --start--> RUN --last logit sent, inputs at the end of packets--> IDLE
                     '--fault, timeout--> ENDING --> DRAIN --sender empty--> IDLE

A fault, or a source that falls silent, ends the job: everything behind the ports is cleared, and the logits of images
that were complete before leave.

Two watchdogs keep a job from waiting for ever. One counts cycles in which only a silent source holds the job up, and
ends it after `timeout` of them. The other counts cycles in which nothing moves at all and no source is waited for:
after `stuck_cycles`, which no right tape takes, the commands must be wrong.
"""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.block import Block

from .registers import IMAGES_WIDTH

__all__ = ["NetworkJobControl"]

_ENDING_BITS = 4
_LEAST_STUCK_BITS = 12


class NetworkJobControl(Block):
    """Start, end and watchdogs of a job.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        start (1 bit, input): a job begins.
        images (16 bits, input): its images.
        timeout (counter_width bits, input): cycles of silence after which a source is given up.
        fault (1 bit, input): pulse: tape, memory or sizes are wrong.
        image_sent (1 bit, input): pulse: the logits of an image have left, or a tape that is only read has ended.
        inputs_idle (1 bit, input): all tapes and images of the job have come, and the streams stand at the end of
            packets.
        sender_idle (1 bit, input): no logits are left to send.
        tape_starving (1 bit, input): the next word of the tape is waited for.
        tape_moving (1 bit, input): a word of the tape moves.
        image_starving (1 bit, input): the next pixels are waited for.
        image_moving (1 bit, input): pixels move, or will soon.
        image_wanted (1 bit, input): the array waits for an image.
        array_busy (1 bit, input): an element streams into the array.
        sink_waits (1 bit, input): a logit is offered and not taken.
        busy (1 bit, output): high from the cycle after `start` to the end of the job.
        running (1 bit, output): the job has not been ended.
        ending (1 bit, output): everything behind the ports is being cleared.
        done (1 bit, output): pulse: the job has ended in good order.
        tape_timeout (1 bit, output): pulse: the source of the tape is given up.
        image_timeout (1 bit, output): pulse: the image stream is given up.
        stuck (1 bit, output): pulse: the commands of the tape cannot be right.
    """

    module_name = "network_job_control"

    def __init__(self, config):
        attention = config.attention
        tiles = config.residual_tiles * config.columns_per_lane + config.norm_interval
        tiles += attention.column_tiles * attention.divider_row_interval
        self.stuck_bits = max(_LEAST_STUCK_BITS, (8 * config.max_tokens * tiles).bit_length())
        super().__init__(
            {
                "start": In(1),
                "images": In(IMAGES_WIDTH),
                "timeout": In(config.counter_width),
                "fault": In(1),
                "image_sent": In(1),
                "inputs_idle": In(1),
                "sender_idle": In(1),
                "tape_starving": In(1),
                "tape_moving": In(1),
                "image_starving": In(1),
                "image_moving": In(1),
                "image_wanted": In(1),
                "array_busy": In(1),
                "sink_waits": In(1),
                "busy": Out(1),
                "running": Out(1),
                "ending": Out(1),
                "done": Out(1),
                "tape_timeout": Out(1),
                "image_timeout": Out(1),
                "stuck": Out(1),
            }
        )

    @property
    def stuck_cycles(self):
        """Cycles without any movement after which a job is ended."""
        return 1 << self.stuck_bits

    @property
    def ending_cycles(self):
        """Cycles for which everything is cleared, and again as many until it is certainly ready."""
        return 1 << _ENDING_BITS

    def elaborate(self, platform):
        m = Module()
        images_left = Signal(IMAGES_WIDTH)
        all_sent = Signal()
        step = Signal(_ENDING_BITS + 1)
        faulty = Signal()
        m.d.comb += [
            self.busy.eq(self.running | (step != 0)),
            self.ending.eq(step[-1]),
            faulty.eq(self.fault | self.tape_timeout | self.image_timeout | self.stuck),
        ]
        # A register: it comes from outside, by way of the sender. A job's end may wait a cycle.
        sent = Signal()
        m.d.sync += [sent.eq(self.image_sent), images_left.eq(images_left - sent), all_sent.eq(images_left == 0)]
        m.d.comb += self.done.eq(self.running & all_sent & self.inputs_idle & ~faulty)
        with m.If(self.done):
            m.d.sync += self.running.eq(0)
        # From the highest step down: the upper half of the steps clears, the lower half waits.
        with m.If(self.running & faulty):
            m.d.sync += [self.running.eq(0), step.eq(2 * self.ending_cycles - 1)]
        with m.Elif((step > 1) | self.sender_idle):
            m.d.sync += step.eq(Mux(step == 0, 0, step - 1))
        with m.If(self.start):
            m.d.sync += [self.running.eq(1), images_left.eq(self.images), all_sent.eq(0)]
        self._watch(m, all_sent)
        return m

    def _watch(self, m, all_sent):
        """The watchdogs."""
        tape_silent = Signal()
        image_silent = Signal()
        occupied = Signal()
        silent = Signal()
        waited = Signal.like(self.timeout)
        waited_next = Signal.like(self.timeout)
        expired = Signal()
        still = Signal(self.stuck_bits)
        # Registers: what they are made of comes from the far ends of the accelerator, and from outside.
        m.d.sync += [
            tape_silent.eq(self.tape_starving),
            image_silent.eq(self.image_starving & (self.image_wanted | all_sent)),
            occupied.eq(self.tape_moving | self.image_moving | self.array_busy | self.sink_waits),
        ]
        m.d.comb += [
            silent.eq(self.running & (tape_silent | image_silent) & ~occupied),
            self.tape_timeout.eq(silent & expired & tape_silent),
            self.image_timeout.eq(silent & expired & image_silent),
            waited_next.eq(Mux(silent & ~expired, waited + 1, 0)),
            self.stuck.eq(self.running & still.all()),
        ]
        m.d.sync += [
            waited.eq(waited_next),
            expired.eq(waited_next >= self.timeout),
            still.eq(Mux(self.running & ~silent & ~occupied, still + 1, 0)),
        ]
