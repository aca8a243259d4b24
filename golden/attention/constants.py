"""Run-time constants of a job, whatever the kernel: named numbers, each for a register, and tables of numbers."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from taylorvit.golden.arithmetic.number_format import check_integer

__all__ = ["Constants", "table"]

_TABLE = "table"


def table() -> Any:
    """A field of `Constants` that is a table: integers that have no register each, but entries of one memory."""
    return field(repr=False, metadata={_TABLE: True})


@dataclass(frozen=True)
class Constants:
    """Base of the constants of each kernel: a frozen dataclass whose fields have the names of the registers.

    A field made by `table` is a tuple of integers.

    Raises:
        TypeError: a value is not an integer, or a table not of integers.
    """

    def __post_init__(self) -> None:
        for each in fields(self):
            name, value = each.name, getattr(self, each.name)
            if _TABLE not in each.metadata:
                value = check_integer(name, value)
            elif isinstance(value, str) or not hasattr(value, "__iter__"):
                raise TypeError(f"{name} must be a sequence of integers, not {value!r}")
            else:
                value = tuple(check_integer(f"{name}[{index}]", entry) for index, entry in enumerate(value))
            object.__setattr__(self, name, value)

    @property
    def registers(self) -> dict[str, int]:
        """The numbers by the names of their registers; tables are not among them."""
        return {each.name.upper(): getattr(self, each.name) for each in fields(self) if _TABLE not in each.metadata}

    @property
    def tables(self) -> dict[str, tuple[int, ...]]:
        """The tables by name."""
        return {each.name: getattr(self, each.name) for each in fields(self) if _TABLE in each.metadata}

    @staticmethod
    def ranges(number_format: Any) -> dict[str, tuple[int, int]]:
        """Least and largest value of each number.

        Args:
            number_format (Any): the kernel's number format.
        """
        raise NotImplementedError

    @staticmethod
    def table_ranges(number_format: Any) -> dict[str, tuple[int, int]]:
        """Number of entries of each table, and the largest value of an entry; the least is 0.

        Args:
            number_format (Any): the kernel's number format.
        """
        return {}

    def check(self, number_format: Any) -> None:
        """Raise ValueError unless every number fits its register, and every table its memory."""
        for name, (least, most) in self.ranges(number_format).items():
            check_integer(name, getattr(self, name), least, most)
        for name, (entries, most) in self.table_ranges(number_format).items():
            values = self.tables[name]
            if len(values) != entries:
                raise ValueError(f"{name} must be {entries} numbers, not {len(values)!r}")
            for index, value in enumerate(values):
                check_integer(f"{name}[{index}]", value, 0, most)
