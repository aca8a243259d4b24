"""Every rule of the configuration, by the text of its error."""

import re

import pytest

from rtl.config import AcceleratorConfig, ConfigError

SMALL = {"name": "small", "rows": 4, "columns": 4}


@pytest.mark.parametrize(("changes", "text"), [
    ({"name": 4}, "name must be a string, not 4"),
    ({"name": ""}, "name must consist of letters, digits, '-' and '_', not ''"),
    ({"name": "a b"}, "name must consist of letters, digits, '-' and '_', not 'a b'"),
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
    ({"max_tokens": 0}, "max_tokens must be in 1..65535, not 0"),
    ({"max_head_dim": 4097}, "max_head_dim must be in 1..4096, not 4097"),
    ({"max_heads": 0}, "max_heads must be in 1..65535, not 0"),
    ({"pe_pipeline": 5}, "pe_pipeline must be in 0..4, not 5"),
    ({"multiplier": "xilinx"}, "multiplier must be one of inferred, ecp5, ice40, gowin, booth, not 'xilinx'"),
    ({"multiplier": []}, "multiplier must be one of inferred, ecp5, ice40, gowin, booth, not []"),
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
])  # fmt: skip
def test_rule_is_told(changes, text):
    with pytest.raises(ConfigError, match=f"^{re.escape(text)}$"):
        AcceleratorConfig(**(SMALL | changes))


def test_keys_are_checked():
    with pytest.raises(ConfigError, match="^configuration key must be one of name, rows, .*, not 'row'$"):
        AcceleratorConfig.from_mapping(SMALL | {"row": 4})
    with pytest.raises(ConfigError, match="^configuration must have the key 'columns'$"):
        AcceleratorConfig.from_mapping({"name": "small", "rows": 4})


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
