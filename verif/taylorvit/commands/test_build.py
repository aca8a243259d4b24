"""`taylorvit`: what each command prints and returns, without a long build."""

import json
import os
import subprocess
import sys
import time
import zlib

import pytest

from taylorvit.commands import build as cli
from taylorvit.fpga.board import load_board
from taylorvit.fpga.flow.baseline import make_baseline
from taylorvit.fpga.flow.build import BuildError, Finished
from taylorvit.fpga.flow.toolchain import FpgaToolError
from taylorvit.rtl.network.command import HEADER_FIELDS, MAGIC, VERSION
from verif import ROOT
from verif.fpga.flow.example_report import example_report

from .running import run


class StandIn:
    """A build that has been done: `prepare` with a report of its own."""

    problem = None
    asked = []
    tapes = []

    def __init__(self, board, config, *, tape, name, seed, margin_percent, root):
        self.tapes.append(tape)
        self.asked.append((name, board.core_hz, config.name, seed))
        self.board, self.name = board, name
        self.directory = root / "fpga" / name / "0123456789ab"
        self.picture = self.directory / "floorplan.svg"
        self.report_file = self.directory / "report.json"
        self.toolchain = type("Toolchain", (), {"refused": ("/usr/bin/yosys: version must be 0.45 or newer, not 0.9",)})
        self.config = config

    def run(self, progress):
        progress("emit", "start")
        progress("emit", "done")
        progress("synthesize", "reused")
        if self.problem and self.name in self.problem:
            raise self.problem[self.name]
        report = example_report(board=self.board.name, config=self.config, core_clock_mhz=self.board.core_hz / 1e6)
        return Finished(self.directory / f"{self.name}.bit", report, True)


@pytest.fixture(autouse=True)
def stand_in(monkeypatch, tmp_path):
    monkeypatch.setattr(cli, "prepare", StandIn)
    monkeypatch.setattr(StandIn, "problem", None)
    monkeypatch.setattr(StandIn, "asked", [])
    monkeypatch.setattr(StandIn, "tapes", [])
    monkeypatch.setattr(cli, "baseline_file", lambda name: tmp_path / f"{name}.json")
    monkeypatch.chdir(tmp_path)


def test_build_shows_stages_and_figures(capsys):
    status, out, err = run(capsys, "build", "--board", "ulx3s-85f")
    assert (status, err) == (0, "")
    for text in ("not used: /usr/bin/yosys", "was done before", "this build was there already", "systolic array",
                 "MHz wanted: met", "wrote  build/fpga/ulx3s-85f/0123456789ab/ulx3s-85f.bit"):  # fmt: skip
        assert text in out
    board = load_board("ulx3s-85f")
    assert StandIn.asked == [("ulx3s-85f", board.core_hz, board.default_preset, board.preset().seed)]


def test_build_of_what_is_asked_for(capsys, tmp_path):
    (tmp_path / "mine.toml").write_text('extends = "tiny-4x4"\n')
    assert run(capsys, "build", "--board", "ulx3s-85f", "--preset", "tiny-4x4", "--freq", "50", "--seed", "7")[0] == 0
    assert run(capsys, "build", "--board", "ulx3s-85f", "--config", "mine.toml", "-o", "elsewhere")[0] == 0
    board = load_board("ulx3s-85f")
    assert StandIn.asked == [("ulx3s-85f", 50_000_000, "tiny-4x4", 7), ("ulx3s-85f", board.core_hz, "mine", 1)]


def test_build_of_networks(capsys, tmp_path):
    """A network of the board, all of them beside its default preset, or a user's own."""
    board = load_board("ulx3s-25f")
    network = board.network("digits")
    status, out, err = run(capsys, "build", "--board", "ulx3s-25f", "--network", "digits", "--write-baseline")
    assert (status, err) == (0, "")
    assert "wrote  build/fpga/ulx3s-25f-digits/0123456789ab/ulx3s-25f-digits.bit" in out
    asked = ("ulx3s-25f-digits", network.core_hz, "ulx3s-25f-digits", network.seed)
    assert StandIn.asked == [asked]
    assert json.loads((tmp_path / "ulx3s-25f-digits.json").read_text())["config"] == "ulx3s-25f-digits"
    assert run(capsys, "build", "--board", "ulx3s-25f", "--network", "digits", "--check")[0] == 0

    StandIn.asked.clear()
    status, out, _err = run(capsys, "build", "--board", "ulx3s-25f", "--with-networks")
    assert status == 0 and "Bitstreams" in out
    names = ["ulx3s-25f", *(f"ulx3s-25f-{name}" for name in board.networks)]
    assert [name for name, *_ in StandIn.asked] == names

    StandIn.asked.clear()
    (tmp_path / "mine.toml").write_text('extends = "vit-tiny-4x4"\n')
    assert run(capsys, "build", "--board", "ulx3s-25f", "--config", "mine.toml", "--freq", "40")[0] == 0
    assert StandIn.asked == [("ulx3s-25f-mine", 40_000_000, "mine", 1)]


