"""Tensors as bytes: layout, its inverse, and what is refused."""

import re

import numpy as np
import pytest

from taylorvit.fpga.driver.tensors import check_operands, head_packets, matrix_bytes, matrix_from_bytes, result_bytes
from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.simulation.host import beats_of, matrix_of

NARROW = AcceleratorConfig(name="narrow", rows=4, columns=4, max_tokens=16, max_head_dim=8)
WIDE = AcceleratorConfig(name="wide", rows=4, columns=4, data_width=12, stream_width=64)


@pytest.mark.parametrize("config", [NARROW, WIDE], ids=lambda config: config.name)
@pytest.mark.parametrize("head_dim", [1, 4, 5, 8])
def test_layout_is_that_of_the_streams(config, head_dim):
    limit = 1 << config.data_width - 1
    matrix = np.random.default_rng(head_dim).integers(-limit, limit, (7, head_dim))
    data = matrix_bytes(matrix, config)
    element, beat = config.element_width // 8, config.stream_width // 8
    expected = b""
    for row in matrix.tolist():
        bits = b"".join(value.to_bytes(element, "little", signed=True) for value in row)
        expected += bits + bytes(-len(bits) % beat)
    assert data == expected
    beats = beats_of(matrix, config)  # as a testbench sends them
    assert [one.to_bytes(beat, "little") for one in beats] == [
        data[start : start + beat] for start in range(0, len(data), beat)
    ]
    np.testing.assert_array_equal(matrix_of(beats, 7, head_dim, config), matrix)
    assert len(data) == result_bytes(7, head_dim, config)
    np.testing.assert_array_equal(matrix_from_bytes(data, 7, head_dim, config), matrix)


def test_noise_is_where_no_data_is():
    matrix = np.random.default_rng(1).integers(-2048, 2048, (50, 5))
    data = matrix_bytes(matrix, WIDE, np.random.default_rng(2))
    containers = np.frombuffer(data, dtype="<u2").reshape(50, 8)
    np.testing.assert_array_equal(containers[:, :5] & 0xFFF, matrix & 0xFFF)
    assert len(np.unique(containers[:, :5] >> 12)) == 16 and len(np.unique(containers[:, 5:])) > 100


def test_head_is_three_packets():
    q, k, v = np.arange(3 * 2 * 3).reshape(3, 2, 3)
    packets = head_packets(q, k, v, NARROW)
    size = result_bytes(2, 3, NARROW)
    assert len(packets) == 3 * (4 + size)
    for index, (stream, matrix) in enumerate([(1, k), (2, v), (0, q)]):
        packet = packets[index * (4 + size) : (index + 1) * (4 + size)]
        assert packet == bytes([stream]) + size.to_bytes(3, "little") + matrix_bytes(matrix, NARROW)


def test_wrong_number_of_bytes_is_refused():
    with pytest.raises(ValueError, match="matrix of 2 x 3 must have 8 bytes, not 7"):
        matrix_from_bytes(bytes(7), 2, 3, NARROW)


ONES = np.ones((1, 7, 5), dtype=np.int64)


@pytest.mark.parametrize(
    "name, array, error, text",
    [
        ("k", ONES.tolist(), TypeError, "k must be an array of integers, not list"),
        ("k", ONES.astype(float), TypeError, "k must be an array of integers, not float64"),
        ("k", ONES[0], ValueError, "k must be of shape (heads, tokens, head_dim), none of them 0, not (7, 5)"),
        ("k", ONES[:, :0], ValueError, "k must be of shape (heads, tokens, head_dim), none of them 0, not (1, 0, 5)"),
        ("k", ONES[:, :6], ValueError, "k must be of the shape of q, (1, 7, 5), not (1, 6, 5)"),
        ("k", ONES * 128, ValueError, "k must be -128 to 127 (8 bits), not 128"),
        ("k", ONES * -129, ValueError, "k must be -128 to 127 (8 bits), not -129"),
    ],
)
def test_wrong_operands_are_refused(name, array, error, text):
    with pytest.raises(error, match=re.escape(text)):
        check_operands({"q": ONES, "k": ONES, "v": ONES, name: array}, NARROW)


@pytest.mark.parametrize(
    "shape, text",
    [
        ((1, 17, 5), "tokens must be at most 16 on narrow, not 17"),
        ((1, 7, 9), "head_dim must be at most 8 on narrow, not 9"),
    ],
)
def test_too_large_operands_are_refused(shape, text):
    with pytest.raises(ValueError, match=text):
        check_operands(dict.fromkeys("qkv", np.zeros(shape, dtype=np.int8)), NARROW)
