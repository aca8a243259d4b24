"""The numbers that a generated accelerator computes with, from the metadata.json beside its Verilog.

The golden model does not know the hardware: this file, which the generator writes, describes it.
"""

from dataclasses import fields
from pathlib import Path
from typing import NamedTuple

from taylorvit.boundary.reading import FileError, read_json
from taylorvit.golden.arithmetic.number_format import NetworkFormat, check_integer

__all__ = ["Accelerator", "load_accelerator"]

_WHAT = "the metadata.json of an accelerator, as `taylorvit generate` writes it"


class Accelerator(NamedTuple):
    """Numbers and sizes of a generated accelerator.

    Attributes:
        name (str): name of its configuration.
        number_format (NetworkFormat): widths and register ranges.
        max_tokens (int): largest number of tokens.
        max_head_dim (int): largest number of features of a head.
    """

    name: str
    number_format: NetworkFormat
    max_tokens: int
    max_head_dim: int

    def check(self, tokens: int, head_dim: int) -> None:
        """Checks that a head fits.

        Args:
            tokens (int): tokens of the head.
            head_dim (int): features of the head.

        Raises:
            ValueError: the head is too large.
        """
        for what, size, largest in (("tokens", tokens, self.max_tokens), ("head_dim", head_dim, self.max_head_dim)):
            if size > largest:
                raise ValueError(f"{what} must be at most {largest} on {self.name}, not {size}")


def load_accelerator(path: str | Path) -> Accelerator:
    """Reads the accelerator of a metadata.json, as `taylorvit generate` writes it.

    Args:
        path (str | Path): the file.

    Raises:
        FileError: the file is not one of an accelerator.
    """
    path = Path(path)
    metadata = read_json(path, what=_WHAT, schema={"configuration": {"name": str}, "derived": dict})
    configuration, known = metadata["configuration"], metadata["configuration"] | metadata["derived"]
    kernel = configuration.get("kernel", "taylor")
    if kernel != "taylor":
        raise FileError(f"{path}: accelerator must have Taylor attention, as integer networks do, not {kernel!r}")
    try:
        # One that computes attention alone does not say how wide the residual stream is.
        known = {"residual_width": NetworkFormat.residual_width} | known
        number_format = NetworkFormat(**{field.name: known[field.name] for field in fields(NetworkFormat)})
        sizes = [check_integer(name, configuration[name], 1) for name in ("max_tokens", "max_head_dim")]
    except KeyError as error:
        raise FileError(f"{path}: file must be {_WHAT}, and lacks {error}") from None
    except (TypeError, ValueError) as error:
        raise FileError(f"{path}: file must be {_WHAT}: {error}") from None
    return Accelerator(configuration["name"], number_format, *sizes)
