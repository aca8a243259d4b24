"""The file of a result: Z, and all that it takes to compute it again. docs/numerics.md describes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from taylorvit.boundary.writing import written_whole
from taylorvit.golden.arithmetic.quantizer import dequantize
from taylorvit.golden.attention.job import Job
from taylorvit.rtl import __version__
from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.rtl.control.host_view import HostView
from taylorvit.rtl.control.registers import register_map

__all__ = ["save_result"]


def save_result(path: str | Path, z: np.ndarray, job: Job, config: AcceleratorConfig | HostView) -> None:
    """Writes the result of a job.

    Args:
        path (Path): an .npz.
        z (np.ndarray): what came out, integers (heads, tokens, head_dim).
        job (Job): what went in.
        config (AcceleratorConfig | HostView): the accelerator.

    Raises:
        FileError: the file cannot be written.
    """
    registers = register_map(config)
    arrays: dict[str, Any] = {"z": dequantize(z, job.z_exp)}
    for name, integers in {"q": job.q, "k": job.k, "v": job.v, "z_int": z}.items():
        arrays[name] = integers.astype(f"int{config.element_width}")
    for name, exponent in {"q_exp": job.q_exp, "k_exp": job.k_exp, "v_exp": job.v_exp, "z_exp": job.z_exp}.items():
        arrays[name] = np.array(exponent, dtype=np.int64)
    for name, value in job.settings.items():
        # As text where there are several words: these have up to 96 bits, more than any integer of numpy.
        wide = len(registers.words(name)) > 1
        arrays[name.lower()] = np.array(str(value)) if wide else np.array(value, dtype=np.int64)
    arrays |= {name: np.array(entries, dtype=np.int64) for name, entries in job.constants.tables.items()}
    arrays |= {"config": np.array(json.dumps(config.to_mapping())), "version": np.array(__version__)}
    with written_whole(path) as partial, partial.open("wb") as file:
        np.savez(file, **arrays)
