"""Trains a model from a recipe. A training that is killed can be resumed as if it had not stopped.

    DIR/last.safetensors     weights, optimizer and metrics after the last whole epoch: what a resumed training needs
    DIR/model.safetensors    the weights alone, after the last epoch
    DIR/metrics.csv          one row for each epoch
    DIR/curves.png           the same as a picture
    DIR/.lock                held while the training lasts: one training at a time uses a folder

Every epoch begins from its own seed, made from the recipe's seed, the epoch and the process. It decides order,
augmentation and stochastic depth. So no state of a random generator is kept, and a training that is resumed after epoch
10 gives, on the same processor with the same number of threads and workers, the same bits as one that never stopped.

Several processes, as `torchrun` starts them, share each batch (DistributedDataParallel); the first one writes. On a
GPU, matrix products are in bfloat16. Held-out images are evaluated after each epoch and never decide anything.
"""

import math
import os
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import distributed, nn
from torch.nn import functional

from taylorvit.boundary.errors import FileError
from taylorvit.golden.checkpoints.checkpoint import Checkpoint, CheckpointError, file_of, load, load_weights, save
from taylorvit.golden.network.integer_vit import load_integer_vit
from taylorvit.golden.network.vit import VisionTransformer

from .augmentation import Augment
from .images import load_batches
from .loading import check_sizes, evaluate, load_images, model_of, normalize
from .recipe import Distillation, Recipe, check_recipe, recipe_names
from .straight_through import StraightThrough
from .training_folder import METRICS, TrainingError, only_training_in, write_metrics

__all__ = ["Progress", "Trained", "TrainingError", "train"]

#: Called with the number of epochs done, the number of all epochs, and a text that says what is under way.
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Trained:
    """The result of a training.

    Attributes:
        model (VisionTransformer): the trained model, in evaluation mode.
        path (Path): its file.
        metrics (list[dict]): a row of `golden.training.training_folder.METRICS` for each epoch.
    """

    model: VisionTransformer
    path: Path
    metrics: list[dict]


def train(
    recipe: Recipe,
    folder: str | Path,
    *,
    resume: bool = False,
    device: str | None = None,
    progress: Progress = lambda done, epochs, text: None,
    epochs: int | None = None,
) -> Trained:
    """Trains a model from a recipe.

    Args:
        recipe (Recipe): the recipe.
        folder (str | Path): folder of the files; it must not hold a training, unless `resume`.
        resume (bool): whether to continue after the last whole epoch in the folder, if there is one.
        device (str | None): device of torch; a GPU if there is one, otherwise the processor, if left out.
        progress (Progress): called, by the first of several processes, with the number of epochs done, their number and
            a text that says what is under way.
        epochs (int | None): number of the recipe's epochs after which to stop, for a later `resume`.

    Raises:
        TrainingError: the folder holds another training, or the loss is not finite.
        ImageError: images are missing or damaged, or their classes or sizes are not the model's.
        CheckpointError: a checkpoint is missing or damaged, or cannot be written.
        FileError: another file is missing or damaged, or cannot be written.
    """
    with _Processes(device) as processes:
        training = _Training(recipe, Path(folder), processes, progress)
        with only_training_in(training.folder) if processes.first else nullcontext():
            training.begin(resume)
            return training.run(epochs)


def _there(field: str, path: Path) -> Path:
    """The path that a field of a recipe has, of a file or folder that is there."""
    if file_of(path).exists():
        return path
    text = f"{field} of the recipe must be a file, not {str(path)!r}, seen from the folder in which the command runs"
    trained = [name for name in recipe_names() if path == Path("build/golden", name, "model.safetensors")]
    raise CheckpointError(text + "".join(f": `taylorvit train --config {name}` makes it" for name in trained))


class _Processes:
    """This process among those that train together, and its device."""

    def __init__(self, device: str | None) -> None:
        self.count = int(os.environ.get("WORLD_SIZE", "1"))
        self.rank = int(os.environ.get("RANK", "0"))
        local = int(os.environ.get("LOCAL_RANK", "0"))
        try:
            default = f"cuda:{local}" if torch.cuda.is_available() else "cpu"
            self.device = torch.device(default if device is None else device)
            torch.ones(1, device=self.device).item()  # the device `meta`, which has no memory, fails here
        except (RuntimeError, AssertionError, ImportError):
            raise TrainingError(f"device must be one that torch finds here, not {device!r}") from None

    def __enter__(self):
        if self.count > 1:
            distributed.init_process_group("nccl" if self.device.type == "cuda" else "gloo")
        return self

    def __exit__(self, *exception) -> None:
        if self.count > 1:
            distributed.destroy_process_group()

    @property
    def first(self) -> bool:
        return self.rank == 0

    def mean(self, value: float) -> float:
        """The mean of a number over all processes."""
        if self.count == 1:
            return value
        total = torch.tensor(value, device=self.device, dtype=torch.float64)
        distributed.all_reduce(total)
        return float(total) / self.count


