"""A Vision Transformer out of a graph of ONNX: its weights, by timm's names, whatever program exported it.

The graph is followed from its output back to the image, and each part of a ViT is known by what it computes:

    head            a linear layer of a prefix token (two of them, whose mean is the output, if it is distilled)
    norm            LayerNorm, in one operator or in its parts
    residual        a sum of the stream and a branch; LayerScale is folded into the last layer of the branch
    attention       softmax(scale Q K^T) V; where Q, K and V come from, and where Z goes, is found by `Graph.origin`
    MLP             two linear layers around what is GELU, by its values
    embedding       patches by convolution, moved to tokens, behind prefix tokens; constants are added to them

A graph that ends in the norm has no head: its features are the output, and the head becomes one, so that the logits of
the model are the features of the class token. What is anything else is refused by the name of its operator. At last the
model that was found computes the image that the graph was evaluated on, and must agree with it.
"""

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from taylorvit.golden.network.vit import VisionTransformer, VitShape

from .onnx_graph import Graph, read_graph
from .weight_files import CheckpointError

__all__ = ["read_onnx_vit"]

# A rounding of single precision grows over the layers of a network; another network is far away.
_TOLERANCE = 1e-3
_GELU_TOLERANCE = 1e-4  # the approximation by tanh is up to 5e-4 from GELU

