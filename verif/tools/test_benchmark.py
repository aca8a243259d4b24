"""The benchmark measures what it says, and fails when it should."""

import json

import numpy as np
import pytest

from taylorvit.gen.verilog import emit
from taylorvit.rtl.accelerator import Accelerator
from taylorvit.rtl.config import AcceleratorConfig

from . import benchmark

CONFIG = AcceleratorConfig(name="bench", rows=4, columns=4, max_tokens=64, max_head_dim=16, max_heads=8)
GOOD_ROW = {"preset": "p", "mismatches": 0, "compared": 10, "ratio": 1.0}
GOOD_EMISSION = {"preset": "p", "seconds": 20.0, "processor_seconds": 1.0, "bytes": 1000}


def _heads(count):
    return np.random.default_rng(3).standard_normal((3, count, 48, 16))


def test_sustained_rate_is_that_of_the_array():
    row = benchmark.measure(CONFIG, *_heads(8))
    assert row["mismatches"] == 0 and row["compared"] == 8 * 48 * 16
    assert row["array_cycles"] == row["ideal_cycles"] == CONFIG.array_cycles(48, 16)
    assert 1.0 <= row["ratio"] <= benchmark.RATIO_LIMIT
    assert row["utilization"] == pytest.approx(1 / row["ratio"], abs=1e-3)
    assert row["job_cycles"] > row["first_head_cycles"] + 6 * row["array_cycles"]
    assert row["simulated_cycles_a_second"] > 0


def test_few_heads_have_no_sustained_rate():
    with pytest.raises(ValueError, match="heads must be at least 5 for a sustained rate, not 4"):
        benchmark.measure(CONFIG, *_heads(4))


def test_captured_heads_start_again():
    q, k, v = benchmark.captured_heads(8)
    assert q.shape == k.shape == v.shape == (8, 197, 64)
    np.testing.assert_array_equal(q[:2], q[6:])


def test_emission_is_counted_in_bytes():
    emission = benchmark.measure_emission(CONFIG)
    assert emission["preset"] == "bench"
    assert emission["bytes"] == len(emit(Accelerator(CONFIG)))
    assert emission["seconds"] > 0 and emission["processor_seconds"] > 0


@pytest.mark.parametrize(
    "change, message",
    [
        ({"ratio": 1.0301}, "p: cycles a head must be at most 1.03 T_SA, not 1.0301"),
        ({"mismatches": 2}, "p: 2 of 10 elements differ from the golden"),
        ({"processor_seconds": 10.0}, "p: emission must take under 10.0 s of processor time, not 10.0 s"),
        ({"bytes": 1 << 20}, "p: Verilog must be under 1,048,576 bytes, not 1,048,576"),
    ],
)
def test_missed_targets(change, message):
    assert benchmark.missed_targets(GOOD_EMISSION, [GOOD_ROW]) == []
    emission = GOOD_EMISSION | {key: value for key, value in change.items() if key in GOOD_EMISSION}
    row = GOOD_ROW | {key: value for key, value in change.items() if key in GOOD_ROW}
    assert benchmark.missed_targets(emission, [row]) == [message]


@pytest.mark.parametrize("missed, status", [([], 0), (["too slow"], 1)])
def test_command_line(monkeypatch, tmp_path, capsys, missed, status):
    row = {
        **GOOD_ROW,
        "cycles_a_head": 128.0,
        "array_cycles": 128,
        "ideal_cycles": 128.0,
        "utilization": 1.0,
        "first_head_cycles": 200,
        "build_seconds": None,
        "simulated_cycles_a_second": 1000,
    }
    monkeypatch.setattr(benchmark, "measure", lambda config, *operands: row | {"preset": config.name})
    monkeypatch.setattr(benchmark, "measure_emission", lambda config: GOOD_EMISSION)
    monkeypatch.setattr(benchmark, "missed_targets", lambda *arguments: missed)
    assert benchmark.main(["-o", str(tmp_path / "build" / "bench.json"), "--preset", "tiny-4x4"]) == status
    report = json.loads((tmp_path / "build" / "bench.json").read_text(encoding="utf-8"))
    assert report["missed"] == missed
    assert [row["preset"] for row in report["accelerators"]] == ["tiny-4x4"]
    text = capsys.readouterr().out
    assert "tiny-4x4" in text and "cached" in text
    assert ("missed: too slow" in text) == bool(missed)


def test_unknown_preset_exits_2(capsys):
    assert benchmark.main(["--preset", "huge"]) == 2
    assert "preset must be one of" in capsys.readouterr().err
