"""A training learns, survives being stopped anywhere without a trace, and refuses what it cannot do by name."""

import copy
import csv
import errno
import math
import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from filelock import FileLock
from PIL import Image
from torch.nn import functional

from taylorvit.boundary.errors import FileError
from taylorvit.golden.checkpoints import checkpoint as checkpoint_module
from taylorvit.golden.checkpoints.checkpoint import CheckpointError, load, save
from taylorvit.golden.network.vit import SHAPES, VisionTransformer, VitShape
from taylorvit.golden.training import trainer, training_folder
from taylorvit.golden.training.images import ImageError, load_dataset
from taylorvit.golden.training.loading import evaluate, model_of
from taylorvit.golden.training.recipe import RecipeError, check_recipe
from taylorvit.golden.training.trainer import TrainingError, train
from verif import ROOT

SHAPE = {"image_size": 8, "patch_size": 4, "channels": 1, "classes": 10, "depth": 2, "width": 8, "heads": 2}
ALL = 1437  # training images of `digits`: as a batch, an epoch is one step


def recipe(changes=None):
    tables = {
        "model": {"shape": copy.copy(SHAPE), "attention": "taylor"},
        "data": {"name": "digits"},
        "training": {"epochs": 3, "batch_size": 150, "learning_rate": 1e-2},
    }
    for name, value in (changes or {}).items():
        table, field = name.split(".", 1)
        tables.setdefault(table, {})[field] = value
    return check_recipe(tables, "recipe")


def toml(described):
    """The recipe as a file."""
    lines = []
    for table, fields in described.model_dump(mode="json", exclude_none=True).items():
        if table == "title":
            continue
        lines.append(f"[{table}]")
        for name, value in fields.items():
            if isinstance(value, dict):
                value = "{" + ", ".join(f"{size} = {str(number).lower()}" for size, number in value.items()) + "}"
            elif not isinstance(value, float | int) or isinstance(value, bool):
                value = {True: "true", False: "false"}.get(value, f'"{value}"')
            lines.append(f"{name} = {value}")
    return "\n".join(lines)


def without_seconds(metrics):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in metrics]


def assert_same_training(folder, expected):
    """Weights, optimizer and metrics, bit for bit."""
    for name in ("last.safetensors", "model.safetensors"):
        one, other = load(folder / name), load(expected / name)
        assert one.tensors.keys() == other.tensors.keys() and len(one.tensors) > 20
        assert all(torch.equal(one.tensors[each], other.tensors[each]) for each in one.tensors)
        metrics = one.description["metrics"]
        assert without_seconds(metrics) == without_seconds(other.description["metrics"])


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    """A model of other attention, width and depth, that has learned something."""
    folder = tmp_path_factory.mktemp("teacher")
    shape = SHAPE | {"width": 12, "depth": 1, "patch_size": 2}
    train(recipe({"model.shape": shape, "model.attention": "softmax", "training.epochs": 2}), folder)
    return folder / "model.safetensors"


# What a training leaves


def test_it_learns_and_leaves_its_files(tmp_path):
    # What is in training alone, drop_path and the residual of vitality, is in no figure of held-out images.
    settings = recipe({"training.batch_size": 50, "model.attention": "vitality", "model.drop_path": 0.2})
    trained = train(settings, tmp_path)
    assert trained.model.blocks[-1].drop_path.probability == 0.2
    metrics = trained.metrics
    assert [row["epoch"] for row in metrics] == [1, 2, 3]
    losses = [row["training_loss"] for row in metrics]
    assert losses == sorted(losses, reverse=True) and losses[-1] < 0.7 * losses[0]
    assert metrics[-1]["test_accuracy"] > 0.5
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".lock",
        "curves.png",
        "last.safetensors",
        "metrics.csv",
        "model.safetensors",
    ]

    rows = list(csv.DictReader((tmp_path / "metrics.csv").open()))
    assert [{name: float(value) for name, value in row.items()} for row in rows] == metrics
    with Image.open(tmp_path / "curves.png") as picture:
        picture.load()
        assert picture.format == "PNG" and picture.size == (700, 500)

    checkpoint = load(trained.path)
    assert checkpoint.description["kind"] == "model" and checkpoint.description["epochs"] == 3
    assert checkpoint.description["metrics"] == metrics
    assert checkpoint.description["data"]["classes"] == [str(digit) for digit in range(10)]
    model = model_of(checkpoint)
    data = load_dataset("digits")
    scores = model((data.testing.images - data.mean[0]) / data.std[0]).detach()
    right = (scores.argmax(dim=1) == data.testing.labels).double().mean()
    assert metrics[-1]["test_accuracy"] == pytest.approx(float(right))
    assert metrics[-1]["test_loss"] == pytest.approx(float(functional.cross_entropy(scores, data.testing.labels)))


