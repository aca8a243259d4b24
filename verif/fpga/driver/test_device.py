"""`TaylorVit` at the model of a board: results, registers, and every way in which it says no."""

import re
from dataclasses import replace

import numpy as np
import pytest

from taylorvit.fpga.board import board_names, load_board
from taylorvit.fpga.driver import (
    DriverError,
    JobError,
    RegisterError,
    TaylorVit,
    WrongBoard,
)
from taylorvit.fpga.protocol import build_id
from taylorvit.jobs import format_of, golden_steps, quantize
from taylorvit.rtl import __version__
from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.rtl.control.host_view import HostView
from verif.fpga.board_model import BoardModel, Faults
from verif.fpga.driver.endings import every_ending

CONFIG = AcceleratorConfig(name="small", rows=4, columns=4, max_tokens=16, max_head_dim=8, max_heads=5)
WIDE = replace(CONFIG, name="wide", data_width=12, stream_width=64)
# Constants of more than 64 bits.
WIDEST = replace(CONFIG, name="widest", data_width=16, mean_fraction=8, constant_fraction=16, stream_width=16)
CONSTANTS = {"SHIFT_G": 3, "SHIFT_Z": 5, "C_V": 100, "C_D": 4000}


def quantized(heads=3, tokens=7, head_dim=5, config=CONFIG):
    q, k, v = np.random.default_rng(1).standard_normal((3, heads, tokens, head_dim))
    if config is WIDEST:
        q, k = q / 4096, k / 4096
    job = quantize(q, k, v, config)
    return job.operands, job.registers, golden_steps(job, config).z


@pytest.mark.parametrize("config", [CONFIG, WIDE, WIDEST], ids=lambda config: config.name)
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 16, 8), (12, 7, 5)])
def test_z_equals_the_golden(config, shape):
    operands, constants, golden = quantized(*shape, config=config)
    assert (constants["C_D"] >> 63 > 0) == (config is WIDEST)
    progress = []
    with TaylorVit(BoardModel(config), board="model", config=config) as accelerator:
        result = accelerator.run(*operands, constants, on_progress=progress.append)
    np.testing.assert_array_equal(result.z, golden)
    assert progress == list(range(1, shape[0] + 1))
    full, rest = divmod(shape[0], config.max_heads)
    assert [job.heads for job in result.jobs] == [config.max_heads] * full + [rest] * bool(rest)
    assert all(job.events == {"DONE"} and job.counters["HEADS_DONE"] == job.heads for job in result.jobs)


def test_bad_line_changes_nothing():
    operands, constants, golden = quantized(heads=10)
    board = BoardModel(CONFIG, to_board=Faults(bit_error=0.003, seed=1), to_host=Faults(loss=0.003, seed=2))
    with TaylorVit(board, board="model", config=CONFIG) as accelerator:
        for _time in range(3):
            np.testing.assert_array_equal(accelerator.run(*operands, constants).z, golden)
        assert accelerator.link.statistics.lost > 5
    assert [value for name, value in board.executed_writes if name == "CONTROL"] == [1] * 6


BUILDS = {preset.config.name: preset.config for name in board_names() for preset in load_board(name).presets.values()}


@pytest.mark.parametrize("config", [WIDE, WIDEST, *BUILDS.values()], ids=lambda config: config.name)
def test_everything_is_known_from_the_registers(config):
    """Any board's accelerator, of which the program knows nothing, computes."""
    with TaylorVit(BoardModel(config)) as accelerator:
        view = accelerator.view
        assert view == replace(HostView.of(config), name="hardware")
        assert format_of(view) == format_of(config)
        operands, constants, golden = quantized(2, min(7, view.max_tokens), min(5, view.max_head_dim), config)
        np.testing.assert_array_equal(accelerator.run(*operands, constants).z, golden)


