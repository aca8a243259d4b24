"""How much of Algorithm 1 the integers keep: tables, and a histogram.

    taylorvit fidelity [-o fidelity.png]

Signal to quantization noise in decibels, over random shapes of up to 200 tokens and 64 features. The
reference is Algorithm 1 in float64, once on the operands as quantized (what the integers inside cost: G, the
mean, the constants, Z) and once on the operands before quantization (with the quantization of Q, K and V). The
column "Z alone" is the first reference rounded to the integers of Z and nothing else: no hardware of this width can be
better.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.table import Table

from taylorvit.boundary.writing import written_whole
from taylorvit.golden import workloads
from taylorvit.golden.arithmetic.number_format import NumberFormat
from taylorvit.golden.arithmetic.quantizer import dequantize, quantize_tensor
from taylorvit.golden.attention.float_attention import softmax_attention, taylor_attention
from taylorvit.golden.attention.integer_attention import integer_taylor_attention
from taylorvit.golden.attention.job import quantize_job

from .sqnr import sqnr_db

__all__ = [
    "Fidelity",
    "draw_histogram",
    "fidelity_of_job",
    "fidelity_of_random_operands",
    "fidelity_of_random_shapes",
    "fidelity_tables",
]


class Fidelity(NamedTuple):
    """Signal to quantization noise of one job, in decibels.

    Attributes:
        integers (float): the integer model against Algorithm 1 on the quantized operands.
        z_alone (float): that reference rounded to the integers of Z, against itself.
        all (float): the integer model against Algorithm 1 on the operands before quantization.
        softmax (float): the integer model against softmax attention on the operands before quantization.
        denominator_errors (int): rows whose denominator is not positive.
    """

    integers: float
    z_alone: float
    all: float
    softmax: float
    denominator_errors: int


def fidelity_of_job(q, k, v, number_format: NumberFormat | None = None) -> Fidelity:
    """Quantizes one job, computes it in integers and compares.

    Args:
        q (np.ndarray): queries, floats, (heads, tokens, head_dim).
        k (np.ndarray): keys, of the same shape.
        v (np.ndarray): values, of the same shape.
        number_format (NumberFormat | None): widths and register ranges; `NumberFormat()` if left out.
    """
    number_format = NumberFormat() if number_format is None else number_format
    job = quantize_job(q, k, v, number_format)
    steps = integer_taylor_attention(job.q, job.k, job.v, job.constants, number_format)
    z = dequantize(steps.z, job.z_exp)
    as_quantized = [
        dequantize(x, exponent) for x, exponent in ((job.q, job.q_exp), (job.k, job.k_exp), (job.v, job.v_exp))
    ]
    as_they_were = [np.asarray(x, dtype=np.float64) for x in (q, k, v)]
    reference = taylor_attention(*as_quantized).z
    rounded = dequantize(quantize_tensor(reference, job.z_exp, number_format.data_width), job.z_exp)
    return Fidelity(
        integers=sqnr_db(reference, z),
        z_alone=sqnr_db(reference, rounded),
        all=sqnr_db(taylor_attention(*as_they_were).z, z),
        softmax=sqnr_db(softmax_attention(*as_they_were), z),
        denominator_errors=steps.denominator_errors,
    )


def fidelity_of_random_shapes(
    largest_scale: float,
    *,
    count: int = 200,
    max_tokens: int = 200,
    max_head_dim: int = 64,
    seed: int = 2023,
    number_format: NumberFormat | None = None,
) -> list[Fidelity]:
    """Measures jobs of one head, of uniformly random shape, with normal operands.

    Args:
        largest_scale (float): 1 for unit normal operands; above 1, the standard deviation of each operand is drawn
            uniformly between 0.1 and this.
        count (int): number of jobs, at least 1.
        max_tokens (int): largest number of tokens, at least 1.
        max_head_dim (int): largest number of features, at least 1.
        seed (int): seed of shapes and operands.
        number_format (NumberFormat | None): widths and register ranges; `NumberFormat()` if left out.
    """
    random = np.random.default_rng(seed)
    jobs = []
    for _ in range(count):
        tokens, head_dim = (int(random.integers(1, limit, endpoint=True)) for limit in (max_tokens, max_head_dim))
        scales = np.ones(3) if largest_scale == 1 else random.uniform(0.1, largest_scale, size=3)
        q, k, v = (scale * random.normal(size=(1, tokens, head_dim)) for scale in scales)
        jobs.append(fidelity_of_job(q, k, v, number_format))
    return jobs


def fidelity_of_random_operands(count: int, seed: int) -> dict[str, list[Fidelity]]:
    """Measures `count` random jobs of each kind of operands, by the name of the kind."""
    return {
        name: fidelity_of_random_shapes(scale, count=count, seed=seed)
        for name, scale in (("unit normal", 1.0), ("scales up to 3", 3.0))
    }


def fidelity_tables(results: dict[str, list[Fidelity]], *, count: int, seed: int) -> Iterator[Table]:
    """Measures and tabulates, one table after another, each as soon as it is measured.

    Args:
        results (dict[str, list[Fidelity]]): what `fidelity_of_random_operands` gives.
        count (int): number of random jobs of each kind, at least 1.
        seed (int): seed of shapes and operands.
    """
    yield _random_table(results, count, seed)
    yield _fraction_table(count, seed)
    yield _logit_table(count, seed)
    if workloads.names():  # an installed wheel has none
        yield _workload_table()


def _random_table(results: dict[str, list[Fidelity]], count: int, seed: int) -> Table:
    table = Table(title=f"SQNR in dB of {count} shapes, seed {seed}; 5th percentile / median / worst")
    for column in ("operands", "integer model", "Z alone", "with Q, K, V quantized", "denominator errors"):
        table.add_column(column)
    for name, jobs in results.items():
        cells = [_spread([getattr(job, field) for job in jobs]) for field in ("integers", "z_alone", "all")]
        table.add_row(name, *cells, str(sum(job.denominator_errors for job in jobs)))
    return table


def _fraction_table(count: int, seed: int) -> Table:
    table = Table(title="SQNR in dB of the integer model, scales up to 3, by fractional bits of mean and constants")
    for column in (
        "mean_fraction f",
        "constant_fraction F",
        "5th percentile / median / worst",
        "denominator errors",
    ):
        table.add_column(column)
    default = NumberFormat()
    fractions = [(mean, default.constant_fraction) for mean in range(5)]
    fractions += [(default.mean_fraction, constant) for constant in (0, 2, 4, 6, 10)]
    for mean_fraction, constant_fraction in fractions:
        number_format = NumberFormat(mean_fraction=mean_fraction, constant_fraction=constant_fraction)
        jobs = fidelity_of_random_shapes(3.0, count=count, seed=seed, number_format=number_format)
        errors = str(sum(job.denominator_errors for job in jobs))
        table.add_row(str(mean_fraction), str(constant_fraction), _spread([job.integers for job in jobs]), errors)
    return table


def _logit_table(count: int, seed: int) -> Table:
    table = Table(title="SQNR in dB of the integer model, 197 tokens of 64 features, by the size of the logits")
    for column in ("standard deviation of Q and K", "of the logits", "median", "rows with t_d <= 0"):
        table.add_column(column)
    random = np.random.default_rng(seed)
    count = min(count, 20)
    for scale in (1, 2, 3, 5, 8, 16, 32):
        jobs = []
        for _ in range(count):
            q, k, v = random.normal(size=(3, 1, 197, 64))
            jobs.append(fidelity_of_job(scale * q, scale * k, v))
        median = f"{np.median([job.integers for job in jobs]):.1f}"
        errors = f"{sum(job.denominator_errors for job in jobs)} of {count * 197}"
        table.add_row(str(scale), str(scale**2), median, errors)
    return table


def _workload_table() -> Table:
    table = Table(title="SQNR in dB on captured operands: one set of registers a file, or one a layer (worst layer)")
    columns = (
        "workload",
        "job",
        "integer model",
        "with Q, K, V quantized",
        "to softmax",
        "denominator errors",
    )
    for column in columns:
        table.add_column(column)
    for name in workloads.names():
        workload = workloads.load(name)
        whole = fidelity_of_job(workload.q, workload.k, workload.v)
        table.add_row(name, "all heads", *_workload_cells([whole]))
        per_layer = []
        for heads in workload.heads_of_layers():
            per_layer.append(fidelity_of_job(workload.q[heads], workload.k[heads], workload.v[heads]))
        table.add_row(name, "a layer", *_workload_cells(per_layer))
    return table


def _spread(decibels: list[float]) -> str:
    spread = (np.percentile(decibels, 5), np.median(decibels), np.min(decibels))
    # Between two jobs without any error, percentiles are not numbers.
    return " / ".join(f"{each:.1f}" if np.isfinite(each) else "no error" for each in spread)


def _workload_cells(jobs: list[Fidelity]) -> list[str]:
    cells = [f"{min(getattr(job, field) for job in jobs):.1f}" for field in ("integers", "all", "softmax")]
    return [*cells, str(sum(job.denominator_errors for job in jobs))]


def draw_histogram(path: str | Path, results: dict[str, list[Fidelity]]) -> None:
    """Draws a histogram of what `fidelity_of_random_operands` gives into a picture of the kind that its ending says."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.5), layout="constrained")
    axes = figure.subplots()
    for name, jobs in results.items():
        # A job of one token can be exact: infinite decibels have no place on the axis.
        decibels = [job.integers for job in jobs if np.isfinite(job.integers)]
        axes.hist(decibels, bins=np.arange(28, 52, 0.5).tolist(), alpha=0.6, label=f"{name}, {len(decibels)} jobs")
    axes.set_xlabel("SQNR of the integer model against float64 Algorithm 1, dB")
    axes.set_ylabel("jobs")
    axes.legend()
    with written_whole(path) as partial:
        figure.savefig(partial, dpi=150)
