"""The trace of the residual stream: equal to the golden model, or the first element that differs, by its name."""

from dataclasses import replace

import numpy as np
import pytest

from taylorvit.compiler import compile_network
from taylorvit.compiler.fitting import format_of
from taylorvit.compiler.layout import Layout
from taylorvit.jobs.residual_trace import first_difference
from verif.golden.network.random_models import random_model

from .networks import CONFIG, IMAGES, MODEL, VIT, writes_of

WRITES = writes_of(IMAGES)


def difference(writes, images=IMAGES):
    return first_difference(writes, MODEL.tape, CONFIG, VIT, images.pixels)


def test_everything_is_compared():
    found, compared = difference(WRITES)
    # Of the last layer, only the class token is computed.
    assert found is None and compared == 3 * 6 * (3 * VIT.shape.tokens + 2)


@pytest.mark.parametrize(("step", "token", "channel"), [(0, 0, 0), (1, 3, 5), (2, 4, 3), (3, 0, 4)])
def test_first_difference_is_named(step, token, channel):
    tile, column = divmod(channel, CONFIG.columns)
    tokens = [VIT.shape.tokens] * 3 + [1] * 2
    per_column = [2 * tokens[0] * 2, *(2 * count for count in tokens[1:])]
    index = sum(per_column[:step]) + (tile * tokens[step] + token) * (2 if step == 0 else 1) + (step == 0)
    writes = WRITES.copy()
    places = np.flatnonzero(writes[:, 0] == column)
    writes[places[index], 2] ^= 1
    found, _compared = difference(writes)
    assert (found.image, found.step, found.token, found.channel) == (0, f"residual.{step}", token, channel)
    assert abs(found.got - found.expected) == 1 and found.differing == 1
    text = f"image 0: residual.{step} (the residual stream plus {found.branch}) is the first that differs, in 1 of "
    assert str(found).startswith(text) and f"token {token}, channel {channel}: got {found.got}" in str(found)


@pytest.mark.parametrize("mlp_tokens", [1, 2, 4])
def test_blocks_of_tokens_are_one_addition(mlp_tokens):
    config = replace(CONFIG, mlp_tokens=mlp_tokens)
    tape, writes = compile_network(VIT, config).tape, writes_of(IMAGES, config)
    found, compared = first_difference(writes, tape, config, VIT, IMAGES.pixels)
    assert found is None and compared == 3 * 6 * (3 * VIT.shape.tokens + 2)

    # The last token, which is in the last block, and channel 0.
    places = np.flatnonzero(writes[:, 0] == 0)
    addition = 2 * 2 * VIT.shape.tokens + 2 * VIT.shape.tokens
    last_block = len(Layout(VIT.shape, config).blocks(VIT.shape.tokens)[-1])
    writes[places[addition + 2 * VIT.shape.tokens - last_block - 1], 2] ^= 1
    found, _compared = first_difference(writes, tape, config, VIT, IMAGES.pixels)
    assert (found.step, found.token, found.channel, found.differing) == ("residual.2", VIT.shape.tokens - 1, 0, 1)


def test_layers_with_softmax():
    config = replace(CONFIG, kernel="taylor+softmax", exponential_entries=64)
    vit = random_model(VIT.shape, 1, number_format=format_of(config), kernels=("softmax", "taylor"))
    tape, writes = compile_network(vit, config).tape, writes_of(IMAGES, config, vit)
    found, compared = first_difference(writes, tape, config, vit, IMAGES.pixels)
    assert found is None and compared == 3 * 6 * (3 * VIT.shape.tokens + 2)


def test_trace_that_ends_too_early():
    with pytest.raises(ValueError, match="^residual stream of image 2 must be written up to residual.4, and is not"):
        difference(WRITES[:-1])


def test_tape_without_an_end():
    with pytest.raises(ValueError, match="^tape must end with the command END"):
        first_difference(WRITES, MODEL.tape[:200], CONFIG, VIT, IMAGES.pixels)
