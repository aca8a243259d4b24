"""The register map itself: what software was written against must not move."""

import pytest

from taylorvit.gen.presets import load_preset, preset_names
from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.rtl.control.description import Access
from taylorvit.rtl.control.registers import ALL_EVENTS, EVENTS, events_in, job_constants, register_map

OFFSETS = {
    "ID": 0x000, "VERSION": 0x004, "ARRAY_SIZE": 0x008, "NUMBER_FORMAT": 0x00C, "MAX_SIZES": 0x010, "MAX_HEADS": 0x014,
    "STREAM": 0x018, "PIPELINE": 0x01C, "CONSTANT_WIDTHS": 0x020, "SHIFT_LIMITS": 0x024,
    "COUNTER_WIDTHS": 0x028,
    "CONTROL": 0x040, "STATUS": 0x044, "EVENTS": 0x048, "INTERRUPT_ENABLE": 0x04C,
    "TOKENS": 0x080, "HEAD_DIM": 0x084, "HEADS": 0x088, "SHIFT_G": 0x08C, "SHIFT_Z": 0x090, "C_V_0": 0x094,
    "C_V_1": 0x098, "C_D_0": 0x09C, "C_D_1": 0x0A0, "C_D_2": 0x0A4, "TIMEOUT": 0x0A8,
    "CYCLES": 0x0C0, "ARRAY_BUSY": 0x0C4, "STALL_INPUT": 0x0C8, "STALL_OUTPUT": 0x0CC, "HEADS_DONE": 0x0D0,
    "COUNT_INPUT_TIMEOUT": 0x100, "COUNT_DENOMINATOR": 0x104, "COUNT_BAD_VALUE": 0x108,
    "COUNT_START_WHILE_BUSY": 0x10C, "COUNT_TLAST_EARLY_Q": 0x110, "COUNT_TLAST_EARLY_K": 0x114,
    "COUNT_TLAST_EARLY_V": 0x118, "COUNT_TLAST_LATE_Q": 0x11C, "COUNT_TLAST_LATE_K": 0x120,
    "COUNT_TLAST_LATE_V": 0x124,
}  # fmt: skip

WIDEST = AcceleratorConfig(name="widest", rows=256, columns=256, data_width=16, mean_fraction=8, constant_fraction=16,
                           max_tokens=65535, max_head_dim=4096, max_heads=65535)  # fmt: skip


OF_KERNEL = ("SHIFT_G", "SHIFT_Z", "C_V_0", "C_V_1", "C_D_0", "C_D_1", "C_D_2")

OFFSETS_OF_KERNEL = {
    "taylor": {name: OFFSETS[name] for name in OF_KERNEL},
    "softmax": {"SHIFT_S": 0x08C, "SHIFT_Z": 0x090, "EXPONENTIALS": 0x094},
}


@pytest.mark.parametrize("name", preset_names("attention"))
def test_offsets(name):
    registers = register_map(load_preset(name))
    others = {name: offset for name, offset in OFFSETS.items() if name not in OF_KERNEL}
    expected = others | OFFSETS_OF_KERNEL[load_preset(name).kernel]
    assert {register.name: register.offset for register in registers} == expected


@pytest.mark.parametrize(
    "config", [WIDEST, *map(load_preset, preset_names("attention"))], ids=lambda config: config.name
)
def test_fields_fit_and_do_not_overlap(config):
    for register in register_map(config):
        used = 0
        for field in register.fields:
            assert field.high < 32
            assert not used & field.mask
            used |= field.mask
            smallest = -(1 << (field.width - 1)) if field.signed else 0
            assert smallest <= field.reset < 1 << field.width
            if field.minimum is not None:
                assert field.minimum <= field.reset <= field.maximum


def test_every_error_is_counted():
    registers = register_map(WIDEST)
    counted = {register.name for register in registers if register.access is Access.WRITE_TO_CLEAR}
    assert counted == {f"COUNT_{name}" for name in EVENTS if name != "DONE"}


def test_version_is_the_packages():
    from taylorvit.rtl import __version__

    fields = register_map(WIDEST)["VERSION"].fields
    assert ".".join(str(field.reset) for field in reversed(fields)) == __version__


def test_constants_of_a_job():
    assert job_constants(register_map(WIDEST)) == ("SHIFT_G", "SHIFT_Z", "C_V", "C_D")
    softmax = register_map(load_preset("edge-16x16-softmax"))
    assert job_constants(softmax) == ("SHIFT_S", "SHIFT_Z", "EXPONENTIALS")


def test_writes_of_a_table():
    registers = register_map(load_preset("edge-16x16-softmax"))
    assert registers.tables == ["EXPONENTIALS"] and register_map(WIDEST).tables == []
    assert registers.table_words("EXPONENTIALS", [2047, 0, 3]) == [2047, 0x0001_0000, 0x0002_0003]
    assert registers.writes({"EXPONENTIALS": (1, 2), "SHIFT_S": 4}) == [(0x094, 1), (0x094, 0x0001_0002), (0x08C, 4)]
    with pytest.raises(TypeError, match=r"^EXPONENTIALS must be integers, not 1.0$"):
        registers.table_words("EXPONENTIALS", [1.0])
    for value in (-1, 1 << 16):
        with pytest.raises(ValueError, match=rf"^EXPONENTIALS must fit 16 bits, not {value}$"):
            registers.writes({"EXPONENTIALS": [value]})


def test_writes_of_a_driver():
    registers = register_map(WIDEST)
    assert registers.writes({"TOKENS": 197, "SHIFT_Z": -3, "C_D": 0x123_89ABCDEF_01234567}) == [
        (0x080, 197),
        (0x090, 0xFFFFFFFD),
        (0x09C, 0x01234567),
        (0x0A0, 0x89ABCDEF),
        (0x0A4, 0x123),
    ]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"TOKENS": 0}, "TOKENS must be in 1..65535 in register TOKENS, not 0"),
        ({"SHIFT_Z": 32}, "SHIFT_Z must be in -8..31 in register SHIFT_Z, not 32"),
        ({"C_V": 1 << 48}, "C_V must be in 0..65535 in register C_V_1, not 65536"),
        ({"C_V": 1 << 64}, "C_V must fit 64 bits, not 18446744073709551616"),
    ],
)
def test_writes_out_of_range(values, text):
    with pytest.raises(ValueError, match=f"^{text}$"):
        register_map(WIDEST).writes(values)


@pytest.mark.parametrize("value", [1.5, "1", True, None])
def test_writes_of_what_is_no_integer(value):
    with pytest.raises(TypeError, match=f"^TOKENS must be an integer, not {value!r}$"):
        register_map(WIDEST).writes({"TOKENS": value})


def test_unknown_names():
    registers = register_map(WIDEST)
    with pytest.raises(KeyError, match="register must be one of ID, VERSION, .*, not 'TOKEN'"):
        registers["TOKEN"]
    with pytest.raises(KeyError, match="field of register CONTROL must be one of START, SOFT_RESET, not 'STOP'"):
        registers["CONTROL"]["STOP"]


def test_events_of_a_word():
    assert events_in(0) == frozenset()
    assert events_in(0b101) == {"DONE", "DENOMINATOR"}
    assert events_in(ALL_EVENTS) == EVENTS.keys()
