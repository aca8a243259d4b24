"""What a checkpoint says of itself can be anything; then the file is refused by name."""

import json

import pytest
import torch
from safetensors.torch import save_file

from taylorvit.golden.checkpoints.checkpoint import load

ROW = {"epoch": 1, "learning_rate": 0.1, "training_loss": 2, "test_loss": 1.5, "test_accuracy": 0.5, "seconds": 3.0}


def described(path, text):
    save_file({"x": torch.zeros(2)}, path, metadata={"taylorvit": text})
    return path


def test_what_is_there_is_kept(tmp_path):
    description = {"kind": "model", "metrics": [ROW], "data": {"name": "a", "mean": [0.5]}, "others": [1]}
    assert load(described(tmp_path / "a.safetensors", json.dumps(description))).description == description
    save_file({"x": torch.zeros(2)}, tmp_path / "b.safetensors", metadata={"format": "pt"})
    assert load(tmp_path / "b.safetensors").description == {}


@pytest.mark.parametrize(("text", "problem"), [
    ("", ": it is empty"),
    ("[]", ", a JSON object, not a list"),
    ('{"kind": 3}', ": kind must be a text, not 3"),
    ('{"recipe": []}', ": recipe must be an object, not []"),
    ('{"metrics": {}}', ": metrics must be a list, not {}"),
    ('{"metrics": [{}]}', ": metrics[0].epoch must be there"),
    (json.dumps({"metrics": [ROW | {"test_accuracy": "good"}]}),
     ": metrics[0].test_accuracy must be a finite number, not 'good'"),
    ('{"data": {"mean": [null]}}', ": data.mean[0] must be a finite number, not null"),
    ('{"quantization": 3}', ": quantization must be an object, not 3"),
    ('{"epochs": ' + "9" * 5000 + "}", " with integers of at most 128 bits, not of more"),
    ("[" * 20000, " with at most 64 tables or lists in each other, not more"),
])  # fmt: skip
def test_wrong_descriptions(tmp_path, text, problem):
    path = described(tmp_path / "a.safetensors", text)
    with pytest.raises(ValueError) as error:
        load(path)
    assert str(error.value) == f"{path}: file must be a checkpoint of ours{problem}"
