"""Images through the network accelerator of a board, or of a simulated one, through its driver.

The first image is a job of its own, the others are another one: so the counters tell the cycles of the first image, and
those from one image to the next. Cycles in which the accelerator waited for an image on the line are among them; the
remark on the speed leaves them out, if they are counted.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from taylorvit.fpga.driver import LoadReport, NetworkResult, TaylorVitNetwork
from taylorvit.simulation.network import NetworkRun

from .compiled_model import CompiledModel
from .images import Images
from .on_board import link_remark
from .patches import image_beats, image_beats_by_row

__all__ = ["on_accelerator", "run_images_on", "tape_remark"]


def on_accelerator(model: CompiledModel, accelerator: TaylorVitNetwork) -> CompiledModel:
    """A model on the accelerator that was found, as far as its registers tell.

    Args:
        model (CompiledModel): the model.
        accelerator (TaylorVitNetwork): the driver, which is open.
    """
    view = accelerator.view
    config = replace(
        model.config,
        name=view.name,
        image_lanes=view.image_lanes,
        counters=view.counters,
        counter_width=view.counter_width,
    )
    return model._replace(config=config)


def run_images_on(
    accelerator: TaylorVitNetwork,
    model: CompiledModel,
    images: Images,
    *,
    by_row: bool = False,
    prefix: str = "",
    on_image: Callable[[int], None] = lambda done: None,
) -> tuple[NetworkRun, dict[str, str]]:
    """Sends images to an accelerator that is open and has a model's tape.

    Args:
        accelerator (TaylorVitNetwork): its driver.
        model (CompiledModel): the model, compiled for this accelerator; its tape was loaded.
        images (Images): the images.
        by_row (bool): whether images go in row by row.
        prefix (str): what stands in front of the time in the remarks.
        on_image (Callable): is called with the number of images whose logits have come.

    Returns:
        tuple[NetworkRun, dict[str, str]]: what came out; and remarks on speed, link and time.

    Raises:
        ValueError: images cannot go in row by row.
        DriverError: whatever the world does wrong.
    """
    began = time.monotonic()
    shape = model.vit.shape
    across = shape.image_size // shape.patch_size
    beats = (image_beats_by_row if by_row else image_beats)(images.pixels, shape, accelerator.view.image_lanes)
    results: list[NetworkResult] = []
    for part in filter(len, (beats[:1], beats[1:])):
        done = len(results)  # images before this job
        results.append(
            accelerator.run(
                part,
                patches=across**2,
                patch_pixels=shape.channels * shape.patch_size**2,
                classes=shape.classes,
                raster=(shape.patch_size, across) if by_row else None,
                on_progress=lambda count, done=done: on_image(done + count),
            )
        )
    seconds = time.monotonic() - began
    jobs = [job for result in results for job in result.jobs]
    run = NetworkRun(
        logits=np.concatenate([result.logits for result in results]),
        image_cycles=_image_cycles(results, len(beats)),
        jobs=[job.counters for job in jobs],
        events=frozenset().union(*(job.events for job in jobs)),
        writes=None,
        seconds=seconds,
        cycles=sum(job.counters.get("CYCLES", 0) for job in jobs),
    )
    speed = _speed_remark(results[-1], accelerator.link.identification.clock_hz)
    remarks = {"link": link_remark(accelerator), "time": f"{prefix}{seconds:.1f} s"}
    return run, speed | remarks


def _image_cycles(results: list[NetworkResult], images: int) -> list[int | None]:
    """What the counters tell: the first image, and the last one; None for others, and without counters."""
    cycles: list[int | None] = [None] * images
    first, last = results[0].jobs[0].counters, results[-1].jobs[-1]
    if "CYCLES" in first:
        cycles[-1] = last.counters["CYCLES"] // last.images
        cycles[0] = first["CYCLES"]
    if last.images > 1 and "IMAGE_CYCLES" in last.counters:
        cycles[-1] = last.counters["IMAGE_CYCLES"]
    return cycles


def _speed_remark(result: NetworkResult, clock_hz: int) -> dict[str, str]:
    """Images a second of the last job, without its waiting for images if that was counted."""
    if "CYCLES" not in result.jobs[0].counters:
        return {}
    images = sum(job.images for job in result.jobs)
    waiting = sum(job.counters.get("STALL_IMAGE", 0) for job in result.jobs)
    cycles = (sum(job.counters["CYCLES"] for job in result.jobs) - waiting) / images
    each = "an image without waiting for it" if "STALL_IMAGE" in result.jobs[0].counters else "an image"
    return {"speed": f"{cycles:,.0f} cycles {each}: {clock_hz / cycles:,.1f} images a second at {clock_hz / 1e6:g} MHz"}


def tape_remark(report: LoadReport) -> str:
    """What it took to load a tape, in words.

    Args:
        report (LoadReport): of the driver.
    """
    if not report.sent_bytes:
        return f"{report.kept_bytes:,} bytes were there, checked in {report.seconds:.3f} s"
    there = f", {report.kept_bytes:,} were there" if report.kept_bytes else ""
    speed = report.sent_bytes / report.seconds
    return f"{report.sent_bytes:,} bytes sent in {report.seconds:.1f} s, {speed / 1000:,.0f} kB a second{there}"
