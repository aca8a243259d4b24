"""The description of a checkpoint, in the metadata of its file: members that exist must be of the expected type.

kind              "model", "training" (the state of one) or "integer vit"
recipe            recipe of its training; `golden.training.recipe` checks it
data, metrics     the images, and a row for each epoch
quantization      how an integer model was made; `golden.network.integer_file` describes its other members
"""

from pathlib import Path

from taylorvit.boundary.reading import parse_json

__all__ = ["read_description"]

_MEMBERS = {
    "kind?": str,
    "recipe?": dict,
    "epochs?": int,
    "data?": {"name?": str, "classes?": [str], "mean?": [float], "std?": [float]},
    "metrics?": [
        {
            "epoch": int,
            "learning_rate": float,
            "training_loss": float,
            "test_loss": float,
            "test_accuracy": float,
            "seconds": float,
        }
    ],
    "quantization?": {"recipe?": dict},
}


def read_description(path: Path, text: str) -> dict:
    """Reads the description in a file's metadata.

    Args:
        path (Path): the file, for the text of an error.
        text (str): the description, JSON.

    Raises:
        FileError: the text is not a description.
    """
    return parse_json(text, path, what="a checkpoint of ours", schema=_MEMBERS)
