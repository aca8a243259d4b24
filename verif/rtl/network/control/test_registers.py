"""The register map of the network accelerator: what software was written against must not move."""

from dataclasses import replace

import pytest

from taylorvit.gen.presets import load_preset, preset_names
from taylorvit.rtl.control.description import Access
from taylorvit.rtl.control.registers import register_map as attention_registers
from taylorvit.rtl.network.config import NetworkConfig
from taylorvit.rtl.network.control.registers import EVENTS, register_map
from verif.rtl.network.configurations import config_of

OFFSETS = {
    "ID": 0x000, "VERSION": 0x004, "ARRAY_SIZE": 0x008, "NUMBER_FORMAT": 0x00C, "MAX_SIZES": 0x010,
    "MAX_LAYERS": 0x014, "MAX_HEADS": 0x018, "MAX_CLASSES": 0x01C, "STREAM": 0x020, "TAPE": 0x024,
    "TAPE_HASH_0": 0x028, "TAPE_HASH_1": 0x02C, "TAPE_MEMORY": 0x030, "COUNTER_WIDTHS": 0x034,
    "CONTROL": 0x040, "STATUS": 0x044, "EVENTS": 0x048, "INTERRUPT_ENABLE": 0x04C,
    "IMAGES": 0x080, "PATCHES": 0x084, "PATCH_PIXELS": 0x088, "CLASSES": 0x08C, "TAPE_BASE": 0x090,
    "TAPE_LENGTH": 0x094, "IMAGE_ORDER": 0x0A0, "PATCH_SIZE": 0x0A4, "TIMEOUT": 0x0A8, "PATCHES_A_ROW": 0x0AC,
    "TAPE_SUM": 0x0B0,
    "CYCLES": 0x0C0, "ARRAY_BUSY": 0x0C4, "STALL_TAPE": 0x0C8, "STALL_IMAGE": 0x0CC, "STALL_OUTPUT": 0x0D0,
    "STALL_DATA": 0x0D4, "IMAGES_DONE": 0x0D8, "IMAGE_CYCLES": 0x0DC, "CYCLES_EMBEDDING": 0x0E0,
    "CYCLES_QUERY_KEY_VALUE": 0x0E4, "CYCLES_ATTENTION": 0x0E8, "CYCLES_PROJECTION": 0x0EC, "CYCLES_MLP_UP": 0x0F0,
    "CYCLES_MLP_DOWN": 0x0F4, "CYCLES_HEAD": 0x0F8, "CYCLES_OTHER": 0x0FC,
    "COUNT_BAD_VALUE": 0x100, "COUNT_START_WHILE_BUSY": 0x104, "COUNT_DENOMINATOR": 0x108,
    "COUNT_IMAGE_SHORT": 0x10C, "COUNT_IMAGE_LONG": 0x110, "COUNT_TAPE_MAGIC": 0x114, "COUNT_TAPE_VERSION": 0x118,
    "COUNT_TAPE_CONFIGURATION": 0x11C, "COUNT_TAPE_LENGTH": 0x120, "COUNT_TAPE_CRC": 0x124, "COUNT_COMMAND": 0x128,
    "COUNT_STUCK": 0x12C, "COUNT_AXI_ERROR": 0x130, "COUNT_TAPE_TIMEOUT": 0x134, "COUNT_IMAGE_TIMEOUT": 0x138,
    "COUNT_IMAGE_SIZES": 0x13C,
}  # fmt: skip


def with_source(source):
    memory = {"tape_memory_bytes": 4096} if source == "memory" else {}
    return NetworkConfig.from_mapping(config_of("default").to_mapping() | {"tape_source": source} | memory)


@pytest.mark.parametrize("name", preset_names("network"))
def test_offsets(name):
    assert {register.name: register.offset for register in register_map(load_preset(name))} == OFFSETS


def test_offsets_with_other_sources_of_the_tape():
    def offsets(source):
        return {register.name: register.offset for register in register_map(with_source(source))}

    assert offsets("stream") == {name: offset for name, offset in OFFSETS.items() if name != "TAPE_BASE"}
    assert offsets("memory") == OFFSETS | {"TAPE_ADDRESS": 0x098, "TAPE_DATA": 0x09C}


@pytest.mark.parametrize("config", [*map(load_preset, preset_names("network")), with_source("memory")])
def test_fields_fit_and_do_not_overlap(config):
    for register in register_map(config):
        used = 0
        for field in register.fields:
            assert field.high < 32
            assert not used & field.mask
            used |= field.mask
            assert 0 <= field.reset < 1 << field.width
            if field.minimum is not None:
                assert field.minimum <= field.reset <= field.maximum


def test_every_error_is_counted():
    registers = register_map(with_source("axi"))
    counted = {register.name for register in registers if register.access is Access.WRITE_TO_CLEAR}
    assert counted == {f"COUNT_{name}" for name in EVENTS if name != "DONE"}
    assert registers.events == EVENTS


def test_control_of_this_accelerator_alone_has_check():
    places = {field.name: (field.low, field.width) for field in register_map(with_source("axi"))["CONTROL"].fields}
    assert places == {"START": (0, 1), "SOFT_RESET": (1, 1), "CHECK": (2, 1)}
    attention = attention_registers(load_preset("tiny-4x4"))
    assert [field.name for field in attention["CONTROL"].fields] == ["START", "SOFT_RESET"]


def test_a_lean_accelerator_has_fewer_counters():
    counted = [name for name in OFFSETS if name.startswith("COUNT_")]
    lean = replace(with_source("axi"), counters="none", error_count_width=0)
    names = {register.name for register in register_map(lean)}
    assert set(OFFSETS) - names == {*register_map(with_source("axi")).counters, *counted}
    assert register_map(replace(lean, counters="cycles")).counters == ["CYCLES", "IMAGES_DONE"]
    assert register_map(lean).counted_errors == [] and register_map(lean).errors
    assert lean.tape_hash == with_source("axi").tape_hash


def test_the_configuration_of_a_tape_is_told():
    config = with_source("axi")
    registers = register_map(config)
    assert registers["TAPE_HASH_0"].reset | registers["TAPE_HASH_1"].reset << 32 == config.tape_hash
