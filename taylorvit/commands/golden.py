"""The command line, `taylorvit`: train, quantize, evaluate, inspect, capture, ops, fidelity.

Exit status: 0 done, 2 a request that cannot be carried out, with one line that says why, 130 interrupted.
"""

import argparse
import os
from contextlib import suppress
from pathlib import Path

from taylorvit.boundary.command import console, needs, parse, run_command, whole_number
from taylorvit.boundary.reading import FileError, parse_toml
from taylorvit.boundary.writing import check_output_file, check_output_folder

__all__ = ["main"]

NAMES = ("train", "quantize", "evaluate", "inspect", "capture", "ops", "fidelity")
_PICTURES = (".png", ".pdf", ".svg")


def main(argv: list[str] | None = None) -> int:
    """Runs the command line `argv` (`sys.argv` if left out); returns the exit status."""

    @needs("train")
    def body():
        arguments = parse(_parser(), argv)
        try:
            return arguments.command(arguments)
        except RuntimeError as error:
            if "can't allocate memory" not in str(error):
                raise
            raise MemoryError(str(error).partition("you tried to ")[2].partition(".")[0]) from None

    return run_command("taylorvit", body)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="taylorvit", description="ViTs with ViTALiTy's attention.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    train = commands.add_parser(
        "train", help="train a model after a recipe",
        description="Trains after a recipe; writes weights, metrics.csv and curves.png. Under torchrun, with several "
        "processes.",
    )  # fmt: skip
    train.add_argument("--config", required=True, metavar="FILE.toml", help="recipe: a file, or the name of ours")
    train.add_argument("-o", "--output", type=Path, metavar="DIR", help="default: build/golden/RECIPE")
    train.add_argument("--resume", action="store_true", help="go on after the last whole epoch that is there")
    train.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="change a field of the recipe")
    train.add_argument("--device", help="of torch (default: a GPU if there is one)")
    train.set_defaults(command=_train)

    quantize = commands.add_parser(
        "quantize", help="make a trained model one of integers",
        description="Power-of-two scales from training images; attention becomes Taylor attention. Shows the error of "
        "each layer.",
    )  # fmt: skip
    _add_checkpoint(quantize)
    quantize.add_argument("-o", "--output", type=Path, metavar="FILE", help="default: integer.safetensors beside it")
    quantize.add_argument(
        "--images", type=whole_number(1), default=128, metavar="N", help="training images (default: 128)"
    )
    quantize.add_argument(
        "--accelerator",
        type=Path,
        metavar="METADATA.json",
        help="that computes attention: what `taylorvit generate` wrote (default: 8 bits, of any size)",
    )
    quantize.add_argument(
        "--fine-tune",
        type=whole_number(1),
        metavar="EPOCHS",
        help="train so many epochs with the rounding of the integers, a tenth of the learning rate",
    )
    quantize.add_argument("--resume", action="store_true", help="go on with that training")
    quantize.set_defaults(command=_quantize)

    evaluate = commands.add_parser(
        "evaluate", help="accuracy of float and integer models on held-out images",
        description="A row for files that differ in their seeds alone: mean and standard deviation.",
    )  # fmt: skip
    evaluate.add_argument("checkpoints", type=Path, nargs="+", metavar="CHECKPOINT",
                          help="of `train`, of `quantize`, or published ones")  # fmt: skip
    _add_what_they_are(evaluate)
    evaluate.add_argument("-o", "--output", type=Path, metavar="FILE.png", help="draw them too")
    evaluate.set_defaults(command=_evaluate)

    inspect = commands.add_parser("inspect", help="draw attention maps, and how large the centred logits are")
    _add_checkpoint(inspect)
    inspect.add_argument("--images", type=whole_number(1), default=32, metavar="N",
                         help="held-out images (default: 32)")  # fmt: skip
    inspect.add_argument("-o", "--output", type=Path, metavar="DIR", help="default: beside the checkpoint")
    inspect.set_defaults(command=_inspect)

    capture = commands.add_parser("capture", help="write Q, K and V of a model's layers, for `taylorvit simulate`")
    _add_checkpoint(capture)
    capture.add_argument("--images", nargs="+", required=True, metavar="N|FILE",
                         help="how many of the held-out images, or image files")  # fmt: skip
    capture.add_argument("--layers", nargs="+", type=int, metavar="LAYER", help="from 0 (default: all)")
    capture.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.npz")
    capture.set_defaults(command=_capture)

    ops = commands.add_parser("ops", help="count the operations of softmax and Taylor attention")
    ops.add_argument(
        "--model",
        default="deit_tiny",
        metavar="NAME",
        help="a shape of taylorvit.golden.network.vit (default: deit_tiny)",
    )
    ops.set_defaults(command=_ops)

    fidelity = commands.add_parser("fidelity", help="how much of Taylor attention the integers keep, in dB")
    fidelity.add_argument("-o", "--output", type=Path, metavar="FILE.png", help="draw a histogram too")
    fidelity.add_argument(
        "--count", type=whole_number(1), default=200, metavar="N", help="random shapes of each kind (default: 200)"
    )
    fidelity.add_argument("--seed", type=whole_number(0), default=2023, metavar="N", help="default: 2023")
    fidelity.set_defaults(command=_fidelity)
    return parser


