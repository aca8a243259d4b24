"""Reciprocal root in series against the golden model's square root, as often as it may be started."""

from __future__ import annotations

import cocotb
import pytest

from taylorvit.gen.verilog import emit
from taylorvit.rtl.network.config import ConfigError, NetworkConfig
from taylorvit.rtl.network.serial_cycles import serial_root_cycles
from taylorvit.rtl.network.serial_root import SerialRoot
from taylorvit.simulation import build, run
from verif.rtl.harness import SideBySide, on_every_block

from .products import CONFIGS
from .test_reciprocal_root import VALUES, roots_of

WIDTHS = (30, 35, 48, 71)


def blocks():
    return {f"width_{width}": SerialRoot(variance_width=width) for width in WIDTHS}


@cocotb.test()
async def roots_equal_golden(dut):
    """Every root comes when it must, and is the golden model's."""

    async def roots(view, name, seed):
        block = blocks()[name]
        await roots_of(view, block, block.latency, seed)

    await on_every_block(dut, blocks(), roots)


def test_serial_root():
    block = SideBySide(blocks())
    result = run(build(emit(block), block.module_name), __name__)
    assert result.compared > len(WIDTHS) * VALUES // 2


def test_a_configuration_gives_it_time():
    fields = CONFIGS["array_4x4"].to_mapping()
    config = NetworkConfig(**fields | {"norm_interval": 128})
    least = serial_root_cycles(config.variance_width)
    assert not CONFIGS["array_4x4"].has_serial_root and config.has_serial_root
    assert NetworkConfig(**fields | {"norm_interval": least}).has_serial_root
    with pytest.raises(ConfigError, match=f"norm_interval must be at most 16, or at least {least} for a variance of"):
        NetworkConfig(**fields | {"norm_interval": least - 1})
