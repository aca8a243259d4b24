"""Rules about parameters, and the blocks and functions that hold their parameters to them."""

from __future__ import annotations

import pytest
from amaranth.hdl import Module, Signal

from taylorvit.rtl.array.requantizer import Requantizer
from taylorvit.rtl.attention.accumulator_array import AccumulatorArray
from taylorvit.rtl.attention.divider_lane import DividerLane
from taylorvit.rtl.attention.taylor.adder_array import CentringAdder, DenominatorAdder, NumeratorAdder
from taylorvit.rtl.common.axi import AxiLite, AxiStream
from taylorvit.rtl.common.bank_chain import BankWrite, bank_write
from taylorvit.rtl.common.memory_bank import MemoryBank, OnePortBank
from taylorvit.rtl.common.pipeline import delay
from taylorvit.rtl.common.validation import require_choice, require_multiple, require_power_of_two, require_range
from taylorvit.rtl.streams.matrix_position import MatrixPosition
from taylorvit.rtl.streams.stream_loader import StreamLoader
from taylorvit.rtl.streams.stream_sender import StreamSender


def test_ranges():
    require_range("size", 3, 3)
    require_range("size", 9, 3, 9)
    with pytest.raises(ValueError, match="^size must be 3 or more, not 2$"):
        require_range("size", 2, 3)
    for value in (2, 10):
        with pytest.raises(ValueError, match=f"^size must be 3..9, not {value}$"):
            require_range("size", value, 3, 9)
    for value in (4.0, "4", None):
        with pytest.raises(TypeError, match=f"^size must be an integer, not {value!r}$"):
            require_range("size", value, 3)


def test_multiples():
    require_multiple("banks", 12, 4, "lanes")
    with pytest.raises(ValueError, match="^banks must be a multiple of the 4 lanes, not 6$"):
        require_multiple("banks", 6, 4, "lanes")
    with pytest.raises(ValueError, match="^banks must be 1 or more, not 0$"):
        require_multiple("banks", 0, 4, "lanes")


@pytest.mark.parametrize("depth", [2, 4, 2048])
def test_powers_of_two_are_accepted(depth):
    require_power_of_two("depth", depth)


@pytest.mark.parametrize("depth", [0, 1, 3, -4, 100, 2.0, "8", None])
def test_other_numbers_are_no_powers_of_two(depth):
    with pytest.raises(ValueError) as raised:
        require_power_of_two("depth", depth)
    assert str(raised.value) == f"depth must be a power of two, 2 or more, not {depth!r}"


def test_choices():
    require_choice("side", "left", ("left", "right"))
    with pytest.raises(ValueError, match="^side must be 'left' or 'right', not 'up'$"):
        require_choice("side", "up", ("left", "right"))


def bank_write_of(*, shares, registers):
    """A `bank_write` of a word of 12 bits."""
    word = BankWrite(banks=4, address_width=3, data_width=12)
    bank = MemoryBank(depth=8, width=4)
    m = Module()
    m._MustUse__silence = True
    bank_write(m, bank, word.create(path=("i",)), word.create(path=("o",)), shares=shares, registers=registers)


def delay_of(*, cycles):
    """A line of registers."""
    m = Module()
    m._MustUse__silence = True
    delay(m, Signal(name="signal"), cycles, "later")


POSITION = {"lanes": 4, "max_tokens": 10, "max_head_dim": 8}
LOADER = POSITION | {"name": "q", "data_width": 8, "element_width": 8, "max_heads": 3, "banks": 4, "banked_by": "token"}
SENDER = POSITION | {"data_width": 8, "element_width": 8, "columns": 4, "z_latency": 2}
REQUANTIZER = {"i_width": 20, "o_width": 8, "shift_max": 20}
ACCUMULATORS = {"lanes": 2, "beats": 4, "data_width": 8, "sum_width": 12}
DIVIDER = {"numerator_width": 20, "divisor_width": 18, "data_width": 8, "mean_width": 11, "interval": 4}
CENTRING = {"data_width": 8, "fraction": 3}
NUMERATOR = {"product_width": 20, "fraction": 8, "shift_max": 5, "bias_width": 24, "k_sum_width": 16}
DENOMINATOR = {"product_width": 20, "fraction": 8, "c_d_width": 20, "denominator_width": 30, "shift_max": 7,
               "tokens_width": 8, "tokens_shift": 7, "divisor_width": 30}  # fmt: skip

