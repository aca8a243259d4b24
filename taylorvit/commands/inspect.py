"""`taylorvit inspect`: attention maps of a model, and how large its centred logits are."""

from argparse import ArgumentParser, Namespace

from taylorvit.boundary.command import console, folder, needs, whole_number
from taylorvit.boundary.writing import check_output_folder

from .checkpoints import add_checkpoint, beside, check_picture, recipe_and_data

__all__ = ["add_arguments", "run"]

_MOST_MAPS = 6  # images that are drawn


def add_arguments(parser: ArgumentParser) -> None:
    """Adds the arguments of the command."""
    add_checkpoint(parser)
    parser.add_argument(
        "--images", type=whole_number(1), default=32, metavar="N", help="number of held-out images (default: 32)"
    )
    parser.add_argument(
        "-o", "--output", type=folder, metavar="DIR", help="output folder (default: that of the checkpoint)"
    )


@needs("train")
def run(arguments: Namespace) -> None:
    """Carries out the command."""
    output = arguments.output or beside(arguments.checkpoint)
    check_output_folder(output)
    logits, maps = output / "logits.png", output / "attention.png"
    for path in (logits, maps) if output.is_dir() else ():
        check_picture(path)
    from taylorvit.golden.reports.inspection import draw_logits, draw_maps, inspect_checkpoint, logit_table

    screen = console()
    seen = inspect_checkpoint(arguments.checkpoint, images=arguments.images, **recipe_and_data(arguments))
    screen.print(logit_table(seen))
    output.mkdir(parents=True, exist_ok=True)
    draw_logits(logits, seen.layers, title=f"{seen.data}, trained with {seen.attention} attention")
    draw_maps(maps, seen.images[:_MOST_MAPS], seen.captured, extra_tokens=seen.extra_tokens)
    screen.print(f"wrote  {logits}\nwrote  {maps}")
