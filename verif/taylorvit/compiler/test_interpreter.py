"""A tape, read as the accelerator reads it, gives the logits of the integer model."""

import numpy as np
import pytest

from taylorvit.compiler import CompiledNetwork, TapeError, compile_network, interpret
from taylorvit.compiler.payload import rows_of
from taylorvit.compiler.tape import TapeWriter
from taylorvit.rtl.network.command import COMMAND_BYTES, KERNELS, Opcode
from verif.golden.network.random_models import random_pixels

from .networks import ARRAYS, SMALLEST, UNEVEN, compiled, network, patches_of, small_config


def logits_of(made: CompiledNetwork, pixels: np.ndarray, tape: bytes | None = None, **options):
    patches = patches_of(made.vit, pixels[0])
    return interpret(tape or made.tape, made.config, patches, made.vit.shape.classes, **options)


@pytest.mark.parametrize("extreme", [False, True])
@pytest.mark.parametrize("rows, columns", ARRAYS)
def test_logits_are_those_of_the_integer_model(rows, columns, extreme):
    config = small_config(rows, columns)
    different = set()
    for seed in range(12):
        vit = network(seed, config, extreme=extreme)
        made, pixels = compile_network(vit, config), random_pixels(vit.shape, seed)
        expected = vit(pixels)[0]
        for late in (False, True):
            np.testing.assert_array_equal(logits_of(made, pixels, late=late, seed=seed).logits, expected, f"{seed=}")
        different.add(expected.tobytes())
    assert len(different) == 12


@pytest.mark.parametrize("shape", [SMALLEST, UNEVEN])
@pytest.mark.parametrize("columns", [1, 2, 7])
def test_arrays_and_networks_of_any_size(shape, columns):
    config = small_config(7, columns)
    vit = network(columns, config, shape=shape)
    made, pixels = compile_network(vit, config), random_pixels(shape, columns)
    np.testing.assert_array_equal(logits_of(made, pixels, late=True).logits, vit(pixels)[0])


@pytest.mark.parametrize("mlp_tokens", [1, 3, 10, 11, 12])  # of 11
def test_blocks_of_tokens(mlp_tokens):
    for columns in (3, 4):
        config = small_config(5, columns, mlp_tokens=mlp_tokens)
        vit = network(mlp_tokens, config, shape=UNEVEN)
        made, pixels = compile_network(vit, config), random_pixels(UNEVEN, mlp_tokens)
        for late in (False, True):
            np.testing.assert_array_equal(logits_of(made, pixels, late=late).logits, vit(pixels)[0])


