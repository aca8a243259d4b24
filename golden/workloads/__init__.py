"""Queries, keys and values of trained Vision Transformers on real images: workloads of the accelerator.

Each file holds `q`, `k` and `v`, (heads, tokens, head_dim) float32, and describes in `provenance` where they come from;
README.md in this folder does so in prose. `taylorvit capture` makes more of them.
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
    """Captured operands of some heads.

    Attributes:
        q (np.ndarray): queries, float32, (heads, tokens, head_dim).
        k (np.ndarray): keys, of the same shape.
        v (np.ndarray): values, of the same shape.
        provenance (dict): model, images and layers that they come from; values of JSON.
    """

    q: np.ndarray
    k: np.ndarray
    v: np.ndarray
    provenance: dict

    def heads_of_layers(self) -> list[np.ndarray]:
        """The indices of the heads of each layer, in all images: a layer has one set of registers."""
        layers, heads = self.provenance["layers"], self.provenance["heads_per_layer"]
        indices = np.arange(len(self.q)).reshape(-1, layers, heads)  # (images, layers, heads)
        return [indices[:, layer].ravel() for layer in range(layers)]


def names() -> list[str]:
    """Names of the workloads that are there, without their ending; an installed wheel has none."""
    return sorted(path.stem for path in FOLDER.glob("*.npz"))


def load(path_or_name: str | Path) -> Workload:
    """Reads a workload.

    Args:
        path_or_name (str | Path): a file, or the name of a workload that comes with the package.

    Raises:
        ValueError: there is no workload of this name.
        FileError: the file is not a workload.
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
            raise FileError(
                f"{path}: {name} must be floats, (heads, tokens, head_dim), of the shape of q, not "
                f"{operand.dtype} {operand.shape}"
            )
    if provenance.dtype.kind != "U" or provenance.ndim:
        raise FileError(f"{path}: provenance must be a text, not {provenance.dtype} {provenance.shape}")
    described = parse_json(
        str(provenance),
        path,
        what="a workload, whose provenance is JSON",
        schema={"layers": int, "heads_per_layer": int},
    )
    return Workload(q, k, v, described)


def save(path: str | Path, workload: Workload) -> None:
    """Writes a workload; values are rounded to 11 significant bits, which halves the file.

    Args:
        path (str | Path): the file.
        workload (Workload): the operands.

    Raises:
        ValueError: a value is not finite.
    """
    q, k, v = (_rounded(name, getattr(workload, name)) for name in ("q", "k", "v"))
    with written_whole(path) as partial, partial.open("wb") as file:  # numpy would add an ending to a name
        np.savez_compressed(file, q=q, k=k, v=v, provenance=np.array(json.dumps(workload.provenance, indent=1)))


def _rounded(name: str, values: np.ndarray) -> np.ndarray:
    """Rounds to as many bits as float16 has, in the range of float32."""
    mantissas, exponents = np.frexp(values.astype(np.float32))
    with np.errstate(over="ignore"):
        rounded = np.ldexp(np.rint(mantissas * 2**_SIGNIFICANT_BITS) / 2**_SIGNIFICANT_BITS, exponents)
    if not np.isfinite(rounded).all():
        raise ValueError(f"{name} must be finite, and is not")
    return rounded
