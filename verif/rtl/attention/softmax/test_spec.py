"""Numbers of softmax attention: widths against the largest values that there can be, blocks of queries, cycles."""

from types import SimpleNamespace

import pytest

from taylorvit.rtl.attention.softmax.spec import SoftmaxSpec, query_blocks
from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.rtl.control.host_view import HostView
from taylorvit.rtl.control.registers import register_map

SIZES = {
    "default": {},
    "odd": {"data_width": 5, "score_width": 9, "exponential_width": 7, "max_tokens": 197, "max_head_dim": 13},
    "least": {"data_width": 2, "score_width": 4, "exponential_width": 4, "max_tokens": 1, "max_head_dim": 1},
    "most": {"data_width": 16, "score_width": 16, "exponential_width": 16, "max_tokens": 4097, "max_head_dim": 64,
             "stream_width": 16},
}  # fmt: skip


def signed_bits(value):
    """Bits that a signed value needs."""
    return (value if value >= 0 else ~value).bit_length() + 1


@pytest.mark.parametrize("changes", SIZES.values(), ids=SIZES)
def test_largest_values_fit(changes):
    config = AcceleratorConfig(name="softmax", rows=4, columns=4, **changes)
    spec = SoftmaxSpec(config)
    least = -(1 << (config.data_width - 1))
    exponential = (1 << config.exponential_width) - 1
    tokens, features = config.max_tokens, config.max_head_dim
    score, value, total = features * least**2, tokens * exponential * least, tokens * exponential
    assert signed_bits(score) <= spec.score_sum_width <= signed_bits(score) + 1
    assert signed_bits(value) <= spec.value_sum_width <= signed_bits(value) + 1
    assert total.bit_length() <= spec.exponential_sum_width <= total.bit_length() + 1
    assert spec.partial_sum_width == max(spec.score_sum_width, spec.value_sum_width)
    assert signed_bits(total) <= spec.diagonal_sum_width
    assert signed_bits(max(exponential, -least - 1)) == spec.streamed_width
    assert signed_bits(value << spec.numerator_shift_max) <= spec.numerator_width
    assert (total << spec.divisor_shift_max).bit_length() <= spec.divisor_width
    assert 2 <= spec.kept_score_width <= config.score_width


@pytest.mark.parametrize(
    ("tokens", "longest", "lengths"),
    [
        (1, 1, [1]),
        (3, 1, [1, 1, 1]),
        (64, 64, [64]),
        (65, 64, [33, 32]),
        (127, 64, [64, 63]),
        (128, 64, [64, 64]),
        (197, 64, [64, 64, 35, 34]),
        (257, 256, [129, 128]),
        (1025, 256, [256, 256, 256, 129, 128]),
    ],
)
def test_blocks_of_queries(tokens, longest, lengths):
    assert query_blocks(tokens, longest) == lengths


def test_blocks_are_never_tiny():
    for longest in range(1, 20):
        for tokens in range(1, 100):
            lengths = query_blocks(tokens, longest)
            assert sum(lengths) == tokens and max(lengths) <= longest
            assert min(lengths) >= min(tokens, longest // 2)


def test_host_is_told():
    config = AcceleratorConfig(name="softmax", kernel="softmax", rows=4, columns=4, exponential_entries=64)
    words = {register.name: register.reset for register in register_map(config)}
    view = HostView.from_registers(words, "softmax")
    assert view == HostView.of(config) and register_map(view) == register_map(config)
    assert (view.exponential_entries, view.exponential_width, view.shift_s_max) == (64, 11, config.score_sum_width)
    for entry_bits in (0, 17):
        wrong = words["CONSTANT_WIDTHS"] & ~0xFF00 | entry_bits << 8
        text = rf"EXPONENTIAL_ENTRIES in register CONSTANT_WIDTHS must be in 1\.\.16, not {entry_bits}"
        with pytest.raises(ValueError, match=f"^{text}$"):
            HostView.from_registers(words | {"CONSTANT_WIDTHS": wrong}, "softmax")


def test_tables_are_among_the_words(monkeypatch):
    tables = SoftmaxSpec.job_tables(AcceleratorConfig(name="softmax", kernel="softmax", rows=4, columns=4))
    monkeypatch.setattr(SoftmaxSpec, "job_tables", staticmethod(lambda view: 11 * tables))
    with pytest.raises(ValueError, match="^registers of a kernel must have at most 12 words, not 13$"):
        register_map(AcceleratorConfig(name="softmax", kernel="softmax", rows=4, columns=4))


def test_cycles():
    view = SimpleNamespace(rows=16, columns=16)
    assert SoftmaxSpec.array_cycles(view, 197, 64) == 20488
    assert SoftmaxSpec.ideal_cycles(view, 197, 64) == 2 * 197 * 197 * 64 / 256
    assert SoftmaxSpec.array_cycles(SimpleNamespace(rows=8, columns=4), 5, 9) == 5 * (2 * 2 + 1 * 3)
