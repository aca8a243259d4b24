"""A training as one TOML file: model, images, augmentation, optimizer, teacher.

    [model]          what is trained, and from which weights
    [data]           images: one of `golden.training.images`, or a folder
    [augmentation]   how training images are varied; what is left out is off
    [training]       epochs, batches, learning rate; left out where nothing is trained
    [distillation]   a teacher; optional

Recipes that come with the package are in `golden/recipes`. Every field has its unit and its limits here; an unknown one
is an error, so that a misspelt one is not a default, and so is a text or a truth where a number belongs.
"""

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from taylorvit.boundary.reading import KEY_PARTS, read_toml
from taylorvit.golden.attention.trained_attention import ATTENTIONS, AttentionChoice
from taylorvit.golden.network.vit import SHAPES, VitShape

__all__ = ["RECIPES", "Augmentation", "Recipe", "RecipeError", "load_recipe", "recipe_names", "rounded_recipe"]

#: Where the recipes are that come with the package.
RECIPES = Path(__file__).parent.parent / "recipes"

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Whole = Annotated[int, Field(ge=1, le=1_000_000_000)]
File = Annotated[Path, Field(strict=False)]  # given as text


class RecipeError(ValueError):
    """A recipe that says something that cannot be done; names the field."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Model(_Table):
    """What is trained.

    Attributes:
        shape: a name of `golden.network.vit.SHAPES`, or a table with the sizes of a `VitShape`.
        attention: a name of `golden.attention.trained_attention.ATTENTIONS`.
        threshold: of `vitality` and `linear_angular`, share of a row.
        bits: of the operands from which their mask is predicted.
        drop_path: probability that the last block leaves a branch out; rises linearly from 0.
        weights: checkpoint to start from; random weights if left out.
        new_head: start with a random head, for other classes than those of the weights.
        resample_positions: the weights may be of a model for images of another size, whose positions are resampled.
        rounding: integer model of the weights, as `golden quantize` makes it. Training then computes Taylor attention
            with its rounding (`golden.training.straight_through`), and ends with weights on its grids.
    """

    shape: str | dict[str, int | bool]
    attention: str = "taylor"
    threshold: Share = 0.02
    bits: Annotated[int, Field(ge=2, le=16)] = 4
    drop_path: Annotated[float, Field(ge=0, lt=1)] = 0.0
    weights: File | None = None
    new_head: bool = False
    resample_positions: bool = False
    rounding: File | None = None

    @model_validator(mode="after")
    def _check(self):
        if self.attention not in ATTENTIONS:
            raise ValueError(f"attention must be one of {', '.join(ATTENTIONS)}, not {self.attention!r}")
        if self.rounding is not None and self.attention not in ("taylor", "vitality"):
            raise ValueError(f"attention must be taylor or vitality with rounding, not {self.attention!r}")
        if self.rounding is not None and self.drop_path:
            raise ValueError(f"drop_path must be 0 with rounding, not {self.drop_path!r}")
        self.vit_shape  # noqa: B018 - raises
        return self

    @property
    def vit_shape(self) -> VitShape:
        """The sizes."""
        if isinstance(self.shape, str):
            if self.shape not in SHAPES:
                raise ValueError(f"shape must be one of {', '.join(SHAPES)}, or a table, not {self.shape!r}")
            return SHAPES[self.shape]
        try:
            return VitShape(**self.shape)  # type: ignore[arg-type]  # which of them is a bool, it says itself
        except TypeError as error:  # one is missing, or unknown: "VitShape.__init__() missing 1 required ..."
            raise ValueError(f"shape must have the sizes of a VitShape: {str(error).partition('() ')[2]}") from None
        except ValueError as error:
            raise ValueError(f"shape.{error}") from None

    @property
    def choice(self) -> AttentionChoice:
        """The attention with its options."""
        return AttentionChoice(self.attention, self.threshold, self.bits)


class Data(_Table):
    """The images.

    Attributes:
        name: a data set of a package.
        folder: or a folder, with train and val.
        workers: processes that read it.
        mean, std: of each channel, with which the model's inputs are normalized; left out, those of the training images
            of a grey data set, ImageNet's of colour images.
    """

    name: str | None = None
    folder: File | None = None
    workers: Annotated[int, Field(ge=0, le=1024)] = 0
    mean: list[float] | None = None
    std: list[Positive] | None = None

    @model_validator(mode="after")
    def _check(self):
        if (self.name is None) == (self.folder is None):
            raise ValueError("name or folder must be given, and not both")
        if (self.mean is None) != (self.std is None):
            raise ValueError("mean and std must be given together")
        return self


class Augmentation(_Table):
    """How training images are varied, in this order.

    Attributes:
        rotation: up to so many degrees each way.
        shift: up to this share of a side each way.
        scale: up to this share larger or smaller.
        shear: up to so many degrees each way.
        elastic: strength of a smooth random distortion (0.3 bends a digit visibly).
        flip: probability of mirroring left to right.
        rand_augment: strength, below 30, of two operations drawn by RandAugment (arXiv 1909.13719); colour images only.
        erasing: probability of erasing a rectangle (arXiv 1708.04896).
        mixup: alpha of the Beta distribution that mixes two images and their labels (arXiv 1710.09412).
        cutmix: alpha of the one that puts a rectangle of one image into another (arXiv 1905.04899). With both, each
            batch takes one of the two, as DeiT does.
    """

    rotation: Annotated[float, Field(ge=0, le=180)] = 0.0
    shift: Share = 0.0
    scale: Annotated[float, Field(ge=0, lt=1)] = 0.0
    shear: Annotated[float, Field(ge=0, lt=90)] = 0.0
    elastic: Annotated[float, Field(ge=0)] = 0.0
    flip: Share = 0.0
    rand_augment: Annotated[float, Field(ge=0, lt=30)] = 0.0
    erasing: Share = 0.0
    mixup: Annotated[float, Field(ge=0)] = 0.0
    cutmix: Annotated[float, Field(ge=0)] = 0.0


class Training(_Table):
    """Optimizer and schedule: AdamW, warm-up, cosine.

    Attributes:
        epochs: passes over the training images.
        batch_size: images of a step, over all processes together.
        learning_rate: at the end of the warm-up.
        final_learning_rate: at the end of the cosine.
        warm_up_epochs: of linear growth from 0.
        weight_decay: of matrices and filters; biases, norms, tokens and positions have none (DeiT).
        label_smoothing: share of the label spread over all classes.
        clip_norm: largest norm of the gradient; left out, it is not limited.
        threshold_epochs: in which the threshold of `vitality` and `linear_angular` rises linearly to 1; from then on
            training computes what inference does. Left out, it stays as it is.
        seed: of weights, order and augmentation.
    """

    epochs: Whole
    batch_size: Whole
    learning_rate: Positive
    final_learning_rate: Annotated[float, Field(ge=0)] = 0.0
    warm_up_epochs: Annotated[float, Field(ge=0)] = 0.0
    weight_decay: Annotated[float, Field(ge=0)] = 0.05
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    clip_norm: Positive | None = None
    threshold_epochs: Positive | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 1

    @model_validator(mode="after")
    def _check(self):
        if self.warm_up_epochs >= self.epochs:
            raise ValueError(f"warm_up_epochs must be below epochs, {self.epochs}, not {self.warm_up_epochs!r}")
        return self


class Distillation(_Table):
    """A teacher (DeiT, section 4).

    Attributes:
        teacher: checkpoint of a model of ours, with its shape and attention inside; one of others needs `shape`.
        shape: of the teacher, if its file does not say; its attention is then softmax.
        kind: `hard`, the teacher's decision as a label, or `soft`, its distribution.
        weight: share of the teacher in the loss.
        temperature: of the soft distribution.
    """

    teacher: File
    shape: str | None = None
    kind: Literal["hard", "soft"] = "hard"
    weight: Share = 0.5
    temperature: Positive = 1.0


class Recipe(_Table):
    """The whole of a training."""

    title: str = ""
    model: Model
    data: Data
    augmentation: Augmentation = Augmentation()
    training: Training | None = None
    distillation: Distillation | None = None


def recipe_names() -> list[str]:
    """The recipes that come with the package, without their ending."""
    return sorted(path.stem for path in RECIPES.glob("*.toml"))


def load_recipe(path: str | Path, changes: dict | None = None) -> Recipe:
    """A recipe from a file, or by the name of one that comes with the package.

    Args:
        changes: values by dotted name that replace those of the file, {"training.seed": 2}.

    Raises `RecipeError` if there is no such file, or a field is unknown or out of its limits, `FileError` if it is not
    TOML. Paths of checkpoints and folders are those that the file gives, from where the command runs.
    """
    path = Path(path)
    file = RECIPES / f"{path}.toml" if str(path) in recipe_names() else path
    if not os.path.lexists(file):
        raise RecipeError(f"recipe must be a file, or one of {', '.join(recipe_names())}, not {str(path)!r}")
    tables = read_toml(file)
    for name, value in (changes or {}).items():
        *parents, field = name.split(".")
        if len(parents) >= KEY_PARTS:
            raise RecipeError(f"{path}: name of a field must have at most {KEY_PARTS} parts, not {len(parents) + 1}")
        table = tables
        for parent in parents:
            table = table.setdefault(parent, {})
            if not isinstance(table, dict):
                raise RecipeError(f"{path}: {name} must be in a table, and {parent} is {table!r}")
        table[field] = value
    return check_recipe(tables, path)


def rounded_recipe(recipe: Recipe, weights: Path, rounding: Path, epochs: int) -> Recipe:
    """A recipe for going on with the weights of one, with the rounding of an integer model, at a tenth of its rate."""
    tables = recipe.model_dump(mode="json")
    if recipe.training is None:
        raise RecipeError(f"{weights}: training must be given, in the recipe after which to go on")
    if tables["model"]["attention"] == "softmax":
        tables["model"]["attention"] = "taylor"
    tables["model"] |= {"weights": str(weights), "rounding": str(rounding), "new_head": False, "drop_path": 0.0}
    rates = {name: tables["training"][name] / 10 for name in ("learning_rate", "final_learning_rate")}
    tables["training"] |= {"epochs": epochs, "warm_up_epochs": 0.0, **rates}
    return check_recipe(tables, weights)


def check_recipe(tables: dict, path: str | Path) -> Recipe:
    """The recipe of tables as TOML or JSON has them; `path` is where they are from."""
    try:
        return Recipe.model_validate(tables)
    except ValidationError as error:
        problems = "; ".join(_problem(each) for each in error.errors())
        raise RecipeError(f"{path}: {problems}") from None


def _problem(error: ErrorDetails) -> str:
    # The kinds that `shape` may have are no part of its name.
    kinds = ("str", "int", "bool", "dict[str,union[int,bool]]")
    field = ".".join(str(part) for part in error["loc"] if part not in kinds)
    if error["type"] == "missing":
        return f"{field} must be given"
    if error["type"] == "extra_forbidden":
        return f"{field} is no field of a recipe"
    if error["type"] == "value_error":  # of a table, and names its field
        return f"{field}.{error['msg'].removeprefix('Value error, ')}"
    rule = {"path_type": "be a path", "model_type": "be a table"}.get(error["type"])
    return f"{field} must {rule or error['msg'].removeprefix('Input should ')}, not {error['input']!r}"
