"""Host side: everything of the network accelerator between its ports and the engine.

    s_axil ----------> registers --> job control --> engine_reset, to the engine
    m_axi_tape ------> source --> checker --> decoder --> commands, payload, tables, to the engine
    s_axis_image ----> image loader --> pixels, to the engine
    m_axis_logits <--- logits sender <-- logits, from the engine

The tape comes from an AXI4 read master, an AXI4-Stream or a memory on the chip, as `tape_source` says. A job reads it
once for each image, the next time at once behind the last. A job by CHECK reads it once; no word of it gets to the
decoder, and no image is taken.

Two resets. A soft reset, which a host asks for, clears all blocks but the registers, and what is on its way from block
to block; until it has got to all of them, the ports are closed. The end of a job by a fault clears the engine, checker
and decoder; the blocks at the ports are told by `ending` instead, since what is under way there has to come to its end:
a burst that the memory was asked for, a packet that has begun, the logits of an image that is complete. The AXI4
read master is told of a soft reset in the same way.
"""

from types import SimpleNamespace

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib.wiring import In, Out, flipped

from taylorvit.rtl.common.axi import AxiLite, AxiRead, AxiStream
from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.bus import connect
from taylorvit.rtl.common.pair_queue import PairQueue
from taylorvit.rtl.common.reset_line import ResetLine, ResetLines
from taylorvit.rtl.control.description import ADDRESS_WIDTH, DATA_WIDTH

from .bundles import engine_ports
from .control.control_status import COUNTED, NetworkControlStatus
from .control.job_control import NetworkJobControl
from .image_loader import ImageLoader
from .logits_sender import LogitsSender
from .tape.axi_source import AxiTapeSource
from .tape.checker import TapeChecker
from .tape.decoder import TapeDecoder
from .tape.memory_source import MemoryTapeSource
from .tape.stream_source import StreamTapeSource
from .tape.words import TapeWords

__all__ = ["HostSide", "outside_ports"]

_SOURCES = {"axi": AxiTapeSource, "stream": StreamTapeSource}
_TO_IMAGES = ("patches", "patch_pixels", "image_order", "patch_size", "patches_a_row")
_ONLY_COUNTED = ("kind", "stall_tape", "stall_output", "stall_data")


def outside_ports(config):
    """The ports to the outside, of this block and of the whole accelerator: name -> member of a signature.

    Args:
        config (NetworkConfig): the configuration.
    """
    tape = {
        "axi": lambda: {"m_axi_tape": Out(AxiRead(address_width=config.address_width, data_width=config.tape_width))},
        "stream": lambda: {"s_axis_tape": In(AxiStream(config.tape_width))},
        "memory": dict,
    }[config.tape_source]()
    return {
        "s_axil": In(AxiLite(address_width=ADDRESS_WIDTH, data_width=DATA_WIDTH)),
        "interrupt": Out(1),
        **tape,
        "s_axis_image": In(AxiStream(config.data_width * config.image_lanes)),
        "m_axis_logits": Out(AxiStream(config.logit_width)),
    }


