"""The compiler: from an integer Vision Transformer to the tape that the network accelerator computes it from.

    compiled = compile_network(load_integer_vit("integer.safetensors"), load_preset("vit-16x16"))
    compiled.tape                 # bytes
    print(compiled.listing())     # for people
    compiled.description()        # for programs

`plan` says which commands there are, `payload` fills in the model's integers, `waiting` what must be finished before
what, `layout` where buffers lie, `fitting` whether the model fits, `tape` writes bytes. `interpreter` computes what the
accelerator computes from a tape, and shares nothing with them but the fields of commands. `docs/network.md` describes
the tape byte by byte.
"""

from .compile import CompiledNetwork, compile_network
from .cycles import ImageCycles, cycles_of
from .fitting import FitError
from .folder import write_folder
from .interpreter import Interpretation, TapeError, interpret
from .tape_cycles import Memory

__all__ = [
    "CompiledNetwork",
    "FitError",
    "ImageCycles",
    "Interpretation",
    "Memory",
    "TapeError",
    "compile_network",
    "cycles_of",
    "interpret",
    "write_folder",
]
