"""The integer model keeps what docs/numerics.md says of Algorithm 1."""

import sys

import numpy as np
import pytest

from taylorvit.__main__ import main
from taylorvit.golden.reports import fidelity
from taylorvit.golden.reports.fidelity import fidelity_of_job, fidelity_of_random_shapes


@pytest.mark.parametrize(
    "largest_scale, percentile_5, median, worst",
    # Half a decibel below what docs/numerics.md lists.
    [(1.0, 35.4, 37.2, 32.5), (3.0, 33.8, 36.8, 30.5)],
)
def test_fidelity_on_random_shapes(largest_scale, percentile_5, median, worst):
    jobs = fidelity_of_random_shapes(largest_scale)
    decibels = [job.integers for job in jobs]
    assert len(decibels) == 200
    assert np.percentile(decibels, 5) > percentile_5
    assert np.median(decibels) > median
    assert min(decibels) > worst
    assert sum(job.denominator_errors for job in jobs) == 0
    # All roundings before Z together cost no more than that of Z alone, which halves the fidelity: 3 dB.
    assert np.median([job.z_alone for job in jobs]) - np.median(decibels) < 3.0


def test_main_prints_a_table(capsys, tmp_path):
    pytest.importorskip("matplotlib")
    assert main(["fidelity", "--count", "3", "-o", str(tmp_path / "fidelity.png")]) == 0
    assert (tmp_path / "fidelity.png").stat().st_size > 1000
    printed = capsys.readouterr().out
    assert "scales up to 3" in printed and "mnist_vit" in printed


def test_a_histogram_without_matplotlib_is_refused_before_the_work(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(fidelity, "fidelity_of_random_shapes", None)
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["fidelity", "--count", "2", "-o", str(tmp_path / "fidelity.png")]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and "needs the Python package 'matplotlib'" in captured.err


def test_wider_integers_are_closer():
    from taylorvit.golden.arithmetic.number_format import NumberFormat

    q, k, v = np.random.default_rng(0).normal(size=(3, 1, 50, 32))
    eight = fidelity_of_job(q, k, v)
    twelve = fidelity_of_job(q, k, v, NumberFormat(data_width=12, c_v_width=32, c_d_width=50))
    assert twelve.integers > eight.integers + 18 and twelve.all > eight.all + 18
