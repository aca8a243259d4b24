"""The simulated board: its line, its button, and that nothing which goes wrong there hangs."""

import math
import os
from collections import deque
from dataclasses import replace

import numpy as np
import pytest

from taylorvit.fpga.board import load_board
from taylorvit.fpga.driver import BoardReset, Link, PortError, TaylorVit, Transfer
from taylorvit.fpga.driver.tensors import head_packets
from taylorvit.fpga.protocol import build_id
from taylorvit.gen.presets import load_preset
from taylorvit.golden.attention.integer_attention import JobConstants, integer_taylor_attention
from taylorvit.jobs import format_of
from taylorvit.simulation import Build, build
from taylorvit.simulation import simulated_board as board_bench
from taylorvit.simulation.simulated_board import SimulatedBoard, SimulatedPort, build_board
from verif.fpga.board_model import Faults

BOARD = load_board("ulx3s-85f")
# That of verif/taylorvit/commands/test_run.py, so that it is built once.
CONFIG = replace(load_preset("tiny-4x4"), name="small", max_head_dim=32, max_heads=2)


@pytest.fixture(scope="module")
def simulation():
    return build_board(BOARD, CONFIG)


@pytest.fixture
def port(simulation):
    port = SimulatedPort(simulation)
    yield port
    port.close()


def test_board_says_what_it_is(port):
    identification = Link(port).identify()
    assert identification.build_id == build_id(BOARD.name, CONFIG)
    assert identification.clock_hz == BOARD.clock_hz == 4 * identification.baud
    assert identification.stream_bytes == CONFIG.stream_width // 8


def test_time_is_that_of_the_board(port):
    start, cycles = port.now(), port.cycles
    assert port.read(1e-3) == b""
    assert port.cycles - cycles == pytest.approx(1e-3 * port.clock_hz, abs=1)
    assert port.now() - start == pytest.approx(1e-3)


def test_button_in_the_middle_of_a_transfer_is_seen(port):
    link = Link(port)
    link.identify()
    link.reset()
    with pytest.raises(BoardReset, match="board on the simulated board was reset during the transfer"):
        pressed = []

        def possible(arrived):
            if arrived > 1_000 and not pressed:
                pressed.append(port.press_button(100))
            return 0

        Transfer(link, b"\x01\x00\x10\x00" + bytes(4_096), 0, possible=possible).run()
    assert pressed
    with TaylorVit(port, board=BOARD.name, config=CONFIG) as accelerator:
        assert accelerator.read("TOKENS") == CONFIG.max_tokens


def test_button_must_be_there(simulation):
    port = SimulatedPort(replace(simulation, button=None))
    with pytest.raises(ValueError, match="board must have a button"):
        port.press_button(1)
    port.close()


def test_closed_port_is_an_error(port):
    port.close()
    port.close()
    with pytest.raises(PortError, match="the simulated board is gone: it was closed"):
        port.write(b"x")


def test_end_of_the_simulation_is_an_error(port):
    port._process.kill()
    with pytest.raises(PortError, match="the simulated board is gone: its simulation ended with exit status -9"):
        port.read(1)


def script(tmp_path, text):
    """A program in place of a simulation."""
    path = tmp_path / "simulation"
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    os.chmod(path, 0o755)
    return SimulatedBoard(Build(tmp_path, "board_top", "verilator", False, 0.0), 1_000_000, 250_000)


def test_simulation_that_hangs_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(board_bench, "_WALL_LIMIT", 0.2)
    with pytest.raises(PortError, match="the simulated board must simulate 20,000 cycles within 0.2 s, and did not"):
        SimulatedPort(script(tmp_path, "exec sleep 600"))


def test_simulation_that_cannot_be_started_is_an_error(tmp_path):
    board = script(tmp_path, "exit 0")
    (tmp_path / "simulation").chmod(0o644)
    with pytest.raises(PortError, match=f"could not be started: {tmp_path}/simulation: permission denied"):
        SimulatedPort(board)


def test_last_words_are_handed_on(tmp_path):
    with pytest.raises(PortError, match=r"its simulation ended with exit status 3 \(no more\)"):
        SimulatedPort(script(tmp_path, "echo something >&2; echo no more >&2; exit 3"))


