"""The numbers that a generated accelerator computes with, from the metadata.json beside its Verilog.

The golden model does not know the hardware: this file, which the generator writes, describes it.
"""

from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import NamedTuple

from taylorvit.boundary.reading import FileError, read_json
from taylorvit.golden.arithmetic.number_format import NetworkFormat, check_integer
from taylorvit.golden.attention.kernels import KERNELS
from taylorvit.golden.network.program import KERNELS as NETWORK_KERNELS

__all__ = ["Accelerator", "load_accelerator"]

_FORMAT_FIELDS = [field.name for field in fields(NetworkFormat)]

_WHAT = "the metadata.json of an accelerator, as `taylorvit generate` writes it"


class Accelerator(NamedTuple):
    """Numbers and sizes of a generated accelerator.

    Attributes:
        name (str): name of its configuration.
        kernels (tuple[str, ...]): attention kernels that it has.
        number_format (NetworkFormat): widths and register ranges.
        max_tokens (int): largest number of tokens.
        max_head_dim (int): largest number of features of a head.
    """

    name: str
    number_format: NetworkFormat
    max_tokens: int
    max_head_dim: int
    kernels: tuple[str, ...] = ("taylor",)

    def check_kernels(self, kernels: Iterable[str]) -> None:
        """Checks that the accelerator has the attention kernels of a network; ValueError if not.

        Args:
            kernels (Iterable[str]): the kernel of each layer.
        """
        for kernel in kernels:
            if kernel not in self.kernels:
                raise ValueError(
                    f"attention of each layer must be one that {self.name} has, {' or '.join(self.kernels)}, not "
                    f"{kernel}: choose with --attention, for example --attention all={self.kernels[0]}"
                )

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
    kernels = tuple(str(configuration.get("kernel", "taylor")).split("+"))
    for kernel in kernels:
        if kernel not in NETWORK_KERNELS:
            known = ", ".join(NETWORK_KERNELS)
            raise FileError(f"{path}: kernel must be one that integer networks have, {known}, not {kernel!r}")
    try:
        # What it does not need, it does not say: numbers of kernels that it does not have, and of the residual stream
        # where it computes attention alone.
        needed = {field.name for kernel in kernels for field in fields(KERNELS[kernel].number_format)}
        number_format = NetworkFormat(**{name: known[name] for name in _FORMAT_FIELDS if name in needed | set(known)})
        max_tokens, max_head_dim = (
            check_integer(name, configuration[name], 1) for name in ("max_tokens", "max_head_dim")
        )
    except KeyError as error:
        raise FileError(f"{path}: file must be {_WHAT}, and lacks {error}") from None
    except (TypeError, ValueError) as error:
        raise FileError(f"{path}: file must be {_WHAT}: {error}") from None
    return Accelerator(configuration["name"], number_format, max_tokens, max_head_dim, kernels)