def scores_at_the_start(settings, folder):
    """Scores of the heads for all training images, before the first step."""
    model = train(settings, folder, epochs=0).model
    data = load_dataset("digits")
    images = (data.training.images - data.mean[0]) / data.std[0]
    return [scores.detach() for scores in model.scores_of_heads(images)], images, data.training.labels


def loss_of_the_first_step(settings, folder):
    return train(settings, folder, epochs=1).metrics[0]["training_loss"]


def cross_entropy(scores, shares):
    probabilities = scores.double().exp() / scores.double().exp().sum(dim=1, keepdim=True)
    return float(-(shares * probabilities.log()).sum() / len(scores))


@pytest.mark.parametrize("distilled", [False, True])
def test_loss_is_the_cross_entropy_of_the_heads(tmp_path, distilled):
    settings = recipe(
        {"training.batch_size": ALL, "training.label_smoothing": 0.2, "model.shape": SHAPE | {"distilled": distilled}}
    )
    heads, _images, labels = scores_at_the_start(settings, tmp_path)
    assert len(heads) == 1 + distilled
    shares = 0.8 * torch.eye(10)[labels] + 0.02
    expected = np.mean([cross_entropy(scores, shares) for scores in heads])
    assert loss_of_the_first_step(settings, tmp_path) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("distilled", [False, True])
@pytest.mark.parametrize("kind", ["hard", "soft"])
def test_distillation(tmp_path, teacher, kind, distilled):
    settings = recipe({
        "training.batch_size": ALL, "training.label_smoothing": 0.2, "model.shape": SHAPE | {"distilled": distilled},
        "distillation.teacher": str(teacher), "distillation.kind": kind, "distillation.weight": 0.3,
        "distillation.temperature": 3.0,
    })  # fmt: skip
    heads, images, labels = scores_at_the_start(settings, tmp_path)
    of_teacher = model_of(load(teacher))(images).detach().double()
    if kind == "hard":
        expected = cross_entropy(heads[-1], torch.eye(10)[of_teacher.argmax(dim=1)])
    else:
        student, truth = (torch.softmax(scores.double() / 3, dim=1) for scores in (heads[-1], of_teacher))
        expected = 9 * float((truth * (truth / student).log()).sum() / len(images))
    expected = 0.7 * cross_entropy(heads[0], 0.8 * torch.eye(10)[labels] + 0.02) + 0.3 * expected
    assert loss_of_the_first_step(settings, tmp_path) == pytest.approx(expected, rel=1e-5)


@pytest.fixture(scope="module")
def softmax_model(tmp_path_factory):
    """A model of two layers of softmax attention, that has learned something."""
    settings = recipe({"model.attention": "softmax", "training.batch_size": 50, "training.epochs": 2})
    return train(settings, tmp_path_factory.mktemp("softmax")).path


