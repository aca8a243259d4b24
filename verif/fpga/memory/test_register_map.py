"""Registers of a board's memory: where they are, and what the documentation says of them."""

from __future__ import annotations

import pytest

from taylorvit.fpga.memory.register_map import MEMORY_ID, memory_register_map
from taylorvit.gen.presets import load_preset
from taylorvit.rtl.control.description import ADDRESS_WIDTH
from taylorvit.rtl.network.control.registers import register_map
from verif import ROOT

REGISTERS = memory_register_map(32 << 20)


def test_places_do_not_change():
    offsets = {register.name: register.offset for register in REGISTERS}
    assert offsets == {
        "MEMORY_ID": 0x800,
        "MEMORY_BYTES": 0x804,
        "MEMORY_STATUS": 0x808,
        "MEMORY_CONTROL": 0x80C,
        "TEST_ERRORS": 0x810,
        "TEST_ADDRESS": 0x814,
    }
    assert REGISTERS["MEMORY_ID"].reset == MEMORY_ID == 0x54564D43
    assert REGISTERS["MEMORY_BYTES"].reset == 32 << 20
    assert {field.name: field.low for field in REGISTERS["MEMORY_STATUS"].fields} == {
        "INITIALIZED": 0,
        "TESTING": 1,
        "TEST_FAILED": 2,
    }
    assert REGISTERS["MEMORY_CONTROL"]["TEST"].mask == 1


def test_the_accelerator_has_nothing_in_their_half_of_the_bus():
    half = 1 << (ADDRESS_WIDTH - 1)
    assert all(register.offset >= half for register in REGISTERS)
    assert all(register.offset < half for register in register_map(load_preset("vit-16x8")))


@pytest.mark.parametrize("register", list(REGISTERS), ids=lambda register: register.name)
def test_documentation_has_each_register(register):
    fields = "; ".join(
        f"{field.name} ({field.low}): {field.description}" if register.mask != 0xFFFFFFFF else field.description
        for field in register.fields
    )
    row = f"| 0x{register.offset:03X} | {register.name} | {register.access.value} | {fields} |"
    assert row in (ROOT / "docs" / "fpga.md").read_text(encoding="utf-8"), row
