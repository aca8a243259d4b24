"""A plain Vision Transformer whose attention is chosen by name: ``taylor`` or ``softmax``.

The architecture is DeiT's without the distillation token: patches by a strided convolution, a class token,
learned positions, pre-norm blocks of attention and MLP, a final norm, a linear head on the class token.
Modules carry the names that timm gives them, so that its checkpoints load with ``load_state_dict``.

The queries, keys and values that attention receives are available as ``Attention.project``, and
``VisionTransformer.forward`` hands them out when asked: that is what the accelerator is fed with.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn

from golden.float_attention import softmax_attention, taylor_attention

__all__ = ["ATTENTIONS", "Attention", "Block", "HeadTensors", "VisionTransformer", "VitShape"]

ATTENTIONS = {
    "softmax": softmax_attention,
    "taylor": lambda q, k, v: taylor_attention(q, k, v).z,
}


@dataclass(frozen=True, kw_only=True)
class VitShape:
    """Sizes of a Vision Transformer.

    Attributes:
        image_size: pixels of a side of the square image.
        patch_size: pixels of a side of a patch; divides ``image_size``.
        channels: colours of a pixel.
        classes: outputs of the head.
        depth: blocks.
        width: features of a token; a multiple of ``heads``.
        heads: attention heads of a block.
        mlp_ratio: hidden features of the MLP over ``width``.

    Raises:
        ValueError: ``patch_size`` does not divide ``image_size``, or ``heads`` does not divide ``width``.
    """

    image_size: int
    patch_size: int
    channels: int
    classes: int
    depth: int
    width: int
    heads: int
    mlp_ratio: int = 4

    def __post_init__(self) -> None:
        if self.image_size % self.patch_size:
            raise ValueError(f"patch_size must be a divisor of {self.image_size}, not {self.patch_size!r}")
        if self.width % self.heads:
            raise ValueError(f"heads must be a divisor of {self.width}, not {self.heads!r}")

    @property
    def tokens(self) -> int:
        """Patches and the class token."""
        return (self.image_size // self.patch_size) ** 2 + 1

    @property
    def head_dim(self) -> int:
        """Features of a head."""
        return self.width // self.heads


class HeadTensors(NamedTuple):
    """What one attention layer receives, before any scaling."""

    q: torch.Tensor  # (images, heads, tokens, head_dim)
    k: torch.Tensor  # (images, heads, tokens, head_dim)
    v: torch.Tensor  # (images, heads, tokens, head_dim)


class PatchEmbed(nn.Module):
    """Square patches to tokens, by a convolution whose stride is its size."""

    def __init__(self, shape: VitShape) -> None:
        super().__init__()
        self.proj = nn.Conv2d(shape.channels, shape.width, shape.patch_size, stride=shape.patch_size)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.proj(images)  # (images, width, rows of patches, columns of patches)
        return features.flatten(2).transpose(1, 2)  # (images, patches, width)


class Attention(nn.Module):
    """Multi-head self-attention by the named function."""

    def __init__(self, shape: VitShape, attention: str) -> None:
        super().__init__()
        if attention not in ATTENTIONS:
            raise ValueError(f"attention must be one of {', '.join(sorted(ATTENTIONS))}, not {attention!r}")
        self.heads = shape.heads
        self.attend = ATTENTIONS[attention]
        self.qkv = nn.Linear(shape.width, 3 * shape.width)
        self.proj = nn.Linear(shape.width, shape.width)

    def project(self, x: torch.Tensor) -> HeadTensors:
        """The queries, keys and values of all heads for tokens x, (images, tokens, width)."""
        images, tokens, width = x.shape
        qkv = self.qkv(x)  # (images, tokens, 3 width)
        qkv = qkv.reshape(images, tokens, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # three of (images, heads, tokens, head_dim)
        return HeadTensors(q, k, v)

    def forward(self, x: torch.Tensor, captured: list[HeadTensors] | None = None) -> torch.Tensor:
        head_tensors = self.project(x)
        if captured is not None:
            captured.append(head_tensors)
        z = self.attend(*head_tensors)  # (images, heads, tokens, head_dim)
        return self.proj(z.transpose(1, 2).flatten(2))  # (images, tokens, width)


class Mlp(nn.Module):
    """Two linear layers around a GELU, each token for itself."""

    def __init__(self, shape: VitShape) -> None:
        super().__init__()
        self.fc1 = nn.Linear(shape.width, shape.mlp_ratio * shape.width)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(shape.mlp_ratio * shape.width, shape.width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc2(self.act(self.fc1(x)))


class Block(nn.Module):
    """Attention and MLP, each behind a norm and beside a residual."""

    def __init__(self, shape: VitShape, attention: str) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(shape.width, eps=1e-6)
        self.attn = Attention(shape, attention)
        self.norm2 = nn.LayerNorm(shape.width, eps=1e-6)
        self.mlp = Mlp(shape)

    def forward(self, x: torch.Tensor, captured: list[HeadTensors] | None = None) -> torch.Tensor:
        x = x + self.attn(self.norm1(x), captured)
        return x + self.mlp(self.norm2(x))


class VisionTransformer(nn.Module):
    """Images to class scores.

    Args:
        shape: sizes.
        attention: ``taylor`` or ``softmax``.

    Raises:
        ValueError: an unknown attention.
    """

    def __init__(self, shape: VitShape, attention: str = "taylor") -> None:
        super().__init__()
        self.shape = shape
        self.patch_embed = PatchEmbed(shape)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, shape.width))
        self.pos_embed = nn.Parameter(torch.zeros(1, shape.tokens, shape.width))
        self.blocks = nn.ModuleList(Block(shape, attention) for _ in range(shape.depth))
        self.norm = nn.LayerNorm(shape.width, eps=1e-6)
        self.head = nn.Linear(shape.width, shape.classes)
        for parameter in (self.cls_token, self.pos_embed):
            nn.init.trunc_normal_(parameter, std=0.02)

    def forward(self, images: torch.Tensor, captured: list[HeadTensors] | None = None) -> torch.Tensor:
        """Scores, (images, classes), of images (images, channels, image_size, image_size).

        Where ``captured`` is a list, the head tensors of each layer are appended to it in order.
        """
        x = self.patch_embed(images)  # (images, patches, width)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], dim=1)  # (images, tokens, width)
        x = x + self.pos_embed
        for block in self.blocks:
            x = block(x, captured)
        return self.head(self.norm(x)[:, 0])  # (images, classes)
