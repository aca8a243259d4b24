"""The recipe of a training, one TOML file: model, images, augmentation, optimizer, teacher.

    [model]          what is trained, and from which weights
    [data]           images: one of `golden.training.images`, or a folder
    [augmentation]   how training images are varied; an operation that is left out is off
    [training]       epochs, batches, learning rate; left out where nothing is trained
    [distillation]   a teacher; optional

Recipes that come with the package are in `golden/recipes`. Every field has its unit and its limits here. An unknown
field is an error, so that a misspelt name does not leave a default; so is a text or a truth value in place of a number.
"""

import os
from collections.abc import Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from taylorvit.boundary.reading import KEY_PARTS, read_toml
from taylorvit.golden.attention.trained_attention import ATTENTIONS, AttentionChoice
from taylorvit.golden.network.program import KERNEL_OF_ATTENTION
from taylorvit.golden.network.vit import SHAPES, VitShape

__all__ = ["RECIPES", "Augmentation", "Recipe", "RecipeError", "load_recipe", "recipe_names", "rounded_recipe"]

#: Folder of the recipes that come with the package.
RECIPES = Path(__file__).parent.parent / "recipes"

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Whole = Annotated[int, Field(ge=1, le=1_000_000_000)]
File = Annotated[Path, Field(strict=False)]  # a text in TOML


