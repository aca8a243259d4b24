"""Vision Transformers in plain torch, with timm's names, whose attention is chosen by name.

The architecture is DeiT's (arXiv 2012.12877): patches by a strided convolution, a class token, a distillation token if
the model is distilled, learned positions, pre-norm blocks of attention and MLP, a final norm, a linear head on each of
these prefix tokens.

    images --> patch_embed --> + tokens, positions --> blocks x depth --> norm --> head --> scores

Modules have timm's names, so that its checkpoints and DeiT's load (`golden.checkpoints.checkpoint`).
`golden.attention.trained_attention` lists the attentions; one of them adds parameters of its own, none renames any.

`Attention.project` computes the queries, keys and values that attention receives, and `VisionTransformer.forward`
captures them on request: they are the input of the accelerator.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import torch
from torch import nn

from taylorvit.golden.attention.trained_attention import AttentionChoice, make_attention

__all__ = [
    "EPSILON",
    "SHAPES",
    "Attention",
    "Block",
    "DropPath",
    "HeadTensors",
    "VisionTransformer",
    "VitShape",
    "head_tensors",
]

#: LayerNorm's epsilon, which is timm's.
EPSILON = 1e-6

# A number that was mistyped, or read from a damaged file, must not start days of work.
_LARGEST = {
    "image_size": 1 << 14,
    "patch_size": 1 << 14,
    "channels": 1 << 10,
    "classes": 1 << 20,
    "depth": 1 << 10,
    "width": 1 << 16,
    "heads": 1 << 16,
    "mlp_ratio": 1 << 6,
}


@dataclass(frozen=True, kw_only=True)
class VitShape:
    """Sizes of a Vision Transformer.

    Attributes:
        image_size (int): pixels of a side of the square image.
        patch_size (int): pixels of a side of a patch; a divisor of `image_size`.
        channels (int): colours of a pixel.
        classes (int): outputs of the head.
        depth (int): number of blocks.
        width (int): features of a token; a multiple of `heads`.
        heads (int): attention heads of a block.
        mlp_ratio (int): hidden features of the MLP, divided by `width`.
        distilled (bool): whether there is a distillation token, with a head of its own.

    Raises:
        ValueError: a size is not positive, or far beyond any model's; `patch_size` does not divide `image_size`;
            `heads` does not divide `width`; or `distilled` is neither True nor False.
    """

    image_size: int
    patch_size: int
    channels: int
    classes: int
    depth: int
    width: int
    heads: int
    mlp_ratio: int = 4
    distilled: bool = False

    def __post_init__(self) -> None:
        for name, largest in _LARGEST.items():
            size = getattr(self, name)
            if not isinstance(size, int) or isinstance(size, bool) or size < 1:
                raise ValueError(f"{name} must be a positive integer, not {size!r}")
            if size > largest:
                raise ValueError(f"{name} must be at most {largest}, not {size!r}")
        if self.image_size % self.patch_size:
            raise ValueError(f"patch_size must be a divisor of {self.image_size}, not {self.patch_size!r}")
        if self.width % self.heads:
            raise ValueError(f"heads must be a divisor of {self.width}, not {self.heads!r}")
        if not isinstance(self.distilled, bool):
            raise ValueError(f"distilled must be True or False, not {self.distilled!r}")

    @property
    def extra_tokens(self) -> int:
        """Number of prefix tokens, in front of those of the patches: the class token, and the distillation token."""
        return 2 if self.distilled else 1

    @property
    def tokens(self) -> int:
        """Number of tokens: prefix tokens and patches."""
        return (self.image_size // self.patch_size) ** 2 + self.extra_tokens

    @property
    def head_dim(self) -> int:
        """Features of a head."""
        return self.width // self.heads


def _deit(width: int, heads: int, *, distilled: bool = False) -> VitShape:
    return VitShape(
        image_size=224, patch_size=16, channels=3, classes=1000, depth=12, width=width, heads=heads, distilled=distilled
    )


#: Shapes by name: DeiT's (arXiv 2012.12877, Table 1), and small ones for small images.
SHAPES = {
    "deit_tiny": _deit(192, 3),
    "deit_small": _deit(384, 6),
    "deit_base": _deit(768, 12),
    "deit_tiny_distilled": _deit(192, 3, distilled=True),
    "deit_small_distilled": _deit(384, 6, distilled=True),
    "deit_base_distilled": _deit(768, 12, distilled=True),
    "deit_tiny_2_layers": VitShape(image_size=224, patch_size=16, channels=3, classes=10, depth=2, width=192, heads=3),
    "vit_28": VitShape(image_size=28, patch_size=4, channels=1, classes=10, depth=4, width=64, heads=2),
    "vit_25": VitShape(image_size=25, patch_size=5, channels=1, classes=2, depth=2, width=48, heads=3),
    "vit_8": VitShape(image_size=8, patch_size=2, channels=1, classes=10, depth=3, width=32, heads=2),
}


class HeadTensors(NamedTuple):
    """What one attention layer receives, before any scaling.

    Attributes:
        q (torch.Tensor): queries, (images, heads, tokens, head_dim).
        k (torch.Tensor): keys, of the same shape.
        v (torch.Tensor): values, of the same shape.
    """

    q: torch.Tensor
    k: torch.Tensor
    v: torch.Tensor


class PatchEmbed(nn.Module):
    """Square patches to tokens, by a convolution whose stride is its size.

    Args:
        shape (VitShape): sizes of the model.
    """

    def __init__(self, shape: VitShape) -> None:
        super().__init__()
        self.proj = nn.Conv2d(shape.channels, shape.width, shape.patch_size, stride=shape.patch_size)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Computes the tokens of all patches, (images, patches, width), of images (images, channels, size, size)."""
        features = self.proj(images)  # (images, width, rows of patches, columns of patches)
        return features.flatten(2).transpose(1, 2)  # (images, patches, width)