def test_registers_by_name():
    board = BoardModel(CONFIG)
    with TaylorVit(board) as accelerator:
        accelerator.configure(heads=2, tokens=3, head_dim=4, constants=CONSTANTS | {"SHIFT_Z": -2, "C_D": 5 << 32})
        assert accelerator.read_all(["HEADS", "TOKENS", "HEAD_DIM"]) == {"HEADS": 2, "TOKENS": 3, "HEAD_DIM": 4}
        assert accelerator.read("C_D") == 5 << 32
        assert accelerator.read("SHIFT_Z") == (1 << 32) - 2
        assert accelerator.read("TIMEOUT") == 30 * board.identification.clock_hz
        accelerator.write("SHIFT_Z", -3)
        accelerator.write("C_V_0", 77)
        assert accelerator.read("C_V") == 77
        assert accelerator.counters()["CYCLES"] == 0
        assert not accelerator.busy()
        assert accelerator.events() == frozenset()
        assert accelerator.link_status().available == 0
        accelerator.reset()
        assert accelerator.read("TOKENS") == CONFIG.max_tokens


@pytest.mark.parametrize(
    "name, value, error, text",
    [
        ("TOKEN", 1, ValueError, "register must be one of ID, "),
        ("C_D", 1, ValueError, "register must be one of C_D_0, C_D_1, C_D_2, not 'C_D'"),
        ("ID", 1, ValueError, "register must be one that can be written, not 'ID' (constant)"),
        ("TOKENS", 1.0, TypeError, "value of TOKENS must be an integer, not 1.0"),
        ("TOKENS", 1 << 32, ValueError, "value of TOKENS must fit 32 bits, not 4294967296"),
        ("TOKENS", 17, RegisterError, "model refuses 0x11 for register TOKENS"),
    ],
)
def test_wrong_writes_are_refused(name, value, error, text):
    with TaylorVit(BoardModel(CONFIG)) as accelerator, pytest.raises(error, match=re.escape(text)):
        accelerator.write(name, value)


def test_unreadable_register_is_an_error(monkeypatch):
    board = BoardModel(CONFIG)
    with TaylorVit(board) as accelerator:
        monkeypatch.setattr(board._accelerator, "read", lambda address: None)
        with pytest.raises(RegisterError, match="register CYCLES on model cannot be read"):
            accelerator.counters()


def test_closed_accelerator_has_no_registers():
    with pytest.raises(ValueError, match="^cannot access a register: the accelerator is not open; call open first$"):
        TaylorVit(BoardModel(CONFIG)).read("ID")


# What is there is not what was expected


def test_other_configuration_is_named():
    built = replace(CONFIG, rows=8, max_tokens=12)
    board = BoardModel(built)
    expected = (
        f"bitstream on model must be that of model with small (build {build_id('model', CONFIG):08x}), "
        f"not {build_id('model', built):08x}: ROWS is 8, not 4; MAX_TOKENS is 12, not 16"
    )
    with pytest.raises(WrongBoard, match=re.escape(expected)):
        TaylorVit(board, board="model", config=CONFIG).open()
    assert board.closed
    with pytest.raises(WrongBoard, match="accelerator on model must be small: ROWS is 8, not 4; MAX_TOKENS is 12, not"):
        TaylorVit(BoardModel(built), config=CONFIG).open()


def test_other_board_is_named():
    with pytest.raises(WrongBoard, match="not .*: built for another board, by another version or with other options"):
        TaylorVit(BoardModel(CONFIG), board="other", config=CONFIG).open()
    with pytest.raises(ValueError, match="config must be given with board, not only 'other'"):
        TaylorVit(BoardModel(CONFIG), board="other")


def test_beats_must_be_those_of_the_accelerator():
    with pytest.raises(WrongBoard, match="link on model must have beats of 4 bytes, as the accelerator, not 8"):
        TaylorVit(BoardModel(CONFIG, stream_bytes=8)).open()


