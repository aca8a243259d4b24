"""cocotb bench: heads from a file through the accelerator's stream ports, and what came out into a file.

`taylorvit.simulation.simulate` and `verif.tools.benchmark` run it. Its parameters, by `taylorvit.simulation.run`:

    config      the configuration, as a mapping
    operands    .npz with q, k, v, integers (heads, tokens, head_dim)
    constants   the registers shift_g, shift_z, c_v, c_d
    progress    file that always holds the number of finished heads, for whoever waits

Heads that fit one job are one job; more than `max_heads` are several, one after the other. Whether Z is right is
judged outside, by the golden; here the counters are compared, which every job must leave exact. In the run's directory
stays `z.npz` with z, integers of the shape of q, and among the measurements `jobs`, a list of

    heads, counters, events
    head_cycles     when the last beat of each head came, in cycles after the start
    seconds         wall time from the start of the job to its end
"""

from __future__ import annotations

import time
from pathlib import Path

import cocotb
import numpy as np

from taylorvit.golden.attention.job import Job
from taylorvit.golden.attention.kernels import KERNELS
from taylorvit.rtl.config import AcceleratorConfig

from . import expect_equal, parameters, record
from .host import AcceleratorHost, counted

__all__ = ["RESULT_FILE", "heads_through_streams"]

RESULT_FILE = "z.npz"

# Heads queued at the sources beyond the one whose result is awaited: more than the hardware can hold, so that the
# streams stay full, and no more, so that a long file does not become beats all at once.
HEADS_AHEAD = 6


@cocotb.test()
async def heads_through_streams(dut):
    """Runs the heads of a file as jobs, and keeps their Z and what was counted."""
    config = AcceleratorConfig.from_mapping(parameters()["config"])
    progress = Path(parameters()["progress"])
    with np.load(parameters()["operands"], allow_pickle=False) as arrays:
        q, k, v = (arrays[name] for name in ("q", "k", "v"))
    constants = KERNELS[config.kernel].constants(**parameters()["constants"])

    host = await AcceleratorHost.start(dut, config)
    await host.wait_for_ever()
    z: list[np.ndarray] = []
    jobs = []
    for first in range(0, len(q), config.max_heads):
        heads = slice(first, first + config.max_heads)
        job = Job(q[heads], k[heads], v[heads], constants, kernel=config.kernel)
        jobs.append(await _run(host, job, z, progress))
    record("jobs", jobs)
    np.savez(RESULT_FILE, z=np.stack(z))


async def _run(host: AcceleratorHost, job: Job, z: list[np.ndarray], progress: Path) -> dict:
    """Run one job, append its heads to `z`, and return its entry of `jobs`."""
    heads, tokens, head_dim = job.shape
    limit = host.head_limit(job)
    await host.set_up(job)
    await host.write_checked("CONTROL", 1)
    started, wall_start = host.now(), time.monotonic()
    for head in range(min(HEADS_AHEAD, heads)):
        host.send_head(job, head)
    head_cycles = []
    for head in range(heads):
        if head + HEADS_AHEAD < heads:
            host.send_head(job, head + HEADS_AHEAD)
        z.append(await host.receive_head(job, limit))
        head_cycles.append(host.now() - started)
        progress.write_text(str(len(z)), encoding="utf-8")
    await host.wait_idle(limit)
    seconds = time.monotonic() - wall_start

    counters = await host.counters()
    expect_equal("HEADS_DONE", counters["HEADS_DONE"], heads)
    busy = heads * host.config.array_cycles(tokens, head_dim)
    expect_equal("ARRAY_BUSY", counters["ARRAY_BUSY"], counted(busy, host.config.counter_width))
    events = await host.read("EVENTS")
    await host.write_checked("EVENTS", events)
    return {"heads": heads, "counters": counters, "events": events, "head_cycles": head_cycles, "seconds": seconds}
