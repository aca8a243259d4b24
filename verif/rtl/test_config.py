"""Every rule of the configuration, by the text of its error."""

import re

import pytest

from taylorvit.gen.verilog import blocks
from taylorvit.rtl.accelerator import Accelerator
from taylorvit.rtl.common.memory_bank import MemoryBank
from taylorvit.rtl.config import AcceleratorConfig, ConfigError

SMALL = {"name": "small", "rows": 4, "columns": 4}


@pytest.mark.parametrize(("changes", "text"), [
    ({"name": 4}, "name must be a string, not 4"),
    ({"name": ""}, "name must consist of ASCII letters, digits, '-' and '_', not ''"),
    ({"name": "a b"}, "name must consist of ASCII letters, digits, '-' and '_', not 'a b'"),
    ({"name": "größe"}, "name must consist of ASCII letters, digits, '-' and '_', not 'größe'"),
    ({"name": "x²"}, "name must consist of ASCII letters, digits, '-' and '_', not 'x²'"),
    ({"name": "tiny\n"}, "name must consist of ASCII letters, digits, '-' and '_', not 'tiny\\n'"),
    ({"rows": 1}, "rows must be in 2..256, not 1"),
    ({"rows": 257}, "rows must be in 2..256, not 257"),
    ({"rows": 4.0}, "rows must be an integer, not 4.0"),
    ({"rows": True}, "rows must be an integer, not True"),
    ({"rows": "4"}, "rows must be an integer, not '4'"),
    ({"columns": 0}, "columns must be in 1..256, not 0"),
    ({"data_width": 1}, "data_width must be in 2..16, not 1"),
    ({"data_width": 17}, "data_width must be in 2..16, not 17"),
    ({"mean_fraction": -1}, "mean_fraction must be in 0..8, not -1"),
    ({"constant_fraction": 17}, "constant_fraction must be in 0..16, not 17"),
    ({"score_width": 3}, "score_width must be in 4..16, not 3"),
    ({"exponential_width": 17}, "exponential_width must be in 4..16, not 17"),
    ({"exponential_entries": 1}, "exponential_entries must be in 2..65536, not 1"),
    ({"exponential_entries": 768}, "exponential_entries must be a power of two, not 768"),
    ({"max_tokens": 0}, "max_tokens must be in 1..65535, not 0"),
    ({"query_block": 257}, "query_block must be in 0..256, not 257"),
    ({"max_head_dim": 4097}, "max_head_dim must be in 1..4096, not 4097"),
    ({"max_heads": 0}, "max_heads must be in 1..65535, not 0"),
    ({"pe_pipeline": 5}, "pe_pipeline must be in 0..4, not 5"),
    ({"multiplier": "xilinx"}, "multiplier must be one of inferred, ecp5, ice40, gowin, booth, not 'xilinx'"),
    ({"multiplier": []}, "multiplier must be one of inferred, ecp5, ice40, gowin, booth, not []"),
    ({"pe": "adder"}, "pe must be one of mac, not 'adder'"),
    ({"booth_columns": 5}, "booth_columns must be in 0..4, not 5"),
    ({"booth_columns": 1, "pe_pipeline": 0}, "pe_pipeline must be at least 1 for booth multipliers, not 0"),
    ({"multiplier": "ecp5", "pe_pipeline": 0}, "pe_pipeline must be at least 1 for ecp5 multipliers, not 0"),
    ({"multiplier": "ice40", "data_width": 12, "mean_fraction": 4, "stream_width": 16},
     "data_width + mean_fraction must be at most 15 for the 16-bit operands of ice40 multipliers, not 16"),
    ({"multiplier": "ice40", "max_tokens": 32769},
     "max_tokens must be at most 32768 for the 16-bit operands of ice40 multipliers, not 32769"),
    ({"divider_interval": 13}, "divider_interval must be in 0..12, not 13"),
    ({"shift_z_min": 1}, "shift_z_min must be in -8..0, not 1"),
    ({"shift_z_max": 32}, "shift_z_max must be in 0..31, not 32"),
    ({"stream_width": 4}, "stream_width must be in 8..4096, not 4"),
    ({"input_timeout": 0}, "input_timeout must be in 1..4294967295, not 0"),
    ({"counter_width": 20}, "input_timeout must be in 1..1048575, not 16777216"),
    ({"counter_width": 7}, "counter_width must be in 8..32, not 7"),
    ({"error_count_width": 0}, "error_count_width must be in 1..16, not 0"),
    ({"stream_width": 20}, "stream_width must be a multiple of the 8-bit element container, not 20"),
    ({"data_width": 12, "stream_width": 24}, "stream_width must be a multiple of the 16-bit element container, not 24"),
    ({"stream_width": 64}, "stream_width must carry a number of 8-bit elements that divides both rows (4) and "
                           "columns (4), not 64 (8 elements)"),
    ({"max_tokens": 65535, "max_head_dim": 129}, "max_tokens, max_head_dim, rows and columns must be such that a bank "
                                                 "of q has at most 4,194,304 bytes, not 8,388,608"),
    ({"max_tokens": 65535, "max_head_dim": 128, "columns": 3, "stream_width": 8},
     "max_tokens, max_head_dim, rows and columns must be such that a bank of v has at most 4,194,304 bytes, "
     "not 8,388,608"),
])  # fmt: skip
def test_rule_is_told(changes, text):
    with pytest.raises(ConfigError, match=f"^{re.escape(text)}$"):
        AcceleratorConfig(**(SMALL | changes))


def test_keys_are_checked():
    with pytest.raises(ConfigError, match="^configuration key must be one of name, rows, .*, not 'row'$"):
        AcceleratorConfig.from_mapping(SMALL | {"row": 4})
    with pytest.raises(ConfigError, match="^configuration must have the key 'columns'$"):
        AcceleratorConfig.from_mapping({"name": "small", "rows": 4})


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"max_tokens": 1, "max_head_dim": 1},
        {"max_tokens": 5, "max_head_dim": 3},
        {"columns": 3, "stream_width": 8, "max_tokens": 70, "max_head_dim": 9},
    ],
    ids=str,
)
def test_banks_are_those_that_are_built(changes):
    config = AcceleratorConfig(**(SMALL | changes))
    built = {(block.depth, block.width) for block in blocks(Accelerator(config)) if isinstance(block, MemoryBank)}
    stated = {(words, width) for kinds in config.banks.values() for _number, words, width in kinds}
    assert stated <= built
    assert config.buffer_bytes["q"] * 8 == config.rows * config.banks["q"][0][1] * config.data_width


def test_largest_array_takes_all_maxima():
    AcceleratorConfig(name="largest", rows=256, columns=256, data_width=16, mean_fraction=8, constant_fraction=16,
                      max_tokens=65535, max_head_dim=4096, max_heads=65535)  # fmt: skip


def test_mapping_round_trip():
    config = AcceleratorConfig(**SMALL, data_width=5, stream_width=16)
    assert AcceleratorConfig.from_mapping(config.to_mapping()) == config


def test_configuration_cannot_be_changed():
    with pytest.raises(AttributeError):
        AcceleratorConfig(**SMALL).rows = 8


def test_cycles_at_deit_size():
    """T_SA: ceil(n/R) d ceil(d/C) + n ceil(d/R) ceil(d/C)."""
    config = AcceleratorConfig(name="c", rows=16, columns=8)
    assert config.array_cycles(197, 64) == 13 * 64 * 8 + 197 * 4 * 8 == 12_960
    assert config.ideal_cycles(197, 64) == 2 * 197 * 64 * 64 / 128
