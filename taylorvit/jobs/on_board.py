"""A job of attention on a board, or on a simulated one, through its driver."""

from __future__ import annotations

import time
from collections.abc import Callable

from taylorvit.fpga.driver import TaylorVit, TaylorVitNetwork
from taylorvit.golden.attention.job import Job

from .golden import check_job
from .judgement import Outcome

__all__ = ["link_remark", "run_on"]


def run_on(
    accelerator: TaylorVit, job: Job, *, prefix: str = "", on_progress: Callable[[int], None] = lambda heads: None
) -> Outcome:
    """Sends a job to an accelerator that is open.

    Args:
        accelerator (TaylorVit): its driver.
        job (Job): operands and constants.
        prefix (str): what stands in front of the time in the outcome's remarks.
        on_progress (Callable): is called with the number of heads that have come back.

    Returns:
        Outcome: what came back, with remarks on the link and the time.

    Raises:
        TypeError: operands or constants are not integers.
        ValueError: the accelerator cannot take the job (`taylorvit.jobs.golden.check_job`).
        DriverError: whatever the world does wrong.
    """
    check_job(job, accelerator.view)
    began = time.monotonic()
    result = accelerator.run(*job.operands, job.settings, on_progress=on_progress)
    seconds = time.monotonic() - began
    return Outcome(result.z, result.jobs, {"link": link_remark(accelerator), "time": f"{prefix}{seconds:.1f} s"})


def link_remark(accelerator: TaylorVit | TaylorVitNetwork) -> str:
    """What the line did to the link, in words.

    Args:
        accelerator (TaylorVit | TaylorVitNetwork): its driver.
    """
    statistics = accelerator.link.statistics
    return (
        f"{statistics.sent_bytes:,} bytes there, {statistics.received_bytes:,} back, "
        f"{statistics.lost} of {statistics.requests:,} requests repeated"
    )
