"""A board with a network accelerator, driven through its pins: tape and images in, logits out, whatever happens."""

from __future__ import annotations

from dataclasses import replace

import pytest

from taylorvit.fpga.board import load_board
from taylorvit.fpga.driver import Transfer
from taylorvit.fpga.network_top import NetworkBoardTop
from taylorvit.fpga.protocol import Stream, build_id, memory_packet, tensor_packet
from taylorvit.fpga.top import BoardTop, board_top
from taylorvit.gen.generate import port_table
from taylorvit.gen.presets import load_preset
from taylorvit.gen.verilog import emit
from taylorvit.rtl.network.accelerator import NetworkAccelerator
from taylorvit.rtl.network.config import NetworkConfig
from taylorvit.rtl.network.control.registers import register_map
from taylorvit.simulation.simulated_board import SimulatedPort, build_board
from verif.fpga.board_model import Faults
from verif.fpga.network_host import Host, whole_words
from verif.regression.network.models import TINY, network_of

BOARD = load_board("ulx3s-85f")
CONFIG = NetworkConfig(
    name="small", rows=4, columns=4, max_tokens=11, max_width=12, max_hidden=48, max_patch=12, max_classes=4,
    max_heads=4, max_head_dim=6, tape_width=16, image_lanes=2, tape_source="memory", tape_memory_bytes=5004,
    tape_queue_rows=16,
)  # fmt: skip
NETWORK = network_of(TINY, 3, CONFIG)
TAPE = whole_words(NETWORK.tape)
OTHER = network_of(TINY, 4, CONFIG)  # is in the memory at power-up
REGISTERS = register_map(CONFIG)


@pytest.fixture(scope="module")
def simulation():
    return build_board(BOARD, CONFIG, OTHER.tape)


class BadLine(SimulatedPort):
    """A simulated board at the end of a line that changes, loses and invents bytes."""

    def __init__(self, simulation):
        self.faults = (
            Faults(bit_error=0.002, garbage=0.001, seed=1),
            Faults(bit_error=0.001, loss=0.001, garbage=0.001, seed=2),
        )
        super().__init__(simulation)

    def write(self, data):
        super().write(bytes(arriving for byte in data for arriving in self.faults[0].apply(byte)))

    def read(self, timeout):
        return bytes(arriving for byte in super().read(timeout) for arriving in self.faults[1].apply(byte))


@pytest.fixture
def host(simulation):
    port = SimulatedPort(simulation)
    yield Host(port, NETWORK)
    port.close()


def test_tape_and_images_in_logits_out(host):
    assert host.identification.build_id == build_id(BOARD.name, CONFIG)
    assert host.identification.stream_bytes == CONFIG.image_lanes
    assert host.read("ID") == int.from_bytes(b"TVIT", "big")
    host.load()
    host.expect_right(2)
    # Another place, up to the end of the memory; what is in TAPE_ADDRESS does not matter.
    place = CONFIG.tape_memory_bytes - len(TAPE)
    host.write("TAPE_ADDRESS", 0)
    host.load(place)
    host.expect_right(1, place)
    host.expect_right(1)
    status = host.link.status()
    assert (status.malformed_packet, status.receive_overflow, status.bad_headers) == (False, False, 0)


def test_tape_of_the_bitstream_is_there_at_power_up(simulation):
    port = SimulatedPort(simulation)
    host = Host(port, OTHER)
    host.expect_right(2)
    host.link.reset()
    host.expect_right(1)
    port.close()


def test_tape_through_the_registers_is_the_same(host):
    """A host may write words by itself; both ways agree about which byte is where."""
    host.send(memory_packet(8, TAPE[8:]))
    host.write("TAPE_ADDRESS", 0)
    for at in (0, 4):
        host.write("TAPE_DATA", int.from_bytes(TAPE[at : at + 4], "little"))
    host.expect_right(1)


def test_registers_are_answered_while_words_are_written(host):
    """Reads and writes of the host, and words of the tape, share the bus."""
    transfer = memory_packet(0, TAPE)
    link, sent = host.link, 0
    values = iter(range(1, 1000))
    while sent < len(transfer):
        part = transfer[sent : sent + 24]
        host.send(part)  # whose words are written while the next requests are carried out
        sent += len(part)
        value = next(values)
        assert link.write_parameters([(REGISTERS["TIMEOUT"].offset, value), (REGISTERS["IMAGES"].offset, value)]) == []
        assert link.read([REGISTERS[name].offset for name in ("TIMEOUT", "IMAGES")]) == [value, value]
    host.write("TIMEOUT", 1 << 24)
    host.expect_right(1)


def test_line_is_the_limit_of_a_tape(host):
    """Of what the line could carry, 90 % is payload, though a bit has but four cycles; the memory does not slow it."""
    data = memory_packet(0, bytes(CONFIG.tape_memory_bytes))
    arrivals = []

    def possible(arrived):
        arrivals.append((host.port.cycles, arrived))
        return 0

    Transfer(host.link, data, 0, possible=possible).run()
    # From the first answer to the last: in the steady state.
    began, first = next((cycle, arrived) for cycle, arrived in arrivals if arrived)
    ended, last = arrivals[-1]
    possible_bytes = (ended - began) * host.port.baud / host.port.clock_hz / 10
    assert last - first > len(data) / 2
    assert (last - first) / possible_bytes >= 0.9


def test_bad_line_is_survived(simulation):
    port = BadLine(simulation)
    host = Host(port, NETWORK)
    host.load()
    host.expect_right(2)
    assert host.link.statistics.lost > 5 and all(faults.happened > 3 for faults in port.faults)
    status = host.link.status()
    assert status.bad_headers + status.bad_payloads > 2 and not status.malformed_packet
    port.close()