@pytest.mark.parametrize("name, value, text", [
    ("ID", 0x12345678, "register ID on model must be 0x5441594c, not 0x12345678: this is no TaylorViT"),
    ("VERSION", 0x0009_0007, f"version of the accelerator on model must be {__version__.rpartition('.')[0]}.x, that of "
                             "this program, not 9.0.7: build and load its bitstream anew"),
    ("ARRAY_SIZE", 0x0004_0000, "accelerator on model must be one that can be built: ROWS in register ARRAY_SIZE must "
                                "be at least 1, not 0"),
    ("NUMBER_FORMAT", 0x0803_0818, "accelerator on model must be one that can be built: DATA_WIDTH in register "
                                   "NUMBER_FORMAT must be in 2..16, not 24"),
])  # fmt: skip
def test_strange_constants_are_errors(name, value, text):
    board = BoardModel(CONFIG)
    reset = board._accelerator.reset

    def with_other_constant():
        reset()
        board._accelerator.values[name] = value

    board._accelerator.reset = with_other_constant
    with pytest.raises(WrongBoard, match=re.escape(text)):
        TaylorVit(board).open()


def test_missing_constants_are_an_error(monkeypatch):
    board = BoardModel(CONFIG)
    monkeypatch.setattr(board._accelerator, "read", lambda address: None if address == 0x10 else 1)
    with pytest.raises(WrongBoard, match="must have the registers of this program's version, but has no MAX_SIZES"):
        TaylorVit(board).open()


# Jobs that cannot be done


@pytest.mark.parametrize(
    "shape, text",
    [
        ((1, 17, 8), "tokens must be at most 16 on hardware, not 17"),
        ((1, 16, 9), "head_dim must be at most 8 on hardware, not 9"),
    ],
)
def test_too_large_operands_are_refused(shape, text):
    with TaylorVit(BoardModel(CONFIG)) as accelerator, pytest.raises(ValueError, match=text):
        accelerator.run(*np.zeros((3, *shape), dtype=np.int8), CONSTANTS)


def test_too_wide_values_are_refused():
    with TaylorVit(BoardModel(CONFIG)) as accelerator:
        with pytest.raises(ValueError, match=r"q must be -128 to 127 \(8 bits\), not 200"):
            accelerator.run(*np.full((3, 1, 7, 5), 200), CONSTANTS)
        with pytest.raises(ValueError, match="SHIFT_G must be in 0.."):
            accelerator.run(*np.zeros((3, 1, 7, 5), dtype=int), CONSTANTS | {"SHIFT_G": 99})


@pytest.mark.parametrize("value", [1.5, True])
def test_constants_must_be_integers(value):
    with TaylorVit(BoardModel(CONFIG)) as accelerator:
        with pytest.raises(TypeError, match=f"C_V must be an integer, not {value!r}"):
            accelerator.run(*np.zeros((3, 1, 7, 5), dtype=int), CONSTANTS | {"C_V": value})


@pytest.mark.parametrize("names", [["SHIFT_G", "SHIFT_Z", "C_V"], [*CONSTANTS, "HEADS"], [*CONSTANTS, "C_D_0"], []])
def test_constants_are_those_of_a_job(names):
    with TaylorVit(BoardModel(CONFIG)) as accelerator:
        text = f"constants must be of the registers SHIFT_G, SHIFT_Z, C_V, C_D, not of {', '.join(names)}$"
        with pytest.raises(ValueError, match=text):
            accelerator.run(*np.zeros((3, 1, 7, 5), dtype=int), dict.fromkeys(names, 1))


def test_refused_constants_are_named(monkeypatch):
    board = BoardModel(CONFIG)
    with TaylorVit(board) as accelerator:
        write = board._accelerator.write
        monkeypatch.setattr(board._accelerator, "write", lambda at, data: None if at == 0x84 else write(at, data))
        with pytest.raises(RegisterError, match="model refuses the values for HEAD_DIM"):
            accelerator.run(*np.zeros((3, 1, 7, 5), dtype=int), CONSTANTS)


