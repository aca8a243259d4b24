"""A Vision Transformer as a list of operations: what is computed, in which order.

    pixels        --> Patches --> Linear patch_embed --> Add to Embedding embedding --> residual.0
    residual.2i   --> Norm norm1 --> Linear qkv --> Requantize q, k, v --> Attention z --> Linear proj --> Add
                  --> residual.2i+1
    residual.2i+1 --> Norm norm2 --> Linear fc1 --> Requantize hidden --> LookUp gelu --> Linear fc2 --> Add
                  --> residual.2i+2
    residual.2L   --> Norm norm --> Linear head, head_dist --> Logits logits

Whoever needs the network walks this list, which `network_of` makes, with all its names, from the sizes of a model:

    golden.network.integer_run       computes it in integers
    golden.network.integer_widths    bounds each sum for all images
    golden.network.float_steps       computes it in floating point
    golden.network.quantize          chooses exponents and integers
    golden.training.straight_through rounds it while it is trained

A compiler for hardware reads from the same list the order in which parameters are used (`Program.parameters`), the
sizes of the steps, and how long each has to be kept (`last_uses`).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import groupby
from typing import TypeVar

from taylorvit.golden.arithmetic.number_format import NetworkFormat

from .operations import (
    PIXELS,
    Add,
    Attention,
    Embedding,
    Linear,
    Logits,
    LookUp,
    Norm,
    Operation,
    Parameter,
    Patches,
    Requantize,
)
from .vit import VitShape

__all__ = [
    "KERNELS",
    "KERNEL_OF_ATTENTION",
    "Program",
    "compute",
    "each_layer",
    "kernels_of",
    "last_uses",
    "network_of",
]

#: Attention kernels that a network can have: in integers (`golden.attention.kernels`) and in floating point
#: (`golden.network.float_steps`).
KERNELS = ("taylor", "softmax")

#: The kernel that computes what an attention of `golden.attention.trained_attention` does at inference, by its name;
#: the others have none.
KERNEL_OF_ATTENTION = {"softmax": "softmax", "taylor": "taylor", "vitality": "taylor"}

Value = TypeVar("Value")


@dataclass(frozen=True)
class Program:
    """Operations in the order in which they are computed.

    Attributes:
        operations (tuple[Operation, ...]): the operations.

    Raises:
        ValueError: two operations have one name, or one reads a step that no operation before it gives.
    """

    operations: tuple[Operation, ...]

    def __post_init__(self) -> None:
        given = {PIXELS}
        for operation in self.operations:
            if operation.name in given:
                raise ValueError(f"names of steps must differ, and {operation.name!r} comes twice")
            for source in operation.sources:
                if source not in given:
                    raise ValueError(f"sources of {operation.name!r} must be steps before it, not {source!r}")
            given.add(operation.name)

    def __iter__(self) -> Iterator[Operation]:
        return iter(self.operations)

    def __getitem__(self, name: str) -> Operation:
        """The operation that gives a step; `KeyError` if there is none."""
        return self._by_name[name]

    def readers(self, name: str) -> tuple[Operation, ...]:
        """The operations that read a step."""
        return self._readers.get(name, ())

    def parts(self) -> Iterator[tuple[int | None, tuple[Operation, ...]]]:
        """What comes before the first layer, each layer, what comes after the last one: (layer, its operations)."""
        for layer, operations in groupby(self.operations, key=lambda operation: operation.layer):
            yield layer, tuple(operations)

    @cached_property
    def parameters(self) -> dict[str, Parameter]:
        """The integers that a model's file holds, by name, in the order in which they are used."""
        return {name: each for operation in self for name, each in operation.parameters.items()}

    @cached_property
    def exponents(self) -> tuple[str, ...]:
        """Names of everything that has an exponent."""
        return tuple(name for operation in self for name in operation.exponents)

    @cached_property
    def offsets(self) -> tuple[str, ...]:
        """Names of the steps that have an offset."""
        return tuple(
            name for operation in self if isinstance(operation, LookUp) for name in (operation.source, operation.name)
        )

    @cached_property
    def _by_name(self) -> dict[str, Operation]:
        return {operation.name: operation for operation in self}

    @cached_property
    def _readers(self) -> dict[str, tuple[Operation, ...]]:
        readers: dict[str, tuple[Operation, ...]] = {}
        for operation in self:
            for source in operation.sources:
                readers[source] = (*readers.get(source, ()), operation)
        return readers


