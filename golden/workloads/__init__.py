"""Queries, keys and values of trained Vision Transformers on real images, ready to be computed.

Each file holds ``q``, ``k`` and ``v``, (heads, tokens, head_dim) float32, and says in ``provenance`` where
they come from; ``taylorvit capture`` makes more. README.md in this folder tells the same in prose.
"""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from taylorvit.boundary.reading import FileError, parse_json, read_npz
from taylorvit.boundary.writing import written_whole

__all__ = ["ABSENT", "Workload", "load", "names", "save"]

#: What there is to do where no workload is there.
ABSENT = (
    "captured workloads are in the checkout and in the source distribution, and not in the wheel: copy "
    "golden/workloads/*.npz from there, or make one with `taylorvit capture`"
)

FOLDER = Path(__file__).parent

_SIGNIFICANT_BITS = 11


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
    """The workloads that are there, without their ending; an installed wheel has none."""
    return sorted(path.stem for path in FOLDER.glob("*.npz"))


def load(path_or_name: str | Path) -> Workload:
    """A workload by its name or from a file.

    Raises:
        ValueError: there is no such workload, or (`FileError`) the file is not one.
    """
    path = Path(path_or_name)
    if not path.is_file():
        path = FOLDER / f"{path_or_name}.npz"
    if not path.is_file() and not names():
        raise FileError(f"cannot load the workload {str(path_or_name)!r}: {ABSENT}")
    if not path.is_file():
        raise ValueError(f"workload must be a file or one of {', '.join(names())}, not {str(path_or_name)!r}")
    arrays = read_npz(path, required=("q", "k", "v", "provenance"))
    q, k, v, provenance = arrays.values()
    for name, operand in (("q", q), ("k", k), ("v", v)):
        if operand.dtype.kind != "f" or operand.ndim != 3 or operand.shape != q.shape:
            raise FileError(f"{path}: {name} must be floats, (heads, tokens, head_dim), of the shape of q, not "
                            f"{operand.dtype} {operand.shape}")  # fmt: skip
    if provenance.dtype.kind != "U" or provenance.ndim:
        raise FileError(f"{path}: provenance must be a text, not {provenance.dtype} {provenance.shape}")
    described = parse_json(str(provenance), path, what="a workload, whose provenance is JSON",
                           schema={"layers": int, "heads_per_layer": int})  # fmt: skip
    return Workload(q, k, v, described)


def save(path: str | Path, workload: Workload) -> None:
    """Write a workload; the values are rounded to 11 significant bits, which halves the file.

    Raises `ValueError` if they are not finite.
    """
    q, k, v = (_rounded(name, getattr(workload, name)) for name in ("q", "k", "v"))
    with written_whole(path) as partial, partial.open("wb") as file:  # numpy would add an ending to a name
        np.savez_compressed(file, q=q, k=k, v=v, provenance=np.array(json.dumps(workload.provenance, indent=1)))


def _rounded(name: str, values: np.ndarray) -> np.ndarray:
    """To as many bits as float16 has, in the range of float32."""
    mantissas, exponents = np.frexp(values.astype(np.float32))
    with np.errstate(over="ignore"):
        rounded = np.ldexp(np.rint(mantissas * 2**_SIGNIFICANT_BITS) / 2**_SIGNIFICANT_BITS, exponents)
    if not np.isfinite(rounded).all():
        raise ValueError(f"{name} must be finite, and is not")
    return rounded
