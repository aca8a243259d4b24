"""Accuracies are those of a hand count, and only results that differ in their seeds are put together."""

import contextlib
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

from taylorvit.golden.checkpoints.checkpoint import load, save
from taylorvit.golden.network.integer_vit import load_integer_vit, to_pixels
from taylorvit.golden.network.quantize import quantize_vit
from taylorvit.golden.network.vit import SHAPES, VisionTransformer
from taylorvit.golden.reports.evaluation import (
    Accuracy,
    Evaluated,
    accuracy_table,
    draw_accuracies,
    evaluate_file,
    summarize,
)
from taylorvit.golden.training.images import DATASETS
from taylorvit.golden.training.loading import load_images, model_of, recipe_of
from taylorvit.golden.training.recipe import RecipeError, check_recipe
from verif.golden.checkpoints.published import write_folder


@pytest.fixture(scope="module")
def integer_file(trained_on_digits, tmp_path_factory):
    """The trained model in integers, made from 40 training images."""
    path, recipe = trained_on_digits
    dataset = load_images(recipe.data, 8)
    images, _labels = dataset.training[list(range(40))]
    vit = quantize_vit(model_of(load(path)), images, mean=dataset.mean, std=dataset.std,
                       quantization={"recipe": recipe.model_dump(mode="json")})  # fmt: skip
    output = tmp_path_factory.mktemp("integer") / "integer.safetensors"
    vit.save(output)
    return output


# Accuracy


def test_accuracy_of_a_float_model_is_that_of_a_hand_count(trained_on_digits):
    path, recipe = trained_on_digits
    result = evaluate_file(path)
    dataset, model = load_images(recipe.data, 8), model_of(load(path))
    right = 0
    for index in range(len(dataset.testing)):
        image, label = dataset.testing[[index]]
        with torch.no_grad():
            scores = model((image - dataset.mean[0]) / dataset.std[0])[0].tolist()
        right += scores.index(max(scores)) == int(label)
    assert result == Evaluated(path, "digits", recipe, False, right / 360, 360, 0, ("taylor", "taylor"))
    assert 0.5 < result.accuracy < 1  # of ten classes: neither luck nor the training images


def test_accuracy_of_an_integer_model_is_that_of_a_hand_count(trained_on_digits, integer_file):
    told = []
    result = evaluate_file(integer_file, lambda done, of: told.append((done, of)))
    dataset, vit = load_images(trained_on_digits[1].data, 8), load_integer_vit(integer_file)
    right = 0
    for index in range(0, 360, 90):
        images, labels = dataset.testing[list(range(index, index + 90))]
        for logits, label in zip(vit(to_pixels(images)).tolist(), labels.tolist(), strict=True):
            right += logits.index(max(logits)) == label
    recipe = trained_on_digits[1]
    assert result == Evaluated(integer_file, "digits", recipe, True, right / 360, 360, 0, ("taylor", "taylor"))
    assert told == [(100, 360), (200, 360), (300, 360), (360, 360)]
    assert abs(result.accuracy - evaluate_file(trained_on_digits[0]).accuracy) < 0.05


def test_denominators_that_are_not_positive_are_counted(integer_file, trained_on_digits, tmp_path):
    vit = load_integer_vit(integer_file)
    vit.registers[1] = replace(vit.registers[1], c_d=100)
    vit.save(tmp_path / "wrong.safetensors")
    result = evaluate_file(tmp_path / "wrong.safetensors")
    images, _labels = load_images(trained_on_digits[1].data, 8).testing[list(range(360))]
    assert result.denominator_errors == int(vit.steps(to_pixels(images))["blocks.1.denominator_errors"]) > 0


def test_cycles_are_those_of_the_kernels_that_compute(trained_on_digits, tmp_path):
    asked = []

    def cycles(shape, kernels):
        asked.append((shape, kernels))
        return 1000 + kernels.count("softmax")

    path, recipe = trained_on_digits
    assert evaluate_file(path).cycles is None
    assert evaluate_file(path, cycles=cycles).cycles == 1000
    dataset = load_images(recipe.data, 8)
    images, _labels = dataset.training[list(range(8))]
    vit = quantize_vit(model_of(load(path)), images, mean=dataset.mean, std=dataset.std,
                       attention=("softmax", "taylor"),
                       quantization={"recipe": recipe.model_dump(mode="json")})  # fmt: skip
    vit.save(tmp_path / "mixed.safetensors")
    result = evaluate_file(tmp_path / "mixed.safetensors", cycles=cycles)
    assert (result.kernels, result.cycles) == (("softmax", "taylor"), 1001)
    assert asked == [(recipe.model.vit_shape, ("taylor", "taylor")), (recipe.model.vit_shape, ("softmax", "taylor"))]


