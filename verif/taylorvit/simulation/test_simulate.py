"""`taylorvit simulate`: results, report, exit status, and every way in which the input can be wrong."""

import re
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from taylorvit.__main__ import main
from taylorvit.gen.presets import load_file
from taylorvit.golden.arithmetic.quantizer import dequantize
from taylorvit.jobs import golden_steps, judgement, quantize
from taylorvit.rtl.accelerator import Accelerator
from taylorvit.simulation import Build, simulate
from verif.taylorvit.small import SMALL


@pytest.fixture
def configuration(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(SMALL, encoding="utf-8")
    return path


@pytest.fixture
def simulated(tmp_path, configuration, capsys):
    """simulated(q=..., k=..., v=...) -> exit status, standard output, standard error, arrays of the output file."""

    def simulate_arrays(*options, **arrays):
        np.savez(tmp_path / "in.npz", **arrays)
        status = main(
            [
                "simulate",
                "--config",
                str(configuration),
                "--input",
                str(tmp_path / "in.npz"),
                "-o",
                str(tmp_path / "out.npz"),
                *options,
            ]
        )
        captured = capsys.readouterr()
        output = tmp_path / "out.npz"
        return status, captured.out, captured.err, dict(np.load(output)) if output.exists() else None

    return simulate_arrays


def _normal(heads, tokens=7, head_dim=5, seed=1):
    q, k, v = np.random.default_rng(seed).standard_normal((3, heads, tokens, head_dim))
    return {"q": q, "k": k, "v": v}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_are_quantized(simulated, dtype):
    status, text, _errors, output = simulated(**{name: x.astype(dtype) for name, x in _normal(3).items()})
    assert status == 0, text
    assert output["z"].shape == output["z_int"].shape == (3, 7, 5)
    assert output["z_int"].dtype == np.int8
    np.testing.assert_array_equal(output["z"], dequantize(output["z_int"], int(output["z_exp"])))
    assert re.search(r"mismatches\W+0 of 105", text)
    assert "in 2 jobs" in text  # of at most two heads
    # What 8 bits reach at the least, over many shapes, is measured by `golden fidelity`; far below, something is wrong.
    assert float(re.search(r"([\d.]+) dB against Algorithm 1", text).group(1)) > 20
    assert "dB against softmax attention" in text


def test_integers_are_taken_as_they_are(simulated):
    integers = {name: np.random.default_rng(2).integers(-128, 128, (1, 16, 8), dtype=np.int16) for name in "qkv"}
    status, text, _errors, output = simulated(**integers, q_exp=-6, k_exp=np.array([-7]), v_exp=np.int8(3))
    assert status == 0, text
    assert "integers of 8 bits, q 2^-6, k 2^-7, v 2^3" in text
    scaled = simulated(**integers, q_exp=-7, k_exp=-6)[3]  # only q_exp + k_exp matters to Z, and v_exp to its scale
    np.testing.assert_array_equal(scaled["z_int"], output["z_int"])
    assert int(output["z_exp"]) == int(scaled["z_exp"]) + 3


def test_counters_that_stop_say_so(simulated, configuration):
    """And the shortest TIMEOUT at reset gives up nothing."""
    configuration.write_text(f"{SMALL}counter_width = 8\ninput_timeout = 1\n")
    status, text, _errors, _output = simulated(**_normal(3, tokens=16))
    assert status == 0, text
    assert re.search(r"cycles\W+255 at least: the counters of a job have 8 bits", text)
    assert "T_SA" in text and "utilization" not in text and "array busy" not in text


def test_mismatch_is_named_and_exits_1(simulated, monkeypatch):
    golden = judgement.golden_steps

    def wrong_golden(*arguments):
        steps = golden(*arguments)
        steps.z[1, 2, 3] += 1
        return steps

    monkeypatch.setattr(judgement, "golden_steps", wrong_golden)
    status, text, _errors, output = simulated(**_normal(2))
    assert status == 1
    assert re.search(r"mismatches\W+1 of 70", text)
    got = int(output["z_int"][1, 2, 3])
    assert f"head 1, token 2, feature 3: got {got}, expected {got + 1}" in text


class MuteAccelerator(Accelerator):
    """Computes, and keeps the result to itself."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        m.d.comb += self.m_axis_z.tvalid.eq(0)
        return m


def _failed(result) -> str:
    """What the one line of an error says of a simulation whose log is there."""
    status, _text, errors, output = result
    assert (status, output) == (2, None)
    said = re.fullmatch(r"taylorvit: error: simulation of small failed: (.*); its log is (\S+)\n", errors)
    problem, log = said.groups()
    assert Path(log).is_file()
    shutil.rmtree(Path(log).parent)
    return problem


def test_hardware_that_answers_nothing_exits_2(simulated, monkeypatch):
    monkeypatch.setattr(simulate, "Accelerator", MuteAccelerator)
    problem = _failed(simulated(**_normal(1)))
    assert re.fullmatch(r"1 of 1 tests failed: \w+: packet of Z did not come within [\d,]+ cycles", problem)


def test_hardware_that_counts_wrong_exits_2(simulated, monkeypatch):
    run_bench = simulate.run_bench

    def expect_fewer(*arguments, parameters, **options):
        config = parameters["config"] | {"rows": 8}  # take fewer cycles than four rows
        return run_bench(*arguments, parameters=parameters | {"config": config}, **options)

    monkeypatch.setattr(simulate, "run_bench", expect_fewer)
    problem = _failed(simulated(**_normal(2)))
    assert re.match(r"1 of 1 tests failed: \w+: ARRAY_BUSY: got \d+ \(\w+\), expected \d+", problem)


def test_simulation_that_takes_too_long_exits_2(simulated, monkeypatch):
    monkeypatch.setattr(simulate, "WALL_TIME_LIMIT", 0.05)
    assert _failed(simulated(**_normal(1))) == "the simulation was stopped after 0.05 s"


def test_simulation_that_breaks_off_exits_2(simulated, monkeypatch, tmp_path):
    program = tmp_path / "simulation"
    program.write_text("#!/bin/sh\nexit 3\n")
    program.chmod(0o755)
    broken = Build(tmp_path, "taylorvit", "verilator", False, 0.0)
    monkeypatch.setattr(simulate, "build_accelerator", lambda config, waves: broken)
    problem = _failed(simulated(**_normal(1)))
    assert problem == "the simulation broke off with exit status 3, before its results were written"


def test_simulation_that_cannot_be_started_exits_2(simulated, monkeypatch, tmp_path):
    (tmp_path / "simulation").write_text("")
    broken = Build(tmp_path, "taylorvit", "verilator", False, 0.0)
    monkeypatch.setattr(simulate, "build_accelerator", lambda config, waves: broken)
    status, _text, errors, _output = simulated(**_normal(1))
    assert status == 2 and errors.count("\n") == 1
    assert f"{tmp_path}/simulation could not be started: permission denied; name a folder that programs may " in errors


def test_events_of_another_job_exit_2(simulated, monkeypatch):
    monkeypatch.setattr(simulate, "events_in", lambda word: frozenset({"DONE", "TLAST_Q"}))
    status, text, errors, output = simulated(**_normal(1))
    assert status == 2 and output is not None
    assert re.search(r"mismatches\W+0 of 35", text)
    assert errors == "taylorvit: error: every bit is right, but events must be DONE, not DONE, TLAST_Q\n"


def test_waveform_is_left_beside_the_output(simulated, tmp_path):
    status, text, _errors, _output = simulated("--waves", **_normal(1))
    assert status == 0 and f"wrote {tmp_path}/out.vcd" in text.splitlines()
    with (tmp_path / "out.vcd").open(encoding="utf-8") as file:
        header = file.read(100_000)
    assert "m_axis_z_tdata" in header and "pass_scheduler" in header
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.npz", "out.npz", "out.vcd", "small.toml"]


def test_waveform_that_cannot_be_written_exits_2(simulated, monkeypatch, tmp_path):
    monkeypatch.setattr(simulate, "build_accelerator", None)
    (tmp_path / "out.vcd").mkdir()
    status, _text, errors, _output = simulated("--waves", **NORMAL)
    assert status == 2 and f"output must be a file, not the folder '{tmp_path}/out.vcd'" in errors


def test_users_seed_is_for_others(simulated, monkeypatch):
    monkeypatch.setenv("SEED", "three")
    assert simulated(**_normal(1))[0] == 0


def test_equal_simulations_at_once(configuration, monkeypatch):
    """Each reads its own results: a delay before it reads lets the other one begin, or be in the middle of its run."""
    config = load_file(configuration)
    job = quantize(**_normal(2), config=config)
    simulation = simulate.build_accelerator(config)
    run_bench, begins = simulate.run_bench, threading.Barrier(2)

    def slow_to_return(*arguments, **options):
        begins.wait(300)
        result = run_bench(*arguments, **options)
        time.sleep(0.3)
        return result

    monkeypatch.setattr(simulate, "run_bench", slow_to_return)
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda _number: simulate.simulate_heads(simulation, config, job)[0], range(2)))
    golden = golden_steps(job, config)
    for z in results:
        np.testing.assert_array_equal(z, golden.z)


NORMAL = _normal(1)
INTEGER = {name: np.ones((1, 7, 5), dtype=np.int8) for name in "qkv"}
BAD_INPUTS = {
    "not a number": (NORMAL | {"k": np.full((1, 7, 5), np.nan)}, "k must be finite, not nan"),
    "infinite": (NORMAL | {"v": np.full((1, 7, 5), -np.inf)}, "v must be finite, not -inf"),
    "rank": ({name: x[0] for name, x in NORMAL.items()}, "q must be of shape (heads, tokens, head_dim), not (7, 5)"),
    "shapes": (NORMAL | {"v": NORMAL["v"][:, :6]}, "v must be of the shape of q, (1, 7, 5), not (1, 6, 5)"),
    "empty": ({name: x[:, :0] for name, x in NORMAL.items()}, "q must be without an empty dimension, not (1, 0, 5)"),
    "tokens": (_normal(1, tokens=17), "tokens must be at most 16 on small, not 17"),
    "features": (_normal(1, head_dim=9), "head_dim must be at most 8 on small, not 9"),
    "range": (INTEGER | {"q": np.full((1, 7, 5), 128)}, "q must be -128 to 127 (8 bits), not 128"),
    "missing": ({"q": NORMAL["q"], "v": NORMAL["v"]}, "file must have the arrays q, k, v, and lacks k; it has"),
    "mixed": (NORMAL | {"q": INTEGER["q"]}, "q, k and v must be all floats or all integers, not int8, float64 and"),
    "text": ({name: np.full((1, 7, 5), "x") for name in "qkv"}, "q must be of floats or integers, not of <U1"),
    "objects": (NORMAL | {"q": np.full((1, 7, 5), None)}, "array q must be of numbers, not of object"),
    "exponent of floats": (NORMAL | {"k_exp": 1}, "k_exp must come with integers, not with float64"),
    "exponents": (INTEGER | {"k_exp": np.array([1, 2])}, "k_exp must be one integer, not int64 of shape (2,)"),
    "float exponent": (INTEGER | {"k_exp": 0.5}, "k_exp must be one integer, not float64 of shape ()"),
    "huge exponent": (INTEGER | {"k_exp": 5000}, "k_exp must be -1100 to 1100, not 5000"),
    "logits": (INTEGER | {"k_exp": 40}, "q_exp + k_exp must be such that the constant c_d is 1 to"),
}


@pytest.mark.parametrize("name", BAD_INPUTS)
def test_bad_input_exits_2(simulated, name):
    arrays, message = BAD_INPUTS[name]
    status, text, errors, output = simulated(**arrays)
    assert (status, text, output) == (2, "", None)
    assert message in errors and "in.npz" in errors
    assert errors.count("\n") == 1


@pytest.mark.parametrize(
    "content, message",
    [
        (None, "file must be readable: no such file or directory"),
        (b"q,k,v\n1,2,3\n", "file must be an .npz file, as numpy.savez writes it, not one of another kind"),
        (b"", "file must be an .npz file, as numpy.savez writes it, not an empty one"),
    ],
)
def test_bad_file_exits_2(tmp_path, configuration, capsys, content, message):
    path = tmp_path / "in.npz"
    if content is not None:
        path.write_bytes(content)
    assert main(["simulate", "--config", str(configuration), "--input", str(path)]) == 2
    errors = capsys.readouterr().err
    assert message in errors and str(path) in errors
    assert errors.count("\n") == 1


def test_damaged_file_exits_2(tmp_path, configuration, capsys):
    path = tmp_path / "in.npz"
    np.savez_compressed(path, **_normal(2))
    content = bytearray(path.read_bytes())
    content[200:260] = bytes(60)
    path.write_bytes(content)
    assert main(["simulate", "--config", str(configuration), "--input", str(path)]) == 2
    errors = capsys.readouterr().err
    assert str(path) in errors and errors.count("\n") == 1


def test_output_folder_is_missed_before_anything_is_built(simulated, monkeypatch, tmp_path):
    monkeypatch.setattr(simulate, "build_accelerator", None)
    status, _text, errors, _output = simulated("-o", str(tmp_path / "nowhere" / "z.npz"), **NORMAL)
    assert status == 2
    assert "output must be in a folder that exists, not" in errors


def test_missing_compiler_exits_2(simulated, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    status, _text, errors, _output = simulated(**NORMAL)
    assert status == 2
    assert "C++ compiler 'no-such-compiler' was not found: install g++" in errors