def test_tape_in_the_bitstream(capsys, tmp_path):
    (tmp_path / "model").mkdir()
    config = load_board("ulx3s-25f").network("digits").config
    header = {"magic": MAGIC, "version": VERSION, "configuration": config.tape_hash, "length": 64}
    tape = bytearray(64)
    for name, value in header.items():
        place = HEADER_FIELDS[name]
        tape[place.place : place.place + place.bytes] = value.to_bytes(place.bytes, "little")
    tape[-4:] = zlib.crc32(tape[:-4]).to_bytes(4, "little")
    (tmp_path / "model" / "model.tape").write_bytes(tape)
    of_network = ("build", "--board", "ulx3s-25f", "--network", "digits")
    assert run(capsys, *of_network, "--model", "model")[0] == 0
    assert run(capsys, *of_network)[0] == 0
    assert StandIn.tapes == [tape, None]
    (tmp_path / "model" / "model.tape").write_bytes(tape[:-1])
    status, _out, err = run(capsys, *of_network, "--model", "model")
    assert (status, err) == (
        2, "taylorvit: error: model/model.tape must have 64 bytes, as its header says, not 63\n"
    )  # fmt: skip
    assert "file must be readable" in run(capsys, *of_network, "--model", "nothing")[2]
    status, _out, err = run(capsys, "build", "--board", "ulx3s-25f", "--model", "model")
    assert (status, err) == (
        2,
        "taylorvit: error: --model must come with a network whose tape is on the chip, not with ulx3s-25f\n",
    )


def test_networks_go_on_after_a_failure(capsys, monkeypatch):
    monkeypatch.setattr(StandIn, "problem", {"ulx3s-25f-digits": BuildError("timing must be met, and is not: slow")})
    status, out, err = run(capsys, "build", "--board", "ulx3s-25f", "--with-networks")
    assert status == 1 and "taylorvit: error: ulx3s-25f-digits: timing must be met" in err
    assert "FAILED  ulx3s-25f-digits: timing" in out.partition("Bitstreams")[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--board", "ulx3s-25f", "--network", "deit-huge"],
            "network of ulx3s-25f must be one of digits",
        ),
        (["--board", "nexys"], "board must be one of "),
        (["--board", "nowhere.toml"], "nowhere.toml: file must be readable"),
        (["--board", "icebreaker", "--preset", "huge"], "preset must be one of icebreaker, "),
        (["--board", "icebreaker", "--config", "nowhere.toml"], "nowhere.toml: file must be readable"),
        (
            ["--board", "icebreaker", "--preset", "vit-16x16"],
            "board must have a configuration of accelerator 'attention' (tiny-4x4, edge-16x8, edge-16x16, "
            "edge-16x16-softmax, paper-64x64), not 'vit-16x16' of 'network'",
        ),
    ],
)
def test_requests_that_cannot_be_carried_out(capsys, arguments, message):
    status, _out, err = run(capsys, "build", *arguments)
    assert status == 2
    assert err.startswith(f"taylorvit: error: {message}") and err.count("\n") == 1


def test_frequency_out_of_range(capsys):
    status, _out, err = run(capsys, "build", "--board", "icebreaker", "--freq", "0")
    assert status == 2 and "--freq: must be a number in 1..1000 MHz, not '0'" in err


def test_clock_that_cannot_be_made(capsys, monkeypatch):
    def refuse(*_arguments, **_options):
        raise ValueError("core clock of icebreaker must be one that its PLL makes")

    monkeypatch.setattr(cli, "prepare", refuse)
    status, _out, err = run(capsys, "build", "--board", "icebreaker")
    assert (status, err) == (2, "taylorvit: error: core clock of icebreaker must be one that its PLL makes\n")