def test_main_program_must_be_verilators(tmp_path):
    with pytest.raises(ValueError, match="simulator must be verilator for a main program in C\\+\\+, not 'icarus'"):
        build("module board_top; endmodule", "board_top", simulator="icarus", main=tmp_path / "main.cpp")


class BadLine(SimulatedPort):
    """A simulated board at the end of a line that changes and loses bytes."""

    def __init__(self, simulation):
        self.faults = Faults(bit_error=0.002, seed=1), Faults(bit_error=0.001, loss=0.001, seed=2)
        super().__init__(simulation)

    def write(self, data):
        super().write(bytes(arriving for byte in data for arriving in self.faults[0].apply(byte)))

    def read(self, timeout):
        return bytes(arriving for byte in super().read(timeout) for arriving in self.faults[1].apply(byte))


def test_hardware_and_driver_make_up_for_a_bad_line(simulation):
    q, k, v = np.random.default_rng(3).integers(-128, 128, (3, 4, 16, 16))
    constants = JobConstants(shift_g=8, shift_z=7, c_v=1_000, c_d=10_000_000)
    port = BadLine(simulation)
    with TaylorVit(port, board=BOARD.name, config=CONFIG) as accelerator:
        result = accelerator.run(q, k, v, constants.registers)
        status = accelerator.link_status()
        assert accelerator.link.statistics.lost > 5
    assert all(faults.happened > 3 for faults in port.faults)
    assert status.bad_headers + status.bad_payloads > 2
    golden = integer_taylor_attention(q, k, v, constants, format_of(CONFIG))
    np.testing.assert_array_equal(result.z, golden.z)


class DistantBoard(SimulatedPort):
    """A simulated board whose bytes come late, by the time that TURN_AROUND bytes take on the line."""

    TURN_AROUND = 600  # bytes: 2 ms at 3 Mbaud
    patience_cycles = 200_000

    def __init__(self, simulation):
        self.delay = self.TURN_AROUND * 10 * simulation.clock_hz // simulation.baud
        self.under_way = deque()  # (cycle of their arrival, bytes)
        super().__init__(simulation)

    def read(self, timeout):
        deadline = self.cycles + math.ceil(timeout * self.clock_hz)
        while not self.under_way or self.under_way[0][0] > self.cycles:
            stop = min(deadline, self.under_way[0][0]) if self.under_way else deadline
            data = super().read((stop - self.cycles) / self.clock_hz)
            if data:
                self.under_way.append((self.cycles + self.delay, data))
            elif self.cycles >= deadline:
                return b""
        return self.under_way.popleft()[1]


def test_line_is_the_limit(simulation):
    """With 2 ms of turn-around, 90 % of what the line could carry, and of what it carries, is payload.

    The line is as fast as 4 clocks a bit allow, so the hardware has less time for a byte than on any board.
    """
    heads, tokens, head_dim = 2, 64, 32
    q, k, v = np.random.default_rng(4).integers(-128, 128, (3, heads, tokens, head_dim))
    tensors = b"".join(head_packets(*head, CONFIG) for head in zip(q, k, v))
    head_size = tokens * head_dim
    arrivals = []

    def possible(arrived):
        arrivals.append((port.cycles, arrived))
        return arrived // (len(tensors) // heads) * head_size

    port = DistantBoard(simulation)
    with TaylorVit(port, board=BOARD.name, config=CONFIG) as accelerator:
        constants = {"SHIFT_G": 8, "SHIFT_Z": 7, "C_V": 1_000, "C_D": 10_000_000}
        accelerator.configure(heads=heads, tokens=tokens, head_dim=head_dim, constants=constants)
        accelerator.write("CONTROL", 1)
        Transfer(accelerator.link, tensors, heads * head_size, possible=possible).run()
        statistics = accelerator.link.statistics
    # From the first answer to the last: in the steady state.
    began, first = next((cycle, arrived) for cycle, arrived in arrivals if arrived)
    ended = next(cycle for cycle, arrived in arrivals if arrived == len(tensors))
    bytes_possible = (ended - began) * port.baud / port.clock_hz / 10
    assert (len(tensors) - first) / bytes_possible >= 0.9
    assert len(tensors) / statistics.sent_bytes >= 0.9
    assert statistics.lost == 0
