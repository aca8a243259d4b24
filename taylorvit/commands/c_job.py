"""`taylorvit c-job`: a job as C source, with its parameters, its packets, and what Z must be."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from taylorvit.boundary.command import needs
from taylorvit.boundary.writing import check_output_file, written_whole

from .options import add_configuration, add_input, attention_configuration_of

__all__ = ["add_arguments", "run"]


def add_arguments(parser: ArgumentParser) -> None:
    """Adds the arguments of the command."""
    add_configuration(parser, required=True, accelerator="attention")
    add_input(parser)
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE.h",
        type=Path,
        default=Path("example_job.h"),
        help="output file (default: example_job.h)",
    )


@needs("fpga")
def run(arguments: Namespace) -> None:
    """Carries out the command."""
    check_output_file(arguments.output, endings=(".h",))
    config = attention_configuration_of(arguments, "c-job")
    from taylorvit.jobs import golden_steps, job_source, read_operands

    job = read_operands(arguments.input, config).job
    source = job_source(config, job, golden_steps(job, config).z)
    with written_whole(arguments.output) as partial:
        partial.write_text(source, encoding="utf-8")
    print(f"wrote  {arguments.output}, {len(job.q)} heads for {config.name}")
