"""Processes that tests start and wait for."""

import time
from pathlib import Path

LIMIT = 300  # seconds that are waited at most; they only bound a hang, on a machine however busy

__all__ = ["is_running", "numbers_in", "wait_until_ended"]


def is_running(number: int) -> bool:
    """Whether there is such a process which has not ended; one whose end nobody has asked for counts as ended."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until_ended(numbers, seconds=LIMIT):
    """Waits until none of the processes runs any more."""
    limit = time.monotonic() + seconds
    while any(map(is_running, numbers)):
        if time.monotonic() > limit:
            raise AssertionError("a program is still running")
        time.sleep(0.02)


def numbers_in(file, count=2):
    """The numbers of `count` processes, which they write into a file when they begin."""
    limit = time.monotonic() + LIMIT
    while not file.exists() or len(file.read_text().split()) < count:
        if time.monotonic() > limit:
            raise AssertionError("no program was started")
        time.sleep(0.02)
    return [int(number) for number in file.read_text().split()]
