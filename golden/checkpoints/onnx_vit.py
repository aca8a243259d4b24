"""A Vision Transformer out of a graph of ONNX: its weights, by timm's names, whatever program exported it.

The graph is followed from its output back to the image, and each part of a ViT is known by what it computes:

    head            a linear layer of a prefix token (two of them, whose mean is the output, if it is distilled)
    norm            LayerNorm, in one operator or in its parts (`golden.checkpoints.onnx_layers`)
    residual        a sum of the stream and a branch; LayerScale is folded into the last layer of the branch
    attention       softmax(Q K^T / sqrt(d)) V of one linear layer, or of three (`golden.checkpoints.onnx_attention`)
    MLP             two linear layers around GELU (`golden.checkpoints.onnx_layers`)
    embedding       patches by convolution, moved to tokens, behind prefix tokens; constants are added to them

A graph that ends in the norm, of all tokens or of the class token, has no head: the head becomes one that changes
nothing, so that the logits of the model are the features of the class token. What is anything else is refused by the
name of its operator. At last the model that was found computes the image that the graph was evaluated on, and must
agree with it.
"""

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from taylorvit.golden.network.vit import VisionTransformer, VitShape

from .onnx_attention import attention_at
from .onnx_graph import Graph, read_graph
from .onnx_layers import Linear, Norm, gelu_of, linear_at, norm_at, scaled_linear_at

__all__ = ["read_onnx_vit"]

# A rounding of single precision grows over the layers of a network; another network is far away.
_TOLERANCE = 1e-3


class _Block(NamedTuple):
    """A block: its tensors, by their names in it; its heads; and the residual stream that it gets."""

    tensors: dict[str, np.ndarray]
    heads: int
    stream: str


class _Ending(NamedTuple):
    """What follows the blocks: the norm, and the heads in the order of their tokens."""

    norm: Norm
    heads: list[Linear]


def read_onnx_vit(path: Path, output: str | None = None) -> tuple[dict[str, torch.Tensor], VitShape]:
    """Reads the weights of a Vision Transformer.

    Args:
        path (Path): the file, `.onnx`.
        output (str | None): the value of the graph that is the model's output; by default its "logits", or its first.

    Returns:
        Tensors by timm's names, and the sizes of the model.

    Raises:
        CheckpointError: the file is damaged, or it is not a ViT that `golden.network.vit` computes; the text names the
            operator that is something else.
    """
    graph, output = read_graph(path, output)
    try:
        return _vit_of(graph, output)
    except RecursionError:
        raise graph.error("chains of operators must be short enough to be followed, and one is not") from None


def _vit_of(graph: Graph, output: str) -> tuple[dict[str, torch.Tensor], VitShape]:
    height, width = graph.image.shape[2:]
    if height != width:
        raise graph.error(f"images must be square, not {height} x {width}")
    ending = _ending(graph, output)
    blocks: list[_Block] = []
    stream = ending.norm.source
    while (block := _block(graph, stream)) is not None:
        blocks.insert(0, block)
        stream = block.stream
    if not blocks:
        raise graph.unexpected(graph.plain(stream), "the end of a block, a sum of the residual stream and an MLP")
    tensors = _embedding(graph, stream) | {"norm.weight": ending.norm.weight, "norm.bias": ending.norm.bias}
    for index, block in enumerate(blocks):
        tensors |= {f"blocks.{index}.{name}": tensor for name, tensor in block.tensors.items()}
    for name, head in zip(("head", "head_dist"), _heads(graph, ending, "dist_token" in tensors)):
        tensors |= {f"{name}.weight": head.weight, f"{name}.bias": head.bias}
    shape = _shape(graph, tensors, blocks)
    weights = {name: torch.from_numpy(np.array(each, dtype=np.float32)) for name, each in tensors.items()}
    _check(graph, weights, shape, output, tokens=not ending.heads)
    return weights, shape


def _shape(graph: Graph, tensors: dict[str, np.ndarray], blocks: list[_Block]) -> VitShape:
    heads = sorted({block.heads for block in blocks})
    hidden, width = tensors["blocks.0.mlp.fc1.weight"].shape
    if len(heads) > 1:
        raise graph.error(f"all layers must have the same number of heads, not {' or '.join(map(str, heads))}")
    if hidden % width:
        raise graph.error(f"hidden features must be a multiple of the width, {width}, not {hidden}")
    _width, channels, patch, _columns = tensors["patch_embed.proj.weight"].shape
    try:
        return VitShape(
            image_size=graph.image.shape[-1],
            patch_size=patch,
            channels=channels,
            classes=len(tensors["head.bias"]),
            depth=len(blocks),
            width=width,
            heads=heads[0],
            mlp_ratio=hidden // width,
            distilled="dist_token" in tensors,
        )
    except ValueError as error:
        raise graph.error(str(error)) from None


