"""What must hold after any job that ran to its end."""

from __future__ import annotations

from taylorvit.jobs import Job, golden_steps
from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.simulation import expect_equal
from taylorvit.simulation.host import AcceleratorHost, SimulatedJob, counted

from .jobs import describe

__all__ = ["expect_errors", "expect_result", "run_and_check"]


def expect_result(job: Job, result: SimulatedJob, config: AcceleratorConfig) -> None:
    """Z equal to the golden's bit for bit, and counters that fit together."""
    heads, tokens, head_dim = job.shape
    counters = result.counters
    expect_equal(f"z of {describe(job)}", result.z, golden_steps(job, config).z)
    busy = counted(heads * config.array_cycles(tokens, head_dim), config.counter_width)
    expect_equal("array-busy cycles", counters["ARRAY_BUSY"], busy)
    expect_equal("heads done", counters["HEADS_DONE"], heads)
    accounted = counters["ARRAY_BUSY"] + counters["STALL_INPUT"] + counters["STALL_OUTPUT"]
    if counted(accounted, config.counter_width) > counters["CYCLES"]:
        raise AssertionError(f"busy and stalled cycles must be at most all cycles, not {counters}")


async def expect_errors(host: AcceleratorHost, counts: dict[str, int], *, done: bool = True) -> None:
    """Exactly these error counts and their events (and DONE), which are then cleared."""
    counts = {name: counted(count, host.config.error_count_width) for name, count in counts.items()}
    got = await host.error_counts()
    if got != counts:
        raise AssertionError(f"error counts must be {counts}, not {got}")
    events, expected = await host.events(), {*counts, *(["DONE"] if done else [])}
    if events != expected:
        raise AssertionError(f"events must be {expected}, not {events}")
    await host.clear_events()


async def run_and_check(host: AcceleratorHost, job: Job) -> int:
    """Run a job and check all of it; returns how many of its rows have no denominator."""
    config = host.config
    expect_result(job, await host.run(job), config)
    rows = golden_steps(job, config).denominator_errors
    column_tiles = -(-job.shape[2] // config.columns)  # the hardware counts a row as often as it divides it
    await expect_errors(host, {"DENOMINATOR": rows * column_tiles} if rows else {})
    return rows
