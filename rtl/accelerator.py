"""The accelerator: heads of Q, K and V in, heads of Z out, with the attention that the configuration names.

    s_axis_q --> loader --.                                         s_axil --> control_status --> interrupt
    s_axis_k --> loader --+--> kernel: rows, array, columns                         |
    s_axis_v --> loader --'        |                                           job control
    m_axis_z <-- sender <----------'

What every attention needs is here: registers, job control, loaders, sender, resets. Everything between the loaders
and the sender is the kernel's (`rtl.attention.kernel`); for Taylor attention `rtl.attention.taylor.kernel` has the
drawing. This file only joins blocks.
"""

from amaranth.hdl import Cat, Module
from amaranth.lib.wiring import In, Out, flipped

from taylorvit.rtl.attention.kernel import Outside
from taylorvit.rtl.common.axi import AxiLite, AxiStream
from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.bus import connect
from taylorvit.rtl.common.loading import load
from taylorvit.rtl.common.reset_line import ResetLine, ResetLines
from taylorvit.rtl.control.control_status import ControlStatus
from taylorvit.rtl.control.description import ADDRESS_WIDTH, DATA_WIDTH
from taylorvit.rtl.control.job_control import JobControl
from taylorvit.rtl.streams.stream_loader import StreamLoader
from taylorvit.rtl.streams.stream_sender import StreamSender

__all__ = ["Accelerator"]


