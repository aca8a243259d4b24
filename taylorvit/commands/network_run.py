"""Images through a network accelerator, simulated or on a board, with bars while it works; and the verdict."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from taylorvit.boundary.command import CommandError, console
from taylorvit.jobs.compiled_model import CompiledModel, check_tape
from taylorvit.jobs.images import Images, read_images
from taylorvit.jobs.network_judgement import Golden, NetworkVerdict, golden_logits, judge_network, save_logits
from taylorvit.jobs.patches import image_beats, image_beats_by_row
from taylorvit.rtl.network.config import NetworkConfig
from taylorvit.simulation.network import NetworkJob, NetworkRun, TapeMemory, build_network, simulate_network

from .options import network_configuration_of
from .verdict import check_result_file, progress_bars

__all__ = ["beside_golden", "counted_images", "for_configuration", "images_for", "judged_images", "run_images",
           "show_network_verdict"]  # fmt: skip

Result = TypeVar("Result")


def for_configuration(model: CompiledModel, arguments: Namespace, command: str) -> CompiledModel:
    """The model on the accelerator that --preset or --config name, if its tape is for that as well.

    Args:
        model (CompiledModel): the model; it is left as it is if neither is given.
        arguments (Namespace): the parsed ones.
        command (str): the command, for the text of an error.
    """
    if arguments.preset is None and arguments.config is None:
        return model
    config = network_configuration_of(arguments, command)
    check_tape(model.tape, config, model.name)
    return model._replace(config=config)


def images_for(model: CompiledModel, arguments: Namespace) -> Images:
    """Reads the images that --images names, if the file of --output can be written.

    Args:
        model (CompiledModel): the model.
        arguments (Namespace): the parsed ones: model, images, output.
    """
    check_result_file(arguments.output, arguments.model / "model.json")
    return counted_images(arguments.images, model)


def counted_images(sources: list[str], model: CompiledModel) -> Images:
    """Reads images, and says on standard error how many there are, unless each source is one of them.

    Args:
        sources (list[str]): what names them, as `taylorvit.jobs.images.read_images` takes it.
        model (CompiledModel): the model.
    """
    images = read_images(sources, model.vit.shape, model.classes)
    if len(images.names) > len(sources):
        console(stderr=True).print(f"{len(images.names):,} images of {', '.join(sources)}")
    return images


def judged_images(
    model: CompiledModel,
    images: Images,
    arguments: Namespace,
    run: Callable[[CompiledModel, Images], tuple[CompiledModel, NetworkRun, Golden, dict[str, str]]],
    *written: Path | None,
) -> int:
    """Has images run, compares logits with the integer model, writes and prints the result.

    Args:
        model (CompiledModel): the model.
        images (Images): the images, by `images_for`.
        arguments (Namespace): the parsed ones: output.
        run (Callable): runs images; returns the model on the accelerator that it found, what came out, what has to, and
            rows for the table.
        written (tuple[Path | None, ...]): files that it writes as well.

    Returns:
        The exit status, as of `show_network_verdict`.
    """
    model, outcome, golden, remarks = run(model, images)
    if arguments.output is not None:
        save_logits(arguments.output, outcome, model, images)
    return show_network_verdict(judge_network(outcome, model, images, golden, remarks), arguments.output, *written)


def beside_golden(model: CompiledModel, images: Images, run: Callable[[], Result]) -> tuple[Result, Golden]:
    """Runs hardware, which is not this process, and the integer model at the same time.

    Args:
        model (CompiledModel): the model.
        images (Images): the images.
        run (Callable): runs the hardware.
    """
    with ThreadPoolExecutor(1) as beside:
        golden = beside.submit(golden_logits, model, images)
        result = run()
        return result, golden.result()


def run_images(
    model: CompiledModel,
    images: Images,
    arguments: Namespace,
    *,
    by_row: bool = False,
    trace: bool = False,
    waveform: Path | None = None,
) -> tuple[NetworkRun, Golden, dict[str, str]]:
    """Runs images through the generated Verilog, and computes what has to come out.

    Args:
        model (CompiledModel): the model.
        images (Images): the images.
        arguments (Namespace): the parsed ones, with those of `add_memory`.
        by_row (bool): whether images go in row by row.
        trace (bool): whether the residual streams are told.
        waveform (Path | None): where a waveform goes.

    Returns:
        tuple[NetworkRun, Golden, dict[str, str]]: what came out, what has to, and rows for the table.
    """
    latency = TapeMemory.latency if arguments.latency is None else arguments.latency
    memory = TapeMemory(bytes_per_cycle=arguments.bytes_per_cycle, latency=latency)
    shape, config = model.vit.shape, model.config
    across = shape.image_size // shape.patch_size
    job = NetworkJob(
        tape=model.tape,
        beats=(image_beats_by_row if by_row else image_beats)(images.pixels, shape, config.image_lanes),
        raster=(shape.patch_size, across) if by_row else None,
        patches=across**2,
        patch_pixels=shape.channels * shape.patch_size**2,
        classes=shape.classes,
        memory=memory,
    )
    with progress_bars() as progress:
        building = progress.add_task(f"preparing the simulation of {config.name}", total=None)
        running = progress.add_task("simulating images", total=len(images.pixels), visible=False)
        simulation = build_network(config, trace=trace, waves=waveform is not None)
        progress.update(building, total=1, completed=1)
        progress.update(running, visible=True)
        run, golden = beside_golden(
            model,
            images,
            lambda: simulate_network(
                simulation, job, waveform=waveform, on_image=lambda done: progress.update(running, completed=done)
            ),
        )
    return run, golden, _remarks(run, memory, config, simulation.build.seconds)


def _remarks(run: NetworkRun, memory: TapeMemory, config: NetworkConfig, building: float) -> dict[str, str]:
    built = f"build {building:.1f} s" if building else "build cached"
    rows = {"time": f"{built}, simulation {run.seconds:.1f} s, {run.cycles / run.seconds:,.0f} cycles a second"}
    if config.tape_source != "memory":
        rate = config.tape_bytes if memory.bytes_per_cycle is None else memory.bytes_per_cycle
        rows = {"memory": f"{rate:g} bytes a cycle, latency {memory.latency} cycles", **rows}
    return rows


def show_network_verdict(verdict: NetworkVerdict, *written: Path | None) -> int:
    """Prints a verdict, and which files were written.

    Returns:
        The exit status: 0 if every logit equals the integer model's, else 1.

    Raises:
        CommandError: every logit is right, and the events are not those of such a job.
    """
    screen = console()
    screen.print(verdict.images)
    screen.print(verdict.summary)
    for path in written:
        if path is not None:
            screen.print(f"wrote {path}")
    for line in verdict.mismatches:
        screen.print(line, style="red")
    if verdict.wrong_events:
        raise CommandError(verdict.wrong_events)
    return 1 if verdict.mismatches else 0
