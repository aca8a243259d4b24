"""The registers of a board's memory, described once: what it is, whether it is ready, and its test.

They lie in the upper half of the accelerator's register bus, and are there only on a board whose accelerator has its
tape in such a memory. Elsewhere a read there is an error, as of any offset that is no register.
"""

from taylorvit.rtl.control.description import Access, Field, Register, RegisterMap, constant, counter

__all__ = ["MEMORY_ID", "memory_register_map"]

#: "TVMC" in ASCII.
MEMORY_ID = int.from_bytes(b"TVMC", "big")

_BASE = 0x800


def memory_register_map(memory_bytes):
    """The registers of a board's memory.

    Args:
        memory_bytes (int): its size.

    Returns:
        RegisterMap: the registers.
    """
    return RegisterMap(
        (
            constant("MEMORY_ID", _BASE, "identification", ("MEMORY_ID", 0, 32, MEMORY_ID, "'TVMC' in ASCII")),
            constant("MEMORY_BYTES", _BASE + 0x04, "size of the memory",
                ("MEMORY_BYTES", 0, 32, memory_bytes, "bytes; addresses beyond begin at its start again")),
            Register(name="MEMORY_STATUS", offset=_BASE + 0x08, access=Access.READ_ONLY, description="status", fields=(
                Field(name="INITIALIZED", low=0, width=1, description="reads and writes are carried out"),
                Field(name="TESTING", low=1, width=1, description="a test runs; reads and writes wait"),
                Field(name="TEST_FAILED", low=2, width=1, description="a test has found an error since the last reset"),
            )),
            Register(name="MEMORY_CONTROL", offset=_BASE + 0x0C, access=Access.PULSE, description="control", fields=(
                Field(name="TEST", low=0, width=1,
                      description="write a pattern over all of the memory, whose contents are lost, and read it back. "
                                  "Refused while a test runs"),
            )),
            counter("TEST_ERRORS", _BASE + 0x10, Access.READ_ONLY, 32, "beats that the last test found bad"),
            counter("TEST_ADDRESS", _BASE + 0x14, Access.READ_ONLY, 32, "address of the first bad byte, to a beat"),
        )
    )  # fmt: skip
