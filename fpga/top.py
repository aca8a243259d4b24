"""A whole board: clock and reset, the host link, the accelerator, LEDs.

    clock --> clock_generator --> clk                     interrupt, activity
    button -> reset_generator --> rst             .------------------------------> indicators --> led
                                                  |
    uart_rx --> host_link ==(register bus, streams Q, K, V)==> accelerator
    uart_tx <----'  ^==============(stream Z)==================='

`BoardTop` is one Verilog module whose ports are the board's pins. There are no I/O cells in it: the tools put them in,
with what the constraint file says of each pin.
"""

from amaranth.hdl import Cat, ClockDomain, Module, Signal
from amaranth.lib.wiring import In, Out

from taylorvit.fpga.link.host_link import HostLink
from taylorvit.rtl.accelerator import Accelerator
from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.bus import connect

from .clock_generator import ClockGenerator, core_clock
from .protocol import build_id
from .reset_generator import ResetGenerator

__all__ = ["BoardTop", "Indicators"]

LINE_PAUSE = 0.1  # seconds for which no tensors may come though all is well: the host was busy with something else


class Indicators(Block):
    """LEDs, lowest first: heartbeat, bytes from the host, tensors moving, interrupt; on is high.

    Args:
        count (int): number of LEDs, at least 1; those beyond the fourth stay off.
        clock_hz (int): frequency of the clock. The heartbeat has a period of 1 to 2 s, and a pulse is shown for at
            least 30 ms.

    Ports:
        activity (1 bit, input): bytes come from the host.
        moving (1 bit, input): a beat is offered on a stream.
        interrupt (1 bit, input): of the accelerator.
        led (count bits, output): the LEDs.
    """

    module_name = "indicators"
    reset_less = True

    def __init__(self, *, count, clock_hz):
        self.count = count
        self.clock_hz = clock_hz
        super().__init__({"activity": In(1), "moving": In(1), "interrupt": In(1), "led": Out(count)})

    def elaborate(self, platform):
        m = Module()
        cycles = Signal(self.clock_hz.bit_length())
        m.d.sync += cycles.eq(cycles + 1)
        # A 32nd of the heartbeat's period; what moved since the last one, or in this one, is shown.
        tick = cycles[: len(cycles) - 5].all()
        moved = Signal()
        shown = Signal()
        with m.If(tick):
            m.d.sync += [shown.eq(moved), moved.eq(self.moving)]
        with m.Elif(self.moving):
            m.d.sync += moved.eq(1)
        lights = Cat(cycles[-1], self.activity, moved | shown, self.interrupt)
        m.d.sync += self.led.eq(lights[: self.count])
        return m


def _check_timeout(config, clock_hz):
    """Raises `ValueError` for an accelerator that could not be told to wait as long as a line may pause."""
    least = int(LINE_PAUSE * clock_hz).bit_length()
    if config.counter_width < least:
        raise ValueError(
            f"counter_width must be at least {least} at {clock_hz:,} Hz, so that TIMEOUT outlasts a pause "
            f"of {LINE_PAUSE:g} s on the line, not {config.counter_width!r}"
        )


class BoardTop(Block):
    """The top level of a board's bitstream.

    Where a simulation models the PLL as a wire, `clock` must have the frequency of the core clock, `clock_hz`.

    Args:
        board (Board): the board, with the core clock and the baud rate to build for.
        config (AcceleratorConfig): the configuration of the accelerator.

    Ports:
        clock (1 bit, input): the oscillator of the board.
        uart_rx (1 bit, input): the line from the host.
        uart_tx (1 bit, output): the line to the host.
        led (1 bit for each LED, output): the LEDs, at the level of the pin.
        button (1 bit, input): resets everything, at the level of the pin; only if the board has a button.

    Raises:
        ValueError: board, clock, link and configuration do not go together.
    """

    module_name = "board_top"
    clocked = False

    def __init__(self, board, config):
        self.board = board
        self.config = config
        clock = core_clock(board)
        self.clock_hz = clock.rounded_hz
        self.baud = board.baud
        _check_timeout(config, self.clock_hz)
        self.clock_generator = ClockGenerator(clock)
        self.reset_generator = ResetGenerator()
        self.host_link = HostLink(
            stream_bytes=config.stream_width // 8,
            clock_hz=self.clock_hz,
            baud=board.baud,
            build_id=build_id(board.name, config),
            receive_bytes=board.receive_bytes,
            send_bytes=board.send_bytes,
            result_bytes=board.result_bytes,
            payload_max=board.payload_max,
        )
        self.accelerator = Accelerator(config)
        self.indicators = Indicators(count=len(board.led.pins), clock_hz=self.clock_hz)
        ports = {"clock": In(1), "uart_rx": In(1), "uart_tx": Out(1), "led": Out(len(board.led.pins))}
        super().__init__(ports | ({"button": In(1)} if board.button else {}))

    @property
    def parameters(self):
        """What distinguishes two board tops: board, clock, link and configuration."""
        return {"board": self.board.name, "clock_hz": self.clock_hz, "baud": self.baud} | self.config.to_mapping()

    def elaborate(self, platform):
        m = Module()
        m.domains.sync = domain = ClockDomain("sync")

        clock = instantiate(m, "clock_generator", self.clock_generator)
        resets = instantiate(m, "reset_generator", self.reset_generator)
        link = instantiate(m, "host_link", self.host_link)
        accelerator = instantiate(m, "accelerator", self.accelerator, reset=resets.accelerator_reset)
        indicators = instantiate(m, "indicators", self.indicators)

        m.d.comb += [
            clock.clock_in.eq(self.clock),
            domain.clk.eq(clock.clock_out),
            domain.rst.eq(resets.reset),
            resets.locked.eq(clock.locked),
            resets.request.eq(link.accelerator_reset),
            link.uart_rx.eq(self.uart_rx),
            self.uart_tx.eq(link.uart_tx),
            link.interrupt.eq(accelerator.interrupt),
        ]
        if self.board.button:
            m.d.comb += resets.button.eq(~self.button if self.board.button.active_low else self.button)

        connect(m, link.m_axil, accelerator.s_axil)
        connect(m, link.m_axis_q, accelerator.s_axis_q)
        connect(m, link.m_axis_k, accelerator.s_axis_k)
        connect(m, link.m_axis_v, accelerator.s_axis_v)
        connect(m, accelerator.m_axis_z, link.s_axis_z)
        streams = (accelerator.s_axis_q, accelerator.s_axis_k, accelerator.s_axis_v, accelerator.m_axis_z)

        m.d.comb += [
            indicators.activity.eq(link.activity),
            indicators.moving.eq(Cat(stream.tvalid for stream in streams).any()),
            indicators.interrupt.eq(accelerator.interrupt),
            self.led.eq(~indicators.led if self.board.led.active_low else indicators.led),
        ]
        return m
