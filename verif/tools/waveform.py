"""Signals of a waveform (VCD), sampled at every clock edge."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

__all__ = ["Trace", "read_vcd"]


class Trace:
    """Sampled signals: `trace["pass_scheduler.array_busy"]` is an array with one integer a cycle."""

    def __init__(self, signals: dict[str, np.ndarray]):
        self._signals = signals

    def __getitem__(self, name: str) -> np.ndarray:
        return self._signals[name]

    def from_cycle(self, cycle: int) -> Trace:
        """The same without the cycles before `cycle`."""
        return Trace({name: values[cycle:] for name, values in self._signals.items()})


def read_vcd(path: Path, top: str, names: Iterable[str], clock: str = "clk") -> Trace:
    """Sample the signals `names`, dotted paths below the module `top`, at every rising edge of its clock.

    A sample is the value just before the edge, which is what registers see.

    Raises:
        ValueError: a signal is not in the file.
    """
    with path.open(encoding="ascii") as file:
        codes = _read_header(file, top)
        wanted = [clock, *names]
        missing = [name for name in wanted if name not in codes]
        if missing:
            raise ValueError(f"signal must be one below {top} in the waveform, not {missing[0]!r}")
        samples = list(_samples(file, {codes[name] for name in wanted}, codes[clock]))
    return Trace({name: np.array([sample[codes[name]] for sample in samples]) for name in wanted[1:]})


def _read_header(file, top: str) -> dict[str, str]:
    """Path below `top` -> code of every signal, up to the end of the definitions."""
    codes, scopes = {}, []
    for line in file:
        words = line.split()
        match words[:1]:
            case ["$scope"]:
                scopes.append(words[2])
            case ["$upscope"]:
                scopes.pop()
            case ["$var"] if top in scopes:
                codes[".".join([*scopes[scopes.index(top) + 1 :], words[4]])] = words[3]
            case ["$enddefinitions"]:
                return codes
    raise ValueError("waveform must have definitions and an end to them")


def _samples(file, wanted: set[str], clock: str) -> Iterator[dict[str, int]]:
    values = dict.fromkeys(wanted, 0)
    changes: dict[str, int] = {}
    for line in file:
        kind = line[0]
        if kind == "#":
            if changes.get(clock) and not values[clock]:
                yield dict(values)
            values |= changes
            changes = {}
        elif kind in "01xz":
            code = line[1:].strip()
            if code in wanted:
                changes[code] = int(kind == "1")
        elif kind == "b":
            bits, code = line[1:].split()
            if code in wanted:
                changes[code] = int(bits.replace("x", "0").replace("z", "0"), 2)
