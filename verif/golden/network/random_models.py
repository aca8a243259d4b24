"""Integer models of any shape that no training made, for comparing two computations of them.

    plain       numbers of a size that keeps activations apart: few saturate, few vanish
    extreme     weights, factors, tables and shifts at the ends of their ranges

Both fit an accelerator whose sums have `SUM_WIDTH` bits and whose shifts are those that `NetworkConfig` has if nothing
else is said. No torch module and no image is needed: a model takes milliseconds.
"""

import math
from collections.abc import Sequence

import numpy as np

from taylorvit.golden.arithmetic.number_format import NetworkFormat
from taylorvit.golden.attention.integer_attention import JobConstants
from taylorvit.golden.attention.integer_softmax import SoftmaxConstants
from taylorvit.golden.attention.kernels.softmax import exponential_table
from taylorvit.golden.network.integer_vit import IntegerVit
from taylorvit.golden.network.operations import Add, Linear, Norm, Requantize, Stream
from taylorvit.golden.network.program import each_layer, network_of
from taylorvit.golden.network.vit import VitShape

#: Bits of the sums of products.
SUM_WIDTH = 24

#: Largest left shifts of the residual stream and of a branch in an addition.
STREAM_SHIFT_MAX, BRANCH_SHIFT_MAX = 15, 3


def random_model(
    shape: VitShape,
    seed: int,
    *,
    extreme: bool = False,
    number_format=None,
    sum_width: int = SUM_WIDTH,
    kernels: str | Sequence[str] = "taylor",
) -> IntegerVit:
    """A model of random integers.

    Args:
        shape (VitShape): sizes.
        seed (int): of the numbers.
        extreme (bool): numbers at the ends of their ranges.
        number_format (NetworkFormat | None): of the accelerator; the default one if left out.
        sum_width (int): bits of the sums of products with their bias; 24 are enough for 500 inputs.
        kernels (str | Sequence[str]): attention kernel of each layer, or of all.
    """
    kernels = each_layer(kernels, shape.depth)
    return _Maker(shape, seed, extreme, number_format or NetworkFormat(), sum_width, kernels).vit()


