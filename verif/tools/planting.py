"""Faults, the designs that they are planted in, and how that is done.

A fault is one edit of a design's Verilog: a wrong sign, a missing bit, an off-by-one, a reset that was forgotten. It
names its module and a regular expression, which must match exactly once there: when the generated text changes, a fault
that no longer applies is an error and not a fault that nobody planted.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from taylorvit.simulation import SimulationError, build, run

__all__ = ["Design", "Fault", "Stage"]


@dataclass(frozen=True)
class Fault:
    """One wrong edit: in `module`, what `pattern` matches becomes `replacement` (with groups as in `re.sub`)."""

    name: str
    module: str
    pattern: str
    replacement: str

    def plant(self, verilog: str) -> str:
        """The text with the fault in it.

        Raises `ValueError` unless the module is there once and the pattern matches once in it, changing it.
        """
        module = rf"^module {re.escape(self.module)}\b.*?^endmodule$"
        bodies = list(re.finditer(module, verilog, re.MULTILINE | re.DOTALL))
        if len(bodies) != 1:
            raise ValueError(
                f"{self.name}: module must be in the Verilog once, not {len(bodies)} times: {self.module!r}"
            )
        body = bodies[0]
        mutated, count = re.subn(self.pattern, self.replacement, body.group())
        if count != 1 or mutated == body.group():
            rule = f"pattern must match once in {self.module}, and change it"
            raise ValueError(f"{self.name}: {rule}, not {count} times: {self.pattern!r}")
        return verilog[: body.start()] + mutated + verilog[body.end() :]


@dataclass(frozen=True)
class Stage:
    """One bench that a design must pass."""

    name: str
    test_module: str
    testcase: str
    parameters: dict


@dataclass(frozen=True, eq=False)
class Design:
    """What faults are planted in.

    `stages` are ordered by what finds most in the least time; a fault meets them in turn until one fails.
    `optimized` is that of `taylorvit.simulation.build`: not where compiling takes longer than what it saves.
    """

    name: str
    top: str
    verilog: Callable[[], str]
    stages: tuple[Stage, ...]
    faults: tuple[Fault, ...]
    optimized: bool = True

    def first_failure(self, verilog: str) -> str | None:
        """Runs the stages on this design, or on one with a fault; the name of the first that fails, or None.

        Raises `ToolError` if the Verilog cannot be built: such a fault would show nothing.
        """
        simulation = build(verilog, self.top, simulator="verilator", waves=False, optimized=self.optimized)
        for stage in self.stages:
            try:
                run(simulation, stage.test_module, testcase=stage.testcase, parameters=stage.parameters)
            except SimulationError:
                return stage.name
        return None