@pytest.mark.parametrize("kernel", ["softmax", "taylor+softmax"])
@pytest.mark.parametrize("rows, columns", ARRAYS)
def test_softmax_by_layer(rows, columns, kernel):
    """Any blocks of queries, fewer and more of them than rows."""
    different = set()
    for seed in range(12):
        config = small_config(
            rows, columns, kernel=kernel, query_block=(0, 1, 3, 7)[seed % 4], exponential_entries=(64, 1024)[seed // 6]
        )
        vit = network(seed, config, extreme=seed % 3 == 0, shape=UNEVEN if seed == 8 else None)
        made, pixels = compile_network(vit, config), random_pixels(vit.shape, seed)
        expected = vit(pixels)[0]
        for late in (False, True):
            np.testing.assert_array_equal(logits_of(made, pixels, late=late, seed=seed).logits, expected, f"{seed=}")
        different.add(expected.tobytes())
    assert len(different) == 12


def test_rows_without_a_divisor_are_counted():
    config = small_config()
    counted = []
    for seed in range(12):  # the last layer computes the prefix tokens alone
        vit = network(seed, config)
        outcome = logits_of(compile_network(vit, config), random_pixels(vit.shape, seed))
        steps = vit.steps(random_pixels(vit.shape, seed))
        errors = [int(steps[f"blocks.{layer}.denominator_errors"]) for layer in range(vit.shape.depth)]
        assert sum(errors[:-1]) <= outcome.denominator_errors <= sum(errors)
        counted.append(outcome.denominator_errors)
    assert 0 in counted and max(counted) > 0


def rewritten(made: CompiledNetwork, change) -> bytes:
    """The tape with other fields of its products: `change` gives those of a step."""
    writer = TapeWriter(made.config)
    for part in made.parts:
        step = part.step
        payload = rows_of(step, made.vit, made.config)
        writer.add(step.with_values(**change(step)), payload)
    return writer.finish()


@pytest.mark.parametrize(
    "name, field",
    [
        ("patch_embed", "source_stride"),
        ("patch_embed", "prefix"),
        ("patch_embed", "destination_stride"),
        ("patch_embed", "epsilon"),
        ("blocks.0.k[0]", "norm_shift"),
        ("blocks.0.k[1]", "destination_base"),
        ("blocks.0.v[1]", "destination_base"),
        ("blocks.0.g[1]", "source_base"),
        ("blocks.0.g[1]", "stationary_base"),
        ("blocks.0.g[1]", "stationary_stride"),
        ("blocks.0.g[0]", "destination_base"),
        ("blocks.0.q[1]", "destination_base"),
        ("blocks.0.z[1]", "stationary_limit"),
        ("blocks.0.z[1]", "destination_base"),
        ("blocks.0.z[1]", "destination_bank"),
        ("blocks.0.proj", "source_base"),
        ("blocks.0.fc1", "source_stride"),
        ("blocks.0.fc1", "norm_stride"),
        ("blocks.0.fc2", "norm_features"),
        ("head", "source_stride"),
    ],
)
def test_a_wrong_number_shows(name, field):
    made, pixels = compiled(1, 4, 4, shape=UNEVEN), random_pixels(UNEVEN, 1)
    more = {"stationary_limit": -1, "epsilon": 1 << 40}.get(field, 1)
    tape = rewritten(made, lambda step: {field: step[field] + more} if step.name == name else {})
    assert not np.array_equal(logits_of(made, pixels, tape).logits, made.vit(pixels)[0])


@pytest.mark.parametrize(
    "name, field",
    [
        ("fc1[0]", "norm_rows"),
        ("fc1[1]", "source_base"),
        ("fc1[1]", "source_stride"),
        ("fc1[1]", "destination_stride"),
        ("fc2[1]", "source_stride"),
        ("fc2[1]", "destination_base"),
        ("fc2[1]", "first_token"),
        ("fc2[2]", "epsilon"),
    ],
)
def test_a_wrong_number_of_a_block_shows(name, field):
    made, pixels = compiled(1, 4, 4, shape=UNEVEN, mlp_tokens=4), random_pixels(UNEVEN, 1)
    more = {"epsilon": 1 << 40}.get(field, 1)
    tape = rewritten(made, lambda step: {field: step[field] + more} if step.name == f"blocks.0.{name}" else {})
    assert not np.array_equal(logits_of(made, pixels, tape).logits, made.vit(pixels)[0])


@pytest.mark.parametrize(
    "name", ["blocks.0.g[0]", "blocks.0.z[1]", "blocks.0.proj", "blocks.0.fc1", "blocks.0.fc2", "head"]
)
def test_a_product_that_does_not_wait_shows(name):
    made, pixels = compiled(1, 4, 4, shape=UNEVEN), random_pixels(UNEVEN, 1)
    tape = rewritten(made, lambda step: {"wait": step["wait"] + 1} if step.name == name else {})
    expected = made.vit(pixels)[0]
    np.testing.assert_array_equal(logits_of(made, pixels, tape).logits, expected)
    assert not np.array_equal(logits_of(made, pixels, tape, late=True).logits, expected)


@pytest.mark.parametrize("name", ["fc2[0]", "fc2[1]"])
def test_a_block_that_does_not_wait_shows(name):
    made, pixels = compiled(1, 4, 4, shape=UNEVEN, mlp_tokens=6), random_pixels(UNEVEN, 1)
    tape = rewritten(made, lambda step: {"wait": 1} if step.name == f"blocks.0.{name}" else {})
    expected = made.vit(pixels)[0]
    np.testing.assert_array_equal(logits_of(made, pixels, tape).logits, expected)
    assert not np.array_equal(logits_of(made, pixels, tape, late=True).logits, expected)


SOFTMAX = {"kernel": "softmax", "query_block": 4, "exponential_entries": 64}


@pytest.mark.parametrize(
    "name, field",
    [
        ("blocks.0.constants", "shift_s"),
        ("blocks.0.constants", "shift_z"),
        ("blocks.0.constants", "key_stride"),
        ("blocks.0.constants", "tokens"),
        ("blocks.0.k[1]", "destination_base"),
        ("blocks.0.s[0][1]", "source_base"),
        ("blocks.0.s[1][2]", "stationary_base"),
        ("blocks.0.s[1][0]", "stationary_stride"),
        ("blocks.0.s[1][0]", "stationary_limit"),
        ("blocks.0.s[2][1]", "destination_base"),
        ("blocks.0.s[1][1]", "destination_stride"),
        ("blocks.0.ev[1][2]", "source_base"),
        ("blocks.0.ev[0][0]", "source_stride"),
        ("blocks.0.ev[2][1]", "stationary_limit"),
        ("blocks.0.ev[2][2]", "destination_base"),
    ],
)
def test_a_wrong_number_of_softmax_shows(name, field):
    made, pixels = compiled(9, 5, 4, shape=UNEVEN, **SOFTMAX), random_pixels(UNEVEN, 1)
    more = {"stationary_limit": -1, "tokens": -8, "key_stride": -1}.get(field, 1)
    tape = rewritten(made, lambda step: {field: step[field] + more} if step.name == name else {})
    assert not np.array_equal(logits_of(made, pixels, tape).logits, made.vit(pixels)[0])


@pytest.mark.parametrize("name", ["s[0][0]", "s[1][0]", "ev[0][0]", "ev[1][1]", "ev[2][2]", "proj"])
def test_softmax_that_does_not_wait_shows(name):
    made, pixels = compiled(9, 5, 4, shape=UNEVEN, **SOFTMAX), random_pixels(UNEVEN, 1)
    tape = rewritten(made, lambda step: {"wait": step["wait"] + 1} if step.name == f"blocks.0.{name}" else {})
    expected = made.vit(pixels)[0]
    np.testing.assert_array_equal(logits_of(made, pixels, tape).logits, expected)
    assert not np.array_equal(logits_of(made, pixels, tape, late=True).logits, expected)


def test_exponentials_and_kernels_of_a_tape():
    made, pixels = compiled(9, 5, 4, shape=UNEVEN, **SOFTMAX), random_pixels(UNEVEN, 1)
    wrong = bytearray(made.tape)
    [place, *_others] = [part.offset for part in made.parts if part.step.name == "blocks.0.constants"]
    wrong[place + COMMAND_BYTES] ^= 64  # the largest exponential
    with pytest.raises(TapeError, match="^CRC of a tape must be"):
        logits_of(made, pixels, bytes(wrong))
    both = compiled(2, 5, 4, shape=UNEVEN, kernel="taylor+softmax")
    used = next(KERNELS[part.step["kernel"]] for part in both.parts if part.step.opcode == Opcode.CONSTANTS)
    other = next(name for name in KERNELS if name != used)
    config = small_config(5, 4, kernel=other)
    header = made.tape[:8] + config.tape_hash.to_bytes(8, "little")
    with pytest.raises(TapeError, match=f"^kernel of a layer must be one of {other}, not {used}$"):
        interpret(header + both.tape[16:], config, patches_of(both.vit, pixels[0]), 7)


def test_damaged_tapes_are_refused():
    made = compiled(2)
    pixels = random_pixels(made.vit.shape, 2)

    def refused(tape: bytes) -> str:
        with pytest.raises(TapeError) as error:
            logits_of(made, pixels, tape)
        return str(error.value)

    def changed(place: int) -> bytes:
        return made.tape[:place] + bytes([made.tape[place] ^ 1]) + made.tape[place + 1 :]

    assert refused(changed(0)).startswith("magic of a tape must be 0x54695654, not")
    assert refused(changed(4)) == "version of a tape must be 0x1, not 0x0"
    assert refused(changed(8)).startswith("configuration of a tape must be")
    assert refused(changed(16)).startswith("length of a tape must be")
    assert refused(changed(32 + 8)).startswith("check of a command must be")
    assert refused(changed(32 + 64)).startswith("CRC of a tape must be")
    assert refused(changed(len(made.tape) - 4)).startswith("CRC of a tape must be")
    assert refused(made.tape[:10]) == "tape must be of a header and whole rows of 4 bytes, not 10 bytes"
