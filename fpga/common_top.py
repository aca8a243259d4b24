"""What the top levels of boards have in common, whatever accelerator is on them: clock and reset, the link, LEDs."""

from amaranth.hdl import Cat, ClockDomain, Module
from amaranth.lib.wiring import In, Out

from taylorvit.fpga.link.bit_clock import CYCLES_PER_BIT_MIN
from taylorvit.fpga.link.host_link import HostLink
from taylorvit.rtl.array.multiplier import FORMS
from taylorvit.rtl.common.block import Block, instantiate

from .clock_generator import ClockGenerator, core_clock
from .indicators import Indicators
from .protocol import build_id
from .reset_generator import ResetGenerator

__all__ = ["CommonTop"]

LINE_PAUSE = 0.1  # seconds for which no tensors may come though all is well: the host was busy with something else


def _check_timeout(config, clock_hz):
    """Raises `ValueError` for an accelerator that could not be told to wait as long as a line may pause."""
    least = int(LINE_PAUSE * clock_hz).bit_length()
    if config.counter_width < least:
        raise ValueError(
            f"counter_width must be at least {least} at {clock_hz:,} Hz, so that TIMEOUT outlasts a pause "
            f"of {LINE_PAUSE:g} s on the line, not {config.counter_width!r}"
        )


def _check_multiplier(config, board):
    """Raises `ValueError` for multipliers of cells that the board's FPGA does not have."""
    of_family = FORMS[config.multiplier].family
    if of_family not in (None, board.family.name):
        possible = ", ".join(name for name, form in FORMS.items() if form.family in (None, board.family.name))
        raise ValueError(f"multiplier must be one of {possible} on {board.name}, not {config.multiplier!r}")


def _check_baud(board, clock_hz):
    """Raises `ValueError` for a core clock that is too slow for the link."""
    if board.baud * CYCLES_PER_BIT_MIN > clock_hz:
        raise ValueError(
            f"core_hz must be at least {CYCLES_PER_BIT_MIN * board.baud:,} on {board.name}, whose link has "
            f"{board.baud:,} baud, not {clock_hz:,}"
        )


class CommonTop(Block):
    """The top level of a board's bitstream, but for what is particular to the accelerator.

    Where a simulation models the PLL as a wire, `clock` must have the frequency of the core clock, `clock_hz`.

    Args:
        board (Board): the board, with the core clock and the baud rate to build for.
        accelerator (Accelerator | NetworkAccelerator): the accelerator, which has the configuration.
        link (dict): arguments of `HostLink` that the accelerator decides.
        ports (dict): members of the signature besides those that every board has.
        phase (Fraction | None): of a second clock (`fpga.clock_generator.ClockGenerator`); None if none is needed.

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

    def __init__(self, board, accelerator, *, link, ports=None, phase=None):
        self.board = board
        self.config = accelerator.config
        clock = core_clock(board)
        self.clock_hz = clock.rounded_hz
        self.baud = board.baud
        _check_timeout(self.config, self.clock_hz)
        _check_multiplier(self.config, board)
        _check_baud(board, self.clock_hz)
        self.clock_generator = ClockGenerator(clock, phase)
        self.reset_generator = ResetGenerator()
        self.host_link = HostLink(
            **link,
            clock_hz=self.clock_hz,
            baud=board.baud,
            build_id=build_id(board.name, self.config),
            receive_bytes=board.receive_bytes,
            send_bytes=board.send_bytes,
            result_bytes=board.result_bytes,
            payload_max=board.payload_max,
        )
        self.accelerator = accelerator
        self.indicators = Indicators(count=len(board.led.pins), clock_hz=self.clock_hz)
        super().__init__(
            {
                "clock": In(1),
                "uart_rx": In(1),
                "uart_tx": Out(1),
                "led": Out(len(board.led.pins)),
                **({"button": In(1)} if board.button else {}),
                **(ports or {}),
            }
        )

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

        streams = self.join(m, link, accelerator, resets, clock)
        m.d.comb += [
            indicators.activity.eq(link.activity),
            indicators.moving.eq(Cat(stream.tvalid for stream in streams).any()),
            indicators.interrupt.eq(accelerator.interrupt),
            self.led.eq(~indicators.led if self.board.led.active_low else indicators.led),
        ]
        return m

    def join(self, m, link, accelerator, resets, clock):
        """Joins the link to the accelerator.

        Args:
            m (amaranth.hdl.Module): the module of the board.
            link (object): the instance of the host link.
            accelerator (object): the instance of the accelerator.
            resets (object): the instance of the reset generator.
            clock (object): the instance of the clock generator.

        Returns:
            tuple[object, ...]: the streams between them, which the LEDs show.
        """
        raise NotImplementedError