class HostSide(Block):
    """Ports, registers and job control on one side, what the engine needs on the other.

    Args:
        config (NetworkConfig): the configuration.
        tape (bytes | None): with `tape_source` "memory", what the memory contains at power-up; None for nothing.

    Ports:
        s_axil (AxiLite, slave): control and status registers (`rtl.network.control.registers`).
        interrupt (1 bit, output): level, high while an enabled event is set.
        m_axi_tape (AxiRead of tape_width bits, master): with `tape_source` "axi", the memory that holds the tape.
        s_axis_tape (AxiStream of tape_width bits, sink): with "stream", the tape, a packet for each image.
        s_axis_image (AxiStream of 8 image_lanes bits, sink): images (`rtl.network.image_loader`).
        m_axis_logits (AxiStream of logit_width bits, source): logits, a packet for each image.
        engine_reset (1 bit, output): clears the whole engine; a register, from which reset lines may begin.
        running (1 bit, output): a job runs.
        command, command_valid, command_taken, tape_write, tape_written, tape_read, table_write, table_finished,
            exponential_write, kernel_1_finished: as in `rtl.network.tape.decoder.TapeDecoder`.
        image_write, image_ready, image_release: as in `rtl.network.image_loader.ImageLoader`.
        logit_valid, logit_address, logit, logits_room, image_done: as in `rtl.network.logits_sender.LogitsSender`.
        kind, array_busy, stall_tape, stall_image, stall_output, stall_data: as in
            `rtl.network.control.control_status.NetworkControlStatus`.
        denominator_error (1 bit, input): pulse: a row of attention had no positive denominator.
    """

    module_name = "host_side"
    waivers = {
        ("PINCONNECTEMPTY", "running"): "The engine does not ask for it.",
        **{("UNUSEDSIGNAL", name): "Nothing counts it." for name in _ONLY_COUNTED},
    }

    def __init__(self, config, tape=None):
        self.config = config
        self.reset_line = ResetLine()
        self.control_status = NetworkControlStatus(config)
        self.job_control = NetworkJobControl(config)
        if config.tape_source == "memory":
            self.source = MemoryTapeSource(config, tape)
        elif tape is None:
            self.source = _SOURCES[config.tape_source](config)
        else:
            raise ValueError(f"tape must come with tape_source 'memory', not with {config.tape_source!r}")
        self.tape = tape
        words = TapeWords(config).members
        self.word_members = tuple(name for name in words if name not in ("valid", "ready"))
        self.words = PairQueue(name="tape", width=sum(words[name].shape for name in self.word_members))
        self.checker = TapeChecker(config)
        self.body_words = PairQueue(name="body", width=config.tape_width + 1)
        self.decoder = TapeDecoder(config)
        self.image_loader = ImageLoader(config)
        self.logits_sender = LogitsSender(config)
        super().__init__(
            {
                **outside_ports(config),
                "engine_reset": Out(1, init=1),
                "running": Out(1),
                **{name: member.flip() for name, member in engine_ports(config).items()},
            }
        )

    @property
    def parameters(self):
        """What distinguishes two of these blocks: the configuration, and the tape."""
        return self.config.to_mapping() | {"tape": self.tape}

    def elaborate(self, platform):
        m = Module()
        registers = instantiate(m, "control_status", self.control_status)
        resets = ResetLines(m, self.reset_line, registers.soft_reset)

        def place(name, component, reset):
            return instantiate(m, name, component, reset=reset)

        job = place("job_control", self.job_control, resets.line("job_control"))
        # Longer than the way to all blocks, so that no block's last word before its reset is heard after it.
        m.d.sync += self.engine_reset.eq(registers.soft_reset | resets.closed | job.ending)
        behind = instantiate(m, "decoder_reset", self.reset_line)
        m.d.comb += behind.i.eq(self.engine_reset)
        keeps = self.config.tape_source == "axi"
        units = SimpleNamespace(
            registers=registers,
            job=job,
            closed=resets.closed,
            source=place("tape_source", self.source, None if keeps else resets.line("tape_source")),
            words=place("tape_words", self.words, behind.o),
            checker=place("tape_checker", self.checker, behind.o),
            body_words=place("body_words", self.body_words, behind.o),
            decoder=place("tape_decoder", self.decoder, behind.o),
            images=place("image_loader", self.image_loader, resets.line("image_loader")),
            sender=place("logits_sender", self.logits_sender, resets.line("logits_sender")),
        )
        self._registers(m, units)
        self._tape(m, units)
        self._images(m, units)
        self._logits(m, units)
        self._status(m, units)
        return m

    def _registers(self, m, units):
        """The host's side, and the parameters of a job."""
        registers = units.registers
        connect(m, flipped(self.s_axil), registers.s_axil)
        m.d.comb += self.interrupt.eq(registers.interrupt)
        for unit in (units.job, units.source, units.checker):
            m.d.comb += unit.start.eq(registers.start)
        for unit in (units.job, units.source, units.images):
            m.d.comb += unit.images.eq(registers.images)
        m.d.comb += [
            units.images.start.eq(registers.start & ~registers.check),
            units.job.timeout.eq(registers.timeout),
            units.checker.length.eq(registers.tape_length),
            units.checker.only_read.eq(registers.check),
            registers.tape_sum.eq(units.checker.sum),
            *(getattr(units.images, name).eq(getattr(registers, name)) for name in _TO_IMAGES),
            units.sender.classes.eq(registers.classes),
        ]

    def _tape(self, m, units):
        """The tape goes from its source to the checker, the decoder and the engine."""
        registers, job, source, checker, decoder = (
            getattr(units, name) for name in ("registers", "job", "source", "checker", "decoder")
        )
        if self.config.tape_source != "stream":
            m.d.comb += [source.base.eq(registers.tape_base), source.length.eq(registers.tape_length)]
        if self.config.tape_source == "axi":
            connect(m, flipped(self.m_axi_tape), source.m)
            m.d.comb += source.ending.eq(job.ending | units.closed)
        elif self.config.tape_source == "stream":
            connect(m, flipped(self.s_axis_tape), source.s)
            m.d.comb += [
                source.closed.eq(units.closed),
                source.ending.eq(job.ending),
                source.gave_up.eq(job.tape_timeout),
            ]
        else:
            connect(m, registers.tape_write, source.write)
            m.d.comb += source.ending.eq(job.ending)
        # Two queues, so that none of source, checker and decoder hears of another in the same cycle.
        word = Cat(getattr(source.words, name) for name in self.word_members)
        m.d.comb += [
            units.words.incoming.eq(word),
            units.words.put.eq(source.words.valid & units.words.room),
            source.words.ready.eq(units.words.room),
            Cat(getattr(checker.words, name) for name in self.word_members).eq(units.words.word),
            checker.words.valid.eq(units.words.valid),
            units.words.taken.eq(checker.words.ready),
        ]
        m.d.comb += [
            units.body_words.incoming.eq(Cat(checker.body.data, checker.body.last)),
            units.body_words.put.eq(checker.body.valid & units.body_words.room),
            checker.body.ready.eq(units.body_words.room),
            Cat(decoder.body.data, decoder.body.last).eq(units.body_words.word),
            decoder.body.valid.eq(units.body_words.valid),
            units.body_words.taken.eq(decoder.body.ready),
        ]
        connect(m, decoder.tape_write, flipped(self.tape_write))
        connect(m, decoder.table_write, flipped(self.table_write))
        m.d.comb += [
            decoder.passed.eq(checker.passed),
            self.command.eq(decoder.command),
            self.command_valid.eq(decoder.command_valid),
            decoder.command_taken.eq(self.command_taken),
            self.tape_written.eq(decoder.tape_written),
            decoder.tape_read.eq(self.tape_read),
            decoder.table_finished.eq(self.table_finished),
        ]
        if "softmax" in self.config.kernels:
            connect(m, decoder.exponential_write, flipped(self.exponential_write))
            m.d.comb += decoder.kernel_1_finished.eq(self.kernel_1_finished)

    def _images(self, m, units):
        """Images go to the engine."""
        images, job = units.images, units.job
        connect(m, flipped(self.s_axis_image), images.s)
        connect(m, images.write, flipped(self.image_write))
        m.d.comb += [
            images.closed.eq(units.closed),
            images.ending.eq(job.ending),
            images.gave_up.eq(job.image_timeout),
            images.image_release.eq(self.image_release),
            self.image_ready.eq(images.image_ready),
        ]
        if self.config.shares_image_banks:
            m.d.comb += images.image_done.eq(self.image_done)

    def _logits(self, m, units):
        """Logits leave, unless the ports are closed."""
        sender, closed = units.sender, units.closed
        m.d.comb += [
            self.m_axis_logits.tdata.eq(sender.m.tdata),
            self.m_axis_logits.tvalid.eq(sender.m.tvalid & ~closed),
            self.m_axis_logits.tlast.eq(sender.m.tlast),
            sender.m.tready.eq(self.m_axis_logits.tready & ~closed),
            sender.logit_valid.eq(self.logit_valid),
            sender.logit_address.eq(self.logit_address),
            sender.logit.eq(self.logit),
            # The sender is clear before the engine is: an image that ends in between belongs to the past.
            sender.image_done.eq(self.image_done & ~self.engine_reset),
            sender.ending.eq(units.job.ending),
            self.logits_room.eq(sender.logits_room),
        ]

    def _status(self, m, units):
        """Job control and the registers are told what a job does."""
        registers, job, source, checker, decoder, images, sender = (
            getattr(units, name) for name in ("registers", "job", "source", "checker", "decoder", "images", "sender")
        )
        closed = units.closed
        faults = {
            "TAPE_MAGIC": checker.magic_error,
            "TAPE_VERSION": checker.version_error,
            "TAPE_CONFIGURATION": checker.configuration_error,
            "TAPE_LENGTH": checker.length_error | decoder.length_error,
            "TAPE_CRC": checker.crc_error,
            "COMMAND": decoder.command_error,
            "AXI_ERROR": source.error if self.config.tape_source == "axi" else 0,
            "IMAGE_SIZES": images.sizes_error,
        }
        happens = faults | {
            "TAPE_TIMEOUT": job.tape_timeout,
            "IMAGE_TIMEOUT": job.image_timeout,
            "STUCK": job.stuck,
            "DONE": job.done,
            "IMAGE_SHORT": images.image_short,
            "IMAGE_LONG": images.image_long,
            "DENOMINATOR": self.denominator_error,
        }
        starving = source.waiting & source.words.ready & ~source.words.valid
        m.d.comb += [
            self.running.eq(job.running),
            job.image_sent.eq(sender.sent | checker.been_read),
            # A tape that is only read does not wait for the rest of an image of an earlier job.
            job.inputs_idle.eq(~source.waiting & (images.idle | registers.check)),
            job.sender_idle.eq(sender.idle),
            job.tape_starving.eq(starving),
            job.tape_moving.eq(source.words.valid & source.words.ready),
            job.image_starving.eq(images.starving),
            job.image_moving.eq((images.s.tvalid & images.s.tready) | images.preparing),
            job.image_wanted.eq(self.stall_image),
            job.array_busy.eq(self.array_busy),
            job.sink_waits.eq(sender.m.tvalid & ~sender.m.tready),
            registers.busy.eq(job.busy & ~closed),
        ]
        # What is only recorded may take a cycle more, and so may the end of a job by a fault; what follows from it in
        # that cycle is not heard.
        heard = Signal()
        fault = Signal()
        m.d.comb += [heard.eq(job.running & ~closed & ~fault), job.fault.eq(fault)]
        m.d.sync += [
            fault.eq(Cat(faults.values()).any() & heard),
            *(getattr(registers.events, name.lower()).eq(pulse & heard) for name, pulse in happens.items()),
        ]
        if self.config.counters != "none":
            m.d.sync += registers.image_sent.eq(sender.sent & ~closed)
        if self.config.counters == "all":
            m.d.sync += registers.image_done.eq(self.image_done & heard)
            m.d.comb += [getattr(registers, name).eq(getattr(self, name)) for name in COUNTED if name != "image_done"]