def _add_checkpoint(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "checkpoint",
        type=Path,
        metavar="CHECKPOINT",
        help="model.safetensors of a training, weights of others, or a Hugging Face folder",
    )
    _add_what_they_are(command)


def _add_what_they_are(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--recipe",
        metavar="FILE.toml",
        help="model and images of weights of others: a recipe's file, or the name of ours",
    )
    command.add_argument(
        "--data",
        metavar="NAME|FOLDER",
        help="other images than those of the recipe: a data set, or a folder with train and val",
    )


def _train(arguments: argparse.Namespace) -> None:
    from taylorvit.golden.training.recipe import load_recipe
    from taylorvit.golden.training.trainer import train

    recipe = load_recipe(arguments.config, dict(_change(text) for text in arguments.set))
    folder = arguments.output or Path("build/golden") / Path(arguments.config).stem
    check_output_folder(folder)
    screen = console()
    trained = train(recipe, folder, resume=arguments.resume, device=arguments.device, console=screen)
    if os.environ.get("RANK", "0") == "0":
        last = trained.metrics[-1]
        screen.print(f"held-out images recognized: {last['test_accuracy']:.2%}\nwrote  {trained.path}\n"
                     f"wrote  {folder / 'metrics.csv'}\nwrote  {folder / 'curves.png'}")  # fmt: skip


def _quantize(arguments: argparse.Namespace) -> None:
    from taylorvit.golden.metadata import load_accelerator
    from taylorvit.golden.quantization import fine_tune, quantize_checkpoint
    from taylorvit.golden.reports.sqnr import sqnr_text

    screen = console()
    source = arguments.checkpoint
    output = arguments.output or _beside(source) / "integer.safetensors"
    check_output_file(output, endings=(".safetensors",), inputs=(arguments.checkpoint,))
    if arguments.resume and not arguments.fine_tune:
        raise ValueError("--resume must come with --fine-tune: only training can be gone on with")
    accelerator = load_accelerator(arguments.accelerator) if arguments.accelerator else None
    options = {"images": arguments.images, "accelerator": accelerator} | _of_others(arguments)
    if arguments.fine_tune:
        source = fine_tune(source, output.with_name(f"{output.stem}_straight_through"), arguments.fine_tune,
                           resume=arguments.resume, console=screen, **options)  # fmt: skip
        options |= {"recipe": None, "data": None}  # the checkpoint says them now
    with screen.status("quantizing") as status:
        vit, sqnr = quantize_checkpoint(source, **options, progress=lambda step: status.update(f"quantizing {step}"))
    vit.save(output)
    screen.print(_sqnr_table(sqnr, vit.shape.depth))
    widths = vit.widths()
    widest = max(vit.linears, key=widths.__getitem__)
    screen.print(f"logits: {sqnr_text(sqnr['logits'])}; widest sum of products: {widths[widest]} bits, {widest}\n"
                 f"wrote  {output}")  # fmt: skip


