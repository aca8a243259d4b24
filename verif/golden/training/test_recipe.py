"""Recipes of the package load; a field that is unknown, of a wrong kind or out of its limits is named in one line."""

import re

import pytest

from taylorvit.boundary.reading import FileError
from taylorvit.golden.attention.trained_attention import AttentionChoice
from taylorvit.golden.network.vit import SHAPES, VitShape
from taylorvit.golden.training.recipe import Recipe, RecipeError, check_recipe, load_recipe, recipe_names

SIZES = {"image_size": 8, "patch_size": 4, "channels": 1, "classes": 3, "depth": 1, "width": 12, "heads": 3}

TEXT = """
title = "Täfelchen"

[model]
shape = "vit_8"
attention = "vitality"
threshold = 0.1

[data]
name = "digits"

[training]
epochs = 3
batch_size = 10
learning_rate = 1e-3
"""


def written(folder, text=TEXT):
    path = folder / "recipe.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_recipes_of_the_package():
    assert {"digits", "mnist5k", "mnist5k_mixed", "mnist5k_vitality", "vitality_deit_tiny"} <= set(recipe_names())
    for name in recipe_names():
        recipe = load_recipe(name)
        assert recipe.title and recipe.model.vit_shape in SHAPES.values()
        assert check_recipe(recipe.model_dump(mode="json"), name) == recipe  # as checkpoints keep it
    assert load_recipe("vitality_deit_tiny").training.batch_size == 2048
    assert load_recipe("mnist5k_mixed").model.attentions == ("taylor", "taylor", "softmax", "taylor")


def test_a_file(tmp_path):
    recipe = load_recipe(written(tmp_path))
    assert recipe.title == "Täfelchen"
    assert recipe.model.vit_shape == SHAPES["vit_8"]
    assert recipe.model.choices == (AttentionChoice("vitality", 0.1, 4),) * 3
    assert recipe.training.seed == 1 and recipe.augmentation.rotation == 0 and recipe.distillation is None
    assert load_recipe(str(written(tmp_path))) == recipe
    untrained = load_recipe(written(tmp_path, TEXT.partition("[training]")[0]))
    assert untrained.training is None and untrained.model == recipe.model


def test_attention_by_block(tmp_path):
    recipe = load_recipe(written(tmp_path), {"model.attention": ["softmax", "taylor", "vitality"]})
    assert [choice.name for choice in recipe.model.choices] == ["softmax", "taylor", "vitality"]
    assert {choice.threshold for choice in recipe.model.choices} == {0.1}
    assert check_recipe(recipe.model_dump(mode="json"), "again") == recipe


