"""TaylorViT: from one configuration to the Verilog of a Vision Transformer accelerator, and its proof.

What a program needs first is here by name; each is loaded when it is first used, so that generating Verilog needs no
numpy and no torch.

    config = taylorvit.load_preset("edge-16x16")
    taylorvit.generate(config, "build/mine")
    outcome = taylorvit.simulate(config, taylorvit.quantize(q, k, v, config))
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taylorvit.compiler import compile_network, cycles_of
    from taylorvit.gen.generate import generate
    from taylorvit.gen.presets import load_preset, preset_names
    from taylorvit.gen.verilog import emit
    from taylorvit.golden.network.integer_vit import IntegerVit, load_integer_vit
    from taylorvit.golden.quantization import quantize_checkpoint
    from taylorvit.jobs import judge, quantize, read_operands
    from taylorvit.rtl import __version__
    from taylorvit.rtl.accelerator import Accelerator
    from taylorvit.rtl.config import AcceleratorConfig
    from taylorvit.simulation.simulate import simulate

__all__ = [
    "Accelerator",
    "AcceleratorConfig",
    "IntegerVit",
    "__version__",
    "compile_network",
    "cycles_of",
    "emit",
    "generate",
    "judge",
    "load_integer_vit",
    "load_preset",
    "preset_names",
    "quantize",
    "quantize_checkpoint",
    "read_operands",
    "simulate",
]

_MODULES = {
    "Accelerator": "rtl.accelerator",
    "AcceleratorConfig": "rtl.config",
    "IntegerVit": "golden.network.integer_vit",
    "__version__": "rtl",
    "compile_network": "compiler",
    "cycles_of": "compiler",
    "emit": "gen.verilog",
    "generate": "gen.generate",
    "judge": "jobs",
    "load_integer_vit": "golden.network.integer_vit",
    "load_preset": "gen.presets",
    "preset_names": "gen.presets",
    "quantize": "jobs",
    "quantize_checkpoint": "golden.quantization",
    "read_operands": "jobs",
    "simulate": "simulation.simulate",
}


if not TYPE_CHECKING:  # with it, a checker of types takes any name for one of ours

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        try:
            module = import_module(f"{__name__}.{_MODULES[name]}")
        except ModuleNotFoundError as error:
            if error.name != f"{__name__}.{_MODULES[name].partition('.')[0]}":
                raise
            reason = f"cannot import {error.name}: this is the folder taylorvit of a checkout, not the whole package"
            reason += "; install the checkout with `pip install -e .`, or leave its folder"
            raise ModuleNotFoundError(reason, name=error.name) from None
        value = getattr(module, name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