def random_shape(seed: int, *, tokens: int = 17, width: int = 32, head_dim: int = 16, classes: int = 10) -> VitShape:
    """A small shape, with sizes that rarely divide anything.

    Args:
        seed (int): of the sizes.
        tokens (int): most tokens of patches.
        width (int): most features.
        head_dim (int): most features of a head.
        classes (int): most classes.
    """
    random = np.random.default_rng(seed)
    d = int(random.integers(1, min(head_dim, width) + 1))
    heads = int(random.integers(1, min(4, width // d) + 1))
    distilled = bool(random.integers(2))
    side = int(random.integers(1, math.isqrt(tokens - 1 - distilled) + 1))
    patch_size = int(random.integers(1, 4))
    return VitShape(
        image_size=side * patch_size,
        patch_size=patch_size,
        channels=int(random.integers(1, 4)) if patch_size < 3 else 1,
        classes=int(random.integers(1, classes + 1)),
        depth=int(random.integers(1, 4)),
        width=d * heads,
        heads=heads,
        mlp_ratio=int(random.integers(1, 5)),
        distilled=distilled,
    )


def random_pixels(shape: VitShape, seed: int, images: int = 1) -> np.ndarray:
    """Pixels of images, noise of any contrast."""
    random = np.random.default_rng(seed)
    size = (images, shape.channels, shape.image_size, shape.image_size)
    return np.clip(random.normal(128, random.uniform(0, 150, (images, 1, 1, 1)), size).round(), 0, 255).astype(np.int64)


class _Maker:
    """Draws the numbers of one model."""

    def __init__(
        self,
        shape: VitShape,
        seed: int,
        extreme: bool,
        number_format: NetworkFormat,
        sum_width: int,
        kernels: tuple[str, ...],
    ) -> None:
        self.sum_width, self.kernels = sum_width, kernels
        self.random = np.random.default_rng(seed)
        self.shape, self.extreme, self.number_format = shape, extreme, number_format
        self.program = network_of(shape, number_format, kernels=kernels)
        self.tensors: dict[str, np.ndarray] = {}
        self.exponents: dict[str, int] = {}

    def vit(self) -> IntegerVit:
        """The model."""
        for operation in self.program:
            for name, parameter in operation.parameters.items():
                self.tensors[name] = self._tensor(name, parameter)
            if isinstance(operation, Linear):
                self._bias(operation)
        for operation in self.program:
            self._exponents(operation)
        offsets = {name: int(self.random.integers(128)) for name in self.program.offsets}
        registers = [self._registers() if kernel == "taylor" else self._softmax() for kernel in self.kernels]
        return IntegerVit(self.shape, self.tensors, self.exponents, offsets, registers, self.number_format)

    def _tensor(self, name: str, parameter) -> np.ndarray:
        if name.endswith("weight_shift"):
            return self.random.integers(0, 5, parameter.shape)
        if name.endswith("beta"):
            bits = 32 if self.extreme else 27
            return self.random.integers(-(1 << (bits - 1)), 1 << (bits - 1), parameter.shape)
        tensor = self.random.integers(parameter.low, parameter.high + 1, parameter.shape)
        if self.extreme:
            ends = self.random.choice([parameter.low, parameter.high], parameter.shape)
            return np.where(self.random.random(parameter.shape) < self.random.choice([0.5, 1]), ends, tensor)
        if name.endswith(".weight"):  # channels of any size, some of zeros
            return tensor // self.random.choice([1, 1, 1, 3, 200], (len(tensor), 1))
        return tensor // 4 if name == "embedding" else tensor

    def _bias(self, operation: Linear) -> None:
        """Biases that leave the sums, of two heads together too, their width."""
        weight = self.tensors[operation.weight]
        largest = 1 << (self.sum_width - 1)
        if operation.name.startswith("head"):
            largest >>= 1
        room = largest - 1 - 128 * np.abs(weight).sum(axis=1)
        if not self.extreme:
            room = np.minimum(room, 64 * np.abs(weight).sum(axis=1) + 1)
        self.tensors[operation.bias] = self.random.integers(-room, room + 1)

    def _jitter(self) -> int:
        return int(self.random.integers(-6, 7) if self.extreme else self.random.integers(-1, 2))

    def _exponents(self, operation) -> None:
        """Exponents from which shifts follow that bring each step into its range."""
        exponents, name = self.exponents, operation.name
        match operation:
            case Linear():
                first = name != "head_dist"
                exponents[operation.weight] = -7 if first else exponents["head.weight"]
                exponents[name] = -20 + self._jitter() if first else exponents["head"]
            case Requantize():
                exponents[name] = exponents[operation.source] + self._shift(operation.source) + self._jitter()
            case Norm():
                exponents[operation.gamma] = -13
                exponents[name] = -13 - 12 + max(0, 21 + self._jitter())
            case Stream():
                self._stream(operation)
            case _:
                for each in operation.exponents:
                    exponents[each] = self._jitter()

    def _shift(self, linear: str) -> int:
        """The right shift from sums to about 6 bits."""
        return 2 + round(math.log2(100 * math.sqrt(self.program[linear].inputs)))

    def _stream(self, operation) -> None:
        """The branch is finer than the stream, but where its channels' shifts make it coarser."""
        exponents, branch = self.exponents, operation.branch
        if not isinstance(operation, Add):  # the embedding
            exponents[operation.name] = exponents[branch] + self._shift(branch) - 1 + self._jitter()
            return
        stream = exponents[operation.stream] + self.tensors[self.program[operation.stream].left_shift]
        # Not further apart than an accelerator shifts.
        apart = exponents[branch] + self.tensors[self.program[branch].weight_shift] - stream
        exponents[branch] -= max(0, int(apart.max()) - BRANCH_SHIFT_MAX)
        exponents[branch] += max(0, -int(apart.min()) - STREAM_SHIFT_MAX)
        finest = np.minimum(stream, exponents[branch] + self.tensors[self.program[branch].weight_shift])
        least = int((finest - self.tensors[operation.left_shift]).max())
        exponents[operation.name] = max(least, exponents[operation.stream] + self._jitter())

    def _registers(self) -> JobConstants:
        random, number_format = self.random, self.number_format
        if self.extreme:
            ranges = JobConstants.ranges(number_format)
            values = {name: int(random.integers(low, high + 1)) for name, (low, high) in ranges.items()}
            values["c_d"] >>= int(random.integers(0, number_format.c_d_width + 1))
            values["c_v"] >>= int(random.integers(0, number_format.c_v_width + 1))
            return JobConstants(**values)
        c_d = 1 << int(random.integers(14, 26))
        shift_z = int(math.log2(40 * c_d / 2**21)) + int(random.integers(-1, 3))
        return JobConstants(
            shift_g=min(int(math.log2(300 * math.sqrt(self.shape.tokens))) + 1, number_format.shift_g_max),
            shift_z=min(max(shift_z, number_format.shift_z_min), number_format.shift_z_max),
            c_v=int(random.integers(1 << 11)),
            c_d=c_d + int(random.integers(1 << 10)),
        )

    def _softmax(self) -> SoftmaxConstants:
        """Of scores that spread over the table; if extreme, any shifts, and a table that no exponential ever was."""
        random, number_format = self.random, self.number_format
        if self.extreme:
            ranges = SoftmaxConstants.ranges(number_format)
            values = {name: int(random.integers(low, high + 1)) for name, (low, high) in ranges.items()}
            if random.integers(2):  # else most quotients saturate
                values["shift_z"] = int(random.integers(-2, 2))
            table = random.integers(0, number_format.exponential_max + 1, number_format.exponential_entries)
            table[0] = max(table[0], 1)
            return SoftmaxConstants(**values, exponentials=table)
        # A standard deviation of a score is an eighth of its range, and some two powers of e.
        largest = 2000 * math.sqrt(self.shape.head_dim)
        spread = number_format.score_width - 4
        shift_s = min(max(round(math.log2(largest)) - spread, 0), number_format.shift_s_max)
        score_exp = 1 - spread + math.ceil(math.log2(self.shape.head_dim) / 2)
        table = exponential_table(self.shape.head_dim, score_exp, number_format)
        return SoftmaxConstants(shift_s, max(int(random.integers(-1, 1)), number_format.shift_z_min), table)
