"""The error handler and the console of all commands."""

import argparse
import gc
import io
import logging
import os
import subprocess
import sys
import warnings

import pytest
from rich.table import Table

from taylorvit.boundary.command import (
    CommandError,
    FileError,
    console,
    needs,
    parse,
    real_number,
    run_command,
    whole_number,
)
from verif import ROOT


def said(capsys, error):
    """(exit status, standard error) of a command in which something is raised."""

    def body():
        raise error

    status = run_command("program", body)
    captured = capsys.readouterr()
    assert captured.out == ""
    return status, captured.err


@pytest.mark.parametrize("status", [None, 0, 1, 2])
def test_status_is_that_of_the_body(status):
    assert run_command("program", lambda: status) == (status or 0)
    assert run_command("program", lambda: sys.exit(status)) == (status or 0)


def test_what_libraries_log_is_shown(capsys):
    def body():
        logging.getLogger("taylorvit.fpga.flow").info("compiling %s", "yosys")
        logging.getLogger("taylorvit.fpga.flow").debug("a detail")
        logging.getLogger("elsewhere").info("not ours")

    assert run_command("program", body) == 0
    logging.getLogger("taylorvit.fpga.flow").info("after the command")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "compiling yosys\n")


class Failed(CommandError):
    status = 1


@pytest.mark.parametrize(("error", "status", "text"), [
    (FileError("a.npz: file must be whole"), 2, "a.npz: file must be whole"),
    (ValueError("a must be b"), 2, "a must be b"),
    (OverflowError("too large"), 2, "too large"),
    (CommandError("board is silent"), 2, "board is silent"),
    (Failed("bits differ"), 1, "bits differ"),
    (Failed("yosys failed:\n    line 1\n    line 2"), 1, "yosys failed:\n    line 1\n    line 2"),
    (OSError(28, "No space left on device"), 2, "no space left on device"),
    (PermissionError(13, "Permission denied", "a.npz"), 2, "a.npz: permission denied"),
    (OSError("strange"), 2, "strange"),
    (MemoryError("Unable to allocate 8 TiB"), 2, "memory does not suffice: Unable to allocate 8 TiB"),
    (MemoryError(), 2, "memory does not suffice"),
    (KeyboardInterrupt(), 130, "interrupted"),
    (SystemExit("nothing to do"), 2, "nothing to do"),
    (ModuleNotFoundError(name="numpy.core"), 2,
     "this needs the Python package 'numpy', which is not installed: pip install taylorvit"),
    (ValueError("a\nb\t\x1b[31m\udcff.npz é"), 2, "a\\nb\\t\\x1b[31m\\udcff.npz é"),
])  # fmt: skip
def test_errors_are_one_line(capsys, error, status, text):
    assert said(capsys, error) == (status, f"program: error: {text}\n")


def test_long_values_are_shortened(capsys):
    _status, err = said(capsys, ValueError(f"a must be b, not {'c' * 100_000}; or d"))
    assert len(err) < 2100 and err.startswith("program: error: a must be b, not ccc") and err.endswith("ccc; or d\n")


def test_interrupted_commands_say_what_is_next(capsys):
    assert said(capsys, KeyboardInterrupt("stopped")) == (130, "program: error: stopped\n")


def test_interruption_leaves_no_warnings(capsys):
    """As of a library whose objects are deleted half made: Amaranth's modules."""

    class HalfMade:
        def __del__(self):
            warnings.warn("created but never used", UserWarning, stacklevel=1)

    def body():
        half_made = HalfMade()
        raise KeyboardInterrupt(*([] if half_made else ["never"]))

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        assert run_command("program", body) == 130
        gc.collect()
    assert not seen


@pytest.mark.parametrize("error", [TypeError("fault"), RuntimeError("fault"), ModuleNotFoundError(name="verif.absent")])
def test_faults_of_ours_are_not_hidden(error):
    with pytest.raises(type(error)):
        run_command("program", lambda: (_ for _ in ()).throw(error).__next__())


def test_a_missing_package_names_its_extra(capsys):
    @needs("sim,fpga")
    def body():
        raise ModuleNotFoundError(name="torch")

    assert run_command("program", body) == 2
    assert capsys.readouterr().err == (
        "program: error: this needs the Python package 'torch', which is not installed: "
        'pip install "taylorvit[sim,fpga]"\n'
    )
    with pytest.raises(ModuleNotFoundError), needs("sim"):
        raise ModuleNotFoundError(name="verif.absent")


# Screen


def printed(capsys, *objects):
    console().print(*objects)
    return capsys.readouterr().out


