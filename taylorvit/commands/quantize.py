"""`taylorvit quantize`: an integer-only model from a trained one."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from taylorvit.boundary.command import console, needs, whole_number
from taylorvit.boundary.writing import check_output_file

from .checkpoints import add_checkpoint, beside, what_they_are

__all__ = ["add_arguments", "run"]


def add_arguments(parser: ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.description = (
        "Power-of-two scales from training images; attention becomes Taylor attention. Shows the error of each layer."
    )
    add_checkpoint(parser)
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="default: integer.safetensors beside it")
    parser.add_argument("--images", type=whole_number(1), default=128, metavar="N",
                        help="training images (default: 128)")  # fmt: skip
    parser.add_argument("--accelerator", type=Path, metavar="METADATA.json",
                        help="that computes attention: what `taylorvit generate` wrote (default: 8 bits, of any "
                        "size)")  # fmt: skip
    parser.add_argument("--fine-tune", type=whole_number(1), metavar="EPOCHS",
                        help="train so many epochs with the rounding of the integers, a tenth of the learning "
                        "rate")  # fmt: skip
    parser.add_argument("--resume", action="store_true", help="go on with that training")


@needs("train")
def run(arguments: Namespace) -> None:
    """Carries out the command."""
    from taylorvit.golden.metadata import load_accelerator
    from taylorvit.golden.quantization import fine_tune, quantize_checkpoint
    from taylorvit.golden.reports.layer_sqnr import layer_sqnr_table
    from taylorvit.golden.reports.sqnr import sqnr_text

    from .training_bar import training_bar

    screen = console()
    source = arguments.checkpoint
    output = arguments.output or beside(source) / "integer.safetensors"
    check_output_file(output, endings=(".safetensors",), inputs=(arguments.checkpoint,))
    if arguments.resume and not arguments.fine_tune:
        raise ValueError("--resume must come with --fine-tune: only training can be gone on with")
    accelerator = load_accelerator(arguments.accelerator) if arguments.accelerator else None
    options = {"images": arguments.images, "accelerator": accelerator} | what_they_are(arguments)
    if arguments.fine_tune:
        with training_bar(screen) as bar:
            source = fine_tune(source, output.with_name(f"{output.stem}_straight_through"), arguments.fine_tune,
                               resume=arguments.resume, on_step=bar.on_step, progress=bar.progress,
                               **options)  # fmt: skip
        options |= {"recipe": None, "data": None}  # the checkpoint says them now
    with screen.status("quantizing") as status:
        vit, sqnr = quantize_checkpoint(source, **options, progress=lambda step: status.update(f"quantizing {step}"))
    vit.save(output)
    screen.print(layer_sqnr_table(sqnr, vit.program))
    widths = vit.widths()
    widest = max(vit.linears, key=widths.__getitem__)
    screen.print(f"logits: {sqnr_text(sqnr['logits'])}; widest sum of products: {widths[widest]} bits, {widest}\n"
                 f"wrote  {output}")  # fmt: skip
