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


@cocotb.test()
async def networks_give_the_logits_of_the_integer_model(dut):
    values = parameters()
    sizes = {"mlp_tokens": values["mlp_tokens"]}
    config = small_config(*values["array"], **sizes)
    await start(dut, **idle_inputs(NetworkEngine(config)))
    bench = EngineBench(dut, config)
    for seed in values["seeds"]:
        network = compiled(seed, *values["array"], **sizes, extreme=seed % 2 == 1)
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
            f"logits of network {seed}, {shape}", outcome.logits[: shape.classes], network.vit(pixels)[0].tolist()
        )


@pytest.mark.parametrize("array, mlp_tokens", [((4, 4), 0), ((8, 4), 3), ((5, 3), 4), ((16, 8), 0)])
def test_networks(array, mlp_tokens):
    engine = NetworkEngine(small_config(*array, mlp_tokens=mlp_tokens))
    parameters = {"array": list(array), "mlp_tokens": mlp_tokens, "seeds": list(SEEDS)}
    run(build(emit(engine), engine.module_name), __name__, parameters=parameters)
