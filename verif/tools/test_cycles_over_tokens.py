"""Cycles over tokens: the crossing point, and a small run of the command."""

import pytest

from taylorvit.golden.network.vit import SHAPES

from .cycles_over_tokens import KERNELS, crossing, figures_of, main

NETWORK = "deit_tiny_2_layers"


def test_crossing():
    taylor = [(10, 20), (20, 40), (40, 80)]
    assert crossing([(10, 10), (20, 40), (40, 160)], taylor) == 20
    assert crossing([(10, 10), (20, 50), (40, 160)], taylor) == pytest.approx(15)
    assert crossing([(10, 30), (20, 50), (40, 160)], taylor) == 10
    assert crossing([(10, 10), (20, 20), (40, 40)], taylor) is None


def test_attention_grows_as_it_should():
    """Linearly for Taylor attention, with the square for softmax."""
    figures = {kernel: [figures_of(SHAPES[NETWORK], side, kernel) for side in (12, 17)] for kernel in KERNELS}
    growth = {kernel: large.attention / small.attention for kernel, (small, large) in figures.items()}
    assert growth["taylor"] == pytest.approx(290 / 145, rel=0.1)
    assert growth["softmax"] == pytest.approx((290 / 145) ** 2, rel=0.1)


def test_picture_and_table(capsys, tmp_path):
    assert main(["--network", NETWORK, "--sides", "4", "8", "12", "-o", str(tmp_path / "chart.svg")]) == 0
    out = capsys.readouterr().out
    assert "    17 " in out and "   145 " in out and f"wrote {tmp_path / 'chart.svg'}" in out
    assert "Taylor pays from about" in (tmp_path / "chart.svg").read_text()


def test_what_cannot_be_drawn(capsys, tmp_path):
    assert main(["-o", str(tmp_path / "chart.txt")]) == 2
    assert "cycles_over_tokens: error: " in capsys.readouterr().err
