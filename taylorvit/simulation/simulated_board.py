"""A simulated board at the end of a serial line: the whole top level under Verilator, through its UART pins.

    with TaylorVit(SimulatedPort(build_board(board, config)), board=board.name, config=config) as accelerator:
        accelerator.run(...)

The simulation is a process of its own, a small C++ program (`board.cpp`) around the model, which drives and samples the
pins bit by bit and exchanges bytes with Python over pipes. It runs only while somebody waits for bytes, so a run does
not depend on how fast the machine is, and time-outs are those of the simulated board's clock.

Two things differ from the bitstream of the same board: the core runs with the oscillator's clock, without the PLL, and
the link's bit is CLOCKS_PER_BIT clocks long, since what costs time is simulated cycles. Multipliers that are cells of
the vendor are simulated by the models of these cells.
"""

from __future__ import annotations

import contextlib
import math
import select
import struct
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from taylorvit.boundary import programs
from taylorvit.boundary.errors import reason_of
from taylorvit.fpga.board import Board
from taylorvit.fpga.driver import Port, PortError
from taylorvit.fpga.reset_generator import ResetGenerator
from taylorvit.fpga.top import board_top
from taylorvit.gen.verilog import emit
from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.rtl.network.config import NetworkConfig

from .building import Build, build
from .dsp_cells import with_dsp_models
from .sdram import with_sdram

__all__ = ["SimulatedBoard", "SimulatedPort", "build_board"]

CLOCKS_PER_BIT = 4
MAIN = Path(__file__).with_name("board.cpp")

_READ_ANSWER = struct.Struct("<QI")
_SLICE = 20_000  # cycles that are simulated at once: seconds, for the largest model
_WALL_LIMIT = 120.0  # seconds that a slice may take


@dataclass(frozen=True)
class SimulatedBoard:
    """The simulation of a board.

    Attributes:
        build (Build): its executable.
        clock_hz (int): the clock at its pins.
        baud (int): of its UART.
        button (int): level of the reset button when it is pressed; None if the board has none.
    """

    build: Build
    clock_hz: int
    baud: int
    button: int | None = None


def build_board(board: Board, config: AcceleratorConfig | NetworkConfig, tape: bytes | None = None) -> SimulatedBoard:
    """Makes the simulation of a board, or finds the one made before.

    Args:
        board (Board): the board.
        config (AcceleratorConfig | NetworkConfig): the accelerator on it.
        tape (bytes | None): of a network accelerator, what its memory on the chip contains at power-up.

    Raises:
        ToolError: a tool is missing or refuses the Verilog.
    """
    simulated = board.with_core_hz(board.clock_hz).with_baud(board.clock_hz // CLOCKS_PER_BIT)
    top = board_top(simulated, config, tape)
    verilog, name = with_dsp_models(emit(top)), top.module_name
    if "sdram_dq" in top.pads:
        verilog, name = with_sdram(verilog, top, top.sdram.timing)
    made = build(verilog, name, simulator="verilator", waves=False, main=MAIN)
    pressed = None if board.button is None else int(not board.button.active_low)
    return SimulatedBoard(made, top.clock_hz, simulated.baud, pressed)


class SimulatedPort(Port):
    """A line to a simulated board; `now` and all time-outs are in seconds of its clock.

    Args:
        board (SimulatedBoard): the simulation, which is started.
        sdram (bytes): what its SDRAM has in it from power-up on, if it has one: a long tape need not go over the line.

    Raises:
        PortError: the simulation breaks off, or takes longer than it can.
    """

    # Nothing lies between this line and the board, and no answer takes longer than some hundred cycles.
    patience_cycles = 20_000
    stall_cycles = 4_000_000

    def __init__(self, board: SimulatedBoard, *, sdram: bytes = b""):
        self.name = "the simulated board"
        self.baud = board.baud
        self.clock_hz = board.clock_hz
        self.patience = self.patience_cycles / board.clock_hz
        self.stall = self.stall_cycles / board.clock_hz
        self.cycles = 0
        self._errors = tempfile.TemporaryFile()
        self._button = board.button
        button = -1 if board.button is None else board.button
        command = [str(board.build.directory / "simulation"), str(board.clock_hz), str(board.baud), str(button)]
        with tempfile.NamedTemporaryFile() as contents:
            contents.write(sdram)
            contents.flush()
            self._start([*command, f"+sdram={contents.name}"] if sdram else command)
            # Whoever plugs a board in takes longer than that.
            self.read(2 * ResetGenerator.reset_cycles / board.clock_hz)

    def _start(self, command):
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                bufsize=0,
                env=programs.environment(),
                start_new_session=True,
            )
            self._input, self._output = cast(IO, self._process.stdin), cast(IO, self._process.stdout)
        except OSError as error:
            raise PortError(f"{self.name} could not be started: {command[0]}: {reason_of(error)}") from None

    def write(self, data):
        """Sends bytes to the board."""
        self._command(b"W" + len(data).to_bytes(4, "little") + data)

    def read(self, timeout):
        """The bytes that come within so many seconds of the board's clock; empty if none do."""
        left = math.ceil(timeout * self.clock_hz)  # so that time goes on, however little of it is asked for
        while True:
            cycles = min(left, _SLICE)
            self._command(b"R" + cycles.to_bytes(8, "little"))
            before = self.cycles
            self.cycles, count = _READ_ANSWER.unpack(self._answer(_READ_ANSWER.size))
            left -= self.cycles - before
            if count:
                return self._answer(count)
            if left <= 0:
                return b""

    def now(self):
        """Seconds of the board's clock."""
        return self.cycles / self.clock_hz

    def press_button(self, cycles):
        """Holds the button that resets the board.

        Args:
            cycles (int): of the board's clock.

        Raises:
            ValueError: the board has none.
        """
        if self._button is None:
            raise ValueError("board must have a button")
        self._command(b"B" + bytes([self._button]) + cycles.to_bytes(8, "little"))
        self.cycles = int.from_bytes(self._answer(8), "little")

    def close(self):
        """Ends the simulation."""
        if self._input.closed:
            return
        with contextlib.suppress(BrokenPipeError):
            self._input.close()
        try:
            self._process.wait(_WALL_LIMIT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._output.close()
        self._errors.close()

    def _command(self, data):
        if self._input.closed:
            raise PortError(f"{self.name} is gone: it was closed")
        try:
            while data:
                data = data[self._input.write(data) :]
        except BrokenPipeError:
            raise self._broken() from None

    def _answer(self, count):
        """The next `count` bytes of the simulation's answer."""
        data = b""
        while len(data) < count:
            ready, _, _ = select.select([self._output], [], [], _WALL_LIMIT)
            if not ready:
                self._process.kill()
                raise PortError(f"{self.name} must simulate {_SLICE:,} cycles within {_WALL_LIMIT:g} s, and did not")
            part = self._output.read(count - len(data))
            if not part:
                raise self._broken()
            data += part
        return data

    def _broken(self):
        status = self._process.wait()
        self._errors.seek(0)
        last = self._errors.read().decode(errors="replace").strip().rpartition("\n")[2]
        return PortError(
            f"{self.name} is gone: its simulation ended with exit status {status}" + (f" ({last})" if last else "")
        )
