"""`taylorvit simulate`: your own tensors through the generated Verilog.

The exit status is 1 if a bit differs from the golden model.
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from taylorvit.boundary.command import needs
from taylorvit.boundary.writing import check_output_file, check_output_folder

from .options import add_configuration, add_input, attention_configuration_of

__all__ = ["add_arguments", "run"]


def add_arguments(parser: ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.description = (
        "Runs Q, K, V through the generated Verilog under Verilator and compares the result with the golden model. The "
        "exit status is 1 if a bit differs."
    )
    add_configuration(parser, required=True)
    add_input(parser)
    parser.add_argument(
        "-o", "--output", metavar="FILE.npz", type=Path, help="output file: z, its operands and registers"
    )
    parser.add_argument(
        "--waves", action="store_true", help="record a waveform, beside the output or in build/simulate"
    )


@needs("sim")
def run(arguments: Namespace) -> int:
    """Carries out the command; returns the exit status."""
    config = attention_configuration_of(arguments, "simulate --input")
    from taylorvit.jobs import judge, read_operands, save_result
    from taylorvit.simulation.simulate import simulate

    from .verdict import check_result_file, progress_bars, show_verdict

    operands = read_operands(arguments.input, config)
    check_result_file(arguments.output, arguments.input)
    waveform = _waveform_file(config.name, arguments.output) if arguments.waves else None
    with progress_bars() as progress:
        building = progress.add_task(f"building the simulation of {config.name}", total=None)
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
