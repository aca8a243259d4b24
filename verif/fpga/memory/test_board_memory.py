"""A board whose tape is in its SDRAM: the whole top level and a model of the chip, through the pins of the board."""

from __future__ import annotations

from dataclasses import replace

import pytest

from taylorvit.fpga.board import load_board
from taylorvit.fpga.memory.chips import CHIPS
from taylorvit.fpga.memory.register_map import MEMORY_ID, memory_register_map
from taylorvit.rtl.control.description import RegisterMap
from taylorvit.rtl.network.config import NetworkConfig
from taylorvit.rtl.network.control.registers import register_map
from taylorvit.simulation.simulated_board import SimulatedPort, build_board
from verif.fpga.network_host import Host
from verif.regression.network.models import TINY, network_of

# 64 KB, so that the test of the memory is short; otherwise the chip that is on the board.
CHIP = replace(CHIPS["MT48LC16M16"], name="small", row_bits=5, column_bits=8)
BOARD = load_board("ulx3s-85f")
BOARD = replace(BOARD, sdram=replace(BOARD.sdram, chip=CHIP))
CONFIG = NetworkConfig(
    name="small", rows=4, columns=4, max_tokens=11, max_width=12, max_hidden=48, max_patch=12, max_classes=4,
    max_heads=4, max_head_dim=6, tape_width=16, image_lanes=2, tape_source="axi", tape_queue_rows=16,
)  # fmt: skip
NETWORK = network_of(TINY, 3, CONFIG)
MEMORY = memory_register_map(CHIP.bytes)
TEST = MEMORY["MEMORY_CONTROL"]["TEST"].mask


@pytest.fixture(scope="module")
def simulation():
    return build_board(BOARD, CONFIG)


@pytest.fixture
def host(simulation):
    port = SimulatedPort(simulation)
    yield Host(port, NETWORK, RegisterMap((*register_map(CONFIG), *MEMORY)))
    port.close()


def status(host):
    word = host.read("MEMORY_STATUS")
    return {field.name for field in MEMORY["MEMORY_STATUS"].fields if field.of(word)}


def test_tape_and_images_in_logits_out(host):
    assert (host.read("MEMORY_ID"), host.read("MEMORY_BYTES")) == (MEMORY_ID, CHIP.bytes)
    assert status(host) == {"INITIALIZED"}
    assert host.read("ID") == int.from_bytes(b"TVIT", "big")
    host.load()
    host.expect_right(2)
    place = CHIP.bytes - len(host.tape)
    host.load(place)
    host.expect_right(1, place)
    host.expect_right(1)
    assert not host.link.status().malformed_packet


def test_a_simulated_memory_may_have_the_tape_from_the_start(simulation):
    port = SimulatedPort(simulation, sdram=NETWORK.tape)
    Host(port, NETWORK).expect_right(1)
    port.close()


@pytest.mark.parametrize("how", ["RESET", "button"])
def test_the_tape_outlasts_a_reset(host, how):
    host.load()
    if how == "button":
        host.port.press_button(100)
        host.port.read(600 / host.port.clock_hz)
    host.link.reset()
    host.expect_right(1)


def test_the_memory_is_tested(host):
    host.load()
    assert host.link.write(MEMORY["MEMORY_CONTROL"].offset, 0)
    host.expect_right(1)
    host.write("MEMORY_CONTROL", TEST)
    assert "TESTING" in status(host)
    assert not host.link.write(MEMORY["MEMORY_CONTROL"].offset, TEST)  # while one runs
    for _ in range(1000):
        if "TESTING" not in status(host):
            break
    assert status(host) == {"INITIALIZED"}
    assert (host.read("TEST_ERRORS"), host.read("TEST_ADDRESS")) == (0, 0)
    # The pattern is in place of the tape.
    host.load()
    host.expect_right(1)


def test_offsets_that_are_no_registers_are_refused(host):
    assert not host.link.write(MEMORY["MEMORY_BYTES"].offset, 1)
    assert not host.link.write(MEMORY["TEST_ADDRESS"].offset + 4, 1)
    assert host.link.write(host.registers["TIMEOUT"].offset, 12345)
    assert host.link.read([MEMORY["TEST_ADDRESS"].offset + 4]) == [None]
    assert host.read("TIMEOUT") == 12345
