"""What a generated accelerator computes with, from the metadata.json beside its Verilog.

The golden model does not know the hardware; this file is where the generator says what it has built.
"""

import json
from dataclasses import fields
from pathlib import Path
from typing import NamedTuple

from golden.number_format import NumberFormat, check_integer

__all__ = ["Accelerator", "load_accelerator"]


class Accelerator(NamedTuple):
    """Numbers and sizes of a generated accelerator."""

    name: str
    number_format: NumberFormat
    max_tokens: int
    max_head_dim: int

    def check(self, tokens: int, head_dim: int) -> None:
        """Raises `ValueError` if a head of this size does not fit."""
        for what, size, largest in (("tokens", tokens, self.max_tokens), ("head_dim", head_dim, self.max_head_dim)):
            if size > largest:
                raise ValueError(f"{what} must be at most {largest} on {self.name}, not {size}")


def load_accelerator(path: str | Path) -> Accelerator:
    """The accelerator of a metadata.json, as `python -m gen generate` writes it; `ValueError` if it is none."""
    path = Path(path)
    try:
        metadata = json.loads(path.read_text(encoding="utf-8"))
        configuration, known = metadata["configuration"], metadata["configuration"] | metadata["derived"]
        number_format = NumberFormat(**{field.name: known[field.name] for field in fields(NumberFormat)})
        sizes = [check_integer(name, configuration[name], 1) for name in ("max_tokens", "max_head_dim")]
        return Accelerator(str(configuration["name"]), number_format, *sizes)
    except FileNotFoundError:
        raise ValueError(f"accelerator must be a metadata.json of `gen generate`, not {str(path)!r}") from None
    except KeyError as error:
        raise ValueError(f"{path} must be the metadata.json of an accelerator, and lacks {error}") from None
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} must be the metadata.json of an accelerator: {error}") from None
