"""Compiles an integer Vision Transformer for a network accelerator."""

from dataclasses import dataclass

from taylorvit.golden.network.integer_vit import IntegerVit
from taylorvit.rtl.network.command import TRAILER_BYTES, Kind, Opcode
from taylorvit.rtl.network.config import NetworkConfig

from .fitting import check_model, check_shape, check_tape
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
            "operations": [_operation(part) for part in self.parts],
        }

    def listing(self) -> str:
        """The commands, a line each, for people."""
        rows: list[tuple[str, ...]] = [
            ("command", "kind", "elements", "inputs", "outputs", "tiles", "MACs", "wait", "offset", "bytes")
        ]
        for part in self.parts:
            step = part.step
            rows.append(
                (
                    step.name,
                    step.kind.name.lower(),
                    *(str(number) if number else "" for number in _sizes(part)),
                    f"{step['input_tiles']} x {step['output_tiles']}" if step.opcode == Opcode.PRODUCT else "",
                    f"{step.macs}" if step.macs else "",
                    f"{step['wait']}" if step.opcode == Opcode.PRODUCT else "",
                    f"{part.offset:#x}",
                    f"{part.size}",
                )
            )
        title = (
            f"{len(self.tape):,} bytes for {self.config.name} "
            f"({self.config.rows} x {self.config.columns}), CRC {self.crc32:#010x}"
        )
        return "\n".join([title, "", *_table(rows), ""])


def compile_network(vit: IntegerVit, config: NetworkConfig) -> CompiledNetwork:
    """Compiles a model for an accelerator. The same model and accelerator give the same bytes.

    Args:
        vit (IntegerVit): the model.
        config (NetworkConfig): the accelerator.

    Raises:
        FitError: the accelerator is too small for the model, or computes with other numbers.
    """
    check_shape(vit.shape, config)
    check_model(vit, config)
    writer = TapeWriter(config)
    for step in plan_of(vit.shape, config):
        step = filled(step, vit)
        writer.add(step, rows_of(step, vit, config))
    tape = writer.finish()
    check_tape(len(tape), config)
    return CompiledNetwork(vit, config, tape, tuple(writer.parts))


def _sizes(part: Part) -> tuple[int, int, int]:
    """Elements of a pass, inputs and outputs of a product."""
    step = part.step
    if step.opcode != Opcode.PRODUCT:
        return 0, 0, 0
    if step.linears:
        return step["length"], int((step.inputs >= 0).sum()), int((step.outputs >= 0).sum())
    return step["length"], step["stationary_limit"], step.macs // (step["length"] * step["stationary_limit"])


def _operation(part: Part) -> dict:
    step = part.step
    elements, inputs, outputs = _sizes(part)
    operation = {"name": step.name, "opcode": step.opcode.name, "kind": Kind(step.kind).name, "layer": step.layer}
    if step.opcode == Opcode.PRODUCT:
        operation |= {
            "elements": elements,
            "inputs": inputs,
            "outputs": outputs,
            "input_tiles": step["input_tiles"],
            "output_tiles": step["output_tiles"],
            "macs": step.macs,
            "wait": step["wait"],
        }
    return operation | {"offset": part.offset, "bytes": part.size}


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    """Lines of a table whose first two columns are text, the others numbers."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return [
        "  ".join(
            text.ljust(width) if place < 2 else text.rjust(width)
            for place, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