@pytest.mark.parametrize("kind", [None, "hard", "soft"])
def test_a_mixed_model_learns_from_a_softmax_model(tmp_path, softmax_model, kind):
    """Its weights are those of the softmax model, and its teacher, if it has one, is this model, too."""
    changes = {"model.attention": ["taylor", "softmax"], "model.weights": str(softmax_model), "training.epochs": 2}
    if kind is not None:
        changes |= {"distillation.teacher": str(softmax_model), "distillation.kind": kind}
    start = train(recipe(changes | {"training.batch_size": ALL}), tmp_path / "start", epochs=0).model
    weights = load(softmax_model).tensors
    assert all(torch.equal(tensor, weights[name]) for name, tensor in start.state_dict().items())
    data = load_dataset("digits")
    images = (data.training.images - data.mean[0]) / data.std[0]
    scores, of_teacher = start(images).detach(), model_of(load(softmax_model))(images).detach().double()
    assert not torch.allclose(scores.double(), of_teacher, atol=1e-2)  # the attention is another one
    expected = cross_entropy(scores, torch.eye(10)[data.training.labels])
    if kind is not None:
        truth = torch.eye(10)[of_teacher.argmax(dim=1)].double() if kind == "hard" else torch.softmax(of_teacher, dim=1)
        entropy = cross_entropy(of_teacher, truth) if kind == "soft" else 0.0
        expected = 0.5 * expected + 0.5 * (cross_entropy(scores, truth) - entropy)
    settings = recipe(changes | {"training.batch_size": ALL, "training.learning_rate": 1e-3})
    trained = train(settings, tmp_path / "trained")
    assert trained.metrics[0]["training_loss"] == pytest.approx(expected, rel=1e-5)
    assert trained.metrics[1]["training_loss"] < 0.995 * expected
    assert [choice.name for choice in model_of(load(trained.path)).attentions] == ["taylor", "softmax"]


def test_a_teacher_of_others_has_its_shape_named(tmp_path):
    torch.manual_seed(0)
    save(tmp_path / "vit.safetensors", VisionTransformer(SHAPES["vit_8"], "softmax").state_dict(), {})
    changes = {"training.epochs": 1, "distillation.teacher": str(tmp_path / "vit.safetensors")}
    with pytest.raises(CheckpointError, match="does not name its model: shape must be one of .*, not None$"):
        train(recipe(changes), tmp_path / "a")
    train(recipe(changes | {"distillation.shape": "vit_8"}), tmp_path / "a")
    with pytest.raises(TrainingError, match="^image_size of the teacher must be that of the model, 8, not 28$"):
        save(tmp_path / "vit.safetensors", VisionTransformer(SHAPES["vit_28"], "softmax").state_dict(), {})
        train(recipe(changes | {"distillation.shape": "vit_28"}), tmp_path / "b")
    with pytest.raises(TrainingError, match="^classes of the teacher must be that of the model, 10, not 2$"):
        save(tmp_path / "vit.safetensors", VisionTransformer(SHAPES["vit_25"], "softmax").state_dict(), {})
        train(recipe(changes | {"distillation.shape": "vit_25"}), tmp_path / "b")


def test_learning_rates(tmp_path, monkeypatch):
    rates = []
    step = trainer._Training._step

    def recorded(training, heads, images, labels, learning_rate):
        loss = step(training, heads, images, labels, learning_rate)
        rates.append(learning_rate)
        assert all(group["lr"] == learning_rate for group in training.optimizer.param_groups)
        return loss

    monkeypatch.setattr(trainer._Training, "_step", recorded)
    settings = recipe({"training.batch_size": 700, "training.epochs": 3, "training.warm_up_epochs": 1,
                       "training.learning_rate": 0.01, "training.final_learning_rate": 0.002})  # fmt: skip
    trained = train(settings, tmp_path)
    # Two steps an epoch, each at the rate of its end: half and all of the warm-up, then quarters of half a cosine.
    root = math.sqrt(0.5)
    expected = [0.005, 0.01, 0.002 + 0.004 * (1 + root), 0.006, 0.002 + 0.004 * (1 - root), 0.002]
    assert rates == pytest.approx(expected)
    assert [row["learning_rate"] for row in trained.metrics] == pytest.approx(expected[1::2])


class RecordedAdamW(torch.optim.AdamW):
    made = []

    def __init__(self, groups, **options):
        super().__init__(groups, **options)
        self.made.append(self)
        self.norms = []

    def step(self):
        gradients = [parameter.grad for group in self.param_groups for parameter in group["params"]]
        self.norms.append(math.sqrt(sum(float(gradient.square().sum()) for gradient in gradients)))
        super().step()


@pytest.mark.parametrize(("epochs", "wanted"), [(None, [0.2] * 6), (2, [0.2, 0.4, 0.6, 0.8, 1.0, 1.0])])
@pytest.mark.parametrize("attention", ["vitality", "linear_angular"])
def test_thresholds(tmp_path, monkeypatch, attention, epochs, wanted):
    """Of three epochs of two steps each: at the beginning of each step."""
    settings = recipe({"model.attention": attention, "model.threshold": 0.2, "training.batch_size": 700,
                       "training.threshold_epochs": epochs and float(epochs)})  # fmt: skip
    thresholds, step = [], trainer._Training._step

    def noting(training, *arguments):
        thresholds.append([block.attn.kernel.threshold for block in training.model.blocks])
        return step(training, *arguments)

    monkeypatch.setattr(trainer._Training, "_step", noting)
    train(settings, tmp_path / "a")
    assert thresholds == [pytest.approx([each] * 2) for each in wanted]