def _beside(checkpoint: Path) -> Path:
    """The folder where what is made of a checkpoint goes by itself."""
    return checkpoint if checkpoint.is_dir() else checkpoint.parent


def _of_others(arguments: argparse.Namespace) -> dict:
    """What the command line says of checkpoints that do not say it."""
    from taylorvit.golden.training.recipe import load_recipe

    return {"recipe": load_recipe(arguments.recipe) if arguments.recipe else None, "data": arguments.data}


def _sqnr_table(sqnr: dict[str, float], depth: int):
    """Signal to quantization noise by layer and step."""
    from rich.table import Table

    from taylorvit.golden.reports.sqnr import sqnr_text

    steps = ("q", "k", "v", "z", "hidden", "gelu")
    texts = {name: sqnr_text(value).removesuffix(" dB") for name, value in sqnr.items()}
    table = Table(title=f"Signal to quantization noise, dB; {texts['residual.0']} behind the patch embedding")
    for heading in ("layer", "q", "k", "v", "z", "+ attention", "hidden", "gelu", "+ MLP"):
        table.add_column(heading, justify="right")
    for layer in range(depth):
        of_steps = [texts[f"blocks.{layer}.{step}"] for step in steps]
        after_attention, after_mlp = (texts[f"residual.{2 * layer + half}"] for half in (1, 2))
        table.add_row(str(layer), *of_steps[:4], after_attention, *of_steps[4:], after_mlp)
    return table


def _evaluate(arguments: argparse.Namespace) -> None:
    _check_picture(arguments.output)
    from rich.table import Table

    from taylorvit.golden.reports.evaluation import draw_accuracies, evaluate_file, summarize

    screen = console()
    of_others = _of_others(arguments)
    results = []
    with screen.status("evaluating") as status:
        for path in arguments.checkpoints:

            def show(done: int, of: int, path: Path = path) -> None:
                status.update(f"{path}: {done} of {of}")

            status.update(f"evaluating {path}")
            results.append(evaluate_file(path, show, **of_others))
    rows = summarize(results)
    table = Table(title=", ".join({f"{result.images} held-out images of {result.data}": None for result in results}))
    for heading in ("images", "trained with", "arithmetic", "seeds", "recognized", "deviation"):
        table.add_column(heading, justify="left" if heading in ("images", "trained with", "arithmetic") else "right")
    for row in rows:
        kind = "integers" if row.integer else "float"
        spread = f"{row.spread:.2%}" if len(row.accuracies) > 1 else ""
        table.add_row(row.data, row.attention, kind, str(len(row.accuracies)), f"{row.mean:.2%}", spread)
    screen.print(table)
    for result in results:
        if result.denominator_errors:
            screen.print(f"{result.path}: {result.denominator_errors} rows with a denominator that is not positive")
    if arguments.output:
        draw_accuracies(arguments.output, rows)
        screen.print(f"wrote  {arguments.output}")


def _inspect(arguments: argparse.Namespace) -> None:
    folder = arguments.output or _beside(arguments.checkpoint)
    check_output_folder(folder)
    logits, maps = folder / "logits.png", folder / "attention.png"
    for path in (logits, maps) if folder.is_dir() else ():
        _check_picture(path)
    from rich.table import Table

    from taylorvit.golden.checkpoints.checkpoint import load
    from taylorvit.golden.network.vit import head_tensors
    from taylorvit.golden.reports.inspection import draw_logits, draw_maps, logit_distribution
    from taylorvit.golden.training.loading import check_sizes, load_images, model_of, normalize, recipe_of

    screen = console()
    checkpoint = load(arguments.checkpoint)
    recipe = recipe_of(checkpoint, **_of_others(arguments))
    model = model_of(checkpoint, model=recipe.model)
    dataset = load_images(recipe.data, model.shape.image_size)
    check_sizes(model.shape, dataset, classes=False)
    images, _labels = dataset.testing[list(range(min(arguments.images, len(dataset.testing))))]
    captured = head_tensors(model, normalize(images, dataset.mean, dataset.std))
    layers = logit_distribution(captured)
    table = Table(title=f"{len(images)} held-out images of {dataset.name}")
    for heading in ("layer", "plain logits in [-1, 1)", "centred ones"):
        table.add_column(heading, justify="right")
    for index, layer in enumerate(layers):
        table.add_row(str(index), f"{layer.plain_inside:.1%}", f"{layer.centred_inside:.1%}")
    screen.print(table)
    folder.mkdir(parents=True, exist_ok=True)
    shown = min(len(images), 6)
    draw_logits(logits, layers, title=f"{dataset.name}, trained with {recipe.model.attention} attention")
    draw_maps(maps, images[:shown], captured, extra_tokens=model.shape.extra_tokens)
    screen.print(f"wrote  {logits}\nwrote  {maps}")


