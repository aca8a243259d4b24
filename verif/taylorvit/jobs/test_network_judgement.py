"""The verdict on a network accelerator: what is printed of cycles and classes, and what is found to be wrong."""

import json
from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from taylorvit.jobs.network_judgement import golden_logits, judge_network, save_logits

from .networks import IMAGES, MODEL, VIT, right_run, writes_of

GOLDEN = golden_logits(MODEL, IMAGES)


def printed(verdict):
    console = Console(width=120, file=StringIO())
    console.print(verdict.images)
    console.print(verdict.summary)
    return console.file.getvalue()


def test_golden_is_that_of_the_model():
    assert (GOLDEN.logits == VIT(IMAGES.pixels.astype(np.int64))).all()


def test_right_run():
    verdict = judge_network(right_run(), MODEL, IMAGES, GOLDEN, {"time": "no time"})
    assert (verdict.mismatches, verdict.wrong_events) == ([], "")
    text = printed(verdict)
    for part in ("3 images through noise on small", "x.png", "1,100", "0 of 9 logits", "950.0 for each that follows",
                 "90.0% of cycles", "tape 1.0%", "mlp up 12.5%", "of 4 x 4 multiplications useful", "of 2 images with",
                 "no time"):  # fmt: skip
        assert part in text, part
    real = np.sort(VIT.real("logits", GOLDEN.logits), axis=1)
    assert f"{real[0, -1] - real[0, -2]:.2f}" in text


def test_wrong_logit_is_named():
    logits = GOLDEN.logits.copy()
    logits[1, 2] += 7
    verdict = judge_network(right_run(logits=logits), MODEL, IMAGES, GOLDEN)
    assert verdict.mismatches == [
        "1 of 9 logits differ from the integer model; the first of them:",
        f"  y.png, class c: got {logits[1, 2]}, expected {logits[1, 2] - 7}",
    ]
    assert "1 of 9 logits" in printed(verdict) and verdict.wrong_events == ""


def test_logits_that_did_not_come():
    run = right_run(logits=GOLDEN.logits[:1], image_cycles=[1100], events=frozenset({"TAPE_CRC"}))
    verdict = judge_network(run, MODEL, IMAGES, GOLDEN)
    assert verdict.mismatches == [
        "logits of 3 images must come, and those of 1 came: the job ended with the events TAPE_CRC; "
        "compile the model again"
    ]
    none = right_run(logits=GOLDEN.logits[:0], image_cycles=[], events=frozenset({"COMMAND"}))
    assert "those of 0 came" in judge_network(none, MODEL, IMAGES, GOLDEN).mismatches[0]


@pytest.mark.parametrize("events", [{"DONE", "BAD_VALUE"}, {"DONE", "DENOMINATOR"}, set()])
def test_wrong_events(events):
    verdict = judge_network(right_run(events=frozenset(events)), MODEL, IMAGES, GOLDEN)
    assert verdict.wrong_events.startswith("every logit is right, but events must be DONE, not ")


def test_trace():
    writes = writes_of(IMAGES)
    text = printed(judge_network(right_run(writes=writes), MODEL, IMAGES, GOLDEN))
    assert "306 elements of residual streams compared, 0 differ" in text
    writes[-1, 2] ^= 1
    verdict = judge_network(right_run(writes=writes), MODEL, IMAGES, GOLDEN)
    assert verdict.mismatches == []  # a place without a feature
    writes[writes[:, 0] == 0, 2] ^= 2
    verdict = judge_network(right_run(writes=writes), MODEL, IMAGES, GOLDEN)
    assert len(verdict.mismatches) == 1 and "residual.0" in verdict.mismatches[0]


def test_file_of_logits(tmp_path):
    run = right_run()
    save_logits(tmp_path / "logits.npz", run, MODEL, IMAGES)
    with np.load(tmp_path / "logits.npz") as arrays:
        assert (arrays["logits"] == run.logits).all() and arrays["image_cycles"].tolist() == run.image_cycles
        assert arrays["labels"].tolist() == [0, -1, 2] and arrays["names"].tolist() == IMAGES.names
        assert json.loads(str(arrays["counters"])) == run.jobs
        assert json.loads(str(arrays["config"])) == MODEL.config.to_mapping()
