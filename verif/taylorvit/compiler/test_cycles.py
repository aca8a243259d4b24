"""The cycles of a network are those that the hardware counts."""

from functools import cache

import numpy as np
import pytest

from taylorvit.compiler import CompiledNetwork, ImageCycles, Memory, compile_network, cycles_of
from taylorvit.gen.presets import load_preset
from taylorvit.golden.network.vit import SHAPES
from taylorvit.jobs.patches import image_beats
from taylorvit.rtl.network.config import NetworkConfig
from taylorvit.simulation.network import NetworkJob, NetworkRun, TapeMemory, build_network, simulate_network
from verif.golden.network.random_models import random_pixels

from .networks import network, small_config

CONFIGURATIONS = {
    "one word a row": small_config(4, 4, tape_width=32),
    "a byte a word": small_config(6, 5, tape_width=8, memory_pipeline=1, norm_interval=3, tape_queue_rows=16),
    "slow divisions": small_config(8, 4, tape_width=16, memory_pipeline=2, pe_pipeline=3, divider_interval=9,
                                   image_lanes=4, tape_queue_rows=32),
    "blocks of three tokens": small_config(4, 4, tape_width=32, mlp_tokens=3, tape_queue_rows=256),
    "a token a block": small_config(5, 3, tape_width=24, tape_source="stream", mlp_tokens=1, norm_interval=5),
    "wide": small_config(16, 8, tape_width=64, memory_pipeline=1, pe_pipeline=2, norm_interval=2, divider_interval=1),
    "one lane": small_config(6, 4, tape_width=32, memory_pipeline=1, norm_interval=80, norm_lanes=1),
    "image among activations": small_config(6, 4, tape_width=32, image_lanes=2, memory_pipeline=1,
                                            image_banks="activations"),
    "no queue of commands": small_config(5, 4, tape_width=16, memory_pipeline=1, command_queue=0, tape_queue_rows=16,
                                         kernel="taylor+softmax", query_block=4, exponential_entries=32),
    "four columns a lane": small_config(16, 8, tape_width=64, norm_lanes=2),
    "softmax": small_config(4, 4, tape_width=32, kernel="softmax", exponential_entries=64),
    "blocks of five queries": small_config(6, 5, tape_width=8, memory_pipeline=1, norm_interval=3, tape_queue_rows=16,
                                           kernel="softmax", query_block=5, exponential_entries=16),
    "both kernels": small_config(4, 4, tape_width=32, kernel="taylor+softmax", query_block=6, exponential_entries=64),
    "both kernels, slow divisions": small_config(8, 4, tape_width=16, memory_pipeline=2, pe_pipeline=3,
                                                 divider_interval=9, image_lanes=4, tape_queue_rows=32,
                                                 kernel="taylor+softmax", query_block=3, exponential_entries=128),
}  # fmt: skip
NETWORKS = 52  # of each of them


simulation_of = cache(build_network)  # Verilog is written once, not for each network


def simulated(made: CompiledNetwork, pixels: np.ndarray, memory: TapeMemory | None = None) -> NetworkRun:
    config, shape = made.config, made.vit.shape
    job = NetworkJob(
        tape=made.tape, beats=image_beats(pixels, shape, config.image_lanes), patches=made.patches,
        patch_pixels=made.patch_pixels, classes=shape.classes, memory=memory or TapeMemory(),
    )  # fmt: skip
    run = simulate_network(simulation_of(config), job)
    np.testing.assert_array_equal(run.logits, made.vit(pixels))
    return run


def counted(image: ImageCycles) -> dict[str, int]:
    """The counters of the hardware for one image, by its own names."""
    waits = {name: sum(getattr(step, name) for step in image.steps) for name in ("tape", "image", "data")}
    return {
        "CYCLES": image.cycles, "ARRAY_BUSY": image.busy, "STALL_OUTPUT": 0,
        **{f"STALL_{name.upper()}": count for name, count in waits.items()},
        **{f"CYCLES_{kind.name}": count for kind, count in image.kinds.items()},
    }  # fmt: skip


