"""Whether a network fits an accelerator: its sizes, and for any image every number that it computes.

What does not fit is named by the field of the configuration that is too small, with the value that would do.
"""

from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import NamedTuple

import numpy as np

from taylorvit.golden.arithmetic.number_format import NetworkFormat
from taylorvit.golden.network.integer_layers import bits_of
from taylorvit.golden.network.integer_vit import IntegerVit
from taylorvit.golden.network.operations import Add, Linear, Logits, Norm, Requantize
from taylorvit.golden.network.vit import VitShape
from taylorvit.rtl.network.config import NetworkConfig

from .layout import Layout

__all__ = ["FitError", "check_kernels", "check_model", "check_shape", "check_tape", "format_of"]

#: Numbers of an attention kernel that follow from the fields of the configuration.
_DERIVED = {"taylor": ("c_v_width", "c_d_width", "shift_g_max"), "softmax": ("shift_s_max",)}

#: Numbers that a model must have been made for: all models, and those with a kernel.
_MADE_FOR = ("data_width", "residual_width")
_MADE_FOR_KERNEL = {
    "taylor": ("mean_fraction", "constant_fraction"),
    "softmax": ("score_width", "exponential_width", "exponential_entries"),
}


class FitError(ValueError):
    """A network that an accelerator cannot compute; the text names every field that is too small."""


class _Need(NamedTuple):
    """What a field of the configuration must be at least.

    Attributes:
        field (str): the field.
        least (int): the value that would do.
        why (str): what needs it.
    """

    field: str
    least: int
    why: str


def format_of(config: NetworkConfig) -> NetworkFormat:
    """The number format that the golden model of an accelerator has.

    Args:
        config (NetworkConfig): the accelerator.
    """
    numbers = {name: getattr(config.attention, name) for kernel in config.kernels for name in _DERIVED[kernel]}
    derived = {name for names in _DERIVED.values() for name in names}  # of kernels that it does not have, the defaults
    numbers |= {field.name: getattr(config, field.name) for field in fields(NetworkFormat) if field.name not in derived}
    return NetworkFormat(**numbers)


def check_shape(shape: VitShape, config: NetworkConfig) -> None:
    """Checks that the sizes of a network fit.

    Args:
        shape (VitShape): the network.
        config (NetworkConfig): the accelerator.

    Raises:
        FitError: they do not.
    """
    layout = Layout(shape, config)
    _check(
        config,
        [
            _Need("max_tokens", shape.tokens, "tokens of an image"),
            _Need("max_width", shape.width, "features of a token"),
            _Need("max_hidden", layout.hidden, "hidden features of the MLP"),
            _Need("max_patch", layout.patch, "pixels of a patch"),
            _Need("max_classes", shape.classes, "classes"),
            _Need("max_heads", shape.heads, "heads"),
            _Need("max_head_dim", shape.head_dim, "features of a head"),
        ],
    )
    if layout.activation_words > config.activation_depth:
        raise FitError(
            f"network must need at most {config.activation_depth} words of an activation bank of {config.name}, "
            f"not {layout.activation_words}; a larger max_hidden would do"
        )


def check_kernels(kernels: Sequence[str], config: NetworkConfig) -> None:
    """Checks that an accelerator has the attention kernels of a network.

    Args:
        kernels (Sequence[str]): attention kernel of each layer.
        config (NetworkConfig): the accelerator.

    Raises:
        FitError: it has not.
    """
    for layer, kernel in enumerate(kernels):
        if kernel not in config.kernels:
            raise FitError(
                f"attention of layer {layer} must be one that {config.name} has, {' or '.join(config.kernels)}, not "
                f"{kernel}: choose another one (--attention {layer}={config.kernels[0]}), or an accelerator that has it"
            )


def check_model(vit: IntegerVit, config: NetworkConfig) -> None:
    """Checks that every number of a model fits, for any image.

    Args:
        vit (IntegerVit): the model, whose sizes fit.
        config (NetworkConfig): the accelerator.

    Raises:
        FitError: one does not.
    """
    _check_format(vit, config)
    for operation in vit.program:
        if isinstance(operation, Norm):
            _check_norm(vit, operation, config)
    _check(config, _needs(vit, config))