def _check(graph: Graph, weights: dict[str, torch.Tensor], shape: VitShape, output: str, *, tokens: bool) -> None:
    """The model computes what the graph does: scores, or the tokens of all places."""
    model = VisionTransformer(shape, "softmax").double().eval()
    for name, tensor in model.state_dict().items():
        if weights[name].shape != tensor.shape:
            raise graph.error(
                f"all layers must be of the same sizes, and {name} is {tuple(weights[name].shape)}, "
                f"not {tuple(tensor.shape)}"
            )
    model.load_state_dict(weights)
    image = torch.from_numpy(graph.image).double()
    with torch.no_grad():
        if tokens:
            x = model.embed(image)
            for block in model.blocks:
                x = block(x)
            found = model.norm(x).numpy()
        else:
            found = model(image).numpy()
    wanted = graph.value(output)
    error = math.inf
    if wanted.size == found.size:
        error = float(np.abs(found.ravel() - wanted.ravel()).max()) / max(float(np.abs(wanted).max()), 1e-9)
    if not error <= _TOLERANCE:
        raise graph.error(
            f"the model that was read from it must compute the same, and differs by {error:.2%} of the largest output"
        )


# From the output to the last block


def _ending(graph: Graph, output: str) -> _Ending:
    norm = norm_at(graph, output)
    if norm is not None:
        return _Ending(norm, [])
    head = linear_at(graph, output)
    found = [head] if head is not None else _averaged_layers(graph, output)
    if not found and norm_at(graph, graph.origin(output).name) is not None:  # the features of one token
        found = [_unchanging(graph.value(output).shape[-1], output)]
    if not found:
        raise graph.unexpected(graph.plain(output), "a head, which is a linear layer, or the norm of the tokens")
    heads: dict[int, Linear] = {}
    norms: dict[str, Norm] = {}
    for head in found:
        token, norm = _token(graph, head)
        heads[token] = head
        norms[norm.source] = norm
    if sorted(heads) != list(range(len(found))) or len(norms) > 1:
        raise graph.error(f"heads must be of the first tokens, not of {' and '.join(map(str, sorted(heads)))}")
    return _Ending(norms.popitem()[1], [heads[token] for token in sorted(heads)])


def _averaged_layers(graph: Graph, name: str) -> list[Linear]:
    """The layers whose mean the value is: of a stack of one or two, or half of the sum of two."""
    name = graph.plain(name)
    origin = graph.origin(name)
    if graph.operator(name) == "ReduceMean":
        stack = graph.producer(name).input[0]
        layers = graph.inputs(stack)[0] if graph.operator(stack) == "Concat" else [stack]
    elif graph.operator(origin.name) == "Add" and math.isclose(origin.scale, 0.5, rel_tol=1e-6):
        layers = graph.inputs(origin.name)[0]
    else:
        return []
    found = [linear_at(graph, each) for each in layers]
    return [each for each in found if each is not None] if None not in found else []


def _token(graph: Graph, head: Linear) -> tuple[int, Norm]:
    """The token that a head reads, and the norm of it, which is computed before the token is chosen or after."""
    chosen = graph.origin(head.source)
    norm, places, width = norm_at(graph, chosen.name), chosen.places.ravel(), head.weight.shape[1]
    if norm is not None and len(places) == width:
        before = graph.origin(norm.source)
        if before.name != norm.source:
            places, norm = before.places.ravel()[places], norm._replace(source=before.name)
    if norm is None or chosen.scale != 1:
        raise graph.unexpected(chosen.name, "a norm of the tokens in front of the head")
    if len(places) != width or not np.array_equal(places, np.arange(width) + places[0]) or places[0] % width:
        raise graph.unexpected(graph.plain(head.source), "all features of one token in front of the head")
    return int(places[0]) // width, norm


def _heads(graph: Graph, ending: _Ending, distilled: bool) -> list[Linear]:
    """The heads of our model: one for each prefix token."""
    width, prefix = len(ending.norm.weight), 2 if distilled else 1
    heads = ending.heads or [_unchanging(width, "")]  # the features of the class token
    if len(heads) > prefix:
        raise graph.error(f"there must be a prefix token for each head, and there are {len(heads)} heads")
    # Scores are the mean of two heads: one alone counts twice, and the other one is 0.
    return heads if len(heads) == prefix else [heads[0].scaled(2.0), heads[0].scaled(0.0)]


def _unchanging(width: int, source: str) -> Linear:
    """A layer that computes what it gets."""
    return Linear(np.eye(width), np.zeros(width), source)


# Blocks