class RecipeError(ValueError):
    """A recipe cannot be carried out; the text names the field."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Model(_Table):
    """What is trained.

    Attributes:
        shape (str | dict): a name of `golden.network.vit.SHAPES`, or a table with the sizes of a `VitShape`.
        attention (str | list[str]): a name of `golden.attention.trained_attention.ATTENTIONS`, or one for each block.
        threshold (float): threshold of `vitality` and `linear_angular`, a share of a row of the softmax map, 0 to 1.
        bits (int): bits of the operands from which their mask is predicted, 2 to 16.
        drop_path (float): probability that the last block leaves a branch out, from 0 to below 1; it rises linearly
            over the blocks, from 0.
        weights (Path | None): checkpoint to start from; random weights if left out.
        new_head (bool): whether to start with a random head, for other classes than those of the weights.
        resample_positions (bool): whether positions of weights for images of another size are interpolated.
        rounding (Path | None): integer model of the weights, as `taylorvit quantize` makes it, for quantization-aware
            training (`golden.training.straight_through`): training computes the attention kernels of this model with
            its rounding, and ends with weights on its grids.
    """

    shape: str | dict[str, int | bool]
    attention: str | list[str] = "taylor"
    threshold: Share = 0.02
    bits: Annotated[int, Field(ge=2, le=16)] = 4
    drop_path: Annotated[float, Field(ge=0, lt=1)] = 0.0
    weights: File | None = None
    new_head: bool = False
    resample_positions: bool = False
    rounding: File | None = None

    @model_validator(mode="after")
    def _check(self):
        for name in self.attentions:  # which raises if the shape is wrong
            if name not in ATTENTIONS:
                raise ValueError(f"attention must be one of {', '.join(ATTENTIONS)}, not {name!r}")
            if self.rounding is not None and name not in KERNEL_OF_ATTENTION:
                known = ", ".join(KERNEL_OF_ATTENTION)
                raise ValueError(f"attention must be one of {known} with rounding, not {name!r}")
        if len(self.attentions) != self.vit_shape.depth:
            raise ValueError(f"attention must be of {self.vit_shape.depth} blocks, not {len(self.attentions)}")
        if self.rounding is not None and self.drop_path:
            raise ValueError(f"drop_path must be 0 with rounding, not {self.drop_path!r}")
        return self

    @property
    def vit_shape(self) -> VitShape:
        """Sizes of the model."""
        if isinstance(self.shape, str):
            if self.shape not in SHAPES:
                raise ValueError(f"shape must be one of {', '.join(SHAPES)}, or a table, not {self.shape!r}")
            return SHAPES[self.shape]
        sizes = fields(VitShape)
        for name in self.shape:
            if name not in [size.name for size in sizes]:
                raise ValueError(_none_of(["shape"], name, [size.name for size in sizes]))
        for size in sizes:
            if size.name not in self.shape and size.default is MISSING:
                raise ValueError(f"shape.{size.name} must be given")
        try:
            return VitShape(**self.shape)  # type: ignore[arg-type]  # VitShape itself checks which is a bool
        except ValueError as error:
            raise ValueError(f"shape.{error}") from None

    @property
    def attentions(self) -> tuple[str, ...]:
        """Names of the attentions, one for each block."""
        return (self.attention,) * self.vit_shape.depth if isinstance(self.attention, str) else tuple(self.attention)

    @property
    def choices(self) -> tuple[AttentionChoice, ...]:
        """The attentions with their options, one for each block."""
        return tuple(AttentionChoice(name, self.threshold, self.bits) for name in self.attentions)


class Data(_Table):
    """The images.

    Attributes:
        name (str | None): a data set inside a package, a name of `golden.training.images.DATASETS`.
        folder (Path | None): in place of it, a folder with `train` and `val`.
        workers (int): processes that read images, up to 1,024; 0 reads them in the training process.
        mean (list[float] | None): mean of each channel, with which the model's inputs are normalized; if left out, that
            of the training images of a grey data set, ImageNet's for coloured images.
        std (list[float] | None): standard deviation of each channel, likewise.
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
    """How training images are varied, in this order. 0 turns an operation off.

    Attributes:
        rotation (float): largest rotation each way, in degrees, up to 180.
        shift (float): largest shift each way, as a share of a side.
        scale (float): largest change of the size, as a share, below 1.
        shear (float): largest shear each way, in degrees, below 90.
        elastic (float): strength of a smooth random distortion; 0.3 bends a digit visibly.
        flip (float): probability of mirroring left to right.
        rand_augment (float): strength, below 30, of two operations drawn by RandAugment (arXiv 1909.13719), for
            coloured images only.
        erasing (float): probability of erasing a rectangle (arXiv 1708.04896).
        mixup (float): alpha of the Beta distribution that mixes two images and their labels (arXiv 1710.09412).
        cutmix (float): alpha of the distribution that puts a rectangle of one image into another (arXiv 1905.04899).
            With both, each batch takes one of the two, as in DeiT.
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
        epochs (int): passes over the training images, at least 1.
        batch_size (int): images of a step, over all processes together, at least 1.
        learning_rate (float): learning rate at the end of the warm-up, above 0.
        final_learning_rate (float): learning rate at the end of the cosine.
        warm_up_epochs (float): epochs of linear growth from 0, fewer than `epochs`.
        weight_decay (float): weight decay of matrices and filters; biases, norms, tokens, positions have none (DeiT).
        label_smoothing (float): share of a label that is spread over all classes, from 0 to below 1.
        clip_norm (float | None): largest norm of the gradient, above 0; not limited if left out.
        threshold_epochs (float | None): epochs in which the threshold of `vitality` and `linear_angular` rises linearly
            to 1; from then on training computes what inference does. The threshold is constant if left out.
        seed (int): seed of weights, order and augmentation, from 0 to below 2^31.
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
            raise ValueError(f"warm_up_epochs must be below epochs, {self.epochs}, not {self.warm_up_epochs:g}")
        return self


class Distillation(_Table):
    """A teacher (DeiT, section 4).

    Attributes:
        teacher (Path): checkpoint of the teacher; a file of published weights needs `shape`.
        shape (str | None): shape of the teacher, if its checkpoint does not give it; its attention is then softmax.
        kind (str): `hard`, the teacher's decision as a label, or `soft`, its distribution.
        weight (float): share of the teacher in the loss, 0 to 1.
        temperature (float): temperature of the soft distribution, above 0.
    """

    teacher: File
    shape: str | None = None
    kind: Literal["hard", "soft"] = "hard"
    weight: Share = 0.5
    temperature: Positive = 1.0


class Recipe(_Table):
    """A training.

    Attributes:
        title (str): heading of its pictures.
        model (Model): what is trained.
        data (Data): the images.
        augmentation (Augmentation): how training images are varied.
        training (Training | None): optimizer and schedule; left out where nothing is trained.
        distillation (Distillation | None): the teacher; none if left out.
    """

    title: str = ""
    model: Model
    data: Data
    augmentation: Augmentation = Augmentation()
    training: Training | None = None
    distillation: Distillation | None = None


def recipe_names() -> list[str]:
    """Names of the recipes that come with the package, without their ending."""
    return sorted(path.stem for path in RECIPES.glob("*.toml"))


def load_recipe(path: str | Path, changes: dict | None = None) -> Recipe:
    """Reads a recipe from a file, or one that comes with the package.

    Paths of checkpoints and folders in a recipe are relative to the folder in which the command runs.

    Args:
        path (str | Path): the file, or the name of a recipe that comes with the package.
        changes (dict | None): values that replace those of the file, by dotted name: {"training.seed": 2}.

    Raises:
        RecipeError: there is no such file, or a field is unknown or out of its limits.
        FileError: the file is not TOML.
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


