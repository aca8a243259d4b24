"""`taylorvit run`: the same files, bits, table and exit status as `taylorvit simulate`, on a board."""

import json
import re
import sys

import numpy as np
import pytest

from taylorvit.__main__ import main
from taylorvit.fpga.board import load_board
from taylorvit.gen.presets import load_file
from taylorvit.golden import workloads
from taylorvit.jobs import judgement
from verif.fpga.board_model import BoardModel, Faults
from verif.taylorvit.jobs.written_formulas import z_of
from verif.taylorvit.small import SMALL_OF_THE_DOCUMENTS

HEADS = 3  # more than one job takes


@pytest.fixture
def files(tmp_path):
    """A folder with small.toml and in.npz, captured heads of 50 tokens x 32 features."""
    (tmp_path / "small.toml").write_text(SMALL_OF_THE_DOCUMENTS, encoding="utf-8")
    workload = workloads.load("mnist_vit")
    np.savez(tmp_path / "in.npz", q=workload.q[:HEADS], k=workload.k[:HEADS], v=workload.v[:HEADS])
    return tmp_path


def run(files, *options):
    return main(["run", "--config", str(files / "small.toml"), "--input", str(files / "in.npz"), "-o",
                 str(files / "out.npz"), *options])  # fmt: skip


@pytest.fixture
def on_model(files, monkeypatch):
    """on_model(board, *options): exit status of a run whose serial port is a model of a board."""

    def run_on_model(board, *options):
        def open_port(path, baud):
            assert (path, baud) == ("/dev/tty1", board.baud)
            return board

        monkeypatch.setattr("taylorvit.fpga.driver.SerialPort", open_port)
        return main(["run", "--port", "/dev/tty1", "--input", str(files / "in.npz"), *options])

    return run_on_model


def rows(text):
    """The rows of the table in a text, without those that say how it was run."""
    return [line for line in text.splitlines() if re.match(r"│ (operands|T_SA|mismatches|SQNR| )", line)]


def values(rows):
    return [re.sub(r"\s+", " ", row) for row in rows]


def test_simulated_board_gives_the_same_as_the_simulated_accelerator(files, capsys):
    assert run(files, "--sim") == 0
    on_board = capsys.readouterr().out
    assert re.search(r"mismatches\W+0 of 4,800", on_board)
    assert re.search(r"link\W+[\d,]+ bytes there, [\d,]+ back, 0 of \d+ requests repeated", on_board)
    assert re.search(r"time\W+build (cached|\d+\.\d s), simulation \d+\.\d s", on_board)
    assert "in 2 jobs" in on_board and f"wrote {files / 'out.npz'}" in on_board

    assert main(["simulate", "--config", str(files / "small.toml"), "--input", str(files / "in.npz"), "-o",
                         str(files / "direct.npz")]) == 0  # fmt: skip
    assert values(rows(capsys.readouterr().out)) == values(rows(on_board)) != []
    with np.load(files / "out.npz") as through_link, np.load(files / "direct.npz") as direct:
        assert sorted(through_link) == sorted(direct)
        assert {"q", "k", "v", "z_int", "shift_g", "shift_z", "c_v", "c_d", "config", "version"} <= set(direct)
        for name in direct:
            np.testing.assert_array_equal(through_link[name], direct[name])
            assert through_link[name].dtype == direct[name].dtype


def test_hardware_is_whatever_answers(files, on_model, capsys):
    board = BoardModel(load_file(files / "small.toml"), to_board=Faults(bit_error=0.0003))
    assert on_model(board, "-o", str(files / "out.npz")) == 0
    with np.load(files / "out.npz", allow_pickle=False) as file:
        assert json.loads(str(file["config"]))["name"] == "hardware"
        np.testing.assert_array_equal(z_of(file), file["z_int"])
    text = capsys.readouterr().out
    assert "3 heads of 50 tokens x 32 features on hardware" in text
    assert re.search(r"link\W+[\d,]+ bytes there, [\d,]+ back, [1-9]\d* of \d+ requests repeated", text)
    assert re.search(r"time\W+on the board \d+\.\d s", text)
    assert board.closed