def test_gradients_are_clipped(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.optim, "AdamW", RecordedAdamW)
    train(recipe(), tmp_path / "a", epochs=1)
    first, *others = RecordedAdamW.made[-1].norms
    assert len(others) == 8
    train(recipe({"training.clip_norm": 0.9 * first}), tmp_path / "b", epochs=1)
    clipped, *others = RecordedAdamW.made[-1].norms
    assert clipped == pytest.approx(0.9 * first, rel=1e-4)
    assert len(others) == 8 and max(others) <= 0.9 * first * (1 + 1e-4)


def test_weight_decay_is_of_matrices_and_filters(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.optim, "AdamW", RecordedAdamW)
    settings = recipe(
        {"model.attention": "linear_angular", "model.shape": SHAPE | {"distilled": True}, "training.weight_decay": 0.3}
    )
    model = train(settings, tmp_path, epochs=0).model
    names = {parameter: name for name, parameter in model.named_parameters()}
    groups = RecordedAdamW.made[-1].param_groups
    decays = {names[parameter]: group["weight_decay"] for group in groups for parameter in group["params"]}
    assert decays.keys() == set(names.values())
    decayed = {name for name in decays if name.endswith(".weight") and "norm" not in name}
    assert {"patch_embed.proj.weight", "blocks.0.attn.kernel.convolution.weight", "head_dist.weight"} <= decayed
    assert decays == {name: 0.3 if name in decayed else 0.0 for name in names.values()}


# Fine-tuning


def test_weights_to_start_from(tmp_path, teacher):
    shape = SHAPE | {"width": 12, "depth": 1, "patch_size": 2}
    weights = load(teacher).tensors
    changes = {"model.shape": shape, "model.attention": "vitality", "model.weights": str(teacher)}
    tuned = train(recipe(changes), tmp_path / "a", epochs=0).model.state_dict()
    assert all(torch.equal(tuned[name], weights[name]) for name in weights)
    fresh = train(recipe({"model.shape": shape}), tmp_path / "b", epochs=0).model.state_dict()
    tuned = train(recipe(changes | {"model.new_head": True}), tmp_path / "c", epochs=0).model.state_dict()
    assert not any(torch.equal(fresh[name], weights[name]) for name in weights)
    assert all(torch.equal(tuned[name], (fresh if "head" in name else weights)[name]) for name in weights)


def test_tuning_goes_on_without_the_weights_that_it_began_from(tmp_path, teacher):
    shape = SHAPE | {"width": 12, "depth": 1, "patch_size": 2}
    (tmp_path / "copy.safetensors").write_bytes(teacher.read_bytes())
    settings = recipe({"model.shape": shape, "model.weights": str(tmp_path / "copy.safetensors"), "training.epochs": 2})
    train(settings, tmp_path / "a", epochs=1)
    (tmp_path / "copy.safetensors").unlink()
    assert len(train(settings, tmp_path / "a", resume=True).metrics) == 2
    with pytest.raises(CheckpointError, match="^model.weights of the recipe must be a file, not "):
        train(settings, tmp_path / "b")


# Going on


