"""`serve`: a page that is there until Ctrl-C."""

import re
import signal
import subprocess
import sys

import numpy as np
import pytest

from taylorvit.__main__ import main
from taylorvit.fpga.board import load_board
from taylorvit.golden.network.integer_vit import load_integer_vit
from taylorvit.models import bundled_model
from taylorvit.web.answers import answer
from taylorvit.web.server import Server
from verif import ROOT
from verif.fpga.board_model import BoardModel
from verif.taylorvit.web.serving import ask

from .running import fails


@pytest.mark.slow
def test_digits_in_simulated_hardware():
    """As a user starts it, and ends it."""
    command = [sys.executable, "-m", "taylorvit", "serve", "--sim", "--model", "digits", "--http-port", "0",
               "--clock", "25"]  # fmt: skip
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        try:
            line = server.stdout.readline()
            port = re.fullmatch(r"digits on simulated Verilog of vit-tiny-4x4: http://127\.0\.0\.1:(\d+)/\n", line)
            assert port, (line, server.stderr.read() if not line else "")
            assert ask(int(port[1]), "GET", "/api/model")[2]["clock_mhz"] == 25
            status, _headers, answer = ask(int(port[1]), "POST", "/api/examples/0")
            assert (status, answer["different"]) == (200, 0) and 1000 < answer["cycles"] < 1_000_000
            server.send_signal(signal.SIGINT)
            assert server.wait(300) == 0
            assert (server.stdout.read(), server.stderr.read()) == ("ended\n", "")
        finally:
            server.kill()


@pytest.fixture
def serving(monkeypatch):
    """serving(*words) -> what `serve` would show on the page, from hardware that is made ready and let go again."""
    shown = []

    def serve_until_interrupted(server, listener):
        classifier = server._classifier
        pixels = np.zeros((1, 8, 8), dtype=np.uint8)
        shown.append((classifier.place, classifier.clock_mhz, classifier.model.config.name, answer(classifier, pixels)))
        classifier.close()

    monkeypatch.setattr(Server, "serve_until_interrupted", serve_until_interrupted)

    def serve(*words):
        assert main(["serve", "--http-port", "0", *map(str, words)]) == 0
        return shown.pop()

    return serve


@pytest.fixture
def board(monkeypatch):
    """A board with the network for digits, at a serial port; it computes what the integer model says."""
    config = load_board("ulx3s-25f").network("digits").config
    board = BoardModel(config, board="ulx3s-25f")
    (logits,) = load_integer_vit(bundled_model("digits"))(np.zeros((1, 1, 8, 8), dtype=np.int64))
    board._accelerator.logits = lambda image, tape, classes: logits

    def open_port(path, baud):
        assert (path, baud) == ("/dev/tty1", board.baud)
        board.closed = False
        return board

    monkeypatch.setattr("taylorvit.fpga.driver.SerialPort", open_port)
    return board


def test_board(serving, board, tmp_path):
    """A model by its name is compiled for the network of this name."""
    for options in (["--board", "ulx3s-25f"], ["--board", "ulx3s-25f", "--network", "digits"]):
        place, clock_mhz, name, found = serving("--port", "/dev/tty1", "--model", "digits", *options)
        assert (place, clock_mhz, name) == ("ulx3s-25f-digits at model", 100, "ulx3s-25f-digits")
        assert found["different"] == 0 and found["cycles"] > 1000
        assert board.closed
    assert main(["compile", "digits", "--board", "ulx3s-25f", "--network", "digits", "-o", str(tmp_path / "mine")]) == 0
    for options in (["--board", "ulx3s-25f"], []):
        *_rest, found = serving("--port", "/dev/tty1", "--model", tmp_path / "mine", *options)
        assert found["different"] == 0


def test_wrong_request(capsys, tmp_path):
    def refused(*words):
        return fails(capsys, "serve", "--http-port", "0", *words)

    assert main(["serve"]) == 2 and "one of the arguments --port --sim is required" in capsys.readouterr().err
    assert "model must be one of digits, mnist5k, or a file, not 'absent'" in refused("--sim", "--model", "absent")
    assert "model.json" in refused("--sim", "--model", tmp_path)
    assert "cannot listen on 203.0.113.1, port 0: " in refused("--sim", "--host", "203.0.113.1")
    assert "serve must have a configuration of accelerator 'network'" in refused("--sim", "--preset", "tiny-4x4")
    assert "--network must come with --board" in refused("--sim", "--network", "digits")
    assert "--baud must come with --port" in refused("--sim", "--baud", "9600")
    assert "--model must be a folder of `taylorvit compile`, or come with --board, not 'digits'" in refused(
        "--port", "/dev/tty1", "--model", "digits"
    )
    assert refused("--port", "/dev/tty1").endswith(
        "--port must come with --model, a folder of `taylorvit compile`, or with --board: the default model, mnist5k, "
        "has to be compiled for a board\n"
    )
    text = "--model must be one for the board, not the default, mnist5k: network does not fit ulx3s-25f-digits: "
    assert text in refused("--sim", "--board", "ulx3s-25f")
    assert "error: network does not fit ulx3s-25f-digits: " in refused(
        "--sim", "--board", "ulx3s-25f", "--model", "mnist5k"
    )
    for option in (["--clock", "20"], ["--preset", "vit-tiny-4x4"], ["--config", "a.toml"]):
        assert f"{option[0]} must come with --sim alone: a board has its own" in refused(
            "--sim", "--board", "ulx3s-25f", *option
        )
    assert "network of ulx3s-25f must be one of digits" in refused(
        "--sim", "--board", "ulx3s-25f", "--network", "absent"
    )
