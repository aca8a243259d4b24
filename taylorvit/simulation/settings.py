"""What the environment says of a run of the tests: `SIM`, `SEED`, `WAVES`."""

from __future__ import annotations

import os
import random

__all__ = ["SIMULATORS", "selected_seed", "selected_simulator", "selected_waves"]

SIMULATORS = ("verilator", "icarus")
DEFAULT_SEED = 1


def selected_simulator() -> str:
    """The simulator that `SIM` names: verilator unless it is set."""
    simulator = os.environ.get("SIM") or "verilator"
    if simulator not in SIMULATORS:
        raise ValueError(f"simulator must be one of {', '.join(SIMULATORS)}, not {simulator!r}")
    return simulator


def selected_seed() -> int:
    """The seed that `SEED` names: 1 unless it is set, a new one for `SEED=random`."""
    text = os.environ.get("SEED") or str(DEFAULT_SEED)
    if text == "random":
        return random.SystemRandom().randrange(1 << 31)
    if not text.isdecimal():
        raise ValueError(f"SEED must be a number or 'random', not {text!r}")
    return int(text)


def selected_waves() -> bool:
    """Whether `WAVES` asks for waveforms."""
    return os.environ.get("WAVES", "0") not in ("", "0")
