"""What benches and their pytest functions are written with.

`simulation` builds Verilog and runs benches on it, `compare` compares exactly and counts, `lockstep` drives and
samples ports, `toolchain` knows the tools; `board` is a simulated FPGA board at the end of a serial line.
"""

from verif.bench.compare import Scoreboard, compared, expect_equal, record
from verif.bench.lockstep import PATTERNS, Sink, Source, WaitError, pack, pattern, start, unpack, wait_until
from verif.bench.simulation import Build, RunResult, SimulationError, build, parameters, run
from verif.bench.toolchain import ToolError

__all__ = ["PATTERNS", "Build", "RunResult", "Scoreboard", "SimulationError", "Sink", "Source", "ToolError",
           "WaitError", "build", "compared", "expect_equal", "pack", "parameters", "pattern", "record", "run", "start",
           "unpack", "wait_until"]
