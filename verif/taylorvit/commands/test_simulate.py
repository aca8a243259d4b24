"""`simulate`: what it passes on, exit status, errors. `verif/taylorvit/simulation/test_simulate.py` simulates."""

import sys

import numpy as np
import pytest

from taylorvit.__main__ import main
from taylorvit.fpga.driver import JobReport
from taylorvit.jobs import Outcome, golden_steps
from taylorvit.simulation import simulate as simulation

from .running import fails

COUNTERS = dict.fromkeys(("CYCLES", "ARRAY_BUSY", "STALL_INPUT", "STALL_OUTPUT", "HEADS_DONE"), 100)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working folder, with small.toml and qkv.npz."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text("rows = 2\ncolumns = 2\nmax_tokens = 5\nmax_head_dim = 3\nstream_width = 8\n")
    np.savez(tmp_path / "qkv.npz", **{name: np.ones((1, 5, 3), dtype=np.int8) for name in "qkv"})
    return tmp_path


COMMAND = ["simulate", "--config", "small.toml", "--input", "qkv.npz"]


@pytest.mark.parametrize("wrong", [0, 1])
def test_what_was_asked_is_simulated_and_judged(folder, monkeypatch, capsys, wrong):
    asked = {}

    def simulate(config, job, **options):
        asked.update(options, name=config.name, shape=job.shape)
        return Outcome(golden_steps(job, config).z + wrong, [JobReport(1, COUNTERS, frozenset({"DONE"}))])

    monkeypatch.setattr(simulation, "simulate", simulate)
    assert main([*COMMAND, "-o", "z.npz", "--waves"]) == wrong
    assert (asked["name"], asked["shape"]) == ("small", (1, 5, 3))
    assert str(asked["waveform"]) == "z.vcd"
    printed = capsys.readouterr().out
    assert "wrote z.npz\n" in printed and ("elements of z differ" in printed) == bool(wrong)
    assert (folder / "z.npz").is_file()


def test_input_is_required(capsys):
    error = fails(capsys, "simulate", "--preset", "tiny-4x4")
    assert "one of the arguments --input --model is required" in error


def test_what_is_wrong_is_one_line(folder, monkeypatch, capsys):
    def simulate(*_arguments, **_options):
        raise ValueError("q must be finite, not nan")

    monkeypatch.setattr(simulation, "simulate", simulate)
    assert fails(capsys, *COMMAND) == "taylorvit: error: q must be finite, not nan\n"


def test_a_missing_package_is_named(folder, monkeypatch, capsys):
    for name in [name for name in sys.modules if name.startswith("taylorvit.jobs")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "numpy", None)
    assert fails(capsys, *COMMAND) == (
        "taylorvit: error: this needs the Python package 'numpy', which is not installed: "
        'pip install "taylorvit[sim]"\n'
    )