def rounded_recipe(
    recipe: Recipe, weights: Path, rounding: Path, epochs: int, kernels: Sequence[str] | None = None
) -> Recipe:
    """The recipe of quantization-aware training after another training, at a tenth of its learning rate.

    Args:
        recipe (Recipe): recipe of the training before.
        weights (Path): checkpoint to start from.
        rounding (Path): integer model of these weights, whose rounding is computed.
        epochs (int): passes over the training images, at least 1.
        kernels (Sequence[str] | None): attention kernel of the integer model in each layer; those of the attentions in
            the recipe if left out.

    Raises:
        RecipeError: the recipe has no training, or an attention that no kernel computes.
    """
    tables = recipe.model_dump(mode="json")
    if recipe.training is None:
        raise RecipeError(f"{weights}: training must be given in its recipe, from which fine-tuning starts")
    if kernels is not None:
        pairs = zip(recipe.model.attentions, kernels, strict=True)
        names = [name if KERNEL_OF_ATTENTION.get(name) == kernel else kernel for name, kernel in pairs]
        tables["model"]["attention"] = names[0] if len(set(names)) == 1 else names
    tables["model"] |= {"weights": str(weights), "rounding": str(rounding), "new_head": False, "drop_path": 0.0}
    rates = {name: tables["training"][name] / 10 for name in ("learning_rate", "final_learning_rate")}
    tables["training"] |= {"epochs": epochs, "warm_up_epochs": 0.0, **rates}
    return check_recipe(tables, weights)


def check_recipe(tables: dict, path: str | Path) -> Recipe:
    """Makes a recipe from tables of TOML or JSON.

    Args:
        tables (dict): the tables.
        path (str | Path): the file that they are from, for the text of an error.

    Raises:
        RecipeError: a field is missing, unknown or out of its limits.
    """
    try:
        return Recipe.model_validate(tables)
    except ValidationError as error:
        problems = "; ".join(_problem(each) for each in error.errors())
        raise RecipeError(f"{path}: {problems}") from None


def _problem(error: ErrorDetails) -> str:
    # pydantic names the alternatives of `shape`'s type in its place.
    kinds = ("str", "int", "bool", "dict[str,union[int,bool]]", "list[str]")
    field = ".".join(str(part) for part in error["loc"] if part not in kinds)
    if error["type"] == "missing":
        return f"{field} must be given"
    if error["type"] == "extra_forbidden":
        tables = [str(part) for part in error["loc"][:-1]]
        return _none_of(tables, str(error["loc"][-1]), list(_table_at(tables).model_fields))
    if error["type"] == "value_error":  # its text names a field of the table
        return f"{field}.{error['msg'].removeprefix('Value error, ')}"
    rule = {"path_type": "be a path", "model_type": "be a table"}.get(error["type"])
    return f"{field} must {rule or error['msg'].removeprefix('Input should ')}, not {error['input']!r}"


def _none_of(tables: list[str], name: str, known: list[str]) -> str:
    place = ".".join(tables)
    return f"{'.'.join([*tables, name])} is not a field of a recipe; {place or 'it'} has {', '.join(known)}"


def _table_at(names: list[str]) -> type[BaseModel]:
    """The table at a place of a recipe, which may be one that can be left out."""
    table: type[BaseModel] = Recipe
    for name in names:
        kind = table.model_fields[name].annotation
        table = next(each for each in (kind, *get_args(kind)) if isinstance(each, type) and issubclass(each, BaseModel))
    return table