_SQUARES = ("Pow", "Mul")
_ELEMENTWISE = {"Add", "Cast", "Div", "Erf", "Gelu", "Identity", "Mul", "Pow", "Sigmoid", "Tanh", "Relu", "Sub"}
_SAME_ORDER = {"Cast", "Dropout", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"}


class _Linear(NamedTuple):
    """weight x + bias: (outputs, inputs), (outputs,), and the name of x."""

    weight: np.ndarray
    bias: np.ndarray
    source: str

    def scaled(self, factor: np.ndarray | float) -> "_Linear":
        """The same with all outputs multiplied."""
        factor = np.broadcast_to(factor, self.bias.shape)
        return _Linear(self.weight * factor[:, None], self.bias * factor, self.source)


class _Norm(NamedTuple):
    """LayerNorm: (features,), (features,), and the name of what is normalized."""

    weight: np.ndarray
    bias: np.ndarray
    source: str


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
    reader = _Reader(graph)
    tensors, shape = reader.read(output)
    model = VisionTransformer(shape, "softmax")
    model.load_state_dict(tensors)
    with torch.no_grad():
        found = _result(model.double().eval(), torch.from_numpy(graph.image).double(), reader.whole)
    wanted = graph.value(output).reshape(found.shape)
    error = float(np.abs(found - wanted).max()) / max(float(np.abs(wanted).max()), 1e-9)
    if not error <= _TOLERANCE:
        raise graph.error(
            f"the model that was read from it must compute the same, and differs by {error:.2%} of the largest output"
        )
    return tensors, shape


def _result(model: VisionTransformer, image: torch.Tensor, whole: bool) -> np.ndarray:
    """What the graph gives: scores, or the tokens of all places."""
    if not whole:
        return model(image).numpy()
    x = model.embed(image)
    for block in model.blocks:
        x = block(x)
    return model.norm(x).numpy()


class _Reader:
    """Finds the parts of a ViT in a graph, from the output to the image."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.whole = False  # whether the output is the tokens of all places

    def read(self, output: str) -> tuple[dict[str, torch.Tensor], VitShape]:
        """The tensors and the shape of the model that ends in this value."""
        heads, norm = self._heads(output)
        width = len(norm.weight)
        blocks = []
        stream = norm.source
        while (block := self._block(stream)) is not None:
            tensors, stream, heads_of_block = block
            blocks.append((tensors, heads_of_block))
        blocks.reverse()
        if not blocks:
            raise self._unexpected(stream, "the end of a block, a sum of the residual stream and an MLP")
        counts = {count for _tensors, count in blocks}
        if len(counts) > 1:
            raise self.graph.error(f"all layers must have the same number of heads, not {sorted(counts)}")
        embedding, patch = self._embedding(stream)
        tensors = {**embedding, "norm.weight": norm.weight, "norm.bias": norm.bias}
        for index, (of_block, _count) in enumerate(blocks):
            tensors |= {f"blocks.{index}.{name}": tensor for name, tensor in of_block.items()}
        prefix = 1 + ("dist_token" in embedding)
        if not heads:  # the features of the class token
            heads = [_Linear(np.eye(width), np.zeros(width), "")]
        if len(heads) > prefix:
            raise self.graph.error(f"there must be a head for each of {prefix} prefix tokens, not {len(heads)}")
        if len(heads) < prefix:  # a mean of two heads, the other one 0
            heads = [heads[0].scaled(2.0), heads[0].scaled(0.0)]
        for name, head in zip(("head", "head_dist"), heads):
            tensors |= {f"{name}.weight": head.weight, f"{name}.bias": head.bias}
        _images, channels, height, columns = self.graph.image.shape
        if height != columns:
            raise self.graph.error(f"images must be square, not {height} x {columns}")
        hidden = len(tensors["blocks.0.mlp.fc1.bias"])
        if hidden % width:
            raise self.graph.error(f"hidden features must be a multiple of the width, {width}, not {hidden}")
        try:
            shape = VitShape(
                image_size=height,
                patch_size=patch,
                channels=channels,
                classes=len(heads[0].bias),
                depth=len(blocks),
                width=width,
                heads=counts.pop(),
                mlp_ratio=hidden // width,
                distilled=prefix == 2,
            )
        except ValueError as error:
            raise self.graph.error(str(error)) from None
        return {name: torch.from_numpy(np.array(each, dtype=np.float32)) for name, each in tensors.items()}, shape

    def _unexpected(self, name: str, wanted: str) -> CheckpointError:
        return self.graph.error(f"there must be {wanted}, and there is {self.graph.described(name)}")

    # Operators

    def _plain(self, name: str) -> str:
        """The value in front of operators that leave the numbers in their order."""
        while self.graph.operator(name) in _SAME_ORDER:
            live, _constants = self.graph.split(name)
            name = live[0]
        return name

    def _linear(self, name: str) -> _Linear | None:
        """A linear layer of the last dimension, if the value is one."""
        graph, name = self.graph, self._plain(name)
        operator = graph.operator(name)
        if operator == "Gemm":
            live, constants = graph.split(name)
            node = graph.producer(name)
            if live != [node.input[0]] or graph.attribute(name, "transA", 0):
                return None
            weight = constants[0] if graph.attribute(name, "transB", 0) else constants[0].T
            bias = constants[1] if len(constants) > 1 else np.zeros(len(weight))
            alpha, beta = graph.attribute(name, "alpha", 1.0), graph.attribute(name, "beta", 1.0)
            return _Linear(alpha * weight, beta * np.broadcast_to(bias, len(weight)), live[0])
        if operator == "Add":
            live, constants = graph.split(name)
            if len(live) != 1 or not constants:
                return None
            inner = self._linear(live[0])
            if inner is None or constants[0].size not in (1, len(inner.bias)):
                return None
            return inner._replace(bias=inner.bias + constants[0].ravel())
        if operator == "MatMul":
            live, constants = graph.split(name)
            if len(live) != 1 or constants[0].ndim != 2 or live != [graph.producer(name).input[0]]:
                return None
            weight = constants[0].T
            return _Linear(weight, np.zeros(len(weight)), live[0])
        return None

    def _norm(self, name: str) -> _Norm | None:
        """LayerNorm over the last dimension, if the value is one."""
        graph, name = self.graph, self._plain(name)
        operator = graph.operator(name)
        if operator == "LayerNormalization":
            live, constants = graph.split(name)
            rank = graph.value(live[0]).ndim
            if len(live) != 1 or graph.attribute(name, "axis", -1) not in (-1, rank - 1):
                return None
            weight = constants[0]
            self._check_epsilon(name, graph.attribute(name, "epsilon", 1e-5))
            return _Norm(weight, constants[1] if len(constants) > 1 else np.zeros(len(weight)), live[0])
        bias = weight = None
        if operator == "Add":
            live, constants = graph.split(name)
            if len(live) != 1:
                return None
            name, bias = live[0], constants[0]
        if graph.operator(name) == "Mul":
            live, constants = graph.split(name)
            if len(live) != 1:
                return None
            name, weight = live[0], constants[0]
        if graph.operator(name) != "Div":
            return None
        centred, deviation = graph.producer(name).input
        source = self._centred(centred)
        if source is None or graph.operator(deviation) != "Sqrt":
            return None
        (variance,), _none = graph.split(deviation)
        live, constants = graph.split(variance) if graph.operator(variance) == "Add" else ([], [])
        if len(live) != 1 or constants[0].size != 1 or graph.operator(live[0]) != "ReduceMean":
            return None
        (square, *_), _axes = graph.split(live[0])
        if graph.operator(square) not in _SQUARES or self._centred(graph.producer(square).input[0]) != source:
            return None
        self._check_epsilon(name, float(constants[0].ravel()[0]))
        width = graph.value(source).shape[-1]
        return _Norm(
            np.ones(width) if weight is None else np.broadcast_to(weight.ravel(), width),
            np.zeros(width) if bias is None else np.broadcast_to(bias.ravel(), width),
            source,
        )

    def _centred(self, name: str) -> str | None:
        """x, if the value is x minus its mean."""
        if self.graph.operator(name) != "Sub":
            return None
        source, mean = self.graph.producer(name).input
        live = self.graph.split(mean)[0] if self.graph.operator(mean) == "ReduceMean" else []
        return source if live == [source] else None

    def _check_epsilon(self, name: str, epsilon: float) -> None:
        if not 0 <= epsilon <= 1e-5:
            raise self.graph.error(
                f"LayerNorm's epsilon must be at most 1e-5, not {epsilon:g} of {self.graph.described(name)}"
            )

    # Parts

    def _heads(self, output: str) -> tuple[list[_Linear], _Norm]:
        """The heads, in the order of their tokens, and the norm in front of them."""
        graph, name = self.graph, self._plain(output)
        if (norm := self._norm(name)) is not None:
            self.whole = True
            return [], norm
        head = self._linear(name)
        found = [head] if head is not None else self._mean_of_linears(name)
        if not found:
            raise self._unexpected(output, "a head, a linear layer, or the norm of the tokens")
        heads: dict[int, _Linear] = {}
        norms = {}
        for head in found:
            token, norm = self._token(head)
            heads[token] = head
            norms[norm.source] = norm
        if sorted(heads) != list(range(len(found))) or len(norms) > 1:
            raise self._unexpected(output, "heads of the first tokens")
        del graph
        return [heads[token] for token in sorted(heads)], norms.popitem()[1]

    def _mean_of_linears(self, name: str) -> list[_Linear]:
        """The layers whose mean the value is: of a stack of them, or half of the sum of two."""
        graph = self.graph
        if graph.operator(name) == "ReduceMean":
            stack = graph.split(name)[0][0]
            layers = graph.split(stack)[0] if graph.operator(stack) == "Concat" else [stack]
            linears = [self._linear(each) for each in layers]
            return [each for each in linears if each is not None] if None not in linears else []
        origin = graph.origin(name)
        if graph.operator(origin.name) == "Add" and math.isclose(origin.scale, 0.5, rel_tol=1e-6):
            linears = [self._linear(each) for each in graph.split(origin.name)[0]]
            return [each for each in linears if each is not None] if len(linears) == 2 else []
        return []

    def _token(self, head: _Linear) -> tuple[int, _Norm]:
        """The token that a head reads, and the norm of it."""
        origin = self.graph.origin(head.source)
        name = origin.name
        norm = self._norm(name)
        places, width = origin.places.ravel(), head.weight.shape[1]
        if norm is not None and self.graph.origin(norm.source).name != norm.source:
            # The token is chosen in front of the norm.
            before = self.graph.origin(norm.source)
            if len(places) == width:
                places, norm = before.places.ravel()[places], norm._replace(source=before.name)
        if norm is None or len(places) != width or not np.array_equal(places, np.arange(width) + places[0]):
            raise self._unexpected(head.source, "a norm of a prefix token in front of the head")
        if places[0] % width:
            raise self._unexpected(head.source, "all features of one token in front of the head")
        return int(places[0]) // width, norm

    def _block(self, stream: str) -> tuple[dict[str, np.ndarray], str, int] | None:
        """The block that ends in this residual stream: its tensors, the stream in front of it, its heads."""
        mlp = self._branch(stream)
        if mlp is None:
            return None
        before, fc2 = mlp
        fc1_name = self._activation(fc2.source)
        fc1 = self._linear(fc1_name)
        if fc1 is None:
            raise self._unexpected(fc1_name, "the first linear layer of an MLP")
        norm2 = self._norm_of(fc1.source, before)
        attention = self._branch(before)
        if attention is None:
            raise self._unexpected(before, "a sum of the residual stream and of attention")
        start, proj = attention
        qkv, source, heads = self._attention(proj.source)
        norm1 = self._norm_of(source, start)
        parts = {"norm1": norm1, "attn.qkv": qkv, "attn.proj": proj, "norm2": norm2, "mlp.fc1": fc1, "mlp.fc2": fc2}
        tensors = {f"{name}.{kind}": getattr(part, kind) for name, part in parts.items() for kind in ("weight", "bias")}
        return tensors, start, heads

    def _branch(self, stream: str) -> tuple[str, _Linear] | None:
        """The residual stream before a branch was added, and the last layer of the branch, LayerScale included."""
        stream = self._plain(stream)
        if self.graph.operator(stream) != "Add":
            return None
        live, _constants = self.graph.split(stream)
        if len(live) != 2:
            return None
        for before, branch in (live, live[::-1]):
            if (linear := self._scaled_linear(branch)) is not None:
                return self._plain(before), linear
        return None

    def _scaled_linear(self, name: str) -> _Linear | None:
        name = self._plain(name)
        if self.graph.operator(name) == "Mul":
            live, constants = self.graph.split(name)
            inner = self._linear(live[0]) if len(live) == 1 else None
            if inner is None or constants[0].size not in (1, len(inner.bias)):
                return None
            return inner.scaled(constants[0].ravel())
        return self._linear(name)

    def _norm_of(self, name: str, stream: str) -> _Norm:
        norm = self._norm(name)
        if norm is None or self._plain(norm.source) != stream:
            raise self._unexpected(name, "LayerNorm of the residual stream")
        return norm

    def _activation(self, name: str) -> str:
        """What GELU is computed of: the value by operators on each element alone, and by what they compute."""
        source = {name}
        while not all(self._linear(each) is not None for each in source):
            following = set()
            for each in source:
                plain = self._plain(each)
                if self._linear(plain) is not None:
                    following.add(plain)
                elif self.graph.operator(plain) in _ELEMENTWISE:
                    following.update(self.graph.split(plain)[0])
                else:
                    raise self._unexpected(plain, "GELU")
            source = {self._plain(each) for each in following}
        if len(source) != 1:
            raise self._unexpected(name, "GELU of one linear layer")
        (layer,) = source
        x = torch.from_numpy(self.graph.value(layer)).ravel()
        gelu = torch.nn.functional.gelu(x).numpy()
        error = float(np.abs(self.graph.value(name).ravel() - gelu).max()) if gelu.size else 0.0
        if not error <= _GELU_TOLERANCE:
            raise self.graph.error(
                f"the activation of an MLP must be GELU by erf, and {self.graph.described(name)} differs by {error:.1g}"
            )
        return layer

    def _attention(self, name: str) -> tuple[_Linear, str, int]:
        """Query, key and value in one layer, the value that they are of, and the number of heads."""
        graph = self.graph
        merged = graph.origin(name)
        product = merged.name
        if graph.operator(product) not in ("MatMul", "Attention"):
            raise self._unexpected(product, "the product of a softmax and V")
        heads, tokens, size = self._head_sizes(product)
        width = heads * size
        places = np.arange(width * tokens).reshape(heads, tokens, size).swapaxes(0, 1).ravel()
        if not np.array_equal(merged.places.ravel(), places) or merged.scale != 1:
            raise self._unexpected(name, "the heads side by side")
        if graph.operator(product) == "Attention":
            q, k, v = graph.producer(product).input[:3]
            given = graph.attribute(product, "scale")
            scale = float(given) if given is not None else 1 / math.sqrt(size)
            origins = [graph.origin(q), graph.origin(k), graph.origin(v)]
            if len([each for each in graph.producer(product).input if each]) > 3 or graph.attribute(
                product, "is_causal", 0
            ):
                raise self._unexpected(product, "attention without a mask")
        else:
            softmax, v = graph.producer(product).input
            origins, scale = self._scores(softmax)
            origins.append(graph.origin(v))
        scale *= math.prod(each.scale for each in origins[:2])
        if not math.isclose(scale, 1 / math.sqrt(size), rel_tol=1e-4) or origins[2].scale != 1:
            raise graph.error(
                f"attention must divide by the root of {size}, and {graph.described(product)} multiplies by {scale:g}"
            )
        by_token = np.arange(size)
        parts = []
        for part, origin in zip(("Q", "K", "V"), origins):
            layer = self._linear(origin.name)
            if layer is None:
                raise self._unexpected(origin.name, f"a linear layer that computes {part}")
            features = len(layer.bias)
            places = (
                origin.places.reshape(heads, size, tokens).swapaxes(1, 2)
                if part == "K" and (graph.operator(product) == "MatMul")
                else origin.places.reshape(heads, tokens, size)
            )
            first = places[:, 0, 0]  # of each head
            expected = first[:, None, None] + features * np.arange(tokens)[:, None] + by_token
            if not np.array_equal(places, expected) or (first >= features).any():
                raise self._unexpected(origin.name, f"heads of {part}, each of {size} features side by side")
            rows = (first[:, None] + by_token).ravel()
            parts.append(_Linear(layer.weight[rows], layer.bias[rows], self._plain(layer.source)))
        if len({part.source for part in parts}) > 1:
            raise self._unexpected(product, "Q, K and V of the same tokens")
        joined = _Linear(
            np.concatenate([part.weight for part in parts]), np.concatenate([part.bias for part in parts]), ""
        )
        return joined, parts[0].source, heads

    def _head_sizes(self, product: str) -> tuple[int, int, int]:
        shape = self.graph.value(product).shape
        if len(shape) == 4 and shape[0] == 1:
            shape = shape[1:]
        if len(shape) != 3:
            raise self._unexpected(product, "attention by heads, (heads, tokens, features)")
        return int(shape[0]), int(shape[1]), int(shape[2])

    def _scores(self, softmax: str) -> tuple[list, float]:
        """Origins of Q and of K transposed, and the factor of their product."""
        graph = self.graph
        guarded = graph.origin(softmax)
        if guarded.scale == 1 and np.array_equal(guarded.places.ravel(), np.arange(guarded.places.size)):
            softmax = guarded.name
        rank = graph.value(softmax).ndim
        if graph.operator(softmax) != "Softmax" or graph.attribute(softmax, "axis", -1) not in (-1, rank - 1):
            raise self._unexpected(softmax, "softmax over the keys")
        logits = graph.origin(graph.split(softmax)[0][0])
        live = graph.split(logits.name)[0] if graph.operator(logits.name) == "MatMul" else []
        if len(live) != 2 or not np.array_equal(logits.places.ravel(), np.arange(logits.places.size)):
            raise self._unexpected(logits.name, "the product of Q and K")
        return [graph.origin(each) for each in graph.producer(logits.name).input], logits.scale

    def _embedding(self, stream: str) -> tuple[dict[str, np.ndarray], int]:
        """Patch embedding, prefix tokens and positions, and the size of a patch."""
        graph = self.graph
        tokens = graph.value(stream)
        if tokens.ndim != 3:
            raise self._unexpected(stream, "tokens, (images, tokens, features)")
        _images, count, width = tokens.shape
        places, convolution = self._moved(stream)
        if graph.operator(convolution) != "Conv":
            raise self._unexpected(convolution, "a convolution of patches")
        (source,), constants = graph.split(convolution)
        if self._plain(source) in graph._producers:
            raise self._unexpected(self._plain(source), "nothing but the image in front of the patches")
        weight = constants[0]
        patch = weight.shape[-1]
        strides = graph.attribute(convolution, "strides", [1, 1])
        if list(strides) != [patch, patch] or weight.shape[2] != patch or graph.attribute(convolution, "group", 1) != 1:
            raise self._unexpected(convolution, f"a convolution of square patches side by side ({strides = })")
        features, patches = weight.shape[0], int(np.prod(graph.value(convolution).shape[2:]))
        prefix = count - patches
        if prefix not in (1, 2) or features != width:
            raise graph.error(
                f"there must be a class token, or two with a distillation token, in front of {patches} patches, "
                f"not {prefix} tokens"
            )
        expected = np.concatenate(
            [np.full((prefix, width), -1), np.arange(width) * patches + np.arange(patches)[:, None]]
        )
        if not np.array_equal(places[0], expected):
            raise self._unexpected(stream, "patches row by row behind the prefix tokens")
        moved = np.where(expected < 0, 0, graph.value(convolution).ravel()[expected])
        constant = (tokens - moved)[0]  # prefix tokens and positions, which are only ever added
        bias = constants[1] if len(constants) > 1 else np.zeros(width)
        tensors = {
            "patch_embed.proj.weight": weight,
            "patch_embed.proj.bias": bias,
            "pos_embed": constant[None],
            "cls_token": np.zeros((1, 1, width)),
        }
        return tensors | ({"dist_token": np.zeros((1, 1, width))} if prefix == 2 else {}), patch

    def _moved(self, name: str) -> tuple[np.ndarray, str]:
        """The places of a value in the convolution that it comes from, through added constants; -1 where constant."""
        origin = self.graph.origin(name)
        if self.graph.operator(origin.name) == "Add":
            live, constants = self.graph.split(origin.name)
            if len(live) == 1 and constants and origin.scale == 1:
                places, convolution = self._moved(live[0])
                places = np.broadcast_to(places, self.graph.value(origin.name).shape)
                return np.where(origin.places < 0, -1, places.ravel()[origin.places]), convolution
        return origin.places, origin.name