def check_tape(length: int, config: NetworkConfig) -> None:
    """Checks that a tape fits the memory on the chip, if it is kept there; `FitError` if it does not.

    Args:
        length (int): bytes of the tape.
        config (NetworkConfig): the accelerator.
    """
    if config.tape_source == "memory":
        unit = max(4, config.tape_bytes)
        _check(config, [_Need("tape_memory_bytes", -(-length // unit) * unit, "bytes of the tape, in whole words")])


def _check(config: NetworkConfig, needs) -> None:
    missing: dict[str, _Need] = {}
    for need in needs:
        if need.least > max(getattr(config, need.field), missing[need.field].least if need.field in missing else 0):
            missing[need.field] = need
    if missing:
        texts = [
            f"{need.field} must be at least {need.least} ({need.why}), not {getattr(config, need.field)!r}"
            for need in missing.values()
        ]
        raise FitError(f"network does not fit {config.name}: {'; '.join(texts)}")


def _check_format(vit: IntegerVit, config: NetworkConfig) -> None:
    """The numbers that a model must have been made for, and the registers of attention."""
    built = format_of(config)
    check_kernels(vit.kernels, config)
    used = (name for kernel in dict.fromkeys(vit.kernels) for name in _MADE_FOR_KERNEL[kernel])
    for name in (*_MADE_FOR, *used):
        wanted, found = getattr(vit.number_format, name), getattr(built, name)
        if wanted != found:
            raise FitError(
                f"{name} of {config.name} must be that of the model, {wanted}, not {found}: "
                "build it with that value, or quantize the model for it"
            )
    for layer, registers in enumerate(vit.registers):
        try:
            registers.check(built)
        except ValueError as error:
            raise FitError(f"network does not fit {config.name}: in layer {layer}, {error}") from None


def _check_norm(vit: IntegerVit, operation: Norm, config: NetworkConfig) -> None:
    shift, epsilon = vit.norm_shift(operation), vit.epsilon(operation)
    if not config.norm_shift_min <= shift <= config.norm_shift_max:
        limits = f"{config.norm_shift_min} to {config.norm_shift_max}"
        raise FitError(f"right shift of {operation.name} must be {limits}, not {shift}")
    if epsilon.bit_length() > config.epsilon_width:
        raise FitError(
            f"epsilon of {operation.name} must fit {config.epsilon_width} bits in the scale of the variance, "
            f"not need {epsilon.bit_length()}"
        )


def _needs(vit: IntegerVit, config: NetworkConfig) -> Iterator[_Need]:
    """What the sums and shifts of a model need."""
    widths = vit.widths()
    for operation in vit.program:
        name = operation.name
        match operation:
            case Linear():
                products = _products(vit.tensors[operation.weight])
                yield _Need("sum_width", max(widths[name], products), f"bits of the sums of {name}")
            case Logits():
                yield _Need("sum_width", widths[name], f"bits of {name}")
            case Requantize():
                shifts = vit.requantizing_shift(operation)
                branch = int(np.max(-shifts, initial=0))
                yield _right(int(np.max(shifts, initial=0)), name, config)
                yield _Need("branch_shift_max", branch, f"left shift of {name}")
                yield _Need("aligned_width", widths[operation.source] + branch + 1, f"bits of {name} as it is rounded")
            case Add():
                of_stream, of_branch, of_sum = vit.add_shifts(operation)
                yield _right(int(of_sum.max()), name, config)
                yield _Need("stream_shift_max", int(of_stream.max()), f"left shift of {operation.stream} in {name}")
                yield _Need("branch_shift_max", int(of_branch.max()), f"left shift of {operation.branch} in {name}")
                yield _Need("aligned_width", widths[operation.sum] + 1, f"bits of {name} as it is rounded")
                left = int(vit.left_shifts(name).max())
                yield _Need("left_shift_max", left, f"left shifts of {name}")
            case _:
                pass


def _right(shift: int, name: str, config: NetworkConfig) -> _Need:
    """A right shift by all bits of a sum, or by more, is one by all but one of them (`payload.constants_of`)."""
    return _Need("right_shift_max", min(shift, config.aligned_width - 1), f"right shift of {name}")


def _products(weight: np.ndarray) -> int:
    """Bits of the sums of products with activations of 8 bits, before their bias is added."""
    positive, negative = weight.clip(min=0).sum(axis=1), -weight.clip(max=0).sum(axis=1)  # (features,)
    least, most = int((128 * positive + 127 * negative).max()), int((127 * positive + 128 * negative).max())
    return bits_of(-least, most)