def folder_of_images(folder):
    random = np.random.default_rng(0)
    for split, count in (("train", 12), ("val", 4)):
        for name, mean in (("dark", 60), ("light", 180)):
            (folder / split / name).mkdir(parents=True)
            for index in range(count):
                pixels = random.integers(mean - 60, mean + 60, (11, 14, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / split / name / f"{index}.png")
    return folder


OF_FOLDER = {"model.shape": SHAPE | {"channels": 3, "classes": 2}, "data.name": None, "training.batch_size": 8}
AUGMENTED = {"model.drop_path": 0.3, "augmentation.rotation": 10, "augmentation.flip": 0.5,
             "augmentation.elastic": 0.3, "augmentation.erasing": 0.3, "augmentation.mixup": 0.8,
             "augmentation.cutmix": 1.0, "training.label_smoothing": 0.1, "training.clip_norm": 1.0}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"model.attention": "linear_angular", "training.warm_up_epochs": 1.5} | AUGMENTED,
        {"data.workers": 1} | AUGMENTED,
        OF_FOLDER | {"data.workers": 1, "augmentation.rand_augment": 9},
    ],
    ids=["plain", "augmented", "workers", "folder"],
)
def test_it_goes_on_as_if_it_had_not_stopped(tmp_path, changes):
    if "data.name" in changes:
        changes = changes | {"data.folder": str(folder_of_images(tmp_path / "images"))}
    settings = recipe(changes)
    train(settings, tmp_path / "whole")
    torch.manual_seed(1234)
    train(settings, tmp_path / "parts", epochs=1)
    assert not (tmp_path / "parts" / "model.safetensors").exists()
    torch.rand(5)
    train(settings, tmp_path / "parts", resume=True, epochs=2)
    train(settings, tmp_path / "parts", resume=True)
    assert_same_training(tmp_path / "parts", tmp_path / "whole")


def test_other_seeds_give_other_weights(tmp_path):
    one, other = (train(recipe({"training.seed": seed}), tmp_path / str(seed), epochs=1).model for seed in (1, 2))
    assert not torch.equal(one.head.weight, other.head.weight)


def command(*arguments, **environment):
    """A process of ours with one thread."""
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


