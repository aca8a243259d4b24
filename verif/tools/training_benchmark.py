"""How fast float models train and infer: softmax attention fused and by its formula, and Taylor attention.

    python -m verif.tools.training_benchmark [--shape deit_tiny] [--batch 8] [--device cuda] [-o FILE.json]

Steps of all models take turns, so that what else the machine does is the same for each; the figure is the fastest of
the turns. A step of training is forward, backward and AdamW, of inference forward alone; in bfloat16 on a GPU, as
`taylorvit train` has it. `timm` is timm's own model of the shape, if it is installed. Weights and images are random.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from pathlib import Path

import torch
from rich.table import Table
from torch import nn
from torch.nn import functional

from taylorvit.boundary.writing import check_output_file
from taylorvit.golden.attention.float_attention import softmax_attention
from taylorvit.golden.network.vit import SHAPES, VisionTransformer

from .figures import console, write_report

__all__ = ["main", "measure", "models_of"]


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m verif.tools.training_benchmark", description="speed of float models"
    )
    parser.add_argument("--shape", choices=SHAPES, default="deit_tiny", metavar="NAME", help=f"of {', '.join(SHAPES)}")
    parser.add_argument("--batch", type=int, default=8, help="images of a step (default: 8)")
    parser.add_argument("--turns", type=int, default=5, help="steps of each model (default: 5)")
    parser.add_argument("--device", help="torch device (default: a GPU if there is one)")
    parser.add_argument("-o", "--output", type=Path, help="write the figures there as JSON, too")
    options = parser.parse_args(arguments)
    device = torch.device(options.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    try:
        if options.batch < 1 or options.turns < 1:
            raise ValueError(f"batch and turns must be at least 1, not {options.batch} and {options.turns}")
        if options.output is not None:
            check_output_file(options.output, endings=(".json",))
    except ValueError as error:
        print(f"training_benchmark: error: {error}", file=sys.stderr)
        return 2
    rows = measure(options.shape, batch=options.batch, turns=options.turns, device=device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} threads"
    report = {"shape": options.shape, "batch": options.batch, "device": str(device), "name": name, "models": rows}
    write_report(options.output, report)
    table = Table(title=f"{options.shape}, {options.batch} images a step, {device} ({name})")
    for heading in ("model", "training, images/s", "of fused", "inference, images/s", "of fused"):
        table.add_column(heading, justify="left" if heading == "model" else "right")
    fused = rows["softmax, fused"]
    for model, row in rows.items():
        cells = (f"{row[part]:.1f}|{row[part] / fused[part]:.2f}" for part in ("training", "inference"))
        table.add_row(model, *"|".join(cells).split("|"))
    console().print(table)
    return 0


def models_of(shape_name: str) -> dict[str, nn.Module]:
    """The models that are compared, by their names; all of softmax attention have the same weights."""
    shape = SHAPES[shape_name]
    torch.manual_seed(0)
    models: dict[str, nn.Module] = {"softmax, fused": VisionTransformer(shape, "softmax")}
    formula = VisionTransformer(shape, "softmax")
    formula.load_state_dict(models["softmax, fused"].state_dict())
    for block in formula.blocks:
        block.attn.kernel.function = softmax_attention
    models |= {"softmax, by its formula": formula, "taylor": VisionTransformer(shape, "taylor")}
    try:
        timm = importlib.import_module("timm")
    except ImportError:
        return models
    models["timm"] = timm.models.VisionTransformer(
        img_size=shape.image_size, patch_size=shape.patch_size, in_chans=shape.channels, num_classes=shape.classes,
        embed_dim=shape.width, depth=shape.depth, num_heads=shape.heads, mlp_ratio=shape.mlp_ratio,
    )  # fmt: skip
    return models


def measure(shape_name: str, *, batch: int, turns: int, device: torch.device) -> dict[str, dict[str, float]]:
    """Images a second of each model, in training and inference."""
    shape = SHAPES[shape_name]
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(batch, shape.channels, shape.image_size, shape.image_size, generator=generator).to(device)
    labels = torch.randint(shape.classes, (batch,), generator=generator).to(device)
    models = {name: model.to(device) for name, model in models_of(shape_name).items()}
    optimizers = {name: torch.optim.AdamW(model.parameters(), lr=1e-4) for name, model in models.items()}

    def train(name: str) -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            loss = functional.cross_entropy(models[name].train()(images).float(), labels)
        optimizers[name].zero_grad()
        loss.backward()
        optimizers[name].step()

    def infer(name: str) -> None:
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            models[name].eval()(images)

    def seconds_of(step, name: str) -> float:
        _finish(device)
        begin = time.perf_counter()
        step(name)
        _finish(device)
        return time.perf_counter() - begin

    rows: dict[str, dict[str, float]] = {name: {} for name in models}
    for part, step in (("training", train), ("inference", infer)):
        for name in models:
            step(name)  # the first one also prepares
        taken = [{name: seconds_of(step, name) for name in models} for _turn in range(turns)]
        for name in models:
            rows[name][part] = batch / min(turn[name] for turn in taken)
    return rows


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    sys.exit(main())