def _block(graph: Graph, stream: str) -> _Block | None:
    """The block that ends in this residual stream, or None if none does."""
    mlp = _branch(graph, stream)
    if mlp is None:
        return None
    before, fc2 = mlp
    fc1_output = gelu_of(graph, fc2.source)
    fc1 = linear_at(graph, fc1_output)
    if fc1 is None:
        raise graph.unexpected(fc1_output, "the first linear layer of an MLP")
    norm2 = _norm_of(graph, fc1.source, before)
    attention = _branch(graph, before)
    if attention is None:
        raise graph.unexpected(before, "a sum of the residual stream and of attention")
    start, proj = attention
    qkv, heads = attention_at(graph, proj.source)
    norm1 = _norm_of(graph, qkv.source, start)
    parts = {"norm1": norm1, "attn.qkv": qkv, "attn.proj": proj, "norm2": norm2, "mlp.fc1": fc1, "mlp.fc2": fc2}
    tensors = {f"{name}.{kind}": getattr(part, kind) for name, part in parts.items() for kind in ("weight", "bias")}
    return _Block(tensors, heads, start)


def _branch(graph: Graph, stream: str) -> tuple[str, Linear] | None:
    """The residual stream before a branch was added, and the last layer of the branch, LayerScale included."""
    stream = graph.plain(stream)
    live = graph.inputs(stream)[0] if graph.operator(stream) == "Add" else []
    if len(live) != 2:
        return None
    for before, branch in (live, live[::-1]):
        if (linear := scaled_linear_at(graph, branch)) is not None:
            return graph.plain(before), linear
    return None


def _norm_of(graph: Graph, name: str, stream: str) -> Norm:
    norm = norm_at(graph, name)
    if norm is None or graph.plain(norm.source) != stream:
        raise graph.unexpected(graph.plain(name), "LayerNorm of the residual stream")
    return norm


# Embedding


def _embedding(graph: Graph, stream: str) -> dict[str, np.ndarray]:
    """Patch embedding, prefix tokens and positions."""
    tokens = graph.value(stream)
    if tokens.ndim != 3:
        raise graph.unexpected(stream, "tokens, (images, tokens, features)")
    count, width = tokens.shape[1:]
    places, convolution = _moved_from(graph, stream)
    if graph.operator(convolution) != "Conv":
        raise graph.unexpected(convolution, "a convolution of patches")
    constants = _patch_constants(graph, convolution)
    patches = int(np.prod(graph.value(convolution).shape[2:]))
    prefix = count - patches
    if prefix not in (1, 2) or len(constants[0]) != width:
        raise graph.error(
            f"there must be a class token, or two with a distillation token, in front of {patches} patches, "
            f"not {prefix} tokens"
        )
    of_patches = np.arange(width) * patches + np.arange(patches)[:, None]
    expected = np.concatenate([np.full((prefix, width), -1), of_patches])
    if not np.array_equal(places.reshape(expected.shape), expected):
        raise graph.unexpected(stream, "patches row by row behind the prefix tokens")
    moved = np.where(expected < 0, 0, graph.value(convolution).ravel()[expected])
    tensors = {
        "patch_embed.proj.weight": constants[0],
        "patch_embed.proj.bias": constants[1] if len(constants) > 1 else np.zeros(width),
        "pos_embed": (tokens - moved)[:1],  # with the prefix tokens, which are only ever added to them
        "cls_token": np.zeros((1, 1, width)),
    }
    return tensors | ({"dist_token": np.zeros((1, 1, width))} if prefix == 2 else {})


def _patch_constants(graph: Graph, convolution: str) -> list[np.ndarray]:
    """Weight and bias of the convolution, which must be of square patches side by side."""
    live, constants = graph.inputs(convolution)
    source = graph.plain(live[0])
    if len(live) != 1 or graph.producer(source) is not None:
        raise graph.unexpected(source, "nothing but the image in front of the patches")
    patch, columns = constants[0].shape[2:]
    strides = list(graph.attribute(convolution, "strides", [1, 1]))
    if patch != columns or strides != [patch, patch] or graph.image.shape[-1] % patch:
        raise graph.error(
            f"patches must be square and side by side, not {patch} x {columns} pixels "
            f"each {' x '.join(map(str, strides))} of an image of {graph.image.shape[-1]}"
        )
    others = {"group": 1, "dilations": [1, 1], "pads": [0, 0, 0, 0]}
    if any(graph.attribute(convolution, name, usual) != usual for name, usual in others.items()):
        raise graph.unexpected(convolution, "a convolution of patches without groups, dilation and padding")
    return constants


def _moved_from(graph: Graph, name: str) -> tuple[np.ndarray, str]:
    """The places of a value in the convolution that it comes from, through added constants; -1 where constant."""
    origin = graph.origin(name)
    live, constants = graph.inputs(origin.name) if graph.operator(origin.name) == "Add" else ([], [])
    if len(live) != 1 or not constants or origin.scale != 1:
        return origin.places, origin.name
    places, convolution = _moved_from(graph, live[0])
    places = np.broadcast_to(places, graph.value(origin.name).shape)
    return np.where(origin.places < 0, -1, places.ravel()[origin.places]), convolution
