"""`taylorvit simulate`: your own tensors, or your own images, through the generated Verilog.

The exit status is 1 if a bit differs from the golden model.
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from taylorvit.boundary.command import folder, needs
from taylorvit.boundary.writing import check_output_file, check_output_folder

from .network_options import add_image_order, add_images, add_memory
from .options import add_configuration, add_input, attention_configuration_of

__all__ = ["add_arguments", "run"]

_OF_NETWORKS = ("images", "image_order", "trace", "bytes_per_cycle", "latency")


def add_arguments(parser: ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.description = (
        "Runs Q, K, V through the generated Verilog of the attention accelerator (--input, with --preset or --config), "
        "or images through that of the network accelerator (--model, --images), under Verilator, and compares the "
        "result with the golden model. The exit status is 1 if a bit differs."
    )
    what = parser.add_mutually_exclusive_group(required=True)
    add_input(what, required=False)
    what.add_argument("--model", metavar="DIR", type=folder, help="a model that `taylorvit compile` has written")
    add_configuration(parser, required=False)
    add_images(parser)
    add_memory(parser)
    add_image_order(parser)
    parser.add_argument(
        "--trace", action="store_true", default=None, help="with --model: compare every residual stream, too"
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE.npz", type=Path, help="output file: z or logits, and registers or counters"
    )
    parser.add_argument(
        "--waves", action="store_true", help="record a waveform, beside the output or in build/simulate"
    )


def run(arguments: Namespace) -> int:
    """Carries out the command; returns the exit status."""
    given = [name for name in _OF_NETWORKS if getattr(arguments, name) is not None]
    if arguments.model is None and given:
        raise ValueError(f"--{given[0].replace('_', '-')} must come with --model, not with --input")
    if arguments.model is None and arguments.preset is None and arguments.config is None:
        raise ValueError("--input must come with --preset or --config, which say what accelerator it is for")
    if arguments.model is not None and arguments.images is None:
        raise ValueError("--model must come with --images")
    if arguments.model is None:
        with needs("sim"):
            return _tensors(arguments)
    with needs("sim,train"):
        return _images(arguments)


def _tensors(arguments: Namespace) -> int:
    config = attention_configuration_of(arguments, "simulate --input")
    from taylorvit.jobs import judge, read_operands, save_result
    from taylorvit.simulation.simulate import simulate

    from .verdict import check_result_file, progress_bars, show_verdict

    operands = read_operands(arguments.input, config)
    check_result_file(arguments.output, arguments.input)
    waveform = _waveform_file(config.name, arguments.output) if arguments.waves else None
    with progress_bars() as progress:
        building = progress.add_task(f"preparing the simulation of {config.name}", total=None)
        running = progress.add_task("simulating heads", total=len(operands.job.q), visible=False)

        def on_built() -> None:
            progress.update(building, total=1, completed=1)
            progress.update(running, visible=True)

        outcome = simulate(
            config,
            operands.job,
            waveform=waveform,
            on_built=on_built,
            on_progress=lambda heads: progress.update(running, completed=heads),
        )
    if arguments.output is not None:
        save_result(arguments.output, outcome.z, operands.job, config)
    return show_verdict(judge(outcome, operands, config), arguments.output, waveform)


def _images(arguments: Namespace) -> int:
    from taylorvit.jobs.compiled_model import read_compiled_model

    from .network_run import for_configuration, images_for, judged_images, run_images

    model = for_configuration(read_compiled_model(arguments.model), arguments, "simulate --model")
    waveform = _waveform_file(model.config.name, arguments.output) if arguments.waves else None
    by_row, trace = arguments.image_order == "raster", bool(arguments.trace)

    def run(model, images):
        return model, *run_images(model, images, arguments, by_row=by_row, trace=trace, waveform=waveform)

    return judged_images(model, images_for(model, arguments), arguments, run, waveform)


def _waveform_file(name: str, output: Path | None) -> Path:
    """Where the waveform goes: a file that can be written, whose folder is there."""
    if output is not None and output.suffix == ".npz":
        path = output.with_suffix(".vcd")
    else:
        path = Path("build", "simulate", f"{name}.vcd")
        check_output_folder(path.parent)
        path.parent.mkdir(parents=True, exist_ok=True)
    check_output_file(path)
    return path