def test_icebreaker_without_its_name(files, on_model, capsys):
    """Narrow counters, shifts and elements: all of it is known from the registers."""
    config = load_board("icebreaker").preset().config
    q, k, v = np.random.default_rng(1).normal(size=(3, 4, config.max_tokens, config.max_head_dim))
    np.savez(files / "in.npz", q=q, k=k, v=v)
    assert on_model(BoardModel(config)) == 0
    text = capsys.readouterr().out
    assert "4 heads of 16 tokens x 8 features on hardware" in text and "quantized to 4 bits" in text


def test_bitstream_is_that_of_board_and_preset(on_model, capsys):
    ulx3s, ulx3s_small = load_board("ulx3s-85f"), load_board("ulx3s-25f")
    board = BoardModel(ulx3s.preset().config, board="ulx3s-85f", baud=ulx3s.baud)
    assert on_model(board, "--board", "ulx3s-85f") == 0
    assert f"on {ulx3s.preset().config.name}" in capsys.readouterr().out
    board = BoardModel(ulx3s.preset().config, board="ulx3s-85f", baud=ulx3s_small.baud)
    assert on_model(board, "--board", "ulx3s-25f") == 2
    errors = capsys.readouterr().err
    assert "taylorvit: error: bitstream on model must be that of ulx3s-25f" in errors and errors.count("\n") == 1


def test_mismatch_exits_1(files, on_model, monkeypatch, capsys):
    golden = judgement.golden_steps

    def wrong_golden(*arguments):
        steps = golden(*arguments)
        steps.z[1, 2, 3] += 1
        return steps

    monkeypatch.setattr(judgement, "golden_steps", wrong_golden)
    assert on_model(BoardModel(load_file(files / "small.toml"))) == 1
    assert re.search(r"mismatches\W+1 of 4,800", capsys.readouterr().out)


@pytest.mark.parametrize(
    "options, text",
    [
        (["--sim", "--baud", "9600"], "--baud must come with --port, not with --sim"),
        (["--sim", "--board", "zedboard"], "board must be one of "),
        (["--sim", "-o", "nowhere/z.npz"], "output must be in a folder that exists, not 'nowhere/z.npz'"),
        (["--sim", "--input", "nothing.npz"], "nothing.npz: file must be readable: no such file"),
        (["--port", "/dev/no-such-tty", "--input", "nothing.npz"], "nothing.npz: file must be readable: no such file"),
        (["--port", "/dev/no-such-tty"], "port must be a device that is there, not '/dev/no-such-tty' (serial ports "),
    ],
)
def test_impossible_requests_exit_2(files, capsys, options, text):
    assert run(files, *options) == 2
    errors = capsys.readouterr().err
    assert text in errors and errors.count("\n") == 1


def test_presets_are_of_the_board_or_of_the_generator(files, capsys):
    assert main(["run", "--sim", "--preset", "huge", "--input", str(files / "in.npz")]) == 2
    assert "preset must be one of ulx3s-85f, " in capsys.readouterr().err
    assert main(["run", "--sim", "--preset", "tiny-4x4", "--input", str(files / "in.npz")]) == 2
    assert "head_dim must be at most 16 on tiny-4x4, not 32" in capsys.readouterr().err


def test_silent_board_exits_2(on_model, files, capsys):
    board = BoardModel(load_file(files / "small.toml"))
    board.mute = True
    assert on_model(board) == 2
    errors = capsys.readouterr().err
    assert "does not answer" in errors and errors.count("\n") == 1


@pytest.mark.parametrize(("where", "extra"), [(["--sim"], "sim"), (["--port", "/dev/tty1"], "fpga")])
def test_missing_package_exits_2(files, monkeypatch, capsys, where, extra):
    for name in [name for name in sys.modules if name.startswith("taylorvit.jobs")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "numpy", None)
    assert run(files, *where) == 2
    assert capsys.readouterr().err == (
        "taylorvit: error: this needs the Python package 'numpy', which is not installed: "
        f'pip install "taylorvit[{extra}]"\n'
    )


def test_own_missing_module_is_a_defect(files, monkeypatch):
    monkeypatch.setitem(sys.modules, "taylorvit.jobs", None)
    with pytest.raises(ModuleNotFoundError):
        run(files, "--sim")