def last_uses(operations: Iterable[Operation]) -> dict[str, list[str]]:
    """The steps that nothing reads any more after an operation, by the name of that operation."""
    last_reader = {source: operation.name for operation in operations for source in operation.sources}
    finished: dict[str, list[str]] = {}
    for step, reader in last_reader.items():
        finished.setdefault(reader, []).append(step)
    return finished


def compute(
    operations: Iterable[Operation], steps: dict[str, Value], result: Callable[[Operation, list[Value]], Value]
) -> Value:
    """Computes operations one after another, and forgets each step after its last use.

    Args:
        operations (Iterable[Operation]): at least one, in their order.
        steps (dict[str, Value]): the steps that they read and none of them gives, by name.
        result (Callable[[Operation, list[Value]], Value]): computes an operation from the steps that it reads.

    Returns:
        The step of the last operation.
    """
    operations = tuple(operations)
    finished = last_uses(operations)
    steps = dict(steps)
    for operation in operations:
        steps[operation.name] = result(operation, [steps[source] for source in operation.sources])
        for step in finished.get(operation.name, ()):
            del steps[step]
    return steps[operations[-1].name]


@lru_cache(maxsize=32)
def network_of(
    shape: VitShape, number_format: NetworkFormat | None = None, *, kernels: str | tuple[str, ...] = "taylor"
) -> Program:
    """Makes the operations of a Vision Transformer.

    Args:
        shape (VitShape): sizes of the model.
        number_format (NetworkFormat | None): of the accelerator; operands and result of attention have its
            `data_width`, the residual stream its `residual_width`. `NetworkFormat()` if left out.
        kernels (str | tuple[str, ...]): attention kernel of each layer, one of `KERNELS`; one name is that of all.

    Raises:
        ValueError: there is no kernel of this name, or not one for each layer.
    """
    kernels = each_layer(kernels, shape.depth)
    number_format = number_format or NetworkFormat()
    operations = _embedding(shape, number_format)
    for layer, kernel in enumerate(kernels):
        operations += _attention_branch(shape, layer, number_format, kernel)
        operations += _mlp_branch(shape, layer, number_format)
    return Program((*operations, *_heads(shape)))


def kernels_of(attentions: Iterable[str]) -> tuple[str, ...]:
    """The kernels that compute attentions at inference.

    Args:
        attentions (Iterable[str]): names of `golden.attention.trained_attention.ATTENTIONS`.

    Raises:
        ValueError: no kernel computes one of them.
    """
    attentions = tuple(attentions)
    for name in attentions:
        if name not in KERNEL_OF_ATTENTION:
            known = ", ".join(KERNEL_OF_ATTENTION)
            raise ValueError(f"attention must be one of {known}, which have a kernel in integers, not {name!r}")
    return tuple(KERNEL_OF_ATTENTION[name] for name in attentions)


def each_layer(kernels: str | Sequence[str], depth: int) -> tuple[str, ...]:
    """The attention kernel of each layer.

    Args:
        kernels (str | Sequence[str]): names of `KERNELS`, one for each layer, or one for all.
        depth (int): number of layers.

    Raises:
        ValueError: there is no kernel of this name, or not one for each layer.
    """
    kernels = (kernels,) * depth if isinstance(kernels, str) else tuple(kernels)
    for kernel in kernels:
        if kernel not in KERNELS:
            raise ValueError(f"kernel must be one of {', '.join(KERNELS)}, not {kernel!r}")
    if len(kernels) != depth:
        raise ValueError(f"kernels must be one for each of {depth} layers, not {len(kernels)}")
    return kernels


