"""What a checkpoint says of itself, in the metadata of its file: members that are there must be what readers expect.

kind              "model", "training" (the state of one) or "integer vit"
recipe            after which it was trained; `golden.training.recipe` checks it
data, metrics     the images, and a row for each epoch
quantization      of an integer model, with the rest of which `golden.network.integer_vit` deals
"""

from pathlib import Path

from taylorvit.boundary.reading import parse_json

__all__ = ["read_description"]

_MEMBERS = {
    "kind?": str,
    "recipe?": dict,
    "epochs?": int,
    "data?": {"name?": str, "classes?": [str], "mean?": [float], "std?": [float]},
    "metrics?": [{"epoch": int, "learning_rate": float, "training_loss": float, "test_loss": float,
                  "test_accuracy": float, "seconds": float}],
    "quantization?": {"recipe?": dict},
}  # fmt: skip


def read_description(path: Path, text: str) -> dict:
    """The description in a file's metadata; `FileError` if it is none."""
    return parse_json(text, path, what="a checkpoint of ours", schema=_MEMBERS)