def test_text_is_no_markup_and_is_not_broken(capsys):
    path = "run [lr=0.1]/[/x]/:smile:/" + "long/" * 500 + "z.npz"
    assert printed(capsys, f"wrote {path}") == f"wrote {path}\n"


def test_tables_are_no_markup_and_are_not_broken(capsys):
    table = Table(title="[bold]")
    table.add_column("[/x]")
    table.add_row("a" * 500)
    out = printed(capsys, table)
    assert "[bold]" in out and "[/x]" in out and "a" * 500 in out


def test_status_is_no_markup():
    with console(stderr=True).status("evaluating [/x]") as status:
        status.update("[/x] of 3")


def child(script, **options):
    return subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options
    )


@pytest.mark.parametrize("output", ["print('a' * 99)", "console().print('a' * 99)"])
def test_a_closed_pipe_is_no_traceback(output):
    script = (
        "import sys; from taylorvit.boundary.command import console, run_command\n"
        f"def body():\n    for _ in range(10000):\n        {output}\n"
        "sys.exit(run_command('program', body))"
    )
    process = child(script)
    assert process.stdout.readline().startswith("aaa")
    process.stdout.close()
    assert process.stderr.read() == "" and process.wait(timeout=600) == 141


def test_a_full_disk_is_one_line():
    script = (
        "import sys; from taylorvit.boundary.command import run_command; "
        "sys.exit(run_command('program', lambda: print(1)))"
    )
    with open("/dev/full", "w") as full:
        result = subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert (result.returncode, result.stderr) == (2, "program: error: no space left on device\n")


@pytest.mark.parametrize("closed", ["1", "2", "1 and 2"])
def test_closed_streams_are_no_traceback(closed):
    script = (
        "import sys; from taylorvit.boundary.command import console, run_command\n"
        "def body():\n    print(1); console().print(2); console(stderr=True).print(3); raise ValueError('a')\n"
        "sys.exit(run_command('program', body))"
    )
    redirection = "".join(f" {each}>&-" for each in closed.split(" and "))
    result = subprocess.run(
        ["sh", "-c", f'"$0" -c "$1"{redirection}', sys.executable, script], cwd=ROOT, text=True, capture_output=True
    )
    assert result.returncode == 2 and "Traceback" not in result.stderr


@pytest.mark.parametrize("encoding", ["ascii", "utf-8", "latin-1"])
def test_names_that_cannot_be_encoded(encoding):
    script = (
        "import sys; from taylorvit.boundary.command import console, run_command\n"
        "def body():\n    print('p \\udcff é'); console().print('c \\udcff é'); raise ValueError('e \\udcff é')\n"
        "sys.exit(run_command('program', body))"
    )
    process = child(script, env=os.environ | {"PYTHONIOENCODING": encoding}, errors="replace")
    out, err = process.communicate(timeout=600)
    accent = "\\xe9" if encoding == "ascii" else "é" if encoding == "utf-8" else "\ufffd"
    assert process.returncode == 2 and out == f"p \\udcff {accent}\nc \\udcff {accent}\n"
    assert err == f"program: error: e \\udcff {accent}\n"


# Options


@pytest.mark.parametrize("word", ["--seed=--", "-o--"])
def test_no_value_at_all(capsys, word):
    parser = argparse.ArgumentParser()
    parser.add_argument("-o", "--seed")
    with pytest.raises(SystemExit):
        parse(parser, [word])
    assert f"error: argument {word[:-2].rstrip('=')}: expected one argument\n" in capsys.readouterr().err
    assert parse(parser, ["--seed=a--"]).seed == "a--"


@pytest.mark.parametrize(("convert", "good", "bad", "rule"), [
    (whole_number(1), ["1", "99999999999"], ["0", "-1", "1.0", "nan", "", "a", "1e3", "9" * 5000],
     "must be an integer of at least 1, not "),
    (whole_number(0, 9), ["0", "9"], ["10", "-1"], "must be an integer in 0..9, not "),
    (real_number(1, 1000, "MHz"), ["1", "1000", "1e2"], ["0", "-1", "nan", "inf", "1e999", "", "a"],
     "must be a number in 1..1000 MHz, not "),
])  # fmt: skip
def test_numbers(convert, good, bad, rule):
    for text in good:
        assert convert(text) == float(text)
    for text in bad:
        with pytest.raises(argparse.ArgumentTypeError) as error:
            convert(text)
        assert str(error.value) == f"{rule}{text!r}"


def test_streams_without_an_encoding_are_left_alone(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert run_command("program", lambda: print("é")) == 0