def _capture(arguments: argparse.Namespace) -> None:
    check_output_file(arguments.output, endings=(".npz",))
    from taylorvit.golden import workloads
    from taylorvit.golden.checkpoints.checkpoint import load
    from taylorvit.golden.workloads.capture import capture_workload

    images = _count_or_files(arguments.images)
    workload = capture_workload(load(arguments.checkpoint), images, arguments.layers, **_of_others(arguments))
    workloads.save(arguments.output, workload)
    heads, tokens, head_dim = workload.q.shape
    console().print(f"{heads} heads of {tokens} tokens x {head_dim} features\nwrote  {arguments.output}")


def _count_or_files(texts: list[str]) -> int | list[Path]:
    if len(texts) == 1:
        with suppress(ValueError):
            return int(texts[0])
    return [Path(text) for text in texts]


def _ops(arguments: argparse.Namespace) -> None:
    from rich.table import Table

    from taylorvit.golden.network.vit import SHAPES
    from taylorvit.golden.reports.op_counts import OperationCount, attention_operations, linear_operations

    if arguments.model not in SHAPES:
        raise ValueError(f"model must be one of {', '.join(SHAPES)}, not {arguments.model!r}")
    shape = SHAPES[arguments.model]
    table = Table(title=f"{arguments.model}: {shape.tokens} tokens, {shape.depth} layers of {shape.heads} heads of "
                        f"{shape.head_dim}; operations of a layer, of all heads")  # fmt: skip
    table.add_column("step")
    for heading in OperationCount._fields:
        table.add_column(heading, justify="right")
    totals = {}
    for attention in ("softmax", "taylor"):
        total = OperationCount()
        for step, count in attention_operations(attention, shape).items():
            table.add_row(f"{attention} {step}", *(f"{each:,}" for each in count))
            total = total.plus(count)
        totals[attention] = total.times(shape.depth)
        table.add_section()
    for name, count in linear_operations(shape).items():
        table.add_row(name, *(f"{each:,}" for each in count))
    table.add_section()
    for attention, total in totals.items():
        table.add_row(f"{attention} attention, all layers", *(f"{each / 1e6:.1f} M" for each in total))
    screen = console()
    screen.print(table)
    ratio = totals["softmax"].multiplications / totals["taylor"].multiplications
    screen.print(f"Taylor attention has {ratio:.2f} times fewer multiplications")


def _fidelity(arguments: argparse.Namespace) -> None:
    _check_picture(arguments.output)
    from taylorvit.golden.reports.fidelity import show

    show(console(), count=arguments.count, seed=arguments.seed, output=arguments.output)


def _change(text: str) -> tuple[str, object]:
    """A name and a TOML value; a value that is none is a string."""
    name, equals, value = text.partition("=")
    if not equals or not text.isprintable():
        raise ValueError(f"--set must be NAME=VALUE, in one line, not {text!r}")
    try:
        return name, parse_toml(f"value = {value}", "--set")["value"]
    except FileError:
        return name, value


def _check_picture(path: Path | None) -> None:
    """What `draw_...` needs, before the work begins."""
    if path is not None:
        check_output_file(path, endings=_PICTURES)
        import matplotlib.figure  # noqa: F401 - is missed now, and not after the work
