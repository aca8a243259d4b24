"""Commands as numbers and as bytes."""

import pytest

from taylorvit.compiler.commands import decode_command, encode_command
from taylorvit.rtl.network.command import COMMAND_BYTES, Opcode


def test_bytes_are_where_the_table_says():
    command = encode_command({"opcode": Opcode.PRODUCT, "wait": 3, "source_base": 0x01020304, "length": 0x0506})
    assert len(command) == COMMAND_BYTES
    assert (
        command[:4] == bytes([1, 0, 3, 0]) and command[8:10] == bytes([6, 5]) and command[16:20] == bytes([4, 3, 2, 1])
    )
    words = [int.from_bytes(command[place : place + 2], "little") for place in range(0, COMMAND_BYTES, 2)]
    assert sum(words) & 0xFFFF == 0xFFFF


def test_constants_of_the_kernel():
    command = encode_command({"opcode": Opcode.CONSTANTS, "tokens": 197, "shift_z": -3, "c_v": 0x0102, "c_d": 1 << 70})
    assert command[16:18] == bytes([197, 0]) and command[25] == 0xFD and command[32:34] == bytes([2, 1])
    assert command[40:56] == (1 << 70).to_bytes(16, "little")
    assert decode_command(command)["shift_z"] == -3


def test_constants_of_softmax():
    values = {"opcode": Opcode.CONSTANTS, "kernel": 1, "tokens": 197, "shift_s": 9, "shift_z": -3, "key_stride": 0x0102}
    command = encode_command(values)
    assert command[22:28] == bytes([1, 0, 9, 0xFD, 2, 1])
    decoded = decode_command(command)
    assert {name: decoded[name] for name in values} == values and "c_v" not in decoded
    with pytest.raises(ValueError, match="^field must be one of .*, not 'shift_g'$"):
        encode_command({**values, "shift_g": 1})
    with pytest.raises(ValueError, match="^kernel must be one of 0, 1, not 2$"):
        encode_command({**values, "kernel": 2})


def test_all_fields_come_back():
    values = {"opcode": Opcode.PRODUCT, "kind": 2, "epsilon": (1 << 47) - 1, "payload": 1 << 31, "norm_shift": 63}
    decoded = decode_command(encode_command(values))
    assert {name: decoded.pop(name) for name in values} == values
    decoded.pop("check")
    assert set(decoded.values()) == {0}


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="^wait must fit 1 bytes without a sign, not 256$"):
        encode_command({"opcode": Opcode.PRODUCT, "wait": 256})
    with pytest.raises(ValueError, match="^shift_z must fit 1 bytes signed, not 128$"):
        encode_command({"opcode": Opcode.CONSTANTS, "shift_z": 128})
    with pytest.raises(ValueError, match="^field must be one of opcode, kind, check, not 'length'$"):
        encode_command({"opcode": Opcode.END, "length": 1})
    with pytest.raises(ValueError, match="^opcode must be one of 1, 2, 15, not 3$"):
        encode_command({"opcode": 3})
    command = bytearray(encode_command({"opcode": Opcode.END}))
    command[20] = 1
    with pytest.raises(ValueError, match="^check of a command must be 0x"):
        decode_command(bytes(command))
