"""Both kernels as docs/numerics.md writes them, for the file of a job: written anew, in Python's integers."""

import json

import numpy as np

__all__ = ["softmax_z_of", "z_of"]


def z_of(file) -> np.ndarray:
    """The integers of Z as docs/numerics.md has them, in Python's integers, from a file's arrays and nothing else."""
    config = json.loads(str(file["config"]))
    width, f, fraction = config["data_width"], config["mean_fraction"], config["constant_fraction"]
    shift_g, shift_z, c_v, c_d = (int(file[name]) for name in ("shift_g", "shift_z", "c_v", "c_d"))
    lowest, highest = -(1 << (width - 1)), (1 << (width - 1)) - 1

    def divided(a, b):
        return (2 * a + b) // (2 * b)

    def shifted(x, bits):
        return (x + (1 << (bits - 1))) >> bits if bits > 0 else x << -bits

    def saturated(x):
        return np.vectorize(lambda value: min(max(value, lowest), highest), otypes=[object])(x)

    z = []
    for q, k, v in zip(*(file[name].astype(object) for name in "qkv")):
        tokens = len(q)
        k_mean = divided(k.sum(axis=0) << f, tokens)
        k_hat = (k << f) - k_mean
        g = saturated(shifted(k_hat.T @ v, shift_g))
        t_d = c_d + ((q @ k_hat.sum(axis=0)) << fraction)
        t_n = ((q @ g) << fraction) + c_v * v.sum(axis=0)
        left, right = max(shift_z, 0), max(-shift_z, 0)
        for numerators, divisor in zip(t_n, t_d):
            if divisor > 0:
                z += [min(max(divided(t << left, divisor << right), lowest), highest) for t in numerators]
            else:
                z += [lowest if t < 0 else highest for t in numerators]
    return np.array(z).reshape(file["q"].shape)


def softmax_z_of(file) -> np.ndarray:
    """The same of softmax attention."""
    config = json.loads(str(file["config"]))
    shift_s, shift_z, table = int(file["shift_s"]), int(file["shift_z"]), file["exponentials"].tolist()

    def rounded(a, b, width):
        return min(max((2 * a + b) // (2 * b), -(1 << (width - 1))), (1 << (width - 1)) - 1)

    z = []
    for q, k, v in zip(*(file[name].astype(object) for name in "qkv")):
        for row in q @ k.T:
            scores = [rounded(total, 1 << shift_s, config["score_width"]) for total in row]
            below = [max(scores) - score for score in scores]
            weights = np.array([table[each] if each < len(table) else 0 for each in below], dtype=object)
            left, right = max(shift_z, 0), max(-shift_z, 0)
            divisor = int(weights.sum()) << right
            z += [rounded(total << left, divisor, config["data_width"]) for total in weights @ v]
    return np.array(z).reshape(file["q"].shape)