class Accelerator(Block):
    """Heads of Q, K and V in, heads of Z out; the top level.

    What Z is, the kernel says (`config.kernel`). Sustained over heads that follow each other, a head takes
    `config.array_cycles(n, d)` cycles where `kernel.sustains(n, d)`.

    Args:
        config (AcceleratorConfig): the configuration. With a `prefix` "a_" the module is `a_taylorvit`.

    Ports:
        s_axil (AxiLite, slave): control and status registers (`rtl.control.registers`).
        interrupt (1 bit): level, high while an enabled event is set.
        s_axis_q (AxiStream of stream_width bits, sink): Q, one packet a head (`rtl.streams.stream_loader`).
        s_axis_k (AxiStream of stream_width bits, sink): K, likewise.
        s_axis_v (AxiStream of stream_width bits, sink): V, likewise.
        m_axis_z (AxiStream of stream_width bits, source): Z, one packet a head (`rtl.streams.stream_sender`).

    Attributes:
        kernel (rtl.attention.kernel.AttentionKernel): what is between the loaders and the sender.
    """

    waivers = {("SYMRSVDWORD", "interrupt"): "The usual name; C++ code gets another one from Verilator."}

    def __init__(self, config):
        self.config = config
        self.prefix = config.prefix
        self.module_name = f"{config.prefix}taylorvit"
        self.control_status = ControlStatus(config)
        self.reset_line = ResetLine()
        self.job_control = JobControl(config, streams=3)
        self.kernel = load(config.spec.hardware)(config)
        self.loaders = {
            name: StreamLoader(
                name=name,
                lanes=config.stream_lanes,
                data_width=config.data_width,
                element_width=config.element_width,
                max_tokens=config.max_tokens,
                max_head_dim=config.max_head_dim,
                max_heads=config.max_heads,
                banks=banking.banks,
                banked_by=banking.by,
                readers=banking.readers,
                pipelined=config.memory_pipeline > 0,
            )
            for name, banking in self.kernel.banking.items()
        }
        self.sender = StreamSender(
            lanes=config.stream_lanes,
            data_width=config.data_width,
            element_width=config.element_width,
            columns=config.columns,
            max_tokens=config.max_tokens,
            max_head_dim=config.max_head_dim,
            z_latency=self.kernel.z_latency,
        )
        super().__init__(
            {
                "s_axil": In(AxiLite(address_width=ADDRESS_WIDTH, data_width=DATA_WIDTH)),
                "interrupt": Out(1),
                "s_axis_q": In(AxiStream(config.stream_width)),
                "s_axis_k": In(AxiStream(config.stream_width)),
                "s_axis_v": In(AxiStream(config.stream_width)),
                "m_axis_z": Out(AxiStream(config.stream_width)),
            }
        )

    @property
    def parameters(self):
        """What distinguishes two accelerators: the configuration."""
        return self.config.to_mapping()

    def elaborate(self, platform):
        m = Module()
        registers = self._registers(m)
        resets = ResetLines(m, self.reset_line, registers.soft_reset)

        def place(name, component):
            return instantiate(m, name, component, reset=None if component.reset_less else resets.line(name))

        job = place("job_control", self.job_control)
        loaders = {name: place(f"loader_{name}", loader) for name, loader in self.loaders.items()}
        units = self.kernel.place(place)
        sender = place("sender", self.sender)
        outside = Outside(registers=registers, job=job, loaders=loaders, sender=sender, resets=resets)
        self._job(m, outside)
        self.kernel.connect_job(m, units, outside)
        self._streams_in(m, outside)
        self.kernel.connect_data(m, units, outside)
        self._stream_out(m, outside)
        status = self.kernel.connect_control(m, units, outside)
        self._status(m, outside, status)
        return m

    def _registers(self, m):
        """Control and status, for the host."""
        registers = instantiate(m, "control_status", self.control_status)
        connect(m, flipped(self.s_axil), registers.s_axil)
        m.d.comb += self.interrupt.eq(registers.interrupt)
        return registers

    def _job(self, m, outside):
        """The sizes of the job go to the blocks that use them."""
        registers, job, loaders, sender = outside.registers, outside.job, outside.loaders.values(), outside.sender
        for unit in (job, *loaders, sender):
            m.d.comb += unit.start.eq(registers.start)
        for unit in (*loaders, sender):
            m.d.comb += [unit.head_dim.eq(registers.head_dim), unit.tokens.eq(registers.tokens)]
        for unit in (job, *loaders):
            m.d.comb += unit.heads.eq(registers.heads)
        m.d.comb += [job.shift_z.eq(self.kernel.shift_z(registers)), job.timeout.eq(registers.timeout)]

    def _streams_in(self, m, outside):
        """Q, K and V go to their loaders, unless the ports are closed."""
        closed = outside.resets.closed
        for stream, loader in zip((self.s_axis_q, self.s_axis_k, self.s_axis_v), outside.loaders.values()):
            connect(m, flipped(stream), loader.s)
            m.d.comb += loader.closed.eq(closed)

    def _stream_out(self, m, outside):
        """Z leaves through the sender, unless the ports are closed."""
        sender, closed = outside.sender, outside.resets.closed
        m.d.comb += [
            self.m_axis_z.tdata.eq(sender.m.tdata),
            self.m_axis_z.tvalid.eq(sender.m.tvalid & ~closed),
            self.m_axis_z.tlast.eq(sender.m.tlast),
            sender.m.tready.eq(self.m_axis_z.tready & ~closed),
        ]

    def _status(self, m, outside, status):
        """Job control and the registers are told what a job does."""
        registers, job, sender, closed = outside.registers, outside.job, outside.sender, outside.resets.closed
        loaders = outside.loaders.values()
        m.d.comb += [
            job.starving.eq(Cat(loader.starving for loader in loaders)),
            job.moving.eq(Cat(loader.s.tvalid & loader.s.tready for loader in loaders)),
            job.idle.eq(Cat(loader.idle for loader in loaders)),
            job.array_busy.eq(status.array_busy),
            job.sink_waits.eq(sender.m.tvalid & ~sender.m.tready),
            job.sent.eq(sender.sent),
            *(loader.input_timeout.eq(job.input_timeout) for loader in loaders),
            registers.busy.eq(job.busy & ~closed),
            registers.array_busy.eq(status.array_busy),
            registers.stall_input.eq(status.stall_input),
            registers.stall_output.eq(status.stall_output),
        ]
        # What is only recorded may take a cycle more.
        m.d.sync += [
            registers.done.eq(job.done & ~closed),
            registers.head_done.eq(sender.sent & ~closed),
            registers.tlast_early.eq(Cat(loader.tlast_early & ~closed for loader in loaders)),
            registers.tlast_late.eq(Cat(loader.tlast_late & ~closed for loader in loaders)),
            registers.input_timeout.eq(Cat(loader.gave_up for loader in loaders).any() & ~closed),
            registers.denominator_error.eq(status.denominator_error & ~closed),
        ]
