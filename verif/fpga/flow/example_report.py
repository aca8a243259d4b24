"""A report of a build, for tests of what shows and compares reports."""

from taylorvit.fpga.families import RESOURCES
from taylorvit.fpga.flow.placement import BLOCKS
from taylorvit.gen.presets import load_preset

__all__ = ["example_report"]


def example_report(**changes):
    """A report as `fpga.flow.report.make_report` gives it; `changes` replace entries, `config` by its fields."""
    config = changes.pop("config", load_preset("edge-16x8"))
    blocks = {name: dict.fromkeys(RESOURCES, 0) | {"lut": 1000, "ff": 900} for name in BLOCKS}
    blocks["systolic array"]["dsp"] = 144
    report = {
        "board": "ulx3s-85f",
        "title": "Radiona ULX3S, 85F",
        "device": "LFE5U-85F",
        "config": config.to_mapping(),
        "build_id": "0x00000000",
        "seed": 1,
        "core_clock_mhz": 110.0,
        "timing_met": True,
        "resources": {
            "lut": {"used": 1000 * len(BLOCKS), "available": 83640},
            "ff": {"used": 900 * len(BLOCKS), "available": 83640},
            "dsp": {"used": 144, "available": 156},
            "block_ram": {"used": 0, "available": 0},
        },
        "clocks": {"core": {"fmax_mhz": 112.0, "constraint_mhz": 110.0}},
        "critical_path": {
            "clock": "core",
            "delay_ns": 8.9,
            "source": "accelerator.column_3",
            "sink": "accelerator.column_4",
            "hops": [
                {"instance": "accelerator.column_3", "logic_ns": 3.1, "routing_ns": 1.0},
                {"instance": "accelerator.column_4", "logic_ns": 2.0, "routing_ns": 2.8},
            ],
        },
        "blocks": blocks,
        "modules": {"": {"instances": 1} | dict.fromkeys(RESOURCES, 0)},
        "seconds": {"emit": 0.1, "synthesize": 50.0, "place_and_route": 300.0},
        "tools": {"yosys": "0.70"},
        "notes": ["An example."],
    }
    return report | changes
