"""What must hold after any job that ran to its end."""

from __future__ import annotations

import numpy as np

from taylorvit.rtl.network.control.registers import KIND_COUNTERS
from taylorvit.simulation import expect_equal
from taylorvit.simulation.host import counted

from .host import NetworkHost, Outcome
from .models import Network

__all__ = ["STALLS", "expect_events", "expect_right", "run_and_check"]

STALLS = ("STALL_TAPE", "STALL_IMAGE", "STALL_OUTPUT", "STALL_DATA")


def expect_events(what: str, outcome: Outcome, *events: str) -> None:
    """Exactly these events, and perhaps that of rows without a denominator."""
    if outcome.events - {"DENOMINATOR"} != set(events):
        raise AssertionError(f"events of {what} must be {' '.join(events)}, not {sorted(outcome.events)}")


async def expect_right(host: NetworkHost, network: Network, images: list[np.ndarray], outcome: Outcome, *also: str):
    """Logits equal to the integer model's, counters that fit together, and no event but DONE and those named."""
    what = f"network {network.seed}, {network.vit.shape}"
    expect_events(what, outcome, "DONE", *also)
    expect_equal(f"images of {what}", len(outcome.logits), len(images))
    expect_equal(f"logits of {what}", outcome.logits, network.logits(images))
    errors, width = network.denominator_errors(images), host.config.error_count_width
    if width:
        expect_equal(f"count of DENOMINATOR of {what}", await host.read("COUNT_DENOMINATOR"), counted(errors, width))
        if errors:
            await host.write_checked("COUNT_DENOMINATOR", 0)
    expect_equal("DENOMINATOR", "DENOMINATOR" in outcome.events, errors > 0)
    expect_counters(host, network, len(images), outcome.counters)


def expect_counters(host: NetworkHost, network: Network, images: int, counters: dict[str, int]) -> None:
    """Counters of a job that computed all its images."""
    width = host.config.counter_width
    if host.config.counters == "none":
        if counters:
            raise AssertionError(f"counters must be none, not {sorted(counters)}")
        return
    expect_equal("IMAGES_DONE", counters["IMAGES_DONE"], images)
    if host.config.counters != "all":
        return
    expect_equal("ARRAY_BUSY", counters["ARRAY_BUSY"], counted(images * network.busy, width))
    if counters["CYCLES"] == (1 << width) - 1:
        return  # they stop at their maximum
    expect_equal("cycles of all kinds", sum(counters[name] for name in KIND_COUNTERS), counters["CYCLES"])
    accounted = counters["ARRAY_BUSY"] + sum(counters[name] for name in STALLS)
    if not accounted <= counters["CYCLES"]:
        raise AssertionError(f"busy and stalled cycles must be at most all cycles, not {counters}")
    if not 0 < counters["IMAGE_CYCLES"] < counters["CYCLES"]:
        raise AssertionError(f"cycles of the last image must be fewer than those of the job, not {counters}")


async def run_and_check(
    host: NetworkHost, network: Network, images: int = 1, *, waiting: list[np.ndarray] | None = None, **how
) -> Outcome:
    """Runs a job of random images and checks all of it.

    Args:
        host (NetworkHost): it.
        network (Network): what is computed.
        images (int): how many images, at least those that wait.
        waiting (list[np.ndarray]): images that the source offers already.
        how: as in `NetworkHost.set_up`.
    """
    waiting = waiting or []
    pictures = waiting + network.images(host.generator, max(images, len(waiting)) - len(waiting))
    await host.set_up(network, len(pictures), **how)
    host.send_images(network, pictures[len(waiting) :])
    outcome = await host.start_and_finish(network, len(pictures))
    await expect_right(host, network, pictures, outcome)
    return outcome
