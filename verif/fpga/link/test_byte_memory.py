"""Block RAM for bytes: what it says of itself. Its reading side is tested with the buffers."""

from __future__ import annotations

from taylorvit.fpga.link.byte_memory import byte_memory


def test_a_memory_of_the_link_is_a_module_of_its_own():
    memory = byte_memory(512)
    assert (memory.depth, memory.width, memory.latency) == (512, 8, 2)
    assert memory.module_name == "memory_link_512x8"
