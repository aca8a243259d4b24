"""`taylorvit run --model` and `--memory-test`: the table of `simulate --model`, on a board; exit status, errors."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from taylorvit.__main__ import main
from taylorvit.fpga.board import load_board
from taylorvit.jobs.patches import image_beats, image_beats_by_row
from verif.fpga.board_model import BoardModel, Faults
from verif.golden.network.models import SHAPE, quantized

from .running import fails, run

COUNT = 4
PIXELS = np.random.default_rng(2).integers(
    0, 256, (COUNT, SHAPE.channels, SHAPE.image_size, SHAPE.image_size), dtype=np.uint8
)
BOARD = load_board("ulx3s-25f")
OF_BOARD = BOARD.network("digits").config
CONFIG = replace(OF_BOARD, counters="all")
LOGITS = quantized(SHAPE)(PIXELS.astype(np.int64))
PORT = ("--port", "/dev/tty1")


def compiled_for(config, folder):
    """The folder that `taylorvit compile` has written for a configuration."""
    quantized(SHAPE).save(folder / "integer.safetensors")
    fields = {key: value for key, value in config.to_mapping().items() if key != "name"}
    lines = [f"{key} = {json.dumps(value)}\n" for key, value in {"accelerator": "network", **fields}.items()]
    (folder / "own.toml").write_text("".join(lines))
    command = ["compile", f"{folder}/integer.safetensors", "--config", f"{folder}/own.toml", "-o", f"{folder}/noise"]
    assert main(command) == 0
    return folder / "noise"


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """A compiled model for the network of the board."""
    return compiled_for(CONFIG, tmp_path_factory.mktemp("network"))


@pytest.fixture
def pixels(tmp_path):
    np.savez(tmp_path / "pixels.npz", pixels=PIXELS, labels=np.arange(COUNT) % SHAPE.classes)
    return tmp_path / "pixels.npz"


def board_with(config=CONFIG, by_row=False, **options):
    """A board whose accelerator computes what the integer model says of these images, however they come."""
    board = BoardModel(config, baud=BOARD.baud, **options)
    beats = (image_beats_by_row if by_row else image_beats)(PIXELS, SHAPE, config.image_lanes)
    known = {image.tobytes(): logits for image, logits in zip(beats, LOGITS)}
    board._accelerator.logits = lambda image, tape, classes: known[image]
    return board


@pytest.fixture
def at(monkeypatch):
    """at(board): the board is at the serial port, also if it was closed before."""

    def plug_in(board):
        def open_port(path, baud):
            assert (path, baud) == (PORT[1], board.baud)
            board.closed = False
            return board

        monkeypatch.setattr("taylorvit.fpga.driver.SerialPort", open_port)
        return board

    return plug_in


def test_images_through_whatever_answers(capsys, at, compiled, pixels, tmp_path):
    at(board_with(to_board=Faults(bit_error=0.0003)))
    command = ["run", *PORT, "--model", compiled, "--images", pixels, "-o", tmp_path / "logits.npz"]
    status, out, _err = run(capsys, *command)
    assert status == 0
    assert "4 images through noise on hardware" in out and "0 of 12 logits" in out
    size = (compiled / "model.tape").stat().st_size
    assert re.search(rf"tape\W+{size:,} bytes sent in \d+\.\d s, \d+ kB a second", out)
    assert "10,000 for the first image, 10,000.0 for each that follows" in out
    assert "9,990 cycles an image without waiting for it: 10,010.0 images a second at 100 MHz" in out
    assert re.search(r"link\W+[\d,]+ bytes there, [\d,]+ back, [1-9]\d* of \d+ requests repeated", out)
    assert re.search(r"time\W+on the board \d+\.\d s", out)
    with np.load(tmp_path / "logits.npz") as result:
        np.testing.assert_array_equal(result["logits"], LOGITS)
        assert result["image_cycles"].tolist() == [10_000, -1, -1, 10_000]

    status, out, _err = run(capsys, *command)
    assert status == 0
    assert re.search(rf"tape\W+{size:,} bytes were there, checked in 0\.\d+ s", out)


def test_bitstream_is_that_of_the_board_for_the_model(capsys, at, compiled, pixels):
    at(board_with(OF_BOARD, board="ulx3s-25f"))
    command = ["run", *PORT, "--model", compiled, "--images", pixels]
    for options in (["--board", "ulx3s-25f"], ["--board", "ulx3s-25f", "--network", "digits"]):
        status, out, _err = run(capsys, *command, *options)
        assert status == 0 and f"through noise on {CONFIG.name}" in out
    at(board_with(board="another"))
    assert "bitstream on model must be that of ulx3s-25f with ulx3s-25f-digits" in fails(
        capsys, *command, "--board", "ulx3s-25f"
    )


def test_images_row_by_row(capsys, at, compiled, pixels):
    at(board_with(by_row=True))
    command = ["run", *PORT, "--model", compiled, "--images", pixels, "--image-order", "raster"]
    status, out, _err = run(capsys, *command)
    assert status == 0 and "0 of 12 logits" in out


def test_mismatch_exits_1(capsys, at, compiled, pixels):
    board = at(board_with())
    right = board._accelerator.logits
    board._accelerator.logits = lambda image, tape, classes: right(image, tape, classes) + np.array([0, 1, 0])
    status, out, _err = run(capsys, "run", *PORT, "--model", compiled, "--images", pixels)
    assert status == 1
    assert "4 of 12 logits differ from the integer model" in out


def test_one_image(capsys, at, compiled, tmp_path):
    np.savez(tmp_path / "one.npz", pixels=PIXELS[:1])
    at(board_with())
    status, out, _err = run(capsys, "run", *PORT, "--model", compiled, "--images", tmp_path / "one.npz")
    assert status == 0 and "10,000 in all; 10,000 for the first image\n" in re.sub(r" *│\n", "\n", out)


@pytest.mark.parametrize(
    ("counters", "text"),
    [
        ("none", "0 of 12 logits"),
        ("cycles", "40,000 in all; 10,000 for the first image, 10,000.0 for each that follows"),
    ],
)
def test_accelerator_that_counts_less(capsys, at, compiled, pixels, counters, text):
    at(board_with(replace(CONFIG, counters=counters)))
    status, out, _err = run(capsys, "run", *PORT, "--model", compiled, "--images", pixels)
    assert status == 0 and text in out and "by kind" not in out and "without waiting" not in out
    assert ("cycles  " in out) == (counters == "cycles")
    assert ("10,000 cycles an image: 10,000.0 images a second at 100 MHz" in out) == (counters == "cycles")


SMALL = replace(CONFIG, tape_memory_bytes=10_000)


def test_memory_alone(capsys, at):
    board = at(board_with(SMALL))
    status, out, _err = run(capsys, "run", *PORT, "--memory-test")
    assert status == 0
    assert re.fullmatch(r"memory of tapes of hardware: 10,000 bytes tested in 0\.\d\d s, no errors\n", out)
    board._accelerator.stuck_bits[5_000] = 1
    status, out, _err = run(capsys, "run", *PORT, "--memory-test")
    assert status == 1
    assert "1 places of 1024 bytes are wrong, the first at byte 0x1000" in out.replace("\n", " ")


def test_memory_before_a_model(capsys, at, compiled, pixels):
    board = at(board_with())
    command = ["run", *PORT, "--model", compiled, "--images", pixels, "--memory-test"]
    status, out, _err = run(capsys, *command)
    assert status == 0 and "no errors" in out and "0 of 12 logits" in out
    board._accelerator.stuck_bits[5_000] = 1
    status, out, _err = run(capsys, *command)
    assert status == 1 and "logits" not in out


def test_memory_is_not_tested_for_a_model_of_another_accelerator(capsys, at, compiled, pixels):
    board = at(board_with(replace(CONFIG, max_tokens=CONFIG.max_tokens + 1)))
    board._accelerator.stuck_bits[5_000] = 1  # a test would find it
    status, out, err = run(capsys, "run", *PORT, "--model", compiled, "--images", pixels, "--memory-test")
    assert status == 2 and "memory of tapes" not in out
    count, error = err.splitlines()
    assert count == f"{COUNT} images of {pixels}" and error.startswith("taylorvit: error: ") and "must " in error


def test_memory_is_not_tested_if_the_model_cannot_run_afterwards(capsys, at, compiled, pixels, tmp_path):
    board = at(board_with())
    tape = bytes(board._accelerator.memory)
    command = ["run", *PORT, "--model", compiled, "--memory-test", "--images"]
    assert "must be a file, a folder" in fails(capsys, *command, str(tmp_path / "missing"))
    assert "missing" in fails(capsys, *command, pixels, "-o", str(tmp_path / "missing" / "a.npz"))
    assert bytes(board._accelerator.memory) == tape


def test_raster_order_is_checked_before_the_tape_is_sent(capsys, at, compiled, pixels):
    board = at(board_with(replace(CONFIG, image_lanes=4)))
    command = ["run", *PORT, "--model", compiled, "--images", pixels, "--image-order", "raster"]
    assert "patch_size must be a multiple of the 4 pixels of a beat" in fails(capsys, *command)
    assert board._accelerator.written_bytes == 0


def test_interrupted_transfer_goes_on(capsys, at, compiled, pixels, monkeypatch):
    """Somebody resets the board, then types the same again."""
    board = at(board_with())
    take = board._accelerator._take_words
    resets = [board.power_cycle]

    def reset_once(buffer, length):
        taken = take(buffer, length)
        if resets and board._accelerator.written_bytes > 1_000:
            resets.pop()()
            return False
        return taken

    monkeypatch.setattr(board._accelerator, "_take_words", reset_once)
    command = ["run", *PORT, "--model", compiled, "--images", pixels]
    assert "board on model was reset during the transfer" in fails(capsys, *command)
    status, out, _err = run(capsys, *command)
    assert status == 0 and "0 of 12 logits" in out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--sim"], "run must have --input, --model or --memory-test, which say what is to be done"),
        (["--sim", "--input", "a.npz", "--images", "b.png"], "--images must come with --model"),
        (["--sim", "--memory-test", "--images", "b.png"], "--images must come with --model"),
        (["--sim", "--memory-test", "--network", "digits", "--images", "b.png"], "--images must come with --model"),
        (["--sim", "--input", "a.npz", "--network", "x"], "--network must come with --model or --memory-test"),
        (["--sim", "--input", "a.npz", "--memory-test"], "--memory-test must come with --model or alone, not with"),
        (["--sim", "--memory-test", "-o", "a.npz"], "--output must come with --input or --model: a test of the memory"),
        (["--sim", "--memory-test", "--board", "icebreaker"], "cannot take a network: icebreaker has no networks"),
        (["--sim", "--model", "m"], "--model must come with --images"),
        (["--sim", "--model", "m", "--images", "a.png"], "model must be a folder that `taylorvit compile` has written"),
        (["--sim", "--model", "m", "--input", "a.npz"], "not allowed with argument"),
        (["--sim", "--memory-test", "--preset", "tiny-4x4"], "--preset must come with --input: a board's accelerators"),
        (["--sim", "--memory-test", "--network", "digits"], "--network must come with --board, which has it"),
        (["--port", "x", "--memory-test", "--board", "tang-nano-9k", "--network", "x"], "tang-nano-9k"),
        (["--port", "x", "--memory-test", "--baud", "0"], "--baud: must be an integer in 300..12000000, not '0'"),
    ],
)
def test_arguments_that_do_not_belong_together(capsys, arguments, text):
    assert text in fails(capsys, "run", *arguments)


def test_model_for_no_network_of_the_board(capsys, tmp_path, pixels):
    folder = compiled_for(replace(CONFIG, max_classes=CONFIG.max_classes + 1), tmp_path)
    capsys.readouterr()
    command = ["run", *PORT, "--model", folder, "--images", pixels, "--board", "ulx3s-25f"]
    names = ", ".join(BOARD.networks)
    text = f"model must be compiled for a network of ulx3s-25f ({names}), not for own: taylorvit compile MODEL --board "
    assert text in fails(capsys, *command)
    text = "must be a tape for the configuration of ulx3s-25f-digits"
    assert text in fails(capsys, *command, "--network", "digits")
    command = ["run", "--sim", "--model", folder, "--images", pixels]
    assert "model must be compiled for a network of a board, not for own" in fails(capsys, *command)


@pytest.mark.slow
def test_digits_through_the_pins_of_a_board(capsys, tmp_path):
    """The board is the first that has a network for the tape."""
    folder = tmp_path / "digits"
    assert main(["compile", "digits", "--board", "ulx3s-25f", "--network", "digits", "-o", str(folder)]) == 0
    status, out, _err = run(capsys, "run", "--sim", "--model", folder, "--images", "digits:0-3")
    assert status == 0
    assert "4 images through digits on " in out and "0 of 40 logits" in out
    size = (folder / "model.tape").stat().st_size
    assert re.search(rf"tape\W+{size:,} bytes sent in \d+\.\d s", out)