def test_cycles_of_an_attention_without_kernel_are_refused(tmp_path):
    model = VisionTransformer(SHAPES["vit_8"], "relu")
    recipe = recipe_with(model_attention="relu")
    save(tmp_path / "a.safetensors", model.state_dict(), {"recipe": recipe.model_dump(mode="json")})
    assert evaluate_file(tmp_path / "a.safetensors").kernels is None
    with pytest.raises(ValueError, match="^attention must be one of softmax, .*, which have a kernel.*, not 'relu'$"):
        evaluate_file(tmp_path / "a.safetensors", cycles=lambda shape, kernels: 1)


def test_classes_in_another_order_are_refused(trained_on_digits, integer_file, tmp_path):
    """There are as many, and every image would be called by the name of another class."""
    for path in (trained_on_digits[0], integer_file):
        checkpoint = load(path)
        classes = [*map(str, range(1, 10)), "0"]
        save(tmp_path / "a.safetensors", checkpoint.tensors, checkpoint.description | {"data": {"classes": classes}})
        text = "^classes of digits must be those of .*a.safetensors, in their order: '1', not '0'$"
        with pytest.raises(ValueError, match=text):
            evaluate_file(tmp_path / "a.safetensors")


def test_classes_of_others_are_compared_where_they_have_the_same_names(trained_on_digits, tmp_path):
    classes = [*map(str, range(1, 10)), "0"]
    folder = tmp_path / "hub"
    for names, text in (
        (classes, "^classes of digits must be those of .*hub, in their order: '1', not '0'$"),
        ([f"digit {name}" for name in classes], None),
    ):
        write_folder(folder, model_of(load(trained_on_digits[0])), config={"id2label": dict(enumerate(names))})
        assert load(folder).published.classes == names
        with pytest.raises(ValueError, match=text) if text else contextlib.nullcontext():
            evaluate_file(folder, data="digits")


def test_other_images_are_normalized_as_those_of_the_training(trained_on_digits, monkeypatch):
    """The data set has a mean and a deviation of its own, which the model has not learned."""
    digits = load_images(trained_on_digits[1].data, 8)
    monkeypatch.setitem(DATASETS, "others", lambda: digits._replace(name="others", mean=(0.9,), std=(3.0,)))
    result = evaluate_file(trained_on_digits[0], data="others")
    assert result.data == "others" and result.recipe.data.name == "others"
    assert result.accuracy == evaluate_file(trained_on_digits[0]).accuracy


def test_files_that_do_not_say_their_recipe(tmp_path):
    save(tmp_path / "a.safetensors", {"x": torch.zeros(1)}, {})
    with pytest.raises(ValueError, match="a.safetensors must hold the recipe of its training, as files of `taylorv"):
        evaluate_file(tmp_path / "a.safetensors")
    save(tmp_path / "b.safetensors", {"x": torch.zeros(1)}, {"recipe": {"model": {"shape": "vit_8"}}})
    with pytest.raises(RecipeError, match="b.safetensors: data"):
        recipe_of(load(tmp_path / "b.safetensors"))


# Seeds


def recipe_with(**changes):
    """A recipe; changed fields by their names, with _ for the dot."""
    tables = {
        "model": {"shape": "vit_8", "attention": "softmax"},
        "data": {"name": "digits"},
        "training": {"epochs": 3, "batch_size": 20, "learning_rate": 1},
    }
    for name, value in changes.items():
        table, _, field = name.partition("_")
        tables[table][field] = value
    return check_recipe(tables, "recipe")


def result_of(accuracy, *, integer=False, data="digits", **changes):
    return Evaluated(None, data, recipe_with(**changes), integer, accuracy, 360, 0)


def test_the_table_has_a_row_for_the_files_of_all_seeds():
    table = accuracy_table([result_of(0.90, training_seed=1), result_of(0.92, training_seed=2),
                            result_of(0.80, training_seed=1, integer=True)])  # fmt: skip
    cells = {column.header: list(column.cells) for column in table.columns}
    assert table.title == "360 held-out images of digits"
    assert cells == {
        "images": ["digits", "digits"],
        "trained with": ["softmax", "softmax"],
        "arithmetic": ["float", "integers"],
        "seeds": ["2", "1"],
        "recognized": ["91.00%", "80.00%"],
        "std. dev.": ["1.41%", ""],
    }


def test_files_that_differ_in_their_seeds_alone_are_one_row():
    rows = summarize([
        result_of(0.90, training_seed=1), result_of(0.70, training_seed=1, model_attention="taylor"),
        result_of(0.94, training_seed=2), result_of(0.80, training_seed=1, integer=True),
        result_of(0.95, training_seed=5), result_of(0.84, training_seed=2, integer=True),
    ])  # fmt: skip
    assert rows == [
        Accuracy("digits", "softmax", False, (0.90, 0.94, 0.95)),
        Accuracy("digits", "taylor", False, (0.70,)),
        Accuracy("digits", "softmax", True, (0.80, 0.84)),
    ]
    assert [row.mean for row in rows] == pytest.approx([0.93, 0.70, 0.82])
    assert rows[0].spread == pytest.approx(((0.03**2 + 0.01**2 + 0.02**2) / 2) ** 0.5)
    assert rows[1].spread == 0  # of a single one
    assert rows[2].spread == pytest.approx(0.04 / 2**0.5)


