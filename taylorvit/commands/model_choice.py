"""The model that a command was given, compiled for the accelerator that it was given, or for the first that it fits."""

from __future__ import annotations

from pathlib import Path

from taylorvit.compiler import FitError, compile_network
from taylorvit.gen.presets import load_preset, of_kind
from taylorvit.golden.network.integer_vit import load_integer_vit
from taylorvit.jobs.compiled_model import CompiledModel, check_tape, read_compiled_model
from taylorvit.models import bundled_model
from taylorvit.rtl.network.config import NetworkConfig

__all__ = ["chosen_model"]

#: What a model is compiled for that nobody has chosen an accelerator for: the first of these that it fits.
PRESETS = ("vit-tiny-4x4", "vit-16x16", "vit-64x64")


def chosen_model(name: str, config: NetworkConfig | None = None) -> CompiledModel:
    """The model of a name, on an accelerator.

    Args:
        name (str): a folder of `taylorvit compile`, a bundled model, or a file of `taylorvit quantize`.
        config (NetworkConfig | None): the accelerator; None for that of the folder, or for the first of `PRESETS`.

    Raises:
        FileError: there is no such model; or the folder is for another accelerator.
        FitError: the model does not fit.
    """
    if name and Path(name).is_dir():
        model = read_compiled_model(name)
        if config is None:
            return model
        check_tape(model.tape, config, model.name)
        return model._replace(config=config)
    path = bundled_model(name)
    vit = load_integer_vit(path)
    candidates = (
        [of_kind(load_preset(each), NetworkConfig, "model") for each in PRESETS] if config is None else [config]
    )
    while True:
        accelerator = candidates.pop(0)
        try:
            compiled = compile_network(vit, accelerator)
        except FitError:
            if not candidates:
                raise
            continue
        return CompiledModel(path.stem, accelerator, compiled.tape, vit, compiled.description()["classes"])
