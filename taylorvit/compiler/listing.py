"""What a person reads of a compiled network: its commands, its cycles by operation."""

import re
from collections.abc import Sequence

from rich.table import Table

from taylorvit.rtl.network.command import Opcode
from taylorvit.rtl.network.config import NetworkConfig

from .cycles import ImageCycles, StepCycles
from .steps import Step
from .tape import Part

__all__ = ["cycles_table", "listing_of", "sizes_of"]

_WHERE = re.compile(r"blocks\.\d+\.|\[\d+\]")  # layer, and head or block, in the name of a step


def sizes_of(step: Step) -> tuple[int, int, int]:
    """Elements of a pass, inputs and outputs of a product; zeros of other commands.

    Args:
        step (Step): the command.
    """
    if step.opcode != Opcode.PRODUCT:
        return 0, 0, 0
    if step.linears:
        return step["length"], int((step.inputs >= 0).sum()), int((step.outputs >= 0).sum())
    return step["length"], step["stationary_limit"], step.macs // (step["length"] * step["stationary_limit"])


def listing_of(parts: Sequence[Part], image: ImageCycles, title: str) -> str:
    """The commands of a tape, a line each.

    Args:
        parts (Sequence[Part]): the commands.
        image (ImageCycles): their cycles.
        title (str): the first line.
    """
    rows: list[tuple[str, ...]] = [
        ("command", "kind", "elements", "inputs", "outputs", "tiles", "MACs", "wait", "offset", "bytes", "cycles", "%")
    ]
    for part, counts in zip(parts, image.steps, strict=True):
        step = part.step
        is_product = step.opcode == Opcode.PRODUCT
        rows.append(
            (
                step.name,
                step.kind.name.lower(),
                *(str(number) if is_product else "" for number in sizes_of(step)),
                f"{step['input_tiles']} x {step['output_tiles']}" if is_product else "",
                f"{step.macs}" if is_product else "",
                f"{step['wait']}" if is_product else "",
                f"{part.offset:#x}",
                f"{part.size}",
                f"{counts.cycles}" if is_product else "",
                f"{100 * counts.cycles / image.cycles:.2f}" if is_product else "",
            )
        )
    return "\n".join([title, "", *_lines(rows), ""])


def cycles_table(image: ImageCycles, config: NetworkConfig, name: str) -> Table:
    """Cycles of an image by operation, all layers and heads together.

    Args:
        image (ImageCycles): the cycles.
        config (NetworkConfig): the accelerator.
        name (str): name of the network.
    """
    table = Table(
        title=f"{name} on {config.name}: {image.cycles:,} cycles an image", caption=_summary(image, config)
    )  # fmt: skip
    table.add_column("operation")
    for heading in ("cycles", "%", "array busy", "tape", "products before", "image", "useful"):
        table.add_column(heading, justify="right")
    for operation, steps in _by_operation(image).items():
        cycles = sum(step.cycles for step in steps)
        macs = sum(step.step.macs for step in steps)
        table.add_row(
            operation,
            f"{cycles:,}",
            f"{100 * cycles / image.cycles:.1f}",
            *(f"{sum(getattr(step, count) for step in steps):,}" for count in ("busy", "tape", "data", "image")),
            f"{macs / (cycles * config.rows * config.columns):.1%}" if cycles else "",
        )
    return table


def _summary(image: ImageCycles, config: NetworkConfig) -> str:
    return (
        f"useful: {image.utilization(config):.1%} of {config.rows * config.columns:,} multipliers; "
        f"tape: {image.tape_bytes:,} bytes, {image.tape_bytes / image.cycles:.2f} a cycle"
    )


def _by_operation(image: ImageCycles) -> dict[str, list[StepCycles]]:
    """Products of a name, of all layers and heads, in the order in which the first of them come."""
    steps: dict[str, list[StepCycles]] = {}
    for step in image.steps:
        if step.step.opcode == Opcode.PRODUCT:
            steps.setdefault(_WHERE.sub("", step.step.name), []).append(step)
    return steps


def _lines(rows: list[tuple[str, ...]]) -> list[str]:
    """Lines of a table whose first two columns are text, the others numbers."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return [
        "  ".join(
            text.ljust(width) if place < 2 else text.rjust(width)
            for place, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
