"""Commands of a tape as numbers by name, and as bytes.

`rtl.network.command` says where each field is; here a command is written and read by it.
"""

from collections.abc import Mapping

from taylorvit.rtl.network.command import (
    COMMAND_BYTES,
    CONSTANTS_FIELDS,
    FIELDS,
    KERNEL_CONSTANTS,
    KERNELS,
    Field,
    Opcode,
    check_sum,
)

__all__ = ["decode_command", "encode", "encode_command", "fields_of"]

#: Fields of two's complement; all others have no sign.
_SIGNED = ("shift_z",)


def fields_of(opcode: int, kernel: int = 0) -> dict[str, Field]:
    """The fields of a command.

    Args:
        opcode (int): of the command, an `Opcode`.
        kernel (int): of CONSTANTS, number of the attention kernel, which has constants of its own.

    Raises:
        ValueError: there is no such command, or no such kernel.
    """
    match opcode:
        case Opcode.PRODUCT:
            return FIELDS
        case Opcode.CONSTANTS:
            if kernel >= len(KERNELS):
                raise ValueError(f"kernel must be one of {', '.join(map(str, range(len(KERNELS))))}, not {kernel!r}")
            return CONSTANTS_FIELDS | KERNEL_CONSTANTS[KERNELS[kernel]]
        case Opcode.END:
            return {name: FIELDS[name] for name in ("opcode", "kind", "check")}
    raise ValueError(f"opcode must be one of {', '.join(map(str, map(int, Opcode)))}, not {opcode!r}")


def encode(fields: Mapping[str, Field], values: Mapping[str, int], size: int) -> bytes:
    """Writes numbers into their places; everything else is zero.

    Args:
        fields (Mapping[str, Field]): the places.
        values (Mapping[str, int]): the numbers.
        size (int): bytes of the whole.

    Raises:
        ValueError: a field is unknown, or a number does not fit its field.
    """
    content = bytearray(size)
    for name, value in values.items():
        if name not in fields:
            raise ValueError(f"field must be one of {', '.join(fields)}, not {name!r}")
        field, signed = fields[name], name in _SIGNED
        try:
            content[field.place : field.place + field.bytes] = int(value).to_bytes(field.bytes, "little", signed=signed)
        except OverflowError:
            kind = "signed" if signed else "without a sign"
            raise ValueError(f"{name} must fit {field.bytes} bytes {kind}, not {value!r}") from None
    return bytes(content)


def encode_command(values: Mapping[str, int]) -> bytes:
    """A command with its check sum.

    Args:
        values (Mapping[str, int]): its fields; those that are left out are zero.

    Raises:
        ValueError: a field is unknown, or a number does not fit its field.
    """
    fields = fields_of(values["opcode"], values.get("kernel", 0))
    command = encode(fields, values, COMMAND_BYTES)
    return encode(fields, {**values, "check": check_sum(command)}, COMMAND_BYTES)


def decode_command(command: bytes) -> dict[str, int]:
    """The fields of a command.

    Args:
        command (bytes): of `COMMAND_BYTES`.

    Raises:
        ValueError: its check sum is wrong, or there is no such command or kernel.
    """
    check = FIELDS["check"]
    if int.from_bytes(command[check.place : check.place + check.bytes], "little") != check_sum(command):
        raise ValueError(f"check of a command must be {check_sum(command):#06x} for its other bytes, and is not")
    return {
        name: int.from_bytes(command[field.place : field.place + field.bytes], "little", signed=name in _SIGNED)
        for name, field in fields_of(command[FIELDS["opcode"].place], command[CONSTANTS_FIELDS["kernel"].place]).items()
    }
