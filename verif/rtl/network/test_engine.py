"""The engine against the integer model: random networks, one after another, through one simulation."""

from __future__ import annotations

import cocotb
import numpy as np
import pytest

from taylorvit.gen.verilog import emit
from taylorvit.rtl.network.engine import NetworkEngine
from taylorvit.simulation import build, expect_equal, parameters, record, run, start
from verif.rtl.harness import idle_inputs
from verif.taylorvit.compiler.networks import compiled, patches_of, small_config

from .engine_bench import EngineBench

SEEDS = range(4)


#: Array, and fields of the accelerator. Every other model is extreme; a mixed one has any kernel in each layer.
ACCELERATORS = {
    "taylor 4x4": ((4, 4), {}),
    "taylor 8x4": ((8, 4), {"mlp_tokens": 3}),
    "taylor 5x3": ((5, 3), {"mlp_tokens": 4}),
    "taylor 16x8": ((16, 8), {}),
    "softmax 5x3": ((5, 3), {"kernel": "softmax", "query_block": 4, "exponential_entries": 64}),
    "mixed 4x4": ((4, 4), {"kernel": "taylor+softmax", "query_block": 7}),
    "mixed 8x4": ((8, 4), {"kernel": "taylor+softmax", "mlp_tokens": 3, "exponential_entries": 256}),
    "mixed 16x8": ((16, 8), {"kernel": "taylor+softmax", "query_block": 2, "memory_pipeline": 1}),
}


@cocotb.test()
async def networks_give_the_logits_of_the_integer_model(dut):
    values = parameters()
    config = small_config(*values["array"], **values["fields"])
    await start(dut, **idle_inputs(NetworkEngine(config)))
    bench = EngineBench(dut, config)
    for seed in values["seeds"]:
        network = compiled(seed, *values["array"], **values["fields"], extreme=seed % 2 == 1)
        shape = network.vit.shape
        size = (1, shape.channels, shape.image_size, shape.image_size)
        pixels = np.random.default_rng(seed).integers(0, 256, size)
        limit = 4 * len(network.tape) + 4_000
        outcome = await bench.run(network.tape, patches_of(network.vit, pixels[0]), limit=limit)
        record(
            f"outcome {seed}",
            {"shape": str(shape), "cycles": outcome.cycles, "kinds": outcome.kinds, "stalls": outcome.stalls},
        )
        expect_equal(
            f"logits of network {seed}, {shape}, {network.vit.kernels}",
            outcome.logits[: shape.classes],
            network.vit(pixels)[0].tolist(),
        )


@pytest.mark.parametrize("name", ACCELERATORS)
def test_networks(name):
    array, fields = ACCELERATORS[name]
    engine = NetworkEngine(small_config(*array, **fields))
    parameters = {"array": list(array), "fields": fields, "seeds": list(SEEDS)}
    run(build(emit(engine), engine.module_name), __name__, parameters=parameters)
