"""The tables of softmax attention's widths, on small operands."""

import re

import numpy as np
from rich.console import Console

from taylorvit.__main__ import main
from taylorvit.golden.arithmetic.number_format import SoftmaxFormat
from taylorvit.golden.reports import softmax_fidelity
from taylorvit.golden.reports.softmax_fidelity import softmax_fidelity_of_job, softmax_fidelity_tables


def operands(seed=0, shape=(2, 30, 16)):
    return np.random.default_rng(seed).normal(size=(3, *shape))


def test_wider_integers_are_closer():
    lean = SoftmaxFormat(score_width=8, exponential_width=6, exponential_entries=64)
    wide = SoftmaxFormat(data_width=12, score_width=16, exponential_width=16, exponential_entries=4096)
    jobs = [softmax_fidelity_of_job(*operands(), each) for each in (lean, None, wide)]
    assert jobs[0].integers < jobs[1].integers - 3 and jobs[1].integers < jobs[2].integers - 18
    for job in jobs[1:]:
        assert job.operands > job.rounded > job.integers - 0.2 and job.integers > job.rounded - 1
    assert jobs[0].operands == jobs[1].operands


def test_tables(monkeypatch):
    layers = {"one": [tuple(operands(1))], "two": [tuple(operands(2)), tuple(operands(3))]}
    monkeypatch.setattr(softmax_fidelity, "_sources", lambda seed: layers)
    console = Console(width=200)
    widths, data_widths, shifts = softmax_fidelity_tables(1)
    with console.capture() as captured:
        console.print(widths)
    text = captured.get()
    wanted = min(softmax_fidelity_of_job(*each).integers for each in layers["two"])
    (line,) = re.findall(r"│ 12 +│ 11 +│ 1024 +│ [\d.]+, [\d.-]+ +│ ([\d.]+), [\d.-]+ ", text)
    assert line == f"{wanted:.1f}"
    assert len(data_widths.rows) == 6 and len(shifts.rows) == 9


def test_a_second_shift_brings_nothing():
    number_format = SoftmaxFormat()
    results = [softmax_fidelity._best_of_all_shifts(*operands(4), number_format, shift) for shift in range(3)]
    assert max(results) < results[0] + 0.3


def test_a_histogram_of_softmax_is_refused(capsys, tmp_path):
    assert main(["fidelity", "--kernel", "softmax", "-o", str(tmp_path / "fidelity.png")]) == 2
    assert "output must be left out with --kernel softmax" in capsys.readouterr().err