@pytest.mark.parametrize(
    "changes",
    [
        {"training_epochs": 4},
        {"model_shape": "vit_25"},
        {"model_threshold": 0.5},
        {"data_name": "mnist5k"},
        {"model_weights": "one.safetensors"},
        {"training_learning_rate": 0.1},
    ],
)
def test_what_differs_in_more_is_another_row(changes):
    first, other = (
        result_of(0.5, training_learning_rate=0.2),
        result_of(0.7, **{"training_learning_rate": 0.2} | changes),
    )
    assert [row.accuracies for row in summarize([first, other])] == [(0.5,), (0.7,)]


def test_trainings_may_begin_from_weights_of_their_own_seeds():
    results = [result_of(0.1 * seed, training_seed=seed, model_weights=f"seed{seed}.safetensors") for seed in (1, 2)]
    assert [row.accuracies for row in summarize(results)] == [(0.1, 0.2)]


def test_rows_say_what_the_training_began_with():
    rows = summarize(
        [
            result_of(0.5, model_attention="taylor"),
            result_of(0.6, model_attention="taylor", model_weights="a"),
            result_of(0.7, model_attention="taylor", model_weights="a", model_rounding="one.safetensors"),
            result_of(0.8, model_attention="taylor", model_weights="a", model_rounding="other.safetensors"),
        ]
    )
    assert [(row.attention, row.accuracies) for row in rows] == [
        ("taylor", (0.5,)),
        ("taylor, from weights", (0.6,)),
        ("taylor, rounded", (0.7, 0.8)),
    ]


def test_the_picture_has_a_point_for_each_seed(tmp_path, monkeypatch):
    from matplotlib.axes import Axes

    drawn, plot = [], Axes.plot
    monkeypatch.setattr(
        Axes, "plot", lambda axes, x, y, *a, **k: drawn.append((x, list(y))) or plot(axes, x, y, *a, **k)
    )
    rows = [Accuracy("digits", "softmax", False, (0.9, 0.95)), Accuracy("digits", "taylor", True, (0.8,))]
    draw_accuracies(tmp_path / "a.png", rows)
    assert drawn == [([0, 0], pytest.approx([90, 95])), ([1], pytest.approx([80]))]
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.format == "PNG" and len(np.unique(np.array(picture).reshape(-1, 4), axis=0)) > 10


def test_integer_models_of_other_kernels_are_rows_of_their_own():
    as_trained = result_of(0.9, integer=True)._replace(kernels=("softmax",) * 3)
    changed = result_of(0.8, integer=True)._replace(kernels=("taylor", "softmax", "softmax"))
    assert [(row.attention, row.accuracies) for row in summarize([as_trained, changed, as_trained])] == [
        ("softmax", (0.9, 0.9)),
        ("softmax, quantized as taylor in 0; softmax in 1-2", (0.8,)),
    ]


def mixed_rows():
    """Taylor, mixed and softmax, in float and in integers, with cycles."""
    kernels = ("taylor", "taylor"), ("taylor", "softmax"), ("softmax", "softmax")
    return [
        Accuracy("digits", "x", integer, (0.9 + 0.01 * count, 0.8), names, 1200 + 100 * count)
        for count, names in reversed(list(enumerate(kernels)))
        for integer in (False, True)
    ]


def test_the_table_has_cycles_if_they_are_known():
    results = [result_of(0.9)._replace(kernels=("softmax",) * 3, cycles=12345)]
    table = accuracy_table(results)
    assert {column.header: list(column.cells) for column in table.columns}["cycles"] == ["12,345"]


def test_the_picture_is_against_cycles_if_they_are_known(tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    figures, save_figure = [], Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda figure, *a, **k: figures.append(figure) or save_figure(figure, *a, **k)
    )
    draw_accuracies(tmp_path / "a.png", mixed_rows())
    [axes] = figures[0].axes
    curves = [line for line in axes.lines if len(line.get_xdata()) == 3]
    assert [line.get_label() for line in curves] == ["float", "integers"]
    for line in curves:
        assert list(line.get_xdata()) == [1200, 1300, 1400]
        assert list(line.get_ydata()) == pytest.approx([85, 85.5, 86])  # the means
    assert len(axes.lines) == 2 + 6  # and the points of each
    [above] = axes.child_axes
    ticks = dict(zip(above.get_xticks(), (label.get_text() for label in above.get_xticklabels()), strict=True))
    assert ticks == {1200: "0", 1300: "1", 1400: "2"}
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.format == "PNG"


def test_the_integer_file_says_its_recipe(integer_file, trained_on_digits):
    assert recipe_of(load(integer_file)) == trained_on_digits[1]
    with safe_open(integer_file, framework="pt") as file:
        assert "recipe" not in json.loads(file.metadata()["taylorvit"])
