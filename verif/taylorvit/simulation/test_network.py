"""The C++ bench of a network accelerator, at a stand-in: every byte arrives, at the pace of the memory."""

import subprocess
from dataclasses import replace

import numpy as np
import pytest

from taylorvit.boundary.errors import CommandError
from taylorvit.gen.presets import load_preset
from taylorvit.simulation import build
from taylorvit.simulation.network import (
    MAIN,
    NetworkJob,
    NetworkSimulation,
    TapeMemory,
    simulate_network,
)

from .fake_network import verilog

BURST = 16
CONFIG = replace(load_preset("vit-tiny-4x4"), image_lanes=4, tape_width=16)
RANDOM = np.random.default_rng(5)
TAPE = RANDOM.integers(0, 256, 16 * BURST * 2, dtype=np.uint8)
BEATS = RANDOM.integers(0, 256, (3, 10, 4), dtype=np.uint8)
CLASSES = 5
EXPECTED = int(TAPE.sum()) + BEATS.sum((1, 2), dtype=np.int64)[:, None] + np.arange(CLASSES)


def simulation(config=CONFIG, wrong=("", "")):
    text = verilog(config.tape_width, burst=BURST, stream=config.tape_source == "stream").replace(*wrong)
    return NetworkSimulation(build(text, "taylorvit", simulator="verilator", waves=False, main=MAIN), config)


def job(**changes):
    fields = {"tape": TAPE.tobytes(), "beats": BEATS, "patches": 10, "patch_pixels": 4, "classes": CLASSES}
    return NetworkJob(**fields | changes)


@pytest.fixture(scope="module")
def fake():
    return simulation()


@pytest.mark.parametrize(("rate", "latency"), [(None, 20), (1, 20), (1.4, 1), (0.3, 7)])
def test_tape_comes_at_the_pace_of_the_memory(fake, rate, latency):
    done = []
    memory = TapeMemory(bytes_per_cycle=rate, latency=latency)
    run = simulate_network(fake, job(memory=memory), on_image=done.append)
    assert (run.logits == EXPECTED).all() and done == [1, 2, 3]
    assert run.events == {"DONE"} and run.jobs[0]["ARRAY_BUSY"] == 0
    beats, bursts = len(TAPE) // 2, len(TAPE) // 2 // BURST
    spacing = max(2 / (rate or 2), 1)
    # Bursts do not overlap here. A beat moves `latency` cycles after its address; the next address a cycle after it.
    expected = bursts * (latency + (BURST - 1) * spacing + (1 if spacing == 1 else 0))
    assert run.jobs[0]["CYCLES"] / 3 == pytest.approx(expected, abs=2 * bursts)
    assert run.jobs[0]["CYCLES"] / 3 >= (beats - bursts) * spacing
    assert run.image_cycles[1] == pytest.approx(run.image_cycles[2], rel=0.01)


def test_pauses_change_nothing_but_time(fake):
    runs = [simulate_network(fake, job(pauses=100, seed=seed)) for seed in (1, 2)]
    for run in runs:
        assert (run.logits == EXPECTED).all() and run.jobs[0]["ARRAY_BUSY"] == 0
    assert runs[0].image_cycles != runs[1].image_cycles


@pytest.mark.parametrize("changes", [{"tape_width": 128, "columns": 16, "rows": 16, "tape_queue_rows": 64},
                                     {"tape_source": "stream"}])  # fmt: skip
def test_other_ports(changes):
    run = simulate_network(simulation(replace(CONFIG, **changes)), job(memory=TapeMemory(bytes_per_cycle=1)))
    assert (run.logits == EXPECTED).all()
    assert run.image_cycles[1] >= len(TAPE)


def test_more_images_than_a_job_can_have(fake, monkeypatch):
    from taylorvit.rtl.network.control import registers

    monkeypatch.setattr(registers, "IMAGES_WIDTH", 1)
    run = simulate_network(fake, job())
    assert (run.logits == EXPECTED).all() and len(run.jobs) == 3


def test_address_beyond_the_tape_is_an_error_of_the_memory():
    beyond = simulation(wrong=("m_axi_tape_araddr = asked", "m_axi_tape_araddr = asked + 2"))
    run = simulate_network(beyond, job(beats=BEATS[:1]))
    assert run.jobs[0]["ARRAY_BUSY"] == 1


def test_simulation_that_does_not_end(fake, monkeypatch):
    monkeypatch.setattr("taylorvit.simulation.network._Host._limit", lambda _self: 100)
    with pytest.raises(CommandError, match="^simulation of vit-tiny-4x4 must end within 300 cycles, and did not: 0 im"):
        simulate_network(fake, job())


def test_simulation_that_breaks_off(fake, monkeypatch):
    monkeypatch.setattr("taylorvit.simulation.network._Host._limit", lambda _self: "x")
    monkeypatch.setattr("taylorvit.simulation.network.START", "1\nnonsense\n")
    with pytest.raises(CommandError, match="ended with exit status 2: command must be write, read, fill or run"):
        simulate_network(fake, job())


def test_packet_of_another_length():
    longer = simulation(wrong=("sent + 1 == classes", "sent == classes"))
    with pytest.raises(CommandError, match="^logits of an image must be 5, not 6"):
        simulate_network(longer, job())


def test_simulation_ends_with_its_starter(fake, tmp_path):
    """Standard input ends while a job runs that would take much longer."""
    (tmp_path / "tape").write_bytes(TAPE.tobytes())
    (tmp_path / "images").write_bytes(b"")
    values = {"tape": tmp_path / "tape", "tape_bytes": 2, "bytes_per_cycle": 1, "latency": 1, "image_beats": 1,
              "images": tmp_path / "images", "image_bytes": 4, "logits": tmp_path / "logits"}  # fmt: skip
    command = [fake.build.directory / "simulation", *(f"{name}={value}" for name, value in values.items())]
    result = subprocess.run(command, input=b"run 1000000000000 0\n", capture_output=True, timeout=600)
    assert (result.returncode, result.stdout) == (1, b"")
