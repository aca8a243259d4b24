"""The equations of an integer model in Python ints, step by step, written a second time: what its steps must be."""

import math
from fractions import Fraction

import numpy as np

from taylorvit.golden.network.integer_layers import bits_of
from taylorvit.golden.network.integer_vit import IntegerVit


@np.vectorize(otypes=[object])
def shifted(x, shift):
    return math.floor(Fraction(x) / Fraction(2) ** int(shift) + Fraction(1, 2))


@np.vectorize(otypes=[object])
def saturated(x, width):
    return max(-(2 ** (width - 1)), min(2 ** (width - 1) - 1, x))


@np.vectorize(otypes=[object])
def unrounded(x, shift):
    """What is in a register before the lower bits are dropped."""
    return x * 2 ** -int(shift) if shift <= 0 else x + 2 ** (int(shift) - 1)


class InInts:
    """The docstring's equations, step by step; matrices are arrays of Python ints."""

    def __init__(self, vit: IntegerVit, image: np.ndarray) -> None:
        self.vit, self.shape, self.exponents = vit, vit.shape, vit.exponents
        self.tensors = {name: tensor.astype(object) for name, tensor in vit.tensors.items()}
        self.steps = {}  # what the model notes
        self.inside = {}  # what it does not note, and bounds
        self.run(image.astype(object))

    def note(self, name, value):
        self.steps[name] = value
        return value

    def requantized(self, name, x, exponent, wanted, width=8):
        shift = np.broadcast_to(np.asarray(wanted - exponent, dtype=object), x.shape)
        self.inside[f"{name}.unrounded"] = unrounded(x, shift)
        return saturated(shifted(x, shift), width)

    def grid(self, stream):
        return self.exponents[stream] + self.tensors[f"{stream}.left_shift"]

    def of_sums(self, name):
        return self.exponents[name] + self.tensors[f"{name}.weight_shift"]

    def linear(self, name, x):
        return self.note(name, x @ self.tensors[f"{name}.weight"].T + self.tensors[f"{name}.bias"])

    def norm(self, name, stream, x):
        gamma, beta = self.tensors[f"{name}.gamma"], self.tensors[f"{name}.beta"]
        features = self.shape.width
        exponent = self.exponents[f"residual.{stream}"]
        epsilon = max(round(Fraction(1, 10**6) * features**2 / Fraction(4) ** exponent), 1)
        x = x * 2 ** self.tensors[f"residual.{stream}.left_shift"]
        total = self.note(f"{name}.total", x.sum(axis=1, keepdims=True))
        variance = features * (x * x).sum(axis=1, keepdims=True) - total * total + epsilon
        self.note(f"{name}.variance", variance)
        products, rows, reciprocals = [], [], []
        for row, [row_total], [row_variance] in zip(x, total, variance, strict=True):
            half_shift = math.ceil(Fraction(row_variance.bit_length() - 30, 2))
            reciprocal = math.isqrt(2**58 // math.floor(Fraction(row_variance) / Fraction(4) ** half_shift))
            product = (features * row - row_total) * reciprocal
            products.append(unrounded(product, 17 + half_shift))
            rows.append(shifted(product, 17 + half_shift))
            reciprocals.append([reciprocal])
        self.inside[f"{name}.product"] = np.array(products)
        self.note(f"{name}.reciprocal", np.array(reciprocals, dtype=object))
        normalized = self.note(f"{name}.normalized", np.array(rows))
        affine = self.exponents[f"{name}.gamma"] - 12
        return self.note(name, self.requantized(name, normalized * gamma + beta, affine, self.exponents[name]))

    def attention(self, layer, qkv):
        """Of one layer, head by head, by its kernel. Gives Z, (tokens, width)."""
        data, width, name = self.vit.number_format.data_width, self.shape.width, f"blocks.{layer}"
        of_head = {"taylor": self.taylor, "softmax": self.softmax}[self.vit.kernels[layer]]
        operands = []
        for index, operand in enumerate("qkv"):
            part = qkv[:, index * width : (index + 1) * width]
            exponents = self.of_sums(f"{name}.qkv")[index * width : (index + 1) * width]
            grown = self.inside.pop(f"{name}.qkv.unrounded", np.zeros(0, dtype=object))
            part = self.requantized(f"{name}.qkv", part, exponents, self.exponents[f"{name}.{operand}"], data)
            self.inside[f"{name}.qkv.unrounded"] = np.concatenate([grown, self.inside[f"{name}.qkv.unrounded"].ravel()])
            operands.append(part)
        errors, results = 0, []
        size = width // self.shape.heads
        heads = [[part[:, begin : begin + size] for part in operands] for begin in range(0, width, size)]
        for q, k, v in heads:
            numerator, denominator, shift_z = of_head(layer, q, k, v)
            z = np.zeros_like(q)
            for token, feature in np.ndindex(z.shape):
                above, below = numerator[token, feature], denominator[token]
                extreme = -(2**40) if above < 0 else 2**40
                exact = Fraction(above) * Fraction(2) ** shift_z / below if below > 0 else extreme
                z[token, feature] = saturated(shifted(exact, 0), data)[()]
            errors += sum(below <= 0 for below in denominator)
            results.append(z)
        for operand, of_heads in zip("qkvz", [*zip(*heads, strict=True), results], strict=True):
            self.note(f"{name}.{operand}", np.stack(of_heads))
        self.steps[f"{name}.denominator_errors"] = errors
        return np.concatenate(results, axis=1)

    def taylor(self, layer, q, k, v):
        """Numerators, denominators and SHIFT_Z of one head: Algorithm 1."""
        registers, number_format = self.vit.registers[layer], self.vit.number_format
        mean, constant = number_format.mean_fraction, number_format.constant_fraction
        k_hat = k * 2**mean - shifted(k.sum(axis=0) * 2**mean * Fraction(1, len(k)), 0)
        g = saturated(shifted(k_hat.T @ v, registers.shift_g), number_format.data_width)
        numerator = (q @ g) * 2**constant + registers.c_v * v.sum(axis=0)
        return numerator, registers.c_d + (q @ k_hat.sum(axis=0)) * 2**constant, registers.shift_z

    def softmax(self, layer, q, k, v):
        """The same of softmax attention."""
        constants, name = self.vit.registers[layer], f"blocks.{layer}.z"
        sums = q @ k.T
        scores = saturated(shifted(sums, constants.shift_s), self.vit.number_format.score_width)
        exponentials = dict(enumerate(constants.exponentials))
        weights = np.array([[exponentials.get(max(row) - score, 0) for score in row] for row in scores], dtype=object)
        grown = unrounded(sums, constants.shift_s)
        parts = {"scores.unrounded": grown, "numerator": weights @ v, "denominator": weights.sum(axis=1)}
        for part, value in parts.items():
            self.inside.setdefault(f"{name}.{part}", []).append(value)
        return weights @ v, weights.sum(axis=1), constants.shift_z

    def add(self, name, stream, x, branch, total):
        finest = np.minimum(self.of_sums(branch), self.grid(stream))
        both = x * 2 ** (self.grid(stream) - finest) + total * 2 ** (self.of_sums(branch) - finest)
        self.note(f"{name}.sum", both)
        width = self.vit.number_format.residual_width
        return self.note(name, self.requantized(f"{name}.sum", both, finest, self.grid(name), width))

    def run(self, image):
        patch = self.shape.patch_size
        corners = range(0, self.shape.image_size, patch)
        patches = [image[:, top : top + patch, left : left + patch].ravel() for top in corners for left in corners]
        no_patches = np.zeros((self.shape.extra_tokens, len(patches[0])), dtype=object)
        total = self.linear("patch_embed", self.note("patches", np.concatenate([no_patches, np.array(patches) - 128])))
        x = self.note("embedding", self.tensors["embedding"])
        x = self.add("residual.0", "embedding", x, "patch_embed", total)
        for layer in range(self.shape.depth):
            name = f"blocks.{layer}"
            z = self.attention(layer, self.linear(f"{name}.qkv", self.norm(f"{name}.norm1", 2 * layer, x)))
            x = self.add(
                f"residual.{2 * layer + 1}", f"residual.{2 * layer}", x, f"{name}.proj", self.linear(f"{name}.proj", z)
            )
            total = self.linear(f"{name}.fc1", self.norm(f"{name}.norm2", 2 * layer + 1, x))
            before, after = self.of_sums(f"{name}.fc1"), self.exponents[f"{name}.hidden"]
            hidden = self.note(f"{name}.hidden", self.requantized(f"{name}.fc1", total, before, after))
            y = self.note(f"{name}.gelu", self.tensors[f"{name}.gelu.table"][(hidden + 128).astype(int)])
            total = self.linear(f"{name}.fc2", y)
            x = self.add(f"residual.{2 * layer + 2}", f"residual.{2 * layer + 1}", x, f"{name}.fc2", total)
        extra = self.shape.extra_tokens
        x = self.norm("norm", 2 * self.shape.depth, x[:extra])
        logits = self.linear("head", x[0])
        if self.shape.distilled:
            logits = logits + self.linear("head_dist", x[1])
        self.note("logits", logits)


def check_steps(vit: IntegerVit, pixels: np.ndarray) -> None:
    """Every step of every image is that of Python ints, and fits the widths."""
    steps = vit.steps(pixels)
    in_ints = [InInts(vit, image) for image in pixels]
    if set(steps) != set(in_ints[0].steps) or list(steps)[-1] != "logits":
        raise AssertionError(f"steps must be {list(in_ints[0].steps)}, not {list(steps)}")
    for name, value in steps.items():
        if name.endswith("denominator_errors"):
            np.testing.assert_equal(value, sum(each.steps[name] for each in in_ints), name)
        else:
            np.testing.assert_equal(value.dtype, np.int64)
            once = in_ints[:1] if name == "embedding" else in_ints  # that of all images
            np.testing.assert_equal(value.tolist(), [each.steps[name].tolist() for each in once], name)
    widths = vit.widths()
    for name, bits in widths.items():
        for each in in_ints:
            value = np.array((each.steps | each.inside)[name])
            if bits_of(value.min(), value.max()) > bits:
                raise AssertionError(f"{name} must fit {bits} bits, and reaches {value.min()} to {value.max()}")
    logits, errors = vit.with_errors(pixels)
    np.testing.assert_array_equal(logits, steps["logits"])
    np.testing.assert_array_equal(vit(pixels), logits)
    counts = [value for each in in_ints for name, value in each.steps.items() if name.endswith("_errors")]
    np.testing.assert_equal(errors, sum(counts))
