"""The view of a host: read back from the registers, it is what the configuration says, and gives the same registers."""

import re
from dataclasses import replace

import pytest

from taylorvit.fpga.board import board_names, load_board
from taylorvit.gen.presets import load_preset, preset_names
from taylorvit.rtl.control.description import Access
from taylorvit.rtl.network.config import NetworkConfig
from taylorvit.rtl.network.control.host_view import LAYOUT, VIEW_REGISTERS, NetworkView
from taylorvit.rtl.network.control.registers import register_map

TINY = load_preset("vit-tiny-4x4")
CONFIGS = [
    *map(load_preset, preset_names("network")),
    *(preset.config for name in board_names() for preset in load_board(name).networks.values()),
    replace(TINY, name="memory", tape_source="memory", tape_memory_bytes=1 << 16, counters="cycles"),
    replace(TINY, name="stream", tape_source="stream", counters="none", error_count_width=0),
    NetworkConfig(name="other", rows=256, columns=256, kernel="softmax", max_tokens=8192, max_width=4096,
                  max_hidden=16384, max_patch=4096, max_classes=65535, max_heads=4096, max_head_dim=4096,
                  residual_width=16, sum_width=32, image_lanes=256, tape_width=1024, tape_queue_rows=512,
                  counter_width=8, input_timeout=1, error_count_width=1),
]  # fmt: skip


def words_of(config):
    return {name: register_map(config)[name].reset for name in VIEW_REGISTERS}


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
def test_registers_tell_all_of_it(config):
    view = NetworkView.from_registers(words_of(config), config.name)
    assert view == NetworkView.of(config)
    assert register_map(view) == register_map(config)
    assert (view.shortest_tape, view.largest_patch_size) == (config.shortest_tape, config.largest_patch_size)
    assert view.to_mapping() == {name: getattr(config, name) for name in view.to_mapping()}


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
def test_the_layout_is_that_of_every_configuration(config):
    for register in register_map(config):
        assert register.offset == LAYOUT[register.name].offset
        places = [(field.name, field.low) for field in register.fields]
        assert places == [(field.name, field.low) for field in LAYOUT[register.name].fields]


def test_every_constant_but_identification_is_part_of_it():
    constants = {register.name for register in LAYOUT if register.access is Access.CONSTANT}
    assert constants == {"ID", "VERSION", *VIEW_REGISTERS} - {"TIMEOUT"}


def test_differences_are_named():
    tiny, stream = NetworkView.of(TINY), NetworkView.of(replace(TINY, tape_source="stream", max_tokens=20))
    assert tiny.differences(tiny) == []
    different = tiny.differences(stream)
    assert "MAX_TOKENS is 18, not 20" in different and "SOURCE is axi, not stream" in different
    assert f"TAPE_HASH is {tiny.tape_hash}, not {stream.tape_hash}" in different and len(different) == 3


@pytest.mark.parametrize(("register", "field", "value", "text"), [
    ("STREAM", "IMAGE_LANES", 0, "IMAGE_LANES in register STREAM must be at least 1, not 0"),
    ("NUMBER_FORMAT", "DATA_WIDTH", 7, "DATA_WIDTH in register NUMBER_FORMAT must be in 8..8, not 7"),
    ("NUMBER_FORMAT", "KERNEL", 9, "KERNEL in register NUMBER_FORMAT must be in 0..2, not 9"),
    ("TAPE", "SOURCE", 3, "SOURCE in register TAPE must be in 0..2, not 3"),
    ("TAPE", "SOURCE", 2, "TAPE_MEMORY in register TAPE_MEMORY must be at least 1, not 0"),
    ("TAPE_MEMORY", "TAPE_MEMORY", 4, "TAPE_MEMORY in register TAPE_MEMORY must be in 0..0, not 4"),
    ("COUNTER_WIDTHS", "COUNTERS", 3, "COUNTERS in register COUNTER_WIDTHS must be in 0..2, not 3"),
])  # fmt: skip
def test_values_that_cannot_be(register, field, value, text):
    words = words_of(TINY)
    place = LAYOUT[register][field]
    words[register] = words[register] & ~place.mask | value << place.low
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        NetworkView.from_registers(words, "a")
