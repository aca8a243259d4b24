"""Block RAM for bytes: what it says of itself, and what it refuses. How it is waited for is tested with the buffers."""

from __future__ import annotations

import pytest

from taylorvit.fpga.link.byte_memory import byte_memory, require_power_of_two


def test_a_memory_of_the_link_is_a_module_of_its_own():
    memory = byte_memory(512)
    assert (memory.depth, memory.width, memory.latency) == (512, 8, 2)
    assert memory.module_name == "memory_link_512x8"


@pytest.mark.parametrize("depth", [2, 4, 2048])
def test_powers_of_two_are_accepted(depth):
    require_power_of_two("depth", depth)


@pytest.mark.parametrize("depth", [0, 1, 3, -4, 100, 2.0, "8", None])
def test_anything_else_is_refused(depth):
    with pytest.raises(ValueError) as raised:
        require_power_of_two("depth", depth)
    assert str(raised.value) == f"depth must be a power of two, 2 or more, not {depth!r}"
