"""The folder of a compiled model: the tape, what it is, and the model that it was made from."""

import hashlib
import json
from pathlib import Path

from taylorvit.boundary.writing import written_whole

from .compile import CompiledNetwork

__all__ = ["write_folder"]


def write_folder(compiled: CompiledNetwork, model: str | Path, folder: str | Path) -> list[Path]:
    """Writes model.tape, listing.txt, model.safetensors and model.json, which comes last.

    Args:
        compiled (CompiledNetwork): the tape.
        model (str | Path): the file of the integer model.
        folder (str | Path): where they are written; it is made if it is not there.

    Returns:
        list[Path]: the files.

    Raises:
        FileError: a file cannot be written.
        OSError: the model cannot be read, or the folder cannot be made.
    """
    folder = Path(folder)
    weights = Path(model).read_bytes()
    description = compiled.description() | {"model": {"sha256": hashlib.sha256(weights).hexdigest()}}
    files = {
        "model.tape": compiled.tape,
        "listing.txt": compiled.listing().encode(),
        "model.safetensors": weights,
        "model.json": (json.dumps(description, indent=2) + "\n").encode(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.json").unlink(missing_ok=True)  # nobody may read old and new files together
    for name, content in files.items():
        with written_whole(folder / name) as partial:
            partial.write_bytes(content)
    return [folder / name for name in files]
