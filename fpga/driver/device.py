"""`TaylorVit`: an attention accelerator on a board, or on a simulated one, as a Python object.

    with TaylorVit(SerialPort("/dev/ttyUSB0", 3_000_000)) as accelerator:
        result = accelerator.run(q, k, v, {"SHIFT_G": 5, "SHIFT_Z": 9, "C_V": 11, "C_D": 403456})
        result.z          # (heads, tokens, head_dim), int64
        result.jobs[0].counters["CYCLES"]

Tensors are integers here, with the job's register values: `taylorvit.jobs.quantize` makes both from floats. Heads
beyond what one job can take are more jobs, one after the other.
"""

from dataclasses import dataclass

import numpy as np

from taylorvit.rtl.control.host_view import LAYOUT, VIEW_REGISTERS, HostView
from taylorvit.rtl.control.registers import job_constants, register_map

from .accelerator import Accelerator
from .hardware import Hardware
from .tensors import check_operands, head_packets, matrix_from_bytes, result_bytes

__all__ = ["JobReport", "JobResult", "TaylorVit"]


@dataclass(frozen=True)
class JobReport:
    """What the accelerator said of one job.

    Attributes:
        heads (int): number of its heads.
        counters (dict[str, int]): register name -> value.
        events (frozenset[str]): names of the events.
    """

    heads: int
    counters: dict[str, int]
    events: frozenset[str]


@dataclass(frozen=True)
class JobResult:
    """What came out of the accelerator.

    Attributes:
        z (np.ndarray): integers (heads, tokens, head_dim).
        jobs (tuple[JobReport, ...]): the jobs that it took.
    """

    z: np.ndarray
    jobs: tuple[JobReport, ...]


class TaylorVit(Accelerator):
    """An attention accelerator at a port; open it with `open` or a `with` statement.

    Args:
        port (Port): the line to the board; `close` closes it, too.
        board (str | None): name of the board that its bitstream must be built for; None for any.
        config (AcceleratorConfig | None): the configuration that it must be built from; without `board`, sizes and
            widths alone must agree. None for any.

    Attributes:
        port (Port): the line.
        link (Link): the link over it, with its statistics, once open.
        view (HostView): the accelerator's sizes, widths and limits, by its registers, once open.

    Raises:
        ValueError: `board` is given without `config`.
    """

    hardware = Hardware(
        layout=LAYOUT,
        view=HostView,
        view_registers=VIEW_REGISTERS,
        register_map=register_map,
        beat_bytes=lambda view: view.stream_width // 8,
    )
    items, operands = "heads", "its operands"

    view: HostView

    def configure(self, *, heads, tokens, head_dim, constants):
        """Sets the registers of the next job.

        Args:
            heads (int): number of heads.
            tokens (int): tokens of a head.
            head_dim (int): features of a token.
            constants (Mapping[str, int]): register name -> value, for all others of the job; of a table, all of its
                numbers.

        Raises:
            TypeError: a constant is not an integer.
            ValueError: the built accelerator cannot take it; a constant is missing, or is none of this accelerator's.
            RegisterError: the accelerator refuses it.
        """
        self._require_open()
        needed = job_constants(self._registers)
        if set(constants) != set(needed):
            raise ValueError(f"constants must be of the registers {', '.join(needed)}, not of {', '.join(constants)}")
        sizes = {"HEADS": heads, "TOKENS": tokens, "HEAD_DIM": head_dim}
        self.set_parameters({**sizes, **constants})

    def run(self, q, k, v, constants, *, on_progress=lambda heads: None):
        """Computes Z of heads.

        Args:
            q (np.ndarray): queries, integers (heads, tokens, head_dim) of `data_width` bits.
            k (np.ndarray): keys, of the same shape.
            v (np.ndarray): values, of the same shape.
            constants (Mapping[str, int]): register name -> value, for all heads (docs/numerics.md); of a table, all of
                its numbers.
            on_progress (Callable): is called with the number of heads that have come back, whenever that is one more.

        Returns:
            JobResult: Z, and what the accelerator said of its jobs.

        Raises:
            TypeError: operands or constants are not integers.
            ValueError: operands or constants that the accelerator cannot take.
            JobError: a job did not end as it should.
            BoardReset: the board was reset.
        """
        self._require_open()
        operands = {"q": q, "k": k, "v": v}
        check_operands(operands, self.view)
        per_job = self.view.max_heads
        z, jobs = [], []
        with self._settled():
            for first in range(0, len(q), per_job):
                part = {name: operand[first : first + per_job] for name, operand in operands.items()}
                matrices, job = self._run_job(
                    **part, constants=constants, on_progress=lambda done, first=first: on_progress(first + done)
                )
                z += matrices
                jobs.append(job)
        return JobResult(np.stack(z), tuple(jobs))

    def _run_job(self, q, k, v, constants, on_progress):
        heads, tokens, head_dim = q.shape
        size = result_bytes(tokens, head_dim, self.view)
        self._require_idle()
        self.configure(heads=heads, tokens=tokens, head_dim=head_dim, constants=constants)
        data, counters, events = self._compute(
            [head_packets(*head, self.view) for head in zip(q, k, v)],
            size,
            on_result=lambda head, data: on_progress(head + 1),
        )
        matrices = [
            matrix_from_bytes(data[head * size : (head + 1) * size], tokens, head_dim, self.view)
            for head in range(heads)
        ]
        return matrices, JobReport(heads, counters, events)
