"""How much of softmax attention the integers keep, and what each of their widths gives: tables.

    taylorvit fidelity --kernel softmax

Signal to quantization noise in decibels against softmax attention in float64 on the operands before quantization, one
job a layer. Beside it stands what quantizing Q, K and V alone leaves, and what rounding Z too leaves: no integers of
these operands can be better. The operands are those of trained models (`golden.workloads`), and normal ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from rich.table import Table

from taylorvit.golden import workloads
from taylorvit.golden.arithmetic.number_format import SoftmaxFormat
from taylorvit.golden.arithmetic.quantizer import dequantize, quantize_tensor
from taylorvit.golden.attention.float_attention import softmax_attention
from taylorvit.golden.attention.job import quantize_job
from taylorvit.golden.attention.kernels import KERNELS
from taylorvit.golden.attention.kernels.softmax import exponential_table

from .sqnr import sqnr_db

__all__ = ["SoftmaxFidelity", "softmax_fidelity_of_job", "softmax_fidelity_tables"]

Operands = tuple[np.ndarray, np.ndarray, np.ndarray]

_WIDTHS = [
    (16, 16, 4096), (12, 11, 1024), (12, 11, 512), (11, 11, 512), (10, 11, 256), (10, 9, 256), (10, 8, 256),
    (9, 9, 256), (8, 8, 128),
]  # fmt: skip
_DATA_WIDTHS = (10, 12)
_SCALES = (0.5, 1, 2, 3)


class SoftmaxFidelity(NamedTuple):
    """Signal to quantization noise of one job, in decibels.

    Attributes:
        operands (float): softmax attention in float64 on the quantized operands.
        rounded (float): the same, with Z rounded to its integers.
        integers (float): the integer model.
    """

    operands: float
    rounded: float
    integers: float


def softmax_fidelity_of_job(q, k, v, number_format: SoftmaxFormat | None = None) -> SoftmaxFidelity:
    """Quantizes one job, computes it in integers and compares.

    Args:
        q (np.ndarray): queries, floats, (heads, tokens, head_dim).
        k (np.ndarray): keys, of the same shape.
        v (np.ndarray): values, of the same shape.
        number_format (SoftmaxFormat | None): widths and register ranges; `SoftmaxFormat()` if left out.
    """
    number_format = SoftmaxFormat() if number_format is None else number_format
    job = quantize_job(q, k, v, number_format, "softmax")
    steps = KERNELS[job.kernel].attention(*job.operands, job.constants, number_format)
    exact = softmax_attention(*(np.asarray(x, dtype=np.float64) for x in (q, k, v)))
    exponents = job.q_exp, job.k_exp, job.v_exp
    quantized = softmax_attention(*(dequantize(x, exponent) for x, exponent in zip(job.operands, exponents)))
    rounded = dequantize(quantize_tensor(quantized, job.z_exp, number_format.data_width), job.z_exp)
    return SoftmaxFidelity(
        operands=sqnr_db(exact, quantized),
        rounded=sqnr_db(exact, rounded),
        integers=sqnr_db(exact, dequantize(steps.z, job.z_exp)),
    )


def softmax_fidelity_tables(seed: int) -> Iterator[Table]:
    """Measures and tabulates, one table after another, each as soon as it is measured.

    Args:
        seed (int): seed of the normal operands.
    """
    sources = _sources(seed)
    yield _width_table(sources)
    yield _data_width_table(sources)
    yield _second_shift_table(sources)


def _sources(seed: int) -> dict[str, list[Operands]]:
    """The operands of each layer, by where they come from."""
    sources: dict[str, list[Operands]] = {}
    for name in workloads.names():  # an installed wheel has none
        q, k, v, _provenance = workload = workloads.load(name)
        sources[name] = [(q[heads], k[heads], v[heads]) for heads in workload.heads_of_layers()]
    random = np.random.default_rng(seed)
    for scale in _SCALES:
        q, k, v = scale * random.normal(size=(3, 4, 197, 64))
        sources[f"normal, scale {scale}"] = [(q, k, v)]
    return sources


def _width_table(sources: dict[str, list[Operands]]) -> Table:
    table = Table(
        title="SQNR in dB of the worst layer, and the largest loss of a layer to rounding Z alone; 8-bit data"
    )
    for column in ("score_width", "exponential_width", "exponential_entries", *sources):
        table.add_column(column)
    measured = {
        widths: {
            name: [softmax_fidelity_of_job(*each, _format(widths)) for each in layers]
            for name, layers in sources.items()
        }
        for widths in _WIDTHS
    }
    first = measured[_WIDTHS[0]]
    for title, field in (("Q, K, V quantized", "operands"), ("and Z rounded", "rounded")):
        table.add_row(title, "", "", *(f"{min(getattr(job, field) for job in jobs):.1f}" for jobs in first.values()))
    for widths, row in measured.items():
        table.add_row(*map(str, widths), *(_cell(jobs) for jobs in row.values()))
    return table


def _data_width_table(sources: dict[str, list[Operands]]) -> Table:
    table = Table(title="The same for wider Q, K, V and Z")
    for column in ("data_width", "score_width", "exponential_width", "exponential_entries", *sources):
        table.add_column(column)
    for data_width in _DATA_WIDTHS:
        for widths in ((16, 16, 4096), (12, 11, 1024), (10, 9, 256)):
            jobs = (
                [softmax_fidelity_of_job(*each, _format(widths, data_width)) for each in layers]
                for layers in sources.values()
            )
            table.add_row(str(data_width), *map(str, widths), *map(_cell, jobs))
    return table


def _second_shift_table(sources: dict[str, list[Operands]]) -> Table:
    """Of integers of their own, before Z is rounded: no kernel has a second shift."""
    table = Table(title="SQNR in dB of the first layer before Z is rounded, with table[round((maximum - score) / 2^t)]")
    for column in ("score_width", "exponential_width", "exponential_entries", "t", *sources):
        table.add_column(column)
    for widths in ((12, 11, 256), (12, 11, 512), (12, 11, 1024)):
        for second_shift in range(3):
            cells = (
                f"{_best_of_all_shifts(*layers[0], _format(widths), second_shift):.1f}" for layers in sources.values()
            )
            table.add_row(*map(str, widths), str(second_shift), *cells)
    return table


def _best_of_all_shifts(q, k, v, number_format: SoftmaxFormat, second_shift: int) -> float:
    """The SQNR of the best shift_s, in decibels."""
    head = slice(0, 2)
    job = quantize_job(q, k, v, number_format, "softmax")
    exact = softmax_attention(*(np.asarray(x[head], dtype=np.float64) for x in (q, k, v)))
    sums, values = job.q[head] @ job.k[head].swapaxes(1, 2), dequantize(job.v[head], job.v_exp)
    limit, decibels = 1 << (number_format.score_width - 1), []
    for shift in range(number_format.shift_s_max + 1):
        scores = np.clip(np.floor(sums / 2**shift + 0.5), -limit, limit - 1)
        below = np.floor((scores.max(axis=2, keepdims=True) - scores) / 2**second_shift + 0.5)
        below = np.minimum(below, number_format.exponential_entries).astype(np.int64)
        score_exp = job.q_exp + job.k_exp + shift + second_shift
        table = np.array([*exponential_table(q.shape[2], score_exp, number_format), 0], dtype=np.float64)
        exponentials = table[below]
        z = exponentials @ values / exponentials.sum(axis=2, keepdims=True)
        decibels.append(sqnr_db(exact, z))
    return max(decibels)


def _format(widths: tuple[int, int, int], data_width: int = 8) -> SoftmaxFormat:
    score_width, exponential_width, exponential_entries = widths
    return SoftmaxFormat(
        data_width=data_width,
        score_width=score_width,
        exponential_width=exponential_width,
        exponential_entries=exponential_entries,
        shift_s_max=2 * data_width + 6,  # of sums over 64 features
    )


def _cell(jobs: list[SoftmaxFidelity]) -> str:
    loss = max(job.rounded - job.integers for job in jobs)
    return f"{min(job.integers for job in jobs):.1f}, {loss:.2f}"
