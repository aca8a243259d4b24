"""Warnings of Verilator (`-Wall`) that are as intended, waived beside the line, with the reason above it.

    // Registers are words: the two lowest address bits have no use.
    // verilator lint_off UNUSEDSIGNAL
    input  wire [11:0] s_axil_awaddr,
    // verilator lint_on UNUSEDSIGNAL

The reasons are the blocks' own (`rtl.common.block.Block.waivers`), but for results of operators, which have no name in
the source.
"""

import itertools
from fnmatch import fnmatchcase

__all__ = ["MISSING", "OF_OPERATORS", "OPEN", "RESERVED", "SHIFTED", "UNUSED", "Waivers", "with_waivers"]

MISSING, OPEN, RESERVED, UNUSED = "PINMISSING", "PINCONNECTEMPTY", "SYMRSVDWORD", "UNUSEDSIGNAL"

_CARRY = (UNUSED, "The lowest bits are there for their carry.")
OF_OPERATORS = {"$add": _CARRY, "$sub": _CARRY, "$modfloor": (UNUSED, "It is smaller than the divisor.")}
SHIFTED = (UNUSED, "Only the lowest bits of what is shifted are used.")


class Waivers:
    """The waivers of one block.

    Args:
        reasons (dict[tuple[str, str], str]): the reason by rule and pattern of names.
    """

    def __init__(self, reasons):
        self._reasons = reasons

    def find(self, rule, name):
        """How a rule is waived for a name.

        Args:
            rule (str): a rule of Verilator, such as `UNUSEDSIGNAL`.
            name (str): name of a signal, a cell or a port.

        Returns:
            tuple[str, str] | None: rule and reason; None if it is not waived.
        """
        for (waived, pattern), reason in self._reasons.items():
            if waived == rule and fnmatchcase(name, pattern):
                return rule, reason
        return None


def with_waivers(lines):
    """Lines with their waivers.

    Args:
        lines (list[tuple]): line, and its waiver (rule, reason) or None.

    Returns:
        list[str]: the lines; neighbours that are waived alike stand within one waiver.
    """
    result = []
    for waiver, pairs in itertools.groupby(lines, key=lambda pair: pair[1]):
        run = [line for line, _waiver in pairs]
        if waiver:
            rule, reason = waiver
            margin = " " * (len(run[0]) - len(run[0].lstrip()))
            run = [
                f"{margin}// {reason}",
                f"{margin}// verilator lint_off {rule}",
                *run,
                f"{margin}// verilator lint_on {rule}",
            ]
        result += run
    return result
