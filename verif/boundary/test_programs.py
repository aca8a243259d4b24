"""Programs that a command starts: their environment, and that none of them is left running."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from taylorvit.boundary import programs
from taylorvit.boundary.command import run_command
from verif import ROOT

from .processes import is_running, numbers_in, wait_until_ended

#: Leaves its number and that of a program which it starts itself, and then is busy.
BUSY = 'echo $$ > {file}; sh -c "echo \\$\\$ >> {file}; sleep 600"; true'


@pytest.mark.parametrize("name", [
    "COCOTB_TEST_FILTER", "GPI_EXTRA", "PYGPI_USERS", "VERILATOR_ROOT", "IVERILOG_DUMPER", "MAKEFLAGS", "MAKELEVEL",
    "PYTHONWARNINGS", "PYTHONOPTIMIZE", "PYTHONINSPECT", "DEPENDENCIES_OUTPUT", "TOPLEVEL_LANG",
])  # fmt: skip
def test_what_is_meant_for_others_stays_out(monkeypatch, name):
    monkeypatch.setenv(name, "1")
    assert name not in programs.environment()


def test_what_stays(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CCACHE_DIR", "there")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("PYTHONPATH", "modules::/elsewhere")
    found = programs.environment(VERILATOR_ROOT="here")
    assert found["CCACHE_DIR"] == "there" and found["VERILATOR_ROOT"] == "here" and found["PATH"] == os.environ["PATH"]
    assert found["PYTHONDONTWRITEBYTECODE"] == "1"
    assert found["PYTHONPATH"] == f"{tmp_path}/modules:{tmp_path}:/elsewhere"  # as Python takes them, from any folder


def test_program_that_ends_by_itself():
    with programs.started(["sh", "-c", "exit 3"]) as process:
        assert process.wait() == 3


def test_program_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError), programs.started([tmp_path / "nothing"]):
        pass


def test_nothing_is_left_running(tmp_path):
    with pytest.raises(RuntimeError), programs.started(["sh", "-c", BUSY.format(file=tmp_path / "numbers")]):
        numbers = numbers_in(tmp_path / "numbers")
        assert all(map(is_running, numbers))
        raise RuntimeError
    wait_until_ended(numbers)


def test_program_that_does_not_want_to_end(tmp_path, monkeypatch):
    monkeypatch.setattr(programs, "_PATIENCE", 0.1)
    busy = f"trap '' TERM; {BUSY.format(file=tmp_path / 'numbers')}"
    with programs.started(["sh", "-c", busy]):
        numbers = numbers_in(tmp_path / "numbers")
    wait_until_ended(numbers)


def test_at_once_is_in_order():
    assert programs.at_once(lambda number: number * number, range(5), jobs=3) == [0, 1, 4, 9, 16]


def test_at_once_stops_at_an_error():
    done = []

    def work(number):
        done.append(number)
        time.sleep(0.01)
        raise ValueError(number)

    with pytest.raises(ValueError, match="^0$"):
        programs.at_once(work, range(100), jobs=1)
    assert len(done) < 10


def test_interruption_ends_what_threads_wait_for(tmp_path):
    """The main thread is interrupted while it waits for two threads, each of which waits for a program."""

    def wait_for(name):
        with programs.started(["sh", "-c", BUSY.format(file=tmp_path / name)]) as process:
            return process.wait()

    def interrupt():
        found.extend([*numbers_in(tmp_path / "a"), *numbers_in(tmp_path / "b")])
        os.kill(os.getpid(), signal.SIGINT)

    found = []
    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        programs.at_once(wait_for, ["a", "b", "c"], jobs=2)
    thread.join()
    wait_until_ended(found)
    assert len(found) == 4 and not (tmp_path / "c").exists()


def test_interruption_ends_what_a_thread_was_about_to_start():
    """The interruption comes before the program, which nobody knows of then."""
    ended = []

    def start_late(_item):
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        time.sleep(0.5)
        with programs.started(["sleep", "600"]) as process:
            ended.append(process.wait())

    with pytest.raises(KeyboardInterrupt):
        programs.at_once(start_late, ["a"], jobs=1)
    assert ended == [-signal.SIGTERM]


def test_interruption_while_a_program_is_started(tmp_path, monkeypatch):
    """The program runs already, and the main thread does not know its number yet."""
    numbers = []

    class Slow(subprocess.Popen):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            numbers.extend(numbers_in(tmp_path / "numbers"))
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(subprocess, "Popen", Slow)
    with pytest.raises(KeyboardInterrupt), programs.started(["sh", "-c", BUSY.format(file=tmp_path / "numbers")]):
        numbers.clear()
    assert len(numbers) == 2
    wait_until_ended(numbers)
    assert signal.getsignal(signal.SIGINT) == signal.default_int_handler


def test_interruption_that_wakes_nobody():
    """Another thread receives the signal, as good as one that comes just before the main thread waits."""

    def interrupt(_item):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        os.kill(os.getpid(), signal.SIGINT)
        with programs.started(["sleep", "600"]) as process:
            ended.append(process.wait())

    ended = []
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with pytest.raises(KeyboardInterrupt):
            programs.at_once(interrupt, ["a"], jobs=1)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    assert ended == [-signal.SIGTERM]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_command_that_is_terminated_ends_its_programs(tmp_path, number):
    script = f"""
import sys
from taylorvit.boundary import programs
from taylorvit.boundary.command import run_command
def body():
    with programs.started(["sh", "-c", {BUSY.format(file=tmp_path / "numbers")!r}]) as process:
        process.wait()
sys.exit(run_command("name", body))
"""
    command = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # nohup has the tests ignore SIGHUP
    )
    numbers = numbers_in(tmp_path / "numbers")
    command.send_signal(number)
    _output, errors = command.communicate(timeout=300)
    assert (command.returncode, errors) == (130, "name: error: interrupted\n")
    wait_until_ended(numbers)


def test_what_outlives_the_program_is_ended(tmp_path):
    """A child that heeds no SIGTERM, of a program that does."""
    script = f"(trap '' TERM; sh -c 'echo $$ > {tmp_path / 'numbers'}; exec sleep 600') & sleep 600"
    with programs.started(["sh", "-c", script]):
        numbers = numbers_in(tmp_path / "numbers", count=1)
    wait_until_ended(numbers)


def test_command_leaves_the_handlers_of_signals_as_they_were(capsys):
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        handlers = []
        run_command("name", lambda: handlers.extend(map(signal.getsignal, (signal.SIGTERM, signal.SIGHUP))))
        assert handlers == [signal.default_int_handler, signal.SIG_IGN]
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
