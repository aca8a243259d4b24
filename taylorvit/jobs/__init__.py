"""A user's job: tensors in, integers and registers, a verdict out. It needs numpy, and no torch.

    operands = read_operands("qkv.npz", config)                    quantized, and checked against the accelerator
    outcome = simulate(config, operands.job)                       taylorvit.simulation.simulate; or on a board
    verdict = judge(outcome, operands, config)                     compared with the integer golden
    save_result("z.npz", outcome.z, operands.job, config)

`job_source` writes a job as C source, `run_on` sends one to a board.
"""

from taylorvit.golden.arithmetic.quantizer import dequantize
from taylorvit.golden.attention.job import Job

from .c_source import job_source
from .golden import format_of, golden_steps, quantize
from .judgement import Outcome, Verdict, judge
from .on_board import run_on
from .operands import Operands, check_operands, read_operands
from .result_file import save_result

__all__ = [
    "Job",
    "Operands",
    "Outcome",
    "Verdict",
    "check_operands",
    "dequantize",
    "format_of",
    "golden_steps",
    "job_source",
    "judge",
    "quantize",
    "read_operands",
    "run_on",
    "save_result",
]
