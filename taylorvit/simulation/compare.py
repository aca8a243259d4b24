"""Exact comparison with a count of what was compared.

A bench that stops early, or whose loop runs over an empty list, finds no mismatch. So each element that is
compared is counted, the count is written where `taylorvit.simulation.run` finds it, and a run whose
count is zero fails. Figures that a bench measures (cycles, stalls) travel the same way: `record`.
"""

from __future__ import annotations

import atexit
import json
import os
from collections.abc import Sequence
from operator import index as index_of

__all__ = ["REPORT_VARIABLE", "Scoreboard", "compared", "expect_equal", "record"]

REPORT_VARIABLE = "TAYLORVIT_BENCH_REPORT"

_compared = 0
_measurements: dict[str, object] = {}


def compared() -> int:
    """Number of elements compared so far in this process."""
    return _compared


def record(name: str, value) -> None:
    """Hands a measured figure to `RunResult.measurements`.

    Args:
        name (str): of the figure.
        value (object): anything JSON can hold.
    """
    _measurements[name] = value


def expect_equal(name: str, got, expected, *, width: int | None = None) -> None:
    """Compares integers, or equally nested sequences or arrays of them, element by element.

    Args:
        name (str): what is compared ("z of head 3"), for the error.
        got (object): what came out.
        expected (object): what it must be.
        width (int): bits; hexadecimal values in the error are then two's complement bit patterns, as a waveform shows
            them.

    Raises:
        AssertionError: they differ; the text names the first mismatch, its index, both values, and how many differ.
    """
    got, expected = _plain(got), _plain(expected)
    global _compared
    mismatches: list[tuple] = []
    count = _walk(name, got, expected, (), mismatches)
    _compared += count
    if mismatches:
        index, wrong, right = mismatches[0]
        where = f" at index {list(index)}" if index else ""
        raise AssertionError(
            f"{name}{where}: got {_show(wrong, width)}, expected {_show(right, width)}; "
            f"{len(mismatches)} of {count} compared differ"
        )


class Scoreboard:
    """Compares a stream of values, in order, with a list that is known beforehand.

    Args:
        name (str): what is compared, for the error.
        expected (Sequence): the values.
        width (int): as for `expect_equal`.
    """

    def __init__(self, name: str, expected: Sequence, *, width: int | None = None):
        self.name = name
        self.expected = expected
        self.width = width
        self.received = 0

    def check(self, value) -> None:
        """Compares the next value that has arrived."""
        if self.received >= len(self.expected):
            raise AssertionError(f"{self.name}: got {value!r} after all {len(self.expected)} that were expected")
        expect_equal(f"{self.name}[{self.received}]", value, self.expected[self.received], width=self.width)
        self.received += 1

    def finish(self) -> None:
        """Fails if some value never came."""
        if self.received != len(self.expected):
            raise AssertionError(f"{self.name}: {self.received} came, {len(self.expected)} were expected")


def _plain(values):
    """Nested lists instead of numpy arrays or torch tensors."""
    return values.tolist() if hasattr(values, "tolist") else values


def _walk(name: str, got, expected, index: tuple[int, ...], mismatches: list) -> int:
    """Count the elements of both and collect (index, got, expected) of those that differ."""
    nested = isinstance(got, list | tuple), isinstance(expected, list | tuple)
    if nested == (False, False):
        # index() refuses a float, and a cocotb value with an X or Z in it: an unknown bit equals nothing.
        if index_of(got) != index_of(expected):
            mismatches.append((index, index_of(got), index_of(expected)))
        return 1
    where = f" at index {list(index)}" if index else ""
    if nested != (True, True):
        raise AssertionError(f"{name}{where}: got {got!r}, expected {expected!r}")
    if len(got) != len(expected):
        raise AssertionError(f"{name}{where}: got {len(got)} elements, expected {len(expected)}")
    return sum(
        _walk(name, _plain(one), _plain(other), (*index, position), mismatches)
        for position, (one, other) in enumerate(zip(got, expected))
    )


def _show(value: int, width: int | None) -> str:
    return f"{value} ({value if width is None else value & ((1 << width) - 1):#x})"


def _write_report() -> None:
    with open(os.environ[REPORT_VARIABLE], "w", encoding="utf-8") as file:
        json.dump({"compared": _compared, "measurements": _measurements}, file)


if REPORT_VARIABLE in os.environ:
    atexit.register(_write_report)