class Attention(nn.Module):
    """Multi-head self-attention, with an attention of `golden.attention.trained_attention`.

    Args:
        shape (VitShape): sizes of the model.
        choice (AttentionChoice): the attention.
    """

    def __init__(self, shape: VitShape, choice: AttentionChoice) -> None:
        super().__init__()
        self.heads = shape.heads
        self.qkv = nn.Linear(shape.width, 3 * shape.width)
        self.kernel = make_attention(choice, heads=shape.heads)
        self.proj = nn.Linear(shape.width, shape.width)

    def project(self, x: torch.Tensor) -> HeadTensors:
        """Computes queries, keys and values of all heads for tokens x, (images, tokens, width)."""
        images, tokens, width = x.shape
        qkv = self.qkv(x)  # (images, tokens, 3 width)
        qkv = qkv.reshape(images, tokens, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # three of (images, heads, tokens, head_dim)
        return HeadTensors(q, k, v)

    def forward(self, x: torch.Tensor, captured: list[HeadTensors] | None = None) -> torch.Tensor:
        """Computes attention over tokens x, (images, tokens, width); appends the head tensors to `captured`."""
        head_tensors = self.project(x)
        if captured is not None:
            captured.append(head_tensors)
        z = self.kernel(*head_tensors)  # (images, heads, tokens, head_dim)
        return self.proj(z.transpose(1, 2).flatten(2))  # (images, tokens, width)


class Mlp(nn.Module):
    """Two linear layers around a GELU, on each token by itself.

    Args:
        shape (VitShape): sizes of the model.
    """

    def __init__(self, shape: VitShape) -> None:
        super().__init__()
        self.fc1 = nn.Linear(shape.width, shape.mlp_ratio * shape.width)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(shape.mlp_ratio * shape.width, shape.width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Computes the MLP of tokens x, (images, tokens, width)."""
        return self.fc2(self.act(self.fc1(x)))


class DropPath(nn.Module):
    """Leaves a branch out for some images in training (stochastic depth, arXiv 1603.09382).

    Args:
        probability (float): probability that the branch is left out, from 0 to below 1.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, branch: torch.Tensor) -> torch.Tensor:
        """Returns the branch, (images, tokens, width); in training 0 for some images, scaled up for the others."""
        if not self.training or self.probability == 0.0:
            return branch
        kept = torch.rand(len(branch), 1, 1, device=branch.device) >= self.probability  # (images, 1, 1)
        return branch * kept / (1 - self.probability)


class Block(nn.Module):
    """Attention and MLP, each behind a norm, added to the residual stream.

    Args:
        shape (VitShape): sizes of the model.
        choice (AttentionChoice): the attention.
        drop_path (float): probability that a branch is left out in training.
    """

    def __init__(self, shape: VitShape, choice: AttentionChoice, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(shape.width, eps=EPSILON)
        self.attn = Attention(shape, choice)
        self.norm2 = nn.LayerNorm(shape.width, eps=EPSILON)
        self.mlp = Mlp(shape)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: torch.Tensor, captured: list[HeadTensors] | None = None) -> torch.Tensor:
        """Computes the residual stream after the block, (images, tokens, width), from that before it."""
        x = x + self.drop_path(self.attn(self.norm1(x), captured))
        return x + self.drop_path(self.mlp(self.norm2(x)))


class VisionTransformer(nn.Module):
    """A Vision Transformer: images to class scores.

    Args:
        shape (VitShape): sizes of the model.
        attention (str | AttentionChoice | Sequence[str | AttentionChoice]): a name of
            `golden.attention.trained_attention.ATTENTIONS`, or a choice with options; one for each block, or one for
            all.
        drop_path (float): probability that a branch of the last block is left out in training; it rises linearly over
            the blocks, from 0.

    Attributes:
        attentions (tuple[AttentionChoice, ...]): the attention of each block.

    Raises:
        ValueError: an attention is unknown, an option is out of range, or there is not one attention for each block.
    """

    def __init__(
        self,
        shape: VitShape,
        attention: str | AttentionChoice | Sequence[str | AttentionChoice] = "taylor",
        *,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.shape = shape
        choices = (attention,) * shape.depth if isinstance(attention, str | AttentionChoice) else tuple(attention)
        if len(choices) != shape.depth:
            raise ValueError(f"attentions must be one for each of {shape.depth} blocks, not {len(choices)}")
        self.attentions = tuple(AttentionChoice(each) if isinstance(each, str) else each for each in choices)
        self.patch_embed = PatchEmbed(shape)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, shape.width))
        if shape.distilled:
            self.dist_token = nn.Parameter(torch.zeros(1, 1, shape.width))
        self.pos_embed = nn.Parameter(torch.zeros(1, shape.tokens, shape.width))
        blocks = (
            Block(shape, choice, drop_path * layer / max(shape.depth - 1, 1))
            for layer, choice in enumerate(self.attentions)
        )
        self.blocks = cast(Sequence[Block], nn.ModuleList(blocks))
        self.norm = nn.LayerNorm(shape.width, eps=EPSILON)
        self.head = nn.Linear(shape.width, shape.classes)
        if shape.distilled:
            self.head_dist = nn.Linear(shape.width, shape.classes)
        for parameter in (*self._extra_tokens(), self.pos_embed):
            nn.init.trunc_normal_(parameter, std=0.02)

    def forward(self, images: torch.Tensor, captured: list[HeadTensors] | None = None) -> torch.Tensor:
        """Computes scores, (images, classes); those of a distilled model are the mean of its heads (DeiT, section 4).

        Args:
            images (torch.Tensor): normalized images, (images, channels, image_size, image_size).
            captured (list[HeadTensors] | None): a list to which the head tensors of each layer are appended in order.
        """
        return torch.stack(self.scores_of_heads(images, captured)).mean(dim=0)

    def scores_of_heads(
        self, images: torch.Tensor, captured: list[HeadTensors] | None = None
    ) -> tuple[torch.Tensor, ...]:
        """Computes the scores of the class token and, if the model is distilled, those of the distillation token.

        Args:
            images (torch.Tensor): normalized images, (images, channels, image_size, image_size).
            captured (list[HeadTensors] | None): a list to which the head tensors of each layer are appended in order.
        """
        x = self.embed(images)  # (images, tokens, width)
        for block in self.blocks:
            x = block(x, captured)
        x = self.norm(x)
        heads = (self.head, self.head_dist) if self.shape.distilled else (self.head,)
        return tuple(head(x[:, token]) for token, head in enumerate(heads))

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """Computes the tokens that the first block gets, (images, tokens, width)."""
        return self.with_prefix(self.patch_embed(images))

    def with_prefix(self, x: torch.Tensor) -> torch.Tensor:
        """Puts the prefix tokens in front of those of the patches, (images, patches, width), and adds all positions."""
        extra = [token.expand(len(x), -1, -1) for token in self._extra_tokens()]
        return torch.cat([*extra, x], dim=1) + self.pos_embed

    def set_threshold(self, threshold: float) -> None:
        """Sets the threshold above which attention has a residual in training, if it is one that has a residual.

        Args:
            threshold (float): share of a row of the softmax map, 0 to 1.
        """
        for block in self.blocks:
            kernel: Any = block.attn.kernel
            if hasattr(kernel, "threshold"):
                kernel.threshold = threshold

    def _extra_tokens(self) -> list[torch.Tensor]:
        return [self.cls_token, self.dist_token] if self.shape.distilled else [self.cls_token]


@torch.no_grad()
def head_tensors(model: VisionTransformer, inputs: torch.Tensor) -> list[HeadTensors]:
    """Computes the queries, keys and values that each attention layer receives at inference.

    Args:
        model (VisionTransformer): the model, which is left in evaluation mode.
        inputs (torch.Tensor): normalized images, (images, channels, image_size, image_size).

    Raises:
        ValueError: a value is not finite.
    """
    captured: list[HeadTensors] = []
    model.eval()
    model(inputs, captured)
    for layer, tensors in enumerate(captured):
        for name, tensor in zip(HeadTensors._fields, tensors):
            if not bool(torch.isfinite(tensor).all()):
                raise ValueError(f"{name} of layer {layer} must be finite, and is not: weights are too large")
    return captured