KILLED = """
import os, signal, sys
from taylorvit.__main__ import main
from taylorvit.golden.training.trainer import _Training
steps, step = [], _Training._step
def killed(*arguments):
    steps.append(arguments)
    if len(steps) == 100:  # of 71 an epoch
        os.kill(os.getpid(), signal.SIGKILL)
    return step(*arguments)
_Training._step = killed
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_it_goes_on_after_it_was_killed(tmp_path):
    settings = recipe({"training.batch_size": 20, "model.drop_path": 0.3, "augmentation.mixup": 0.8})
    (tmp_path / "recipe.toml").write_text(toml(settings))
    killed = tmp_path / "killed"
    process = command("-c", KILLED, "train", "--config", str(tmp_path / "recipe.toml"), "-o", str(killed))
    output, _ = process.communicate(timeout=600)
    assert process.returncode == -signal.SIGKILL, output
    assert len(load(killed / "last.safetensors").description["metrics"]) == 1
    assert not (killed / "model.safetensors").exists()
    train(settings, killed, resume=True)
    train(settings, tmp_path / "whole")
    assert_same_training(killed, tmp_path / "whole")


@pytest.mark.slow
def test_two_processes_train_as_one(tmp_path):
    settings = recipe({"training.batch_size": 200, "training.epochs": 1, "training.learning_rate": 1e-3})
    (tmp_path / "recipe.toml").write_text(toml(settings))
    process = command(
        "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2",
        "-m", "taylorvit", "train", "--config", str(tmp_path / "recipe.toml"), "-o", str(tmp_path / "two"),
    )  # fmt: skip
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 0, output
    assert output.count("held-out images recognized") == 1
    one = train(settings, tmp_path / "one")
    two = load(tmp_path / "two" / "model.safetensors")
    start = train(settings, tmp_path / "start", epochs=0).model.state_dict()
    for name, weights in one.model.state_dict().items():
        change, change_of_two = weights - start[name], two.tensors[name] - start[name]
        if name.endswith("qkv.bias"):
            # That of the keys changes no attention; its gradient is rounding alone, which Adam makes steps of.
            change, change_of_two = (torch.cat([each[:8], each[16:]]) for each in (change, change_of_two))
        assert float((change_of_two - change).norm()) < 1e-4 * float(change.norm()), name
    for row, other in zip(two.description["metrics"], one.metrics, strict=True):
        assert row["training_loss"] == pytest.approx(other["training_loss"], rel=1e-4)
        assert row["learning_rate"] == other["learning_rate"]


@pytest.mark.parametrize("count", [1, 3])
def test_processes_share_the_images_of_a_step(tmp_path, monkeypatch, count):
    monkeypatch.setenv("WORLD_SIZE", str(count))
    whole = []
    for epoch in range(2):
        shares = []
        for rank in range(count):
            monkeypatch.setenv("RANK", str(rank))
            training = trainer._Training(recipe(), tmp_path, trainer._Processes("cpu"), None)
            shares.append(training._batches(epoch))
        assert [len(share) for share in shares] == [9] * count  # 87 of 1437 images are no whole batch
        steps = [[image for share in shares for image in share[step]] for step in range(9)]
        assert all(len(step) == len(set(step)) == 150 for step in steps)
        whole.append([image for step in steps for image in step])
        assert len(set(whole[-1])) == 1350 and set(whole[-1]) <= set(range(ALL))
    assert set(whole[0][:150]) != set(whole[1][:150])


def test_a_step_has_an_image_for_each_process(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "4")
    for name in ("init_process_group", "destroy_process_group"):
        monkeypatch.setattr(trainer.distributed, name, lambda *arguments: None)
    with pytest.raises(TrainingError, match="^images of a step must be at least one a process, 4, not 3$"):
        train(recipe({"training.batch_size": 3}), tmp_path)


def test_more_than_there_are_is_one_batch(tmp_path):
    one = train(recipe({"training.batch_size": ALL}), tmp_path / "a", epochs=1)
    other = train(recipe({"training.batch_size": 5000}), tmp_path / "b", epochs=1)
    assert without_seconds(one.metrics) == without_seconds(other.metrics)


# What can be lost


@pytest.mark.slow
def test_full_disk(tmp_path, monkeypatch):
    settings = recipe()
    train(settings, tmp_path / "whole")
    train(settings, tmp_path / "full", epochs=1)
    last = tmp_path / "full" / "last.safetensors"
    before = last.read_bytes()

    def full(tensors, file, metadata):
        file.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint_module, "save_file", full)
        text = re.escape(f"output must be a file that can be written, not '{last}': no space left on device")
        with pytest.raises(FileError, match=f"^{text}$"):
            train(settings, tmp_path / "full", resume=True)
    assert last.read_bytes() == before
    train(settings, tmp_path / "full", resume=True)
    assert_same_training(tmp_path / "full", tmp_path / "whole")


def test_full_disk_for_the_curves(tmp_path, monkeypatch):
    """The picture of the epoch before stays, whole."""
    settings = recipe()
    train(settings, tmp_path, epochs=1)
    curves, last = tmp_path / "curves.png", tmp_path / "last.safetensors"
    before, names = curves.read_bytes(), sorted(tmp_path.iterdir())

    def full(path, *arguments, **options):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(training_folder, "draw_curves", full)
    text = f"metrics could not be written, and are in {last}: output must be a file that can be written, not '{curves}'"
    with pytest.raises(TrainingError, match=f"^{re.escape(text)}: no space left on device$"):
        train(settings, tmp_path, resume=True)
    assert curves.read_bytes() == before and sorted(tmp_path.iterdir()) == names
    assert len(load(last).description["metrics"]) == 1  # as before: the metrics of a training that goes on come first


def test_what_is_missing_is_written_again(tmp_path):
    settings = recipe({"training.epochs": 1})
    train(settings, tmp_path)
    names = ("metrics.csv", "model.safetensors", "curves.png")
    before = [(tmp_path / name).read_bytes() for name in names]
    for name in names:
        (tmp_path / name).unlink()
    train(settings, tmp_path, resume=True)
    assert [(tmp_path / name).read_bytes() for name in names] == before


def test_loss_that_is_no_number(tmp_path, monkeypatch):
    settings = recipe()
    train(settings, tmp_path, epochs=1)
    last = tmp_path / "last.safetensors"
    before = last.read_bytes()
    monkeypatch.setattr(trainer, "_cross_entropy", lambda scores, shares: scores.sum() * math.nan)
    text = (
        "loss of epoch 2 must be finite, not nan in training and nan on held-out images: a lower learning_rate "
        f"may help; {last} is from before"
    )
    with pytest.raises(TrainingError, match=f"^{re.escape(text)}$"):
        train(settings, tmp_path, resume=True)
    assert last.read_bytes() == before


def test_memory_that_is_too_small(tmp_path, monkeypatch):
    def too_much(*_arguments):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(trainer._Training, "_step", too_much)
    with pytest.raises(TrainingError, match="^memory of cpu must hold a step of 150 images: a smaller batch_size, or"):
        train(recipe(), tmp_path / "a", device="cpu")


def test_weights_that_are_no_numbers(tmp_path):
    settings = recipe({"training.batch_size": ALL, "training.learning_rate": 1e30})
    with pytest.raises(TrainingError, match=r"not 2\.\d+ in training and nan on held-out images: .* may help$"):
        train(settings, tmp_path)
    assert not list(tmp_path.iterdir())


# What is refused


def test_folders_of_another_training(tmp_path):
    train(recipe(), tmp_path, epochs=1)
    before = (tmp_path / "last.safetensors").read_bytes()
    text = f"cannot begin a training in {tmp_path}: it holds one; continue it with --resume, or choose another folder"
    with pytest.raises(TrainingError, match=f"^{re.escape(text)}$"):
        train(recipe(), tmp_path)
    text = f"cannot resume in {tmp_path}: its training is from another recipe; choose another folder"
    with pytest.raises(TrainingError, match=f"^{re.escape(text)}$"):
        train(recipe({"training.seed": 2}), tmp_path, resume=True)
    assert (tmp_path / "last.safetensors").read_bytes() == before


def test_damaged_states(tmp_path):
    settings = recipe({"training.epochs": 2})
    train(settings, tmp_path, epochs=1)
    last = tmp_path / "last.safetensors"
    state = load(last)

    data = last.read_bytes()
    last.write_bytes(data[: len(data) // 2])
    with pytest.raises(CheckpointError, match="last.safetensors must be a whole safetensors file, and is damaged: "):
        train(settings, tmp_path, resume=True)
    assert last.stat().st_size == len(data) // 2

    tensors = {name: tensor for name, tensor in state.tensors.items() if name != "optimizer.step.head.bias"}
    save(last, tensors, state.description)
    with pytest.raises(CheckpointError, match="must be the state of a training, and lacks 'optimizer.step.head.bias'$"):
        train(settings, tmp_path, resume=True)
    for damaged in (torch.zeros(3), torch.zeros(10, dtype=torch.int64), torch.full((10,), math.nan)):
        save(last, state.tensors | {"optimizer.exp_avg.head.bias": damaged}, state.description)
        with pytest.raises(CheckpointError, match="of a training, and its optimizer.exp_avg.head.bias is damaged$"):
            train(settings, tmp_path, resume=True)
    save(last, state.tensors, state.description | {"kind": "model"})
    with pytest.raises(CheckpointError, match="must be the state of a training, and is not$"):
        train(settings, tmp_path, resume=True)
    save(last, state.tensors, state.description | {"metrics": []})
    with pytest.raises(CheckpointError, match="must be the state of a training, and is not$"):
        train(settings, tmp_path, resume=True)
    save(last, state.tensors, state.description | {"recipe": {}})
    with pytest.raises(RecipeError, match="last.safetensors: model must be given; data must be given$"):
        train(settings, tmp_path, resume=True)
    save(last, state.tensors, state.description)
    train(settings, tmp_path, resume=True)


# One at a time


@pytest.mark.parametrize("resume", [False, True])
def test_a_folder_is_for_one_training_at_a_time(tmp_path, resume):
    """The second one is refused and changes nothing, whether it would begin or go on."""
    train(recipe(), tmp_path, epochs=1)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    text = (
        f"cannot train in {tmp_path}: another training is running there; choose another folder, or wait until it ends"
    )
    with FileLock(tmp_path / ".lock"), pytest.raises(TrainingError, match=f"^{re.escape(text)}$"):
        train(recipe(), tmp_path, resume=resume)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    train(recipe(), tmp_path, resume=True, epochs=2)


def test_two_trainings_in_one_new_folder(tmp_path, monkeypatch):
    """The second begins while the first is in its first epoch, and nothing of it is written yet."""
    refused, step = [], trainer._Training._step

    def with_a_second_one(*arguments):
        if not refused:
            process = command(
                "-c",
                "from pathlib import Path\n"
                "from taylorvit.golden.training.training_folder import only_training_in\n"
                f"with only_training_in(Path({str(tmp_path / 'a')!r})): print('trains')",
            )
            refused.append(process.communicate(timeout=600)[0])
        return step(*arguments)

    monkeypatch.setattr(trainer._Training, "_step", with_a_second_one)
    train(recipe(), tmp_path / "a", epochs=1)
    assert "another training is running there" in refused[0] and "trains" not in refused[0].splitlines()


def test_a_training_that_does_not_begin_leaves_no_folder(tmp_path):
    seen_from = "seen from the folder in which the command runs"
    with pytest.raises(
        CheckpointError, match=f"^model.weights of the recipe must be a file, not 'none.pth', {seen_from}$"
    ):
        train(recipe({"model.weights": "none.pth"}), tmp_path / "a")
    with pytest.raises(CheckpointError, match=f"{seen_from}: `taylorvit train --config digits` makes it$"):
        train(recipe({"model.weights": "build/golden/digits/model.safetensors"}), tmp_path / "a")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"model.shape": SHAPE | {"classes": 9}}, "classes of the model must be that of digits, 10, not 9"),
        ({"model.shape": SHAPE | {"channels": 3}}, "channels of the model must be that of digits, 1, not 3"),
        ({"model.shape": SHAPE | {"image_size": 16}}, "image_size of the model must be that of digits, 8, not 16"),
        ({"augmentation.rand_augment": 9}, "rand_augment must be off for images of 1 channels"),
    ],
)
def test_models_and_images_that_do_not_fit(tmp_path, changes, text):
    with pytest.raises((TrainingError, ImageError), match=f"^{text}$"):
        train(recipe(changes), tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_places_to_train_that_are_not_there(tmp_path):
    for device in ("gpu", "nonsense", "meta", "", "cpu:x", "hpu", "fpga", "xla"):
        with pytest.raises(TrainingError, match=f"^device must be one that torch finds here, not '{device}'$"):
            train(recipe(), tmp_path, device=device)
    if not torch.cuda.is_available():
        with pytest.raises(TrainingError, match="^device must be one that torch finds here, not 'cuda'$"):
            train(recipe(), tmp_path, device="cuda")
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match="file/a must be a folder to write to: not a directory$"):
        train(recipe(), tmp_path / "file" / "a")


@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_image_is_named(tmp_path, workers):
    images = folder_of_images(tmp_path / "images")
    broken = images / "train" / "dark" / "5.png"
    broken.write_bytes(broken.read_bytes()[:200])
    settings = recipe(OF_FOLDER | {"data.folder": str(images), "data.workers": workers})
    with pytest.raises(ImageError, match=f"^{re.escape(str(broken))} must be an image that Pillow can read: [^\n]*$"):
        train(settings, tmp_path / "a")


# By themselves


def test_evaluation_counts():
    class Split:
        def __len__(self):
            return 600  # more than a batch, and no whole number of them

        def __getitem__(self, indices):
            labels = torch.tensor(indices) % 3
            return functional.one_hot(labels, 3).float().view(-1, 3, 1, 1), labels

    class Model(torch.nn.Module):
        def forward(self, images):
            scores = images.flatten(1)
            scores[:, 2] = 0.5  # never the largest where the label is 0 or 1
            return 2 * scores + torch.tensor([0.0, 1.5, 0.0])

    data = load_dataset("digits")._replace(mean=(0.0,) * 3, std=(1.0,) * 3)
    model = Model()
    accuracy, loss = evaluate(model, Split(), data)
    scores = torch.tensor([[2.0, 1.5, 1.0], [0.0, 3.5, 1.0], [0.0, 1.5, 1.0]])
    assert accuracy == pytest.approx(2 / 3)
    assert loss == pytest.approx(float(functional.cross_entropy(scores, torch.arange(3))))


def test_models_of_checkpoints(tmp_path, teacher):
    checkpoint = load(teacher)
    model = model_of(checkpoint)
    assert {choice.name for choice in model.attentions} == {"softmax"}
    assert model.shape.width == 12 and not model.training
    for attention in ("taylor", ["taylor"]):
        assert [choice.name for choice in model_of(checkpoint, attention=attention).attentions] == ["taylor"]
    shape = VitShape(**SHAPE)
    save(tmp_path / "a.safetensors", VisionTransformer(shape).state_dict(), {})
    with pytest.raises(CheckpointError, match="must be for this model: it lacks"):
        model_of(load(tmp_path / "a.safetensors"), shape="vit_8")
