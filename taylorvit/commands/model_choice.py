"""The model that a command was given, compiled for the accelerator that it was given, or for the first that it fits."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from taylorvit.compiler import FitError, compile_network
from taylorvit.gen.presets import load_preset, of_kind
from taylorvit.golden.network.integer_vit import load_integer_vit
from taylorvit.jobs.compiled_model import CompiledModel, read_compiled_model
from taylorvit.models import bundled_model
from taylorvit.rtl.network.config import NetworkConfig

from .network_run import for_configuration
from .options import network_configuration_of

__all__ = ["chosen_model"]

#: What a model is compiled for that nobody has chosen an accelerator for: the first of these that it fits.
PRESETS = ("vit-tiny-4x4", "vit-16x16", "vit-64x64")


def chosen_model(name: str, arguments: Namespace, command: str) -> CompiledModel:
    """The model of a name, on an accelerator.

    Args:
        name (str): a folder of `taylorvit compile`, a bundled model, or a file of `taylorvit quantize`.
        arguments (Namespace): the parsed ones, with --preset and --config.
        command (str): the command, for the text of an error.
    """
    if name and Path(name).is_dir():
        return for_configuration(read_compiled_model(name), arguments, command)
    path = bundled_model(name)
    vit = load_integer_vit(path)
    named = arguments.preset is not None or arguments.config is not None
    candidates = (
        [network_configuration_of(arguments, command)]
        if named
        else [of_kind(load_preset(each), NetworkConfig, command) for each in PRESETS]
    )
    while True:
        config = candidates.pop(0)
        try:
            compiled = compile_network(vit, config)
        except FitError:
            if not candidates:
                raise
            continue
        return CompiledModel(path.stem, config, compiled.tape, vit, compiled.description()["classes"])
