"""The view of a host: read back from the registers, it is what the configuration says, and gives the same registers."""

import re

import pytest

from taylorvit.fpga.board import board_names, load_board
from taylorvit.gen.presets import load_preset, preset_names
from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.rtl.control.description import Access
from taylorvit.rtl.control.host_view import LAYOUT, VIEW_REGISTERS, HostView
from taylorvit.rtl.control.registers import register_map

CONFIGS = [
    *map(load_preset, preset_names("attention")),
    *(preset.config for name in board_names() for preset in load_board(name).presets.values()),
    AcceleratorConfig(name="other", rows=256, columns=256, data_width=16, mean_fraction=8, constant_fraction=16,
                      max_tokens=65535, max_head_dim=4096, max_heads=65535, pe_pipeline=4, divider_interval=25,
                      shift_z_min=0, shift_z_max=0, stream_width=4096, counter_width=8, input_timeout=1,
                      error_count_width=1),
]  # fmt: skip


def words_of(config):
    return {name: register_map(config)[name].reset for name in VIEW_REGISTERS}


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
def test_registers_tell_all_of_it(config):
    view = HostView.from_registers(words_of(config), config.name)
    assert view == HostView.of(config)
    assert register_map(view) == register_map(config)
    assert view.stream_width == config.stream_width
    assert view.array_cycles(197, 64) == config.array_cycles(197, 64)
    assert view.ideal_cycles(197, 64) == config.ideal_cycles(197, 64)
    assert view.to_mapping() == {name: getattr(config, name) for name in view.to_mapping()}


def test_every_constant_but_identification_is_part_of_it():
    constants = {register.name for register in LAYOUT if register.access is Access.CONSTANT}
    assert constants == {"ID", "VERSION", *VIEW_REGISTERS} - {"TIMEOUT"}


def test_differences_are_named():
    tiny, edge = (HostView.of(load_preset(name)) for name in ("tiny-4x4", "edge-16x8"))
    assert tiny.differences(tiny) == []
    different = tiny.differences(edge)
    assert "ROWS is 4, not 16" in different and "MAX_TOKENS is 64, not 256" in different


@pytest.mark.parametrize(("register", "field", "value", "text"), [
    ("STREAM", "LANES", 0, "LANES in register STREAM must be at least 1, not 0"),
    ("NUMBER_FORMAT", "DATA_WIDTH", 17, "DATA_WIDTH in register NUMBER_FORMAT must be in 2..16, not 17"),
    ("NUMBER_FORMAT", "ELEMENT_WIDTH", 12,
     "ELEMENT_WIDTH in register NUMBER_FORMAT must be whole bytes for 8 bits, not 12"),
    ("NUMBER_FORMAT", "DATA_WIDTH", 9, "ELEMENT_WIDTH in register NUMBER_FORMAT must be whole bytes for 9 bits, not 8"),
    ("SHIFT_LIMITS", "SHIFT_Z_MIN", 1, "SHIFT_Z_MIN in register SHIFT_LIMITS must be in -128..0, not 1"),
    ("COUNTER_WIDTHS", "COUNTER_WIDTH", 33, "COUNTER_WIDTH in register COUNTER_WIDTHS must be in 1..32, not 33"),
])  # fmt: skip
def test_values_that_cannot_be(register, field, value, text):
    words = words_of(load_preset("tiny-4x4"))
    place = LAYOUT[register][field]
    words[register] = words[register] & ~place.mask | value << place.low
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        HostView.from_registers(words, "a")
