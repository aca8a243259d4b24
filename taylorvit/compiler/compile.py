"""Compiles an integer Vision Transformer for a network accelerator."""

from dataclasses import dataclass
from functools import cached_property

from taylorvit.golden.network.integer_vit import IntegerVit
from taylorvit.rtl.network.command import TRAILER_BYTES, Opcode
from taylorvit.rtl.network.config import NetworkConfig

from .cycles import ImageCycles, StepCycles, cycles_of
from .fitting import check_model, check_shape, check_tape
from .listing import listing_of, sizes_of
from .payload import filled, rows_of
from .plan import plan_of
from .tape import Part, TapeWriter

__all__ = ["CompiledNetwork", "compile_network"]

_KIND = "compiled vit"
_FORMAT = 1


@dataclass(frozen=True, eq=False)
class CompiledNetwork:
    """A network as a tape.

    Attributes:
        vit (IntegerVit): the model.
        config (NetworkConfig): the accelerator.
        tape (bytes): the tape.
        parts (tuple[Part, ...]): its commands.
    """

    vit: IntegerVit
    config: NetworkConfig
    tape: bytes
    parts: tuple[Part, ...]

    @cached_property
    def cycles(self) -> ImageCycles:
        """The cycles of an image of many, if the tape always comes."""
        return cycles_of([part.step for part in self.parts], self.config)

    @property
    def crc32(self) -> int:
        """The CRC of the tape, as its trailer has it."""
        columns = self.config.columns
        trailer = -(-TRAILER_BYTES // columns) * columns
        return int.from_bytes(self.tape[-trailer:][:TRAILER_BYTES], "little")

    @property
    def patches(self) -> int:
        """Patches of an image."""
        return self.vit.shape.tokens - self.vit.shape.extra_tokens

    @property
    def patch_pixels(self) -> int:
        """Pixels of a patch, its colours counted."""
        return self.vit.shape.channels * self.vit.shape.patch_size**2

    def description(self) -> dict:
        """What the tape is, for programs: the content of `model.json`, all but what it says of the model's file."""
        shape = self.vit.shape
        names = self.vit.data.get("classes")
        classes = list(map(str, range(shape.classes) if names is None or len(names) != shape.classes else names))
        return {
            "kind": _KIND,
            "format": _FORMAT,
            "accelerator": {"name": self.config.name, "configuration": self.config.to_mapping()},
            "tape": {
                "bytes": len(self.tape),
                "crc32": self.crc32,
                "configuration": f"{self.config.tape_hash:#018x}",
            },
            "image": {
                "channels": shape.channels,
                "size": shape.image_size,
                "patch_size": shape.patch_size,
                "patches": self.patches,
                "patch_pixels": self.patch_pixels,
            },
            "classes": classes,
            "attention": list(self.vit.kernels),
            "cycles": self.cycles.cycles,
            "operations": [_operation(*each) for each in zip(self.parts, self.cycles.steps, strict=True)],
        }

    def listing(self) -> str:
        """The commands, a line each, for people."""
        config = self.config
        title = (
            f"{len(self.tape):,} bytes for {config.name} ({config.rows} x {config.columns}), CRC {self.crc32:#010x}; "
            f"{self.cycles.cycles:,} cycles an image if the tape always comes"
        )
        return listing_of(self.parts, self.cycles, title)


def compile_network(vit: IntegerVit, config: NetworkConfig) -> CompiledNetwork:
    """Compiles a model for an accelerator. The same model and accelerator give the same bytes.

    Args:
        vit (IntegerVit): the model.
        config (NetworkConfig): the accelerator.

    Raises:
        FitError: the accelerator is too small for the model, or computes with other numbers.
        TypeError: an argument is of another kind.
    """
    if not isinstance(vit, IntegerVit):
        raise TypeError(f"vit must be an IntegerVit, as `load_integer_vit` reads it, not {vit!r}")
    if not isinstance(config, NetworkConfig):
        raise TypeError(f"config must be a NetworkConfig, not {config!r}")
    check_shape(vit.shape, config)
    check_model(vit, config)
    writer = TapeWriter(config)
    for step in plan_of(vit.shape, config, vit.kernels):
        step = filled(step, vit)
        writer.add(step, rows_of(step, vit, config))
    tape = writer.finish()
    check_tape(len(tape), config)
    return CompiledNetwork(vit, config, tape, tuple(writer.parts))


def _operation(part: Part, counts: StepCycles) -> dict:
    step = part.step
    operation = {"name": step.name, "opcode": step.opcode.name, "kind": step.kind.name, "layer": step.layer}
    if step.opcode == Opcode.PRODUCT:
        elements, inputs, outputs = sizes_of(step)
        operation |= {
            "elements": elements,
            "inputs": inputs,
            "outputs": outputs,
            "input_tiles": step["input_tiles"],
            "output_tiles": step["output_tiles"],
            "macs": step.macs,
            "wait": step["wait"],
            "cycles": counts.cycles,
        }
    return operation | {"offset": part.offset, "bytes": part.size}
