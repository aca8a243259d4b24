"""Queries, keys and values of trained Vision Transformers on real images, ready to be computed.

Each file holds ``q``, ``k`` and ``v``, (heads, tokens, head_dim) float32, and says in ``provenance`` where
they come from; ``python -m golden capture`` makes more. README.md in this folder tells the same in prose.
"""

import json
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

__all__ = ["Workload", "load", "names", "save"]

FOLDER = Path(__file__).parent


class Workload(NamedTuple):
    """Captured operands of a number of heads, and what is known of them."""

    q: np.ndarray  # (heads, tokens, head_dim), float32
    k: np.ndarray  # (heads, tokens, head_dim), float32
    v: np.ndarray  # (heads, tokens, head_dim), float32
    provenance: dict

    def heads_of_layers(self) -> list[np.ndarray]:
        """For each layer, the indices of its heads in all images: a layer has one set of registers."""
        layers, heads = self.provenance["layers"], self.provenance["heads_per_layer"]
        indices = np.arange(len(self.q)).reshape(-1, layers, heads)  # (images, layers, heads)
        return [indices[:, layer].ravel() for layer in range(layers)]


def names() -> list[str]:
    """The workloads that come with the package, without their ending."""
    return sorted(path.stem for path in FOLDER.glob("*.npz"))


def load(path_or_name: str | Path) -> Workload:
    """A workload by its name or from a file.

    Raises:
        ValueError: there is no such workload, or the file is not one.
    """
    path = Path(path_or_name)
    if not path.is_file():
        path = FOLDER / f"{path_or_name}.npz"
    if not path.is_file():
        raise ValueError(f"workload must be a file or one of {', '.join(names())}, not {str(path_or_name)!r}")
    if not zipfile.is_zipfile(path):
        raise ValueError(f"workload must be an .npz file, not {path.name!r}")
    with np.load(path, allow_pickle=False) as arrays:
        missing = [key for key in ("q", "k", "v", "provenance") if key not in arrays]
        if missing:
            present = sorted(arrays)
            raise ValueError(f"workload {path.name} must have the array {missing[0]!r}, not only {present!r}")
        return Workload(arrays["q"], arrays["k"], arrays["v"], json.loads(str(arrays["provenance"])))


def save(path: str | Path, workload: Workload) -> None:
    """Write a workload; the values are rounded to what float16 can represent, which halves the file."""
    operands = {name: getattr(workload, name).astype(np.float16).astype(np.float32) for name in ("q", "k", "v")}
    np.savez_compressed(path, **operands, provenance=np.array(json.dumps(workload.provenance, indent=1)))
