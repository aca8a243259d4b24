"""Where buffers lie: apart from each other, and within what was built."""

import numpy as np

from taylorvit.compiler.fitting import check_shape
from taylorvit.compiler.layout import Layout
from taylorvit.golden.network.vit import VitShape
from taylorvit.rtl.network.config import NetworkConfig


def largest(shape: VitShape, rows: int, columns: int, tokens: int) -> NetworkConfig:
    """An accelerator of just the sizes of a network."""
    return NetworkConfig(
        name="just", rows=rows, columns=columns, max_tokens=tokens, max_width=shape.width, max_heads=shape.heads,
        max_hidden=shape.width * shape.mlp_ratio, max_patch=1, max_classes=1, max_head_dim=shape.head_dim,
    )  # fmt: skip


def test_what_was_built_is_enough():
    for seed in range(200):
        check(seed)


def check(seed: int) -> None:
    random = np.random.default_rng(seed)
    d, heads, ratio = (int(random.integers(1, high)) for high in (20, 6, 5))
    rows = int(random.integers(2, 20))
    columns = int(random.integers(1, rows + 1))
    shape = VitShape(
        image_size=3, patch_size=1, channels=1, classes=1, depth=1, width=d * heads, heads=heads, mlp_ratio=ratio
    )
    config = largest(shape, rows, columns, shape.tokens)
    check_shape(shape, config)
    layout = Layout(shape, config)
    assert layout.value_base(1) * 2 <= config.value_depth
    assert layout.key_base(1) * 2 <= config.key_depth
    assert layout.g_base(1) * 2 <= config.g_depth

    # Each buffer takes whole tiles of C places, features or not, and so may reach into another tile of R places.
    def end(base: int, features: int) -> int:
        places = -(-features // columns) * columns
        return base + shape.tokens * -(-places // rows)

    normalized = end(layout.normalized_base, shape.width)
    assert normalized <= layout.q_base(0) and normalized <= layout.hidden_base
    assert end(layout.q_base(0), d) <= layout.q_base(1) and end(layout.q_base(1), d) <= layout.z_base
    assert layout.q_base(2) == layout.q_base(0) and layout.g_base(3) == layout.g_base(1)
    ends = end(layout.z_base, heads * layout.z_places), end(layout.hidden_base, layout.hidden)
    assert max(ends) == layout.activation_words <= config.activation_depth
