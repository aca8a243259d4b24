"""Run-time constants of a job, whatever the kernel: named numbers, each for a register."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from taylorvit.golden.arithmetic.number_format import check_integer

__all__ = ["Constants"]


@dataclass(frozen=True)
class Constants:
    """Base of the constants of each kernel: a frozen dataclass whose fields have the names of the registers.

    Raises:
        TypeError: a value is not an integer.
    """

    def __post_init__(self) -> None:
        for field in fields(self):
            object.__setattr__(self, field.name, check_integer(field.name, getattr(self, field.name)))

    @property
    def registers(self) -> dict[str, int]:
        """The values by the names of their registers."""
        return {field.name.upper(): getattr(self, field.name) for field in fields(self)}

    @staticmethod
    def ranges(number_format: Any) -> dict[str, tuple[int, int]]:
        """Least and largest value of each field.

        Args:
            number_format (Any): the kernel's number format.
        """
        raise NotImplementedError

    def check(self, number_format: Any) -> None:
        """Raise ValueError unless every value fits its register."""
        for name, (least, most) in self.ranges(number_format).items():
            check_integer(name, getattr(self, name), least, most)