class _ScoresOfHeads(nn.Module):
    """A module whose output is what the loss needs; distributed training wraps a module."""

    def __init__(self, model: VisionTransformer | StraightThrough) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return self.model.scores_of_heads(images)


class _Training:
    def __init__(self, recipe: Recipe, folder: Path, processes: _Processes, progress: Progress) -> None:
        if recipe.training is None:
            raise TrainingError("training must be given in a recipe to train from")
        self.recipe, self.folder, self.processes = recipe, folder, processes
        self.settings = recipe.training
        self.device = processes.device
        self.progress = progress
        self.last = folder / "last.safetensors"
        shape = recipe.model.vit_shape
        self.dataset = load_images(recipe.data, shape.image_size)
        check_sizes(shape, self.dataset)
        if recipe.augmentation.rand_augment and self.dataset.channels != 3:
            raise TrainingError(f"rand_augment must be off for images of {self.dataset.channels} channels")
        # All images, if they are fewer than a batch.
        self.batch_size = min(self.settings.batch_size, len(self.dataset.training))
        if self.batch_size < processes.count:
            raise TrainingError(
                f"images of a step must be at least one a process, {processes.count}, not {self.batch_size}"
            )

    def begin(self, resume: bool) -> None:
        """Makes model, teacher and optimizer as the recipe has them, or as they were after the last epoch."""
        recipe, shape = self.recipe, self.recipe.model.vit_shape
        begun = self.last.exists()
        if begun and not resume:
            raise TrainingError(
                f"cannot begin a training in {self.folder}: it holds one; continue it with --resume, "
                "or choose another folder"
            )
        torch.manual_seed(self.settings.seed)
        self.model = VisionTransformer(shape, recipe.model.choices, drop_path=recipe.model.drop_path)
        if recipe.model.weights is not None and not begun:
            load_weights(
                self.model,
                load(_there("model.weights", recipe.model.weights)),
                new_head=recipe.model.new_head,
                resample_positions=recipe.model.resample_positions,
            )
        self.model.to(self.device)
        self.computed = self._computed()
        self.teacher = self._load_teacher(recipe.distillation)
        self.optimizer = torch.optim.AdamW(self._parameter_groups(), lr=self.settings.learning_rate)
        smoothing = self.settings.label_smoothing
        self.augment = Augment(recipe.augmentation, classes=shape.classes, label_smoothing=smoothing)
        self.metrics: list[dict] = []
        if begun:
            self._restore(load(self.last))

    def _computed(self) -> VisionTransformer | StraightThrough:
        """The model as training computes it."""
        if self.recipe.model.rounding is None:
            return self.model
        integer = load_integer_vit(_there("model.rounding", self.recipe.model.rounding))
        return StraightThrough(self.model, integer, self.dataset.std)

    def _load_teacher(self, distillation: Distillation | None):
        if distillation is None:
            return None
        teacher = model_of(load(_there("distillation.teacher", distillation.teacher)), shape=distillation.shape)
        for name in ("classes", "channels", "image_size"):
            of_teacher, of_model = getattr(teacher.shape, name), getattr(self.model.shape, name)
            if of_teacher != of_model:
                raise TrainingError(f"{name} of the teacher must be that of the model, {of_model}, not {of_teacher}")
        return teacher.to(self.device).requires_grad_(False)

    def _parameter_groups(self) -> list[dict]:
        decayed: list[nn.Parameter] = []
        others: list[nn.Parameter] = []
        for name, parameter in self.model.named_parameters():
            plain = parameter.ndim < 2 or name in ("cls_token", "dist_token", "pos_embed")
            (others if plain else decayed).append(parameter)
        decay = self.settings.weight_decay
        return [{"params": decayed, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]

    # Epochs

    def run(self, epochs: int | None) -> Trained:
        heads: nn.Module = _ScoresOfHeads(self.computed)
        if self.processes.count > 1:
            gpu = [self.device] if self.device.type == "cuda" else None
            heads = nn.parallel.DistributedDataParallel(heads, device_ids=gpu)
        last_epoch = self.settings.epochs if epochs is None else min(epochs, self.settings.epochs)
        if self.processes.first and self.metrics:
            self._write_metrics()  # a training that was killed may not have come to it

        def show(text: str) -> None:
            if self.processes.first:
                self.progress(len(self.metrics), last_epoch, text)

        show(f"training{self._accuracy_so_far()}")
        for epoch in range(len(self.metrics), last_epoch):
            self._run_epoch(heads, epoch, show)
        path = self.folder / "model.safetensors"
        ended = len(self.metrics) == self.settings.epochs
        if ended and isinstance(self.computed, StraightThrough):
            self.computed.round_weights()
        if self.processes.first and ended:
            save(path, self.model.state_dict(), self._description())
        return Trained(self.model.eval(), path, self.metrics)

    def _run_epoch(self, heads: nn.Module, epoch: int, show) -> None:
        begin = time.perf_counter()
        seed = self._seed_of(epoch, 1 + self.processes.rank)
        torch.manual_seed(seed)
        self.computed.train()
        batches = self._batches(epoch)
        total = 0.0
        loaded = load_batches(
            self.dataset.training,
            batches,
            workers=self.recipe.data.workers,
            generator=torch.Generator().manual_seed(seed),
        )
        for index, (images, labels) in enumerate(loaded):
            self.model.set_threshold(self._threshold(epoch + index / len(batches)))
            learning_rate = self._learning_rate(epoch + (index + 1) / len(batches))
            try:
                loss = self._step(heads, images.to(self.device), labels.to(self.device), learning_rate)
            except torch.OutOfMemoryError:
                raise TrainingError(
                    f"memory of {self.device} must hold a step of {len(images)} images: a smaller "
                    "batch_size, or more processes, may help"
                ) from None
            total += loss
            step = f"epoch {epoch + 1}, step {index + 1} of {len(batches)}, loss {loss:.3f}"
            show(f"{step}{self._accuracy_so_far()}")
        training_loss = self.processes.mean(total / len(batches))
        accuracy, test_loss = evaluate(
            self.computed, self.dataset.testing, self.dataset, device=self.device, workers=self.recipe.data.workers
        )
        if not math.isfinite(training_loss + test_loss):
            kept = f"; {self.last} is from before" if self.metrics else ""
            raise TrainingError(
                f"loss of epoch {epoch + 1} must be finite, not {training_loss} in training and "
                f"{test_loss} on held-out images: a lower learning_rate may help{kept}"
            )
        seconds = round(time.perf_counter() - begin, 2)
        values = (epoch + 1, learning_rate, training_loss, test_loss, accuracy, seconds)
        self.metrics.append(dict(zip(METRICS, values)))
        if self.processes.first:
            self._save()
        show(f"{step}{self._accuracy_so_far()}")  # of this epoch by now

    def _step(self, heads: nn.Module, images: torch.Tensor, labels: torch.Tensor, learning_rate: float) -> float:
        images, shares = self.augment(images, labels)
        images = normalize(images, self.dataset.mean, self.dataset.std)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            scores = [of_head.float() for of_head in heads(images)]
            loss = self._loss(scores, images, shares)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.optimizer.zero_grad()
        loss.backward()
        if self.settings.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip_norm)
        self.optimizer.step()
        return float(loss.detach())

    def _loss(self, scores: list[torch.Tensor], images: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
        """Cross-entropy, and that of the teacher on the distillation token (DeiT, section 4) or the class token."""
        distillation = self.recipe.distillation
        if distillation is None:
            return torch.stack([_cross_entropy(of_head, shares) for of_head in scores]).mean()
        with torch.no_grad():
            teacher = self.teacher(images).float()
        if distillation.kind == "hard":
            of_teacher = functional.cross_entropy(scores[-1], teacher.argmax(dim=1))
        else:
            warm = distillation.temperature
            of_student, teacher = (scores[-1] / warm).log_softmax(dim=1), (teacher / warm).log_softmax(dim=1)
            of_teacher = functional.kl_div(of_student, teacher, reduction="batchmean", log_target=True) * warm**2
        return (1 - distillation.weight) * _cross_entropy(scores[0], shares) + distillation.weight * of_teacher

    def _learning_rate(self, epoch: float) -> float:
        """The learning rate at a time in epochs: linear warm-up from 0, then half of a cosine."""
        settings = self.settings
        if epoch < settings.warm_up_epochs:
            return settings.learning_rate * epoch / settings.warm_up_epochs
        done = (epoch - settings.warm_up_epochs) / (settings.epochs - settings.warm_up_epochs)
        high, low = settings.learning_rate, settings.final_learning_rate
        return low + (high - low) * (1 + math.cos(math.pi * done)) / 2

    def _threshold(self, epoch: float) -> float:
        """The threshold at a time in epochs: that of the model, rising to 1 if the recipe says so."""
        low, epochs = self.recipe.model.threshold, self.settings.threshold_epochs
        return low if epochs is None else min(low + (1 - low) * epoch / epochs, 1.0)

    # Order of the images

    def _batches(self, epoch: int) -> list[list[int]]:
        """The indices of each batch for this process; images that do not fill a batch are left out of this epoch."""
        images = len(self.dataset.training)
        order = torch.randperm(images, generator=torch.Generator().manual_seed(self._seed_of(epoch, 0)))
        whole = order[: images // self.batch_size * self.batch_size].split(self.batch_size)
        return [batch[self.processes.rank :: self.processes.count].tolist() for batch in whole]

    def _seed_of(self, epoch: int, stream: int) -> int:
        """The seed of an epoch; stream 0 is for the order, the others for the processes."""
        return (self.settings.seed * 1_000_003 + epoch) * 4099 + stream

    # Files

    def _description(self) -> dict:
        data = self.dataset
        return {
            "kind": "model",
            "recipe": self.recipe.model_dump(mode="json"),
            "data": {"name": data.name, "classes": data.classes, "mean": data.mean, "std": data.std},
            "epochs": len(self.metrics),
            "metrics": self.metrics,
        }

    def _save(self) -> None:
        tensors = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        for name, parameter in self.model.named_parameters():
            for kind, tensor in self.optimizer.state[parameter].items():
                tensors[f"optimizer.{kind}.{name}"] = tensor
        save(self.last, tensors, self._description() | {"kind": "training"})
        self._write_metrics()

    def _write_metrics(self) -> None:
        try:
            write_metrics(self.folder, self.metrics, title=self.recipe.title or str(self.folder))
        except FileError as error:
            raise TrainingError(f"metrics could not be written, and are in {self.last}: {error}") from None

    def _restore(self, checkpoint: Checkpoint) -> None:
        description = checkpoint.description
        if description.get("kind") != "training" or not description.get("metrics"):
            raise CheckpointError(f"{checkpoint.path} must be the state of a training, and is not")
        if check_recipe(description.get("recipe", {}), checkpoint.path) != self.recipe:
            raise TrainingError(
                f"cannot resume in {self.folder}: its training is from another recipe; choose another folder"
            )
        weights = {
            name.removeprefix("model."): tensor
            for name, tensor in checkpoint.tensors.items()
            if name.startswith("model.")
        }
        load_weights(self.model, Checkpoint(checkpoint.path, weights, {}))
        try:
            for name, parameter in self.model.named_parameters():
                self.optimizer.state[parameter] = {
                    kind: self._restored(checkpoint, f"optimizer.{kind}.{name}", parameter if kind != "step" else None)
                    for kind in ("step", "exp_avg", "exp_avg_sq")
                }
        except KeyError as error:
            raise CheckpointError(f"{checkpoint.path} must be the state of a training, and lacks {error}") from None
        self.metrics = description["metrics"]

    def _restored(self, checkpoint: Checkpoint, name: str, parameter: nn.Parameter | None) -> torch.Tensor:
        """A tensor of the optimizer: of a parameter's shape, or the number of steps, which stays on the processor."""
        tensor = checkpoint.tensors[name]
        shape, device = ((), "cpu") if parameter is None else (parameter.shape, self.device)
        if tensor.shape != shape or tensor.dtype != torch.float32 or not bool(torch.isfinite(tensor).all()):
            raise CheckpointError(f"{checkpoint.path} must be the state of a training, and its {name} is damaged")
        return tensor.to(device)

    def _accuracy_so_far(self) -> str:
        return f", {self.metrics[-1]['test_accuracy']:.1%} of held-out images" if self.metrics else ""


def _cross_entropy(scores: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of scores against shares of the classes, both (images, classes)."""
    return -(shares * scores.log_softmax(dim=1)).sum(dim=1).mean()
