"""Where buffers lie: apart from each other, and within what was built."""

import numpy as np

from taylorvit.compiler.fitting import check_shape
from taylorvit.compiler.layout import Layout
from taylorvit.golden.network.vit import VitShape
from taylorvit.rtl.network.config import NetworkConfig


def largest(shape: VitShape, rows: int, columns: int, tokens: int, mlp_tokens: int) -> NetworkConfig:
    """An accelerator of just the sizes of a network."""
    return NetworkConfig(
        name="just", rows=rows, columns=columns, max_tokens=tokens, max_width=shape.width, max_heads=shape.heads,
        max_hidden=shape.width * shape.mlp_ratio, max_patch=1, max_classes=1, max_head_dim=shape.head_dim,
        mlp_tokens=mlp_tokens,
    )  # fmt: skip


def test_what_was_built_is_enough():
    halves = [check(seed) for seed in range(200)]
    assert 20 < sum(halves) < 180


def test_blocks_of_tokens_are_even():
    for tokens in range(1, 11):
        for mlp_tokens in range(1, 11):
            shape = VitShape(image_size=3, patch_size=1, channels=1, classes=1, depth=1, width=4, heads=1, mlp_ratio=1)
            blocks = Layout(shape, largest(shape, 4, 4, shape.tokens, mlp_tokens)).blocks(tokens)
            assert [token for block in blocks for token in block] == list(range(tokens))
            sizes = {len(block) for block in blocks}
            assert len(blocks) == -(-tokens // mlp_tokens) and max(sizes) <= mlp_tokens and max(sizes) - min(sizes) <= 1


def check(seed: int) -> bool:
    """Whether there is room for the hidden features of two blocks."""
    random = np.random.default_rng(seed)
    d, heads, ratio = (int(random.integers(1, high)) for high in (20, 6, 5))
    rows = int(random.integers(2, 20))
    columns = int(random.integers(1, rows + 1))
    shape = VitShape(
        image_size=3, patch_size=1, channels=1, classes=1, depth=1, width=d * heads, heads=heads, mlp_ratio=ratio
    )
    mlp_tokens = int(random.integers(shape.tokens + 1))
    config = largest(shape, rows, columns, shape.tokens, mlp_tokens)
    check_shape(shape, config)
    layout = Layout(shape, config)
    assert layout.value_base(1) * 2 <= config.value_depth
    assert layout.key_base(1) * 2 <= config.key_depth
    assert layout.g_base(1) * 2 <= config.g_depth

    # Each buffer takes whole tiles of C places, features or not, and so may reach into another tile of R places.
    def end(base: int, features: int, tokens: int = shape.tokens) -> int:
        places = -(-features // columns) * columns
        return base + tokens * -(-places // rows)

    normalized = end(layout.normalized_base, shape.width)
    assert normalized <= layout.q_base(0) and normalized <= layout.hidden_base(0) <= layout.hidden_base(1)
    assert end(layout.q_base(0), d) <= layout.q_base(1) and end(layout.q_base(1), d) <= layout.z_base
    assert layout.q_base(2) == layout.q_base(0) and layout.g_base(3) == layout.g_base(1)
    block = mlp_tokens or shape.tokens
    halves = layout.hidden_base(1) > layout.hidden_base(0)
    z_end, first_end, second_end = (
        end(layout.z_base, heads * layout.z_places),
        *(end(layout.hidden_base(each), layout.hidden, block) for each in (0, 1)),
    )
    assert config.activation_depth == max(z_end, first_end) >= layout.activation_words == max(z_end, second_end)
    assert layout.hidden_base(2) == layout.hidden_base(0)
    # Two halves wherever they cost nothing.
    if block < shape.tokens:
        assert halves == (z_end >= first_end + first_end - layout.hidden_base(0))
        assert first_end <= layout.hidden_base(1) or not halves
    return halves