@pytest.mark.parametrize(("problem", "expected"), [(BuildError("too slow"), 1), (FpgaToolError("no yosys"), 2)])
def test_build_that_fails(capsys, monkeypatch, problem, expected):
    monkeypatch.setattr(StandIn, "problem", {"icebreaker": problem})
    status, _out, err = run(capsys, "build", "--board", "icebreaker")
    assert (status, err) == (expected, f"taylorvit: error: {problem}\n")


def test_interrupted(capsys, monkeypatch):
    monkeypatch.setattr(StandIn, "problem", {"icebreaker": KeyboardInterrupt()})
    status, _out, err = run(capsys, "build", "--board", "icebreaker")
    assert status == 130 and "interrupted" in err


def test_terminated_with_the_tool_that_it_waits_for(tmp_path):
    beats = tmp_path / "beats"
    tool = tmp_path / "yosys"
    beat = f"for beat in $(seq 600); do sleep 0.1; echo >> {beats}; done"
    tool.write_text(f'#!/bin/sh\n[ "$1" = --version ] && exec echo Yosys 9.9\n{beat}\n')
    tool.chmod(0o755)
    build = subprocess.Popen(
        [sys.executable, "-m", "taylorvit", "build", "--board", "icebreaker", "-o", str(tmp_path / "build")],
        cwd=ROOT,
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        stderr=subprocess.PIPE,
        text=True,
    )
    while not beats.exists():
        assert build.poll() is None, build.stderr.read()
        time.sleep(0.05)
    build.terminate()
    _out, err = build.communicate(timeout=600)
    assert err == "taylorvit: error: interrupted; the stages that are done will be used again\n"
    assert build.returncode == 130
    beaten = beats.stat().st_size
    time.sleep(1)
    assert beats.stat().st_size == beaten


def test_several_boards_go_on_after_a_failure(capsys, monkeypatch):
    monkeypatch.setattr(StandIn, "problem", {"icebreaker": BuildError("timing must be met, and is not: slow")})
    status, out, err = run(capsys, "build", "--board", "icebreaker", "--board", "ulx3s-85f", "--board", "ulx3s-25f")
    assert status == 1
    assert "taylorvit: error: icebreaker: timing must be met" in err
    table = out.partition("Bitstreams")[2]
    assert "ulx3s-85f" in table and "ulx3s-25f" in table
    assert "FAILED  icebreaker: timing must be met, and is not: slow" in table


def test_baseline_is_written_and_compared(capsys, tmp_path):
    assert run(capsys, "build", "--board", "icebreaker", "--check")[::2] == (
        1,
        f"taylorvit: error: cannot compare with a baseline: there is no {tmp_path / 'icebreaker.json'}; "
        "make it with --write-baseline\n",
    )
    assert run(capsys, "build", "--board", "icebreaker", "--write-baseline")[0] == 0
    status, out, _err = run(capsys, "build", "--board", "icebreaker", "--check")
    assert status == 0 and "agrees with" in out
    baseline = json.loads((tmp_path / "icebreaker.json").read_text())
    baseline["figures"]["lut"]["value"] *= 2
    (tmp_path / "icebreaker.json").write_text(json.dumps(baseline))
    status, _out, err = run(capsys, "build", "--board", "icebreaker", "--check")
    assert status == 1 and "taylorvit: error: build must agree with" in err and "lut is " in err


def test_help_and_usage(capsys):
    assert run(capsys, "--help")[0] == 0
    assert run(capsys)[0] == 2
    assert run(capsys, "build")[0] == 2


def test_baseline_of_the_example_is_its_figures():
    figures = make_baseline(example_report())["figures"]
    assert figures["dsp"]["value"] == 144


def test_baseline_is_looked_for_before_the_build(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(cli, "prepare", None)
    assert run(capsys, "build", "--board", "icebreaker", "--check")[0] == 1
    (tmp_path / "icebreaker.json").write_text('{"config": 3}')
    status, _out, err = run(capsys, "build", "--board", "icebreaker", "--check")
    assert (status, err) == (
        2,
        f"taylorvit: error: {tmp_path / 'icebreaker.json'}: file must be the baseline of a"
        " board: config must be a text, not 3\n",
    )
    (tmp_path / "icebreaker.json").unlink()
    (tmp_path / "icebreaker.json").mkdir()
    status, _out, err = run(capsys, "build", "--board", "icebreaker", "--write-baseline")
    assert status == 2 and err.startswith("taylorvit: error: output must be a file, not the folder ")
