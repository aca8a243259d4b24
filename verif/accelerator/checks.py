"""What must hold after any job that ran to its end."""

from __future__ import annotations

from rtl.config import AcceleratorConfig
from verif.accelerator.jobs import describe
from verif.bench import expect_equal
from verif.bench.accelerator import AcceleratorHost, Job, JobResult

__all__ = ["expect_errors", "expect_result"]


def expect_result(job: Job, result: JobResult, config: AcceleratorConfig) -> None:
    """Z equal to the golden's bit for bit, and counters that fit together."""
    heads, tokens, head_dim = job.shape
    counters = result.counters
    expect_equal(f"z of {describe(job)}", result.z, job.golden(config).z)
    expect_equal("array-busy cycles", counters["ARRAY_BUSY"], heads * config.array_cycles(tokens, head_dim))
    expect_equal("heads done", counters["HEADS_DONE"], heads)
    accounted = counters["ARRAY_BUSY"] + counters["STALL_INPUT"] + counters["STALL_OUTPUT"]
    if accounted > counters["CYCLES"]:
        raise AssertionError(f"busy and stalled cycles must be at most all cycles, not {counters}")


async def expect_errors(host: AcceleratorHost, counts: dict[str, int], *, done: bool = True) -> None:
    """Exactly these error counts and their events (and DONE), which are then cleared."""
    got = await host.error_counts()
    if got != counts:
        raise AssertionError(f"error counts must be {counts}, not {got}")
    events, expected = await host.events(), {*counts, *(["DONE"] if done else [])}
    if events != expected:
        raise AssertionError(f"events must be {expected}, not {events}")
    await host.clear_events()
