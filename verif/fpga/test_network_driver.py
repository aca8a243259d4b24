"""`TaylorVitNetwork` at a whole board with a network accelerator, through its pins: driver and hardware agree."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from taylorvit.fpga.driver import BoardReset, TaylorVitNetwork
from taylorvit.rtl.network.control.host_view import NetworkView
from taylorvit.simulation.simulated_board import SimulatedPort, build_board

from .memory import test_board_memory as sdram
from .test_network_top import BOARD, CONFIG, NETWORK, OTHER, BadLine

SIZES = {
    "patches": NETWORK.compiled.patches,
    "patch_pixels": NETWORK.compiled.patch_pixels,
    "classes": NETWORK.classes,
}


@pytest.fixture(scope="module")
def simulation():
    """That of `test_network_top`, built once for both. At power-up it has another tape of the same length and CRC."""
    return build_board(BOARD, CONFIG, OTHER.tape)


@pytest.fixture
def accelerator(simulation):
    with TaylorVitNetwork(SimulatedPort(simulation), board=BOARD.name, config=CONFIG) as accelerator:
        yield accelerator


def images_of(count, seed=1):
    """Beats of images, and the logits that the integer model has for them."""
    random = np.random.default_rng(seed)
    images = NETWORK.images(random, count)
    beats = [np.frombuffer(NETWORK.beats(image, random), np.uint8) for image in images]
    return np.stack(beats).reshape(count, -1, CONFIG.image_lanes), np.array(NETWORK.logits(images))


def expect_right(accelerator, count):
    beats, logits = images_of(count)
    came = []
    result = accelerator.run(beats, **SIZES, on_logits=lambda index, of_image: came.append((index, *of_image)))
    np.testing.assert_array_equal(result.logits, logits)
    assert came == [(index, *of_image) for index, of_image in enumerate(logits.tolist())]
    return result


def test_tape_and_images(accelerator):
    assert accelerator.view == NetworkView.of(CONFIG)
    sent = []
    report = accelerator.load(NETWORK.tape, on_progress=lambda done, total: sent.append(done))
    assert (report.sent_bytes, report.kept_bytes) == (len(NETWORK.tape), 0) and len(sent) > 3
    (job,) = expect_right(accelerator, 5).jobs
    assert job.counters["IMAGES_DONE"] == job.images == 5
    assert 0 < job.counters["IMAGE_CYCLES"] < job.counters["CYCLES"]
    expect_right(accelerator, 1)
    assert accelerator.load(NETWORK.tape).sent_bytes == 0
    assert accelerator.link.statistics.lost == 0


def test_interrupted_tape_goes_on(accelerator):
    """Resets in the middle: whatever half of a packet the board has got, the next call is right."""
    port = accelerator.port
    for at in (1, 700, 1_400):
        presses = [port.press_button]

        def press(done, total, at=at, presses=presses):
            if done >= at and presses:
                presses.pop()(100)

        damaged = bytearray(NETWORK.tape)
        damaged[100] ^= at % 255
        with pytest.raises(BoardReset, match="was reset during the transfer"):
            accelerator.load(bytes(damaged), on_progress=press)
        assert accelerator.load(NETWORK.tape).sent_bytes == len(NETWORK.tape)  # which is one chunk
        expect_right(accelerator, 2)


def test_interrupted_images(accelerator):
    accelerator.load(NETWORK.tape)
    beats, _logits = images_of(6)
    with pytest.raises(BoardReset, match="was reset during the transfer"):
        accelerator.run(beats, **SIZES, on_progress=lambda done: done == 2 and accelerator.port.press_button(100))
    assert accelerator.load(NETWORK.tape).sent_bytes == 0
    expect_right(accelerator, 3)


def test_bad_line(simulation):
    port = BadLine(simulation)
    with TaylorVitNetwork(port) as accelerator:
        assert accelerator.view == replace(NetworkView.of(CONFIG), name="hardware")
        accelerator.load(NETWORK.tape)
        expect_right(accelerator, 4)
        assert accelerator.link.statistics.lost > 5 and all(faults.happened > 3 for faults in port.faults)


def test_memory(accelerator):
    report = accelerator.test_memory()
    assert (report.tested_bytes, report.errors, report.first) == (CONFIG.tape_memory_bytes, 0, None)
    accelerator.load(NETWORK.tape)
    expect_right(accelerator, 1)


def test_tape_in_sdram():
    """The same with the tape beside the FPGA: its chip keeps it over resets, and the board tests it."""
    simulation = build_board(sdram.BOARD, sdram.CONFIG)
    port = SimulatedPort(simulation)
    with TaylorVitNetwork(port, board=sdram.BOARD.name, config=sdram.CONFIG) as accelerator:
        tape = sdram.NETWORK.tape
        assert accelerator.memory.size == sdram.CHIP.bytes
        with pytest.raises(BoardReset):
            accelerator.load(tape, on_progress=lambda done, total: port.press_button(100))
        assert accelerator.load(tape).sent_bytes == len(tape)
        beats, logits = images_of(3)  # the network is the same
        np.testing.assert_array_equal(accelerator.run(beats, **SIZES).logits, logits)
        port.press_button(100)
        assert accelerator.load(tape).sent_bytes == 0
        report = accelerator.test_memory()
        assert (report.tested_bytes, report.errors, report.first) == (sdram.CHIP.bytes, 0, None)
        assert accelerator.load(tape).sent_bytes == len(tape)
        np.testing.assert_array_equal(accelerator.run(beats, **SIZES).logits, logits)