# What is built, from which parameters, and for each parameter: values that are refused, with the rule that is named.
RULES = [
    (MemoryBank, {"depth": 8, "width": 4},
     {"depth": {0: "1 or more"}, "width": {0: "1 or more"}, "pipeline": {-1: "0 or more"},
      "kind": {"huge": "'auto' or 'block' or 'distributed' or 'split'"}}),
    (OnePortBank, {"depth": 8, "width": 4}, {"kind": {"block": "'huge'"}}),
    (BankWrite, {"banks": 4, "address_width": 3, "data_width": 8},
     {"banks": {0: "1 or more"}, "address_width": {0: "1 or more"}, "data_width": {0: "1 or more"}}),
    (bank_write_of, {"shares": 3, "registers": 1},
     {"shares": {0: "1 or more"}, "registers": {-1: "0..1", 2: "0..1"}}),
    (delay_of, {"cycles": 0}, {"cycles": {-1: "0 or more"}}),
    (AxiStream, {"width": 24}, {"width": {0: "1 or more", 12: "a multiple of the 8 bits of a byte"}}),
    (AxiLite, {"address_width": 12, "data_width": 64},
     {"address_width": {0: "1..64", 65: "1..64"}, "data_width": {16: "32 or 64"}}),
    (MatrixPosition, POSITION, {name: {0: "1 or more"} for name in POSITION}),
    (StreamLoader, LOADER,
     {"lanes": {0: "1 or more"}, "data_width": {0: "1 or more"}, "element_width": {7: "8 or more"},
      "max_tokens": {0: "1 or more"}, "max_head_dim": {0: "1 or more"}, "max_heads": {0: "1 or more"},
      "banks": {0: "1 or more", 6: "a multiple of the 4 lanes"}, "banked_by": {"head": "'feature' or 'token'"},
      "readers": {0: "1 or more"}}),
    (StreamSender, SENDER,
     {"lanes": {0: "1 or more"}, "data_width": {0: "1 or more"}, "element_width": {7: "8 or more"},
      "max_tokens": {0: "1 or more"}, "max_head_dim": {0: "1 or more"},
      "columns": {0: "1 or more", 6: "a multiple of the 4 lanes"}, "z_latency": {0: "1 or more"}}),
    (Requantizer, REQUANTIZER,
     {"i_width": {1: "2 or more"}, "o_width": {1: "2..20", 21: "2..20"}, "shift_max": {-1: "0..20", 21: "0..20"}}),
    (AccumulatorArray, ACCUMULATORS,
     {"lanes": {0: "1 or more"}, "beats": {0: "1 or more"}, "data_width": {0: "1 or more"},
      "sum_width": {7: "8 or more"}}),
    (DividerLane, DIVIDER,
     {"numerator_width": {1: "2 or more"}, "divisor_width": {0: "1 or more"}, "mean_width": {1: "2 or more"},
      "data_width": {1: "2..11", 12: "2..11"}, "interval": {0: "1..12", 13: "1..12"}}),
    (CentringAdder, CENTRING, {"data_width": {0: "1 or more"}, "fraction": {-1: "0 or more"}}),
    (NumeratorAdder, NUMERATOR,
     {"product_width": {0: "1 or more"}, "fraction": {-1: "0 or more"}, "shift_max": {-1: "0 or more"},
      "bias_width": {0: "1 or more"}, "k_sum_width": {0: "1..25", 26: "1..25"}}),
    (DenominatorAdder, DENOMINATOR,
     {name: {-1: "0 or more"} if name in ("fraction", "shift_max", "tokens_shift") else {0: "1 or more"}
      for name in DENOMINATOR}),
]  # fmt: skip

CASES = [
    pytest.param(built, parameters, name, value, rule, id=f"{built.__name__} {name} {value}")
    for built, parameters, rules in RULES
    for name, values in rules.items()
    for value, rule in values.items()
]


@pytest.mark.parametrize(("built", "parameters", "name", "value", "rule"), CASES)
def test_wrong_parameters_are_refused(built, parameters, name, value, rule):
    with pytest.raises(ValueError) as raised:
        built(**(parameters | {name: value}))
    assert str(raised.value) == f"{name} must be {rule}, not {value!r}"


@pytest.mark.parametrize(("built", "parameters"), [case[:2] for case in RULES], ids=lambda case: None)
def test_right_parameters_are_not(built, parameters):
    built(**parameters)


def test_a_word_must_have_equal_shares():
    with pytest.raises(ValueError, match="^shares must divide the 12 bits of a word, not 5$"):
        bank_write_of(shares=5, registers=0)
