"""The picture of a layer of a network: how cycles become work of products."""

import re

import numpy as np
import pytest

from taylorvit.gen.generate import top
from taylorvit.gen.presets import load_preset
from taylorvit.gen.verilog import emit, instances

from .network_timing_diagram import PRESET, SHAPE, Work, _compiled, _short, _signals, _unwrapped, work_of


def test_work_is_told_apart_by_product_and_pass():
    active = np.array([1, 1, 1, 1, 0, 1, 1])
    product = np.array([0, 0, 0, 1, 1, 1, 1])
    begins = np.array([1, 0, 1, 1, 0, 0, 1])
    names = ["k0", "v0"]
    assert work_of(active, product, names) == [Work(0, 3, 0, "k0"), Work(3, 4, 1, "v0"), Work(5, 7, 1, "v0")]
    assert work_of(active, product, names, gap=1) == [Work(0, 3, 0, "k0"), Work(3, 7, 1, "v0")]
    assert [(work.start, work.stop, work.label) for work in work_of(active, product, names, begins, gap=1)] == [
        (0, 2, "k0, pass 1"),
        (2, 3, "k0, pass 2"),
        (3, 6, "v0, pass 1"),
        (6, 7, "v0, pass 2"),
    ]


def test_numbers_of_products_go_on_where_their_lowest_bits_wrap():
    sequence = np.array([31, 31, 0, 1, 1, 30, 31, 0])
    assert _unwrapped(sequence).tolist() == [-1, -1, 0, 1, 1, 30, 31, 32]


@pytest.mark.parametrize(
    "name, style", [("k0", "h0"), ("g1", "h1 QG"), ("z12", "h12 QG"), ("fc1", "h4"), ("data", "idle"), ("LN", "idle")]
)
def test_styles(name, style):
    assert Work(0, 1, 0, name).style == style


def test_products_are_named_as_in_the_listing():
    names = [_short(part.step.name) for part in _compiled().parts]
    assert names[:4] == ["patch_embed", "constants", "k0", "v0"]
    assert {f"z{head}" for head in range(SHAPE.heads)} | {"proj", "fc1", "fc2"} <= set(names)


def test_sampled_signals_are_in_the_verilog():
    component = top(load_preset(PRESET))
    verilog, places = emit(component), {path for path, _block in instances(component)}
    for name in _signals():
        place, _, signal = name.rpartition(".")
        assert place in places, name
        assert re.search(rf"\b{signal}\b", verilog), name