def _embedding(shape: VitShape, number_format: NetworkFormat) -> list[Operation]:
    pixels, tokens = shape.channels * shape.patch_size**2, shape.tokens
    return [
        Patches(name="patches", source=PIXELS, rows=tokens, features=pixels, prefix=shape.extra_tokens,
                channels=shape.channels, patch_size=shape.patch_size, side=shape.image_size // shape.patch_size),
        Linear(name="patch_embed", source="patches", rows=tokens, inputs=pixels, features=shape.width,
               module="patch_embed", float_weight="patch_embed.proj.weight"),
        Embedding(name="embedding", rows=tokens, features=shape.width, prefix=shape.extra_tokens, branch="patch_embed",
                  width=number_format.residual_width),
        Add(name=_stream(0), stream="embedding", branch="patch_embed", rows=tokens, features=shape.width,
            width=number_format.residual_width),
    ]  # fmt: skip


def _attention_branch(shape: VitShape, layer: int, number_format: NetworkFormat, kernel: str) -> list[Operation]:
    norm, qkv, q, k, v, errors, z, proj = _names_in_block(
        layer, "norm1", "qkv", "q", "k", "v", "denominator_errors", "z", "proj"
    )
    stream, rows, features = _stream(2 * layer), shape.tokens, shape.width
    data_width, residual_width = number_format.data_width, number_format.residual_width
    return [
        Norm(name=norm, layer=layer, source=stream, rows=rows, features=features, module=norm),
        _linear(qkv, layer, norm, rows, features, 3 * features, "attn.qkv"),
        *(Requantize(name=name, layer=layer, source=qkv, rows=rows, features=features, first=place * features,
                     heads=shape.heads, width=data_width) for place, name in enumerate((q, k, v))),
        Attention(name=z, layer=layer, q=q, k=k, v=v, kernel=kernel, rows=rows, features=features, heads=shape.heads,
                  denominator_errors=errors, width=data_width),
        _linear(proj, layer, z, rows, features, features, "attn.proj", heads=shape.heads),
        Add(name=_stream(2 * layer + 1), layer=layer, stream=stream, branch=proj, rows=rows, features=features,
            width=residual_width),
    ]  # fmt: skip


def _mlp_branch(shape: VitShape, layer: int, number_format: NetworkFormat) -> list[Operation]:
    norm, fc1, hidden, gelu, fc2 = _names_in_block(layer, "norm2", "fc1", "hidden", "gelu", "fc2")
    stream, rows, features = _stream(2 * layer + 1), shape.tokens, shape.width
    inside = shape.mlp_ratio * features
    return [
        Norm(name=norm, layer=layer, source=stream, rows=rows, features=features, module=norm),
        _linear(fc1, layer, norm, rows, features, inside, "mlp.fc1"),
        Requantize(name=hidden, layer=layer, source=fc1, rows=rows, features=inside),
        LookUp(name=gelu, layer=layer, source=hidden, rows=rows, features=inside, function="gelu"),
        _linear(fc2, layer, gelu, rows, inside, features, "mlp.fc2"),
        Add(name=_stream(2 * layer + 2), layer=layer, stream=stream, branch=fc2, rows=rows, features=features,
            width=number_format.residual_width),
    ]  # fmt: skip


def _heads(shape: VitShape) -> list[Operation]:
    """A norm of the prefix tokens, and a head on each of them."""
    heads = ("head", "head_dist")[: shape.extra_tokens]
    return [
        Norm(name="norm", source=_stream(2 * shape.depth), rows=shape.extra_tokens, features=shape.width,
             module="norm"),
        *(Linear(name=name, source="norm", rows=1, inputs=shape.width, features=shape.classes, token=token,
                 by_channel=False, module=name, float_weight=f"{name}.weight") for token, name in enumerate(heads)),
        Logits(name="logits", heads=heads, rows=1, features=shape.classes),
    ]  # fmt: skip


def _linear(
    name: str, layer: int, source: str, rows: int, inputs: int, outputs: int, module: str, *, heads: int | None = None
) -> Linear:
    """A linear layer of a block, where `module` is its place in the block of the float model."""
    [module] = _names_in_block(layer, module)
    return Linear(
        name=name,
        layer=layer,
        source=source,
        rows=rows,
        inputs=inputs,
        features=outputs,
        heads=heads,
        module=module,
        float_weight=f"{module}.weight",
    )


def _names_in_block(layer: int, *names: str) -> list[str]:
    return [f"blocks.{layer}.{name}" for name in names]


def _stream(index: int) -> str:
    """The residual stream: 0 in front of the first block, then one after each branch."""
    return f"residual.{index}"