def run_with(board, **options):
    operands, constants, _golden = quantized()
    with TaylorVit(board) as accelerator:
        accelerator.run(*operands, constants, **options)


def test_job_that_gives_nothing_is_an_error():
    board = BoardModel(CONFIG)
    board.results_withheld, board.stall = True, 0.5
    with pytest.raises(
        JobError,
        match=r"model took \d+ of \d+ bytes and gave 0 of 168, then nothing moved for 0.5 s; "
        r"the accelerator runs, heads done 0, events: none",
    ):
        run_with(board)


def test_job_that_does_not_end_is_an_error(monkeypatch):
    board = BoardModel(CONFIG)
    board.stall = 0.5
    give = board._accelerator.give

    def give_without_end(*arguments):
        give(*arguments)
        if board._accelerator.finished:
            board._accelerator.values["STATUS"] = 1

    monkeypatch.setattr(board._accelerator, "give", give_without_end)
    with pytest.raises(JobError, match="job on model did not end with its last result: the accelerator runs"):
        run_with(board)


def test_running_job_is_not_disturbed():
    operands, constants, _golden = quantized()
    with TaylorVit(BoardModel(CONFIG)) as accelerator:
        accelerator.write("CONTROL", 1)
        with pytest.raises(
            JobError, match="^cannot start a job on model: another one runs; reset the accelerator first$"
        ):
            accelerator.run(*operands, constants)
        accelerator.reset()
        accelerator.run(*operands, constants)


def test_run_that_was_broken_off_leaves_nothing_behind():
    """The user ends a run while Z of its other heads is still on the board, and begins another one."""
    operands, constants, _golden = quantized()
    reversed_heads = [operand[::-1].copy() for operand in operands]

    def break_off(heads):
        raise KeyboardInterrupt

    with TaylorVit(BoardModel(CONFIG)) as accelerator:
        expected = accelerator.run(*operands, constants).z
        with pytest.raises(KeyboardInterrupt):
            accelerator.run(*operands, constants, on_progress=break_off)
        while accelerator.busy():
            pass
        np.testing.assert_array_equal(accelerator.run(*reversed_heads, constants).z, expected[::-1])


def test_accelerator_must_be_open():
    operands, constants, _golden = quantized()
    configured = {"heads": 1, "tokens": 1, "head_dim": 1, "constants": constants}
    for call in (
        lambda it: it.run(*operands, constants),
        lambda it: it.configure(**configured),
        lambda it: it.counters(),
    ):
        with pytest.raises(ValueError, match="^cannot use the accelerator on model: it is not open; call open first$"):
            call(TaylorVit(BoardModel(CONFIG)))


def test_spoiled_job_is_an_error():
    board = BoardModel(CONFIG)
    board.events_to_raise.update({"INPUT_TIMEOUT", "DENOMINATOR"})
    with pytest.raises(
        JobError, match="job on model did not compute with its operands as they were sent: events INPUT_TIMEOUT$"
    ):
        run_with(board)


def test_wrong_number_of_heads_is_an_error(monkeypatch):
    board = BoardModel(CONFIG)
    with TaylorVit(board) as accelerator:
        counters = accelerator.counters
        monkeypatch.setattr(accelerator, "counters", lambda: counters() | {"HEADS_DONE": 2})
        operands, constants, _golden = quantized()
        with pytest.raises(JobError, match="job on model must do 3 heads, not 2"):
            accelerator.run(*operands, constants)


def test_dropped_packet_is_an_error():
    board = BoardModel(CONFIG)
    with pytest.raises(JobError, match="link on model dropped a packet that it did not know"):
        run_with(board, on_progress=lambda heads: setattr(board, "malformed_packet", True))


@every_ending
def test_end_of_the_board_is_an_error(happens, error, text):
    board = BoardModel(CONFIG)
    with pytest.raises(error, match=text):
        run_with(board, on_progress=lambda heads: happens(board))
    assert issubclass(error, DriverError)
