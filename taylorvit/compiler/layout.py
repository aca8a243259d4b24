"""Where a network's buffers lie on the chip: the addresses that its commands name.

    activations   [ normalized tokens | Q, two heads | Z, all heads  ]
                  [                   | hidden features of the MLP   ]
    K, V, G       two halves each, for alternating heads
    scores        two halves, for alternating blocks of queries (softmax)

With softmax attention, one half of K and of Q would do: `taylorvit.compiler.attention_order` has all scores of a head
in front of K and Q of the next.

The MLP goes by blocks of tokens. Their hidden features lie in two halves by turns, if there is room for two.

Places and addresses are those of `docs/network.md`: an output tile takes C places, one a column, whether or not all of
them are features; a tile of places is R of them, one a row.
"""

from itertools import pairwise
from math import ceil

from taylorvit.golden.network.vit import VitShape
from taylorvit.rtl.network.config import NetworkConfig

__all__ = ["Layout"]


class Layout:
    """The layout of one network on one accelerator.

    Args:
        shape (VitShape): the network.
        config (NetworkConfig): the accelerator.

    Attributes:
        tokens (int): tokens of an image, addresses of a tile of activations.
        hidden (int): hidden features of the MLP.
        patch (int): pixels of a patch.
        z_places (int): places of Z of a head.
        normalized_base (int): first address of the normalized tokens.
        z_base (int): first address of Z of all heads.
        activation_words (int): words that a bank of activations needs.
        value_stride (int): addresses of V from a tile of C features to the next.
        key_stride (int): addresses of K from a tile of R tokens to the next; of softmax, from one of C.
        longest_block (int): most queries of a block, whose scores are on the chip together.
        g_stride (int): addresses of G from a tile of C features to the next.
    """

    def __init__(self, shape: VitShape, config: NetworkConfig) -> None:
        self.rows, self.columns = config.rows, config.columns
        self.tokens = shape.tokens
        self.hidden = shape.mlp_ratio * shape.width
        self.patch = shape.channels * shape.patch_size**2
        self.head_dim = shape.head_dim
        self.z_places = self.columns * self.output_tiles(self.head_dim)

        self.normalized_base = 0
        beside = self.tokens * config.activation_tiles(shape.width)
        self._q_base = beside
        self._q_words = self.tokens * config.activation_tiles(self.head_dim)
        self.z_base = beside + 2 * self._q_words
        self._hidden_base = beside
        self._block_tokens = min(config.hidden_tokens, self.tokens)
        self._hidden_words = self._block_tokens * config.activation_tiles(self.hidden)
        has_halves = beside + 2 * self._hidden_words <= config.activation_depth
        self._hidden_halves = 2 if has_halves and self._block_tokens < self.tokens else 1
        self.activation_words = max(
            self.z_base + self.tokens * ceil(shape.heads * self.z_places / self.rows),
            beside + self._hidden_halves * self._hidden_words,
        )
        self.value_stride = self.tokens
        self.key_stride = self.z_places
        self.g_stride = self.head_dim
        self.longest_block = min(config.query_block or self.tokens, self.tokens)

    def input_tiles(self, features: int) -> int:
        """Tiles of R places that hold so many features."""
        return ceil(features / self.rows)

    def output_tiles(self, features: int) -> int:
        """Tiles of C columns that give so many features."""
        return ceil(features / self.columns)

    def blocks(self, tokens: int) -> list[range]:
        """Blocks of tokens in which the MLP goes, as even as they can be.

        Args:
            tokens (int): that it computes, the first ones of the image.
        """
        count = ceil(tokens / self._block_tokens)
        firsts = [-(-index * tokens // count) for index in range(count + 1)]
        return [range(first, end) for first, end in pairwise(firsts)]

    def hidden_base(self, block: int) -> int:
        """First address of the hidden features of a block."""
        return self._hidden_base + block % self._hidden_halves * self._hidden_words

    def q_base(self, head: int) -> int:
        """First address of Q of a head."""
        return self._q_base + head % 2 * self._q_words

    def value_base(self, head: int) -> int:
        """First address of V of a head."""
        return head % 2 * self.output_tiles(self.head_dim) * self.value_stride

    def key_base(self, head: int) -> int:
        """First address of K of a head."""
        return head % 2 * self.input_tiles(self.tokens) * self.key_stride

    def turned_key_base(self, head: int) -> int:
        """First address of K of a head, as softmax keeps it."""
        return head % 2 * self.output_tiles(self.tokens) * self.key_stride

    def score_base(self, block: int) -> int:
        """First address of the scores of a block, counted over the heads of a layer."""
        return block % 2 * self.input_tiles(self.tokens) * self.longest_block

    def g_base(self, head: int) -> int:
        """First address of G of a head."""
        return head % 2 * self.output_tiles(self.head_dim) * self.g_stride
