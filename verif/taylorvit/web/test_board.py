"""A board as a classifier, at a model of one: tapes, images, lost lines."""

import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from taylorvit.boundary.errors import CommandError
from taylorvit.compiler import compile_network
from taylorvit.fpga.driver import JobError, PortError, WrongBoard
from taylorvit.jobs.compiled_model import CompiledModel
from taylorvit.jobs.patches import image_beats
from taylorvit.web.board import BoardClassifier
from verif.fpga.board_model import BoardModel
from verif.fpga.driver.test_network import CONFIG
from verif.golden.network.models import SHAPE, quantized

VIT = quantized(SHAPE)
MODEL = CompiledModel("noise", CONFIG, compile_network(VIT, CONFIG).tape, VIT, ["a", "b", "c"])
PIXELS = np.random.default_rng(3).integers(0, 256, (3, 1, 6, 6), dtype=np.uint8)
LOGITS = VIT(PIXELS.astype(np.int64))


@pytest.fixture
def board():
    """A board that knows these images, and can be opened again."""
    board = BoardModel(CONFIG)
    beats = image_beats(PIXELS, SHAPE, CONFIG.image_lanes)
    known = {image.tobytes(): logits for image, logits in zip(beats, LOGITS)}
    board._accelerator.logits = lambda image, tape, classes: known[image]
    return board


def plugged_in(board):
    """Opens the line to a board."""

    def open_port():
        if board.unplugged:
            raise PortError("port must be a device that is there")
        board.closed = False
        return board

    return open_port


def test_images(board):
    sent = []
    classifier = BoardClassifier(
        MODEL, plugged_in(board), board="model", config=CONFIG, on_tape=lambda done, total: sent.append((done, total))
    )
    assert (classifier.place, classifier.clock_mhz) == ("small at model", 100)
    assert sent[-1][0] == sent[-1][1] > 0
    for pixels, logits in zip(PIXELS, LOGITS):
        found = classifier.classify(pixels)
        assert (found.logits == logits).all() and 0 < found.cycles < 10_000  # without those that waited for it
    classifier.close()
    assert board.closed


def test_line_that_is_lost(board):
    """An error, as long as it is lost; then the tape is looked for, and what is there is not sent again."""
    sent = []
    classifier = BoardClassifier(MODEL, plugged_in(board), on_tape=lambda done, total: sent.append(total))
    board.unplugged = True
    for _time in range(2):
        with pytest.raises(CommandError):
            classifier.classify(PIXELS[0])
    board.unplugged = False
    sent.clear()
    assert (classifier.classify(PIXELS[0]).logits == LOGITS[0]).all() and sent == []


def test_tape_that_is_lost(board):
    """A job that ends with an error is told; the tape is sent again for the next image."""
    sent = []
    classifier = BoardClassifier(MODEL, plugged_in(board), on_tape=lambda done, total: sent.append(total))
    sent.clear()
    board._accelerator.forget()  # power was off, and on again
    board.events_to_raise.add("TAPE_MAGIC")
    with pytest.raises(JobError, match="events TAPE_MAGIC$"):
        classifier.classify(PIXELS[1])
    board.events_to_raise.clear()
    assert sent == [] and (classifier.classify(PIXELS[1]).logits == LOGITS[1]).all() and sent


def test_another_board(board):
    with pytest.raises(WrongBoard):
        BoardClassifier(MODEL, plugged_in(board), board="another", config=CONFIG)
    assert board.closed


def test_board_that_was_exchanged(board):
    at_the_line = [BoardModel(replace(CONFIG, rows=8)), board]
    classifier = BoardClassifier(MODEL, lambda: plugged_in(at_the_line.pop())())
    board.unplugged = True
    for error in (PortError, WrongBoard):
        with pytest.raises(error):
            classifier.classify(PIXELS[0])


def test_tape_of_another_accelerator(board):
    with pytest.raises(ValueError, match="^tape"):
        BoardClassifier(MODEL._replace(tape=MODEL.tape[:-4]), plugged_in(board))
    assert board.closed


def test_closing_ends_what_waits(board):
    board.results_withheld = True
    classifier = BoardClassifier(MODEL, plugged_in(board))
    board.stall = 1e9  # seconds of its own
    errors = []

    def classify():
        with pytest.raises(PortError, match="it was closed") as error:
            classifier.classify(PIXELS[0])
        errors.append(error)

    thread = threading.Thread(target=classify)
    thread.start()
    time.sleep(0.2)
    classifier.close()
    thread.join(300)
    assert not thread.is_alive() and len(errors) == 1 and board.closed
