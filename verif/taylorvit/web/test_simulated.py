"""The simulated accelerator as a classifier, at a stand-in for the Verilog."""

import numpy as np
import pytest

from taylorvit.boundary import programs
from taylorvit.boundary.errors import CommandError
from taylorvit.web import simulated
from taylorvit.web.simulated import SimulatedClassifier
from verif.taylorvit.jobs.networks import IMAGES, MODEL, right_run
from verif.taylorvit.simulation.test_network import CONFIG, TAPE, simulation


@pytest.fixture
def classifier(monkeypatch):
    monkeypatch.setattr(simulated, "build_network", lambda config: simulation(config))
    return SimulatedClassifier(MODEL._replace(config=CONFIG, tape=TAPE.tobytes()), clock_mhz=20)


def test_image_goes_in_and_logits_come_out(classifier):
    assert (classifier.place, classifier.clock_mhz) == ("simulated Verilog of vit-tiny-4x4", 20)
    for pixels in IMAGES.pixels:
        found = classifier.classify(pixels)
        assert (found.logits == int(TAPE.sum()) + pixels.sum(dtype=np.int64) + np.arange(3)).all()
        assert 256 < found.cycles < 10_000


def test_job_that_ends_with_an_error(classifier, monkeypatch):
    run = right_run(logits=np.zeros((0, 3), dtype=np.int64), events=frozenset({"DONE", "TAPE_CRC", "DENOMINATOR"}))
    monkeypatch.setattr(simulated, "simulate_network", lambda *_arguments: run)
    text = "^logits of the image did not come: the job ended with the events TAPE_CRC$"
    with pytest.raises(CommandError, match=text):
        classifier.classify(IMAGES.pixels[0])


def test_closing_ends_what_runs(classifier):
    with programs.started(["sleep", "60"]) as process:
        classifier.close()
        assert process.wait(300) != 0