def compare(config: NetworkConfig, seed: int) -> None:
    """Counters of an image behind another one: what a job of two images counts beyond one of the first alone."""
    vit = network(seed, config, extreme=seed % 2 == 1)
    made, pixels = compile_network(vit, config), random_pixels(vit.shape, seed, images=2)
    one, two = (simulated(made, pixels[:images]).jobs[0] for images in (1, 2))
    expected = counted(cycles_of(vit.shape, config, images=2, kernels=vit.kernels))
    found = {name: two[name] - one[name] for name in expected}
    assert found == expected, f"seed {seed}, {vit.shape}"
    assert two["IMAGE_CYCLES"] == expected["CYCLES"]


@pytest.mark.slow
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_counters(name):
    for seed in range(NETWORKS):
        compare(CONFIGURATIONS[name], seed)


@pytest.mark.slow
def test_memories_of_any_bandwidth_and_latency():
    memories = [(3, 20), (2, 20), (1, 1), (0.7, 20), (0.3, 50), (None, 300), (None, 2000), (2, 600)]
    for seed, (bandwidth, latency) in enumerate(memories):
        config = CONFIGURATIONS["both kernels" if seed % 2 else "one word a row"]
        vit = network(seed, config)
        made, pixels = compile_network(vit, config), random_pixels(vit.shape, seed, images=3)
        run = simulated(made, pixels, TapeMemory(bytes_per_cycle=bandwidth, latency=latency))
        expected = cycles_of(vit.shape, config, Memory(bandwidth, latency), kernels=vit.kernels).cycles
        assert expected == pytest.approx(run.image_cycles[-1], rel=0.001), f"{bandwidth=}, {latency=}"


def test_products_and_words_are_counted():
    config = CONFIGURATIONS["wide"]
    made = compile_network(network(3, config), config)
    image = made.cycles
    assert image.tape_bytes == len(made.tape)
    assert image.busy == sum(step.step["length"] * step.step["input_tiles"] * step.step["output_tiles"]
                             for step in image.steps)  # fmt: skip
    assert image.cycles == sum(step.cycles for step in image.steps) == sum(image.kinds.values())
    assert 0 < image.utilization(config) < 1
    assert image.done[-1] - image.done[-2] == image.cycles


def test_less_memory_never_is_faster():
    config, shape = load_preset("vit-tiny-4x4"), SHAPES["vit_8"]
    cycles = [cycles_of(shape, config, Memory(rate, 20)).cycles for rate in (None, 4, 2, 1, 0.5)]
    assert cycles == sorted(cycles) and cycles[-1] >= 51_204 / 0.5
    assert cycles_of(shape, config, Memory(None, 5000)).cycles > cycles[0] == cycles_of(shape, config).cycles


def test_the_figures_to_reach():
    assert cycles_of(SHAPES["deit_tiny"], load_preset("vit-64x64"), Memory(32, 20)).cycles <= 307_000
    assert cycles_of(SHAPES["vit_28"], load_preset("vit-16x16")).cycles <= 50_000


@pytest.mark.slow
def test_the_figures_to_reach_with_softmax():
    """Nothing waits for scores or exponentials: it costs what its work is."""
    shape, config = SHAPES["deit_tiny"], load_preset("vit-16x16-mixed")
    image = cycles_of(shape, config, Memory(2, 20), images=2, kernels=["softmax"] * shape.depth)
    assert image.cycles <= 4_900_000
    attention = [step for step in image.steps if step.step.name.split(".")[-1].startswith(("s[", "ev["))]
    assert len(attention) == 2 * 3 * (11 * 4 + 1)  # four blocks of queries, but in the last layer
    assert sum(step.data for step in attention) == 0
    assert sum(step.cycles for step in attention) <= 1.01 * sum(step.busy for step in attention)


@pytest.mark.slow
def test_the_figures_to_reach_of_smaller_arrays():
    assert cycles_of(SHAPES["deit_tiny"], load_preset("vit-16x16"), Memory(2, 20), images=2).cycles <= 4_520_000
    assert cycles_of(SHAPES["deit_tiny"], load_preset("vit-16x8"), Memory(1, 20), images=2).cycles <= 9_030_000


def test_memories_that_there_are_not():
    for rate in (0, -1, float("nan")):
        with pytest.raises(ValueError, match="^bytes_per_cycle must be positive, not"):
            Memory(rate)
    with pytest.raises(ValueError, match="^latency must be at least 0, not -1$"):
        Memory(None, -1)