@pytest.mark.parametrize("how", ["RESET", "button"])
def test_reset_in_the_middle_of_a_tape(host, how):
    """What was written stays in the memory, and the rest of the packet is not waited for."""
    host.load()
    packet = memory_packet(0, bytes(byte ^ 0xFF for byte in TAPE))
    for length in (2, 7, 9, 40, 301):  # within the heading, the address, a word, a packet
        host.send(packet[:length])
        if how == "RESET":
            host.link.reset()
        else:
            host.port.press_button(100)
            host.port.read(600 / host.port.clock_hz)
            host.link.reset()
    whole = (301 - 8) // 4 * 4
    host.send(memory_packet(0, TAPE[:whole]))
    host.expect_right(1)
    assert not host.link.status().malformed_packet


def test_malformed_packets_do_no_harm(host):
    host.load()
    good = memory_packet(0, TAPE[:8])
    end = CONFIG.tape_memory_bytes
    for malformed in (
        tensor_packet(Stream.Q, bytes(5)),
        bytes([Stream.MEMORY, 0, 0, 0]),
        tensor_packet(Stream.MEMORY, bytes(3)),
        tensor_packet(Stream.MEMORY, bytes(4)),
        tensor_packet(Stream.MEMORY, bytes(4) + TAPE[:7]),
        tensor_packet(Stream.MEMORY, b"\1\0\0\0" + bytes(8)),
        memory_packet(end, bytes(8)),
        memory_packet(end - 4, bytes(8)),
        memory_packet((1 << 32) - 4, bytes(8)),
        bytes([9, 8, 0, 0]) + bytes(8),
    ):
        host.link.reset()
        host.send(good)
        host.read("STATUS")
        assert not host.link.status().malformed_packet
        host.send(malformed + good)
        for _ in range(3):  # until it has been looked at
            host.read("STATUS")
        assert host.link.status().malformed_packet, malformed
        assert host.read("EVENTS") == 0
    host.expect_right(1)


def test_a_tape_can_be_exchanged_while_images_are_classified(host):
    """The bytes of a packet wait in the send buffer like those of an image; a job in between gets what it needs."""
    host.load()
    other = (len(TAPE) + 15) // 4 * 4
    for address in (other, 0, other):
        host.load(address)
        host.expect_right(1, 0)
        host.expect_right(1, address)


def test_board_top_is_that_of_the_accelerator():
    assert type(board_top(BOARD, CONFIG)) is NetworkBoardTop
    assert type(board_top(BOARD, load_preset("tiny-4x4"))) is BoardTop


def test_ports_and_blocks():
    board = load_board("icebreaker").with_core_hz(24_000_000)
    top = NetworkBoardTop(board, CONFIG)
    ports = {port for port, *_ in port_table(top)}
    assert ports == {"clock", "uart_rx", "uart_tx", "led", "button"}
    text = emit(top).partition("module board_top (")[2].partition("endmodule")[0]
    for instance in ("host_link host_link (", "register_loader register_loader (", "taylorvit accelerator ("):
        assert instance in text
    # The loader is reset with the accelerator, which is in the middle of an access of it.
    loader = text.partition("register_loader register_loader (")[2].partition(");")[0]
    assert ".rst(reset_generator__accelerator_reset)" in loader
    assert top.parameters != NetworkBoardTop(board, replace(CONFIG, tape_memory_bytes=4096)).parameters


def test_tapes_that_a_bitstream_cannot_have():
    top = board_top(BOARD, CONFIG, OTHER.tape)
    assert top.parameters != board_top(BOARD, CONFIG).parameters != board_top(BOARD, CONFIG, NETWORK.tape).parameters
    with pytest.raises(ValueError, match=r"^tape must have at most tape_memory_bytes = 5,004 bytes, not 5,005$"):
        board_top(BOARD, CONFIG, bytes(5005))
    with pytest.raises(ValueError, match=r"^tape must be for a network accelerator, not for 'tiny-4x4' of 'attention'"):
        board_top(BOARD, load_preset("tiny-4x4"), OTHER.tape)
    with pytest.raises(ValueError, match=r"^tape must come with tape_source 'memory', not with 'stream'$"):
        NetworkAccelerator(replace(CONFIG, tape_source="stream", tape_memory_bytes=0), OTHER.tape)


def test_tapes_must_come_from_a_memory():
    with pytest.raises(ValueError, match=r"^tape_source must be 'memory' or 'axi' on ulx3s-85f, not 'stream'$"):
        NetworkBoardTop(BOARD, replace(CONFIG, tape_source="stream", tape_memory_bytes=0))
    outside = replace(CONFIG, tape_source="axi", tape_memory_bytes=0)
    with pytest.raises(
        ValueError, match=r"^tape_source must be 'memory' on icebreaker, which has no SDRAM, not 'axi'$"
    ):
        NetworkBoardTop(load_board("icebreaker").with_core_hz(24_000_000), outside)
    with pytest.raises(ValueError, match=r"^tape_width must be 16 on ulx3s-85f, the width of its SDRAM, not 32$"):
        NetworkBoardTop(BOARD.with_core_hz(50_000_000), replace(outside, tape_width=32))
    with pytest.raises(ValueError, match=r"^clock of MT48LC16M16 must be at most 100,000,000 Hz, not 110,000,000$"):
        NetworkBoardTop(BOARD.with_core_hz(110_000_000), outside)


def test_timeout_outlasts_a_pause_of_the_line():
    with pytest.raises(ValueError, match="counter_width must be at least 22 at 25,000,000 Hz"):
        NetworkBoardTop(BOARD.with_core_hz(25_000_000), replace(CONFIG, counter_width=21, input_timeout=1))
