"""`taylorvit c-job`: a job as C source, with its parameters, its packets, and what must come out."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from taylorvit.boundary.command import folder, needs
from taylorvit.boundary.writing import check_output_file, written_whole

from .network_options import add_images
from .options import add_configuration, add_input, attention_configuration_of

__all__ = ["add_arguments", "run"]


def add_arguments(parser: ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.description = (
        "Writes a job of the attention accelerator (--input, with --preset or --config) or of the network accelerator "
        "(--model, --images) as C source, for the examples of the C drivers."
    )
    what = parser.add_mutually_exclusive_group(required=True)
    add_input(what, required=False)
    what.add_argument("--model", metavar="DIR", type=folder, help="a model that `taylorvit compile` has written")
    add_configuration(parser, required=False, accelerator="attention")
    add_images(parser)
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE.h",
        type=Path,
        help="output file (default: example_job.h, or with --model example_network_job.h)",
    )


def run(arguments: Namespace) -> None:
    """Carries out the command."""
    has_configuration = arguments.preset is not None or arguments.config is not None
    if arguments.model is None:
        if not has_configuration:
            raise ValueError("--input must come with --preset or --config, which say what accelerator it is for")
        if arguments.images is not None:
            raise ValueError("--images must come with --model, not with --input")
        with needs("fpga"):
            _attention(arguments, arguments.output or Path("example_job.h"))
        return
    if has_configuration:
        raise ValueError("--model must come without --preset and --config: it was compiled for an accelerator")
    if arguments.images is None:
        raise ValueError("--model must come with --images")
    with needs("fpga,train"):
        _network(arguments, arguments.output or Path("example_network_job.h"))


def _attention(arguments, output):
    check_output_file(output, endings=(".h",))
    config = attention_configuration_of(arguments, "c-job")
    from taylorvit.jobs import golden_steps, job_source, read_operands

    job = read_operands(arguments.input, config).job
    _write(output, job_source(config, job, golden_steps(job, config).z), f"{len(job.q)} heads for {config.name}")


def _network(arguments, output):
    check_output_file(output, endings=(".h",))
    from taylorvit.jobs.c_network_source import network_job_source
    from taylorvit.jobs.compiled_model import read_compiled_model
    from taylorvit.jobs.images import read_images
    from taylorvit.jobs.network_judgement import golden_logits

    model = read_compiled_model(arguments.model)
    images = read_images(arguments.images, model.vit.shape, model.classes)
    source = network_job_source(model, images.pixels, golden_logits(model, images).logits)
    _write(output, source, f"{len(images.names)} images for {model.name} on {model.config.name}")


def _write(output, source, what):
    with written_whole(output) as partial:
        partial.write_text(source, encoding="utf-8")
    print(f"wrote  {output}, {what}")
