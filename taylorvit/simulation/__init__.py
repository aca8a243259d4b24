"""Simulations of generated Verilog: what benches and their tests are written with, and what `taylorvit simulate` runs.

    from taylorvit.simulation import build, run
    result = run(build(verilog_text, "adder"), __name__, testcase="sums_are_exact", parameters={"width": 8})

`building` makes a simulation of Verilog, `running` runs benches on it and judges what they leave, `compare` compares
exactly and counts, `lockstep` drives and samples ports; `compilers` knows the tools, `places` where things are kept,
`settings` what the environment asks for, `dsp_cells` the models of vendors' multipliers.

`simulate` sends a job through the generated Verilog of an accelerator (`taylorvit.simulate`), `host` drives its ports
in a bench, and `simulated_board` is a whole FPGA board at the end of a serial line.
"""

from .building import Build, build
from .compare import Scoreboard, compared, expect_equal, record
from .compilers import ToolError
from .lockstep import PATTERNS, Sink, Source, WaitError, pack, pattern, start, unpack, wait_until
from .running import RunResult, SimulationError, parameters, run

__all__ = [
    "PATTERNS",
    "Build",
    "RunResult",
    "Scoreboard",
    "SimulationError",
    "Sink",
    "Source",
    "ToolError",
    "WaitError",
    "build",
    "compared",
    "expect_equal",
    "pack",
    "parameters",
    "pattern",
    "record",
    "run",
    "start",
    "unpack",
    "wait_until",
]