def test_changes_by_dotted_name(tmp_path):
    path = written(tmp_path)
    changes = {
        "title": "other",
        "training.seed": 7,
        "training.learning_rate": 1,  # an integer is a number
        "augmentation.shift": 0.1,  # of a table that the file lacks
        "model.shape": SIZES,
        "model.shape.depth": 2,
        "model.weights": "a/b.safetensors",
    }
    recipe = load_recipe(path, changes)
    assert (recipe.title, recipe.training.seed, recipe.training.learning_rate) == ("other", 7, 1.0)
    assert recipe.augmentation.shift == 0.1 and str(recipe.model.weights) == "a/b.safetensors"
    assert recipe.model.vit_shape == VitShape(**SIZES | {"depth": 2})
    assert recipe.training.epochs == 3
    assert load_recipe(path) == load_recipe(path, {}) != recipe


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("training.epoch", 5, "training.epoch is not a field of a recipe; training has epochs, batch_size, "
                              "learning_rate, final_learning_rate, warm_up_epochs, weight_decay, label_smoothing, "
                              "clip_norm, threshold_epochs, seed"),
        ("trainings", {}, "trainings is not a field of a recipe; it has title, model, data, augmentation, training, "
                          "distillation"),
        ("distillation", {"teacher": "a", "warmth": 2}, "distillation.warmth is not a field of a recipe; distillation "
                                                        "has teacher, shape, kind, weight, temperature"),
        ("model.shape.depth", 1, "model.shape.depth must be in a table, and shape is 'vit_8'"),
        # Kinds
        ("training.epochs", "60", "training.epochs must be a valid integer, not '60'"),
        ("training.epochs", True, "training.epochs must be a valid integer, not True"),
        ("training.learning_rate", "high", "training.learning_rate must be a valid number, not 'high'"),
        ("model", 5, "model must be a table, not 5"),
        ("model.attention", 3, "model.attention must be a valid string, not 3; model.attention must be a valid list, "
                               "not 3"),
        ("model.weights", 4, "model.weights must be a path, not 4"),
        ("model.new_head", 1, "model.new_head must be a valid boolean, not 1"),
        # Limits
        ("training.epochs", 0, "training.epochs must be greater than or equal to 1, not 0"),
        ("training.batch_size", -3, "training.batch_size must be greater than or equal to 1, not -3"),
        ("training.learning_rate", 0, "training.learning_rate must be greater than 0, not 0"),
        ("training.learning_rate", float("inf"), "training.learning_rate must be a finite number, not inf"),
        ("training.learning_rate", float("nan"), "training.learning_rate must be a finite number, not nan"),
        ("training.seed", -1, "training.seed must be greater than or equal to 0, not -1"),
        ("training.warm_up_epochs", 3, "training.warm_up_epochs must be below epochs, 3, not 3"),
        ("training.warm_up_epochs", 3.5, "training.warm_up_epochs must be below epochs, 3, not 3.5"),
        ("training.label_smoothing", 1.0, "training.label_smoothing must be less than 1, not 1.0"),
        ("model.bits", 1, "model.bits must be greater than or equal to 2, not 1"),
        ("model.threshold", 1.5, "model.threshold must be less than or equal to 1, not 1.5"),
        ("augmentation.rand_augment", 30, "augmentation.rand_augment must be less than 30, not 30"),
        ("data.workers", -1, "data.workers must be greater than or equal to 0, not -1"),
        # Names
        ("model.shape", "vit", f"model.shape must be one of {', '.join(SHAPES)}, or a table, not 'vit'"),
        ("model.attention", "cosine", "model.attention must be one of softmax, taylor, vitality, linear_angular, relu, "
                                      "not 'cosine'"),
        ("model.attention", ["taylor"] * 2, "model.attention must be of 3 blocks, not 2"),
        ("model.attention", ["taylor", "cosine", "relu"], "model.attention must be one of softmax, taylor, vitality, "
                                                          "linear_angular, relu, not 'cosine'"),
        ("model.shape", SIZES | {"patch_size": 3}, "model.shape.patch_size must be a divisor of 8, not 3"),
        ("model.shape", SIZES | {"colour": 1}, "model.shape.colour is not a field of a recipe; shape has image_size, "
                                               "patch_size, channels, classes, depth, width, heads, mlp_ratio, "
                                               "distilled"),
        ("model.shape", {"image_size": 8}, "model.shape.patch_size must be given"),
        ("data.folder", "images", "data.name or folder must be given, and not both"),
        ("data", {}, "data.name or folder must be given, and not both"),
        ("data.mean", [0.5], "data.mean and std must be given together"),
        ("data", {"name": "digits", "mean": [0.5], "std": [0.0]}, "data.std.0 must be greater than 0, not 0.0"),
        ("distillation", {"kind": "hard"}, "distillation.teacher must be given"),
        ("distillation", {"teacher": "a", "kind": "warm"}, "distillation.kind must be 'hard' or 'soft', not 'warm'"),
    ],
)  # fmt: skip
def test_wrong_fields_are_named(tmp_path, name, value, text):
    path = written(tmp_path)
    with pytest.raises(RecipeError, match=f"^{re.escape(f'{path}: {text}')}$"):
        load_recipe(path, {name: value})


def test_all_problems_are_in_one_line(tmp_path):
    path = written(tmp_path, '[model]\nshape = "vit_8"\n\n[data]\nname = "digits"\n\n[training]\nepochs = 0\n')
    text = (
        "training.epochs must be greater than or equal to 1, not 0; training.batch_size must be given; "
        "training.learning_rate must be given"
    )
    with pytest.raises(RecipeError, match=f"^{re.escape(f'{path}: {text}')}$"):
        load_recipe(path)


def test_files_that_are_no_recipes(tmp_path):
    names = ", ".join(recipe_names())
    with pytest.raises(RecipeError, match=f"^recipe must be a file, or one of {names}, not 'mnist6k'$"):
        load_recipe("mnist6k")
    with pytest.raises(FileError, match=f"^{tmp_path}: file must be readable: is a directory$"):
        load_recipe(tmp_path)
    path = written(tmp_path, "[model\n")
    with pytest.raises(FileError, match=rf"^{path}: file must be TOML: .* \(at line 1, column 7\)$"):
        load_recipe(path)
    path.write_bytes(b"title = '\xff'")
    with pytest.raises(FileError, match=f"^{path}: file must be TOML in UTF-8"):
        load_recipe(path)


def test_a_recipe_cannot_be_changed_afterwards(tmp_path):
    recipe = load_recipe(written(tmp_path))
    with pytest.raises(ValueError, match="frozen"):
        recipe.training.epochs = 5
    assert isinstance(recipe, Recipe) and recipe.training.epochs == 3
