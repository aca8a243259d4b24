"""The same run every time: examples are derived from the tests, and torch computes in one thread."""

import pytest
import torch
from hypothesis import settings

settings.register_profile("golden", deadline=None, derandomize=True, database=None)
settings.load_profile("golden")

torch.set_num_threads(1)  # the models are small, and pytest-xdist runs several of them


@pytest.fixture(scope="session")
def trained_on_digits(tmp_path_factory):
    """The checkpoint of a small model, trained on 8 x 8 digits for three epochs: (path, recipe)."""
    pytest.importorskip("sklearn")
    from taylorvit.golden.training.recipe import check_recipe
    from taylorvit.golden.training.trainer import train

    shape = {"image_size": 8, "patch_size": 4, "channels": 1, "classes": 10, "depth": 2, "width": 12, "heads": 3}
    recipe = check_recipe(
        {
            "model": {"shape": shape, "attention": "vitality", "threshold": 0.1},
            "data": {"name": "digits"},
            "training": {"epochs": 3, "batch_size": 40, "learning_rate": 8e-3, "warm_up_epochs": 1, "seed": 3},
        },
        "recipe",
    )
    return train(recipe, tmp_path_factory.mktemp("digits"), device="cpu").path, recipe
