"""A switch as a chain of conditions: if, else if, else.

RTLIL's switch takes the first case of which a pattern matches; a dash in a pattern matches either bit. Both choices
and registers are written from the chain.
"""

import itertools
import re

from taylorvit.gen.rtlil import Switch, part

from .text import as_atom, join, literal, negate

__all__ = ["branches_of", "empty_cases", "is_empty", "is_exact"]


def branches_of(switch, empty, expressions):
    """The cases of a switch as a chain of conditions.

    Args:
        switch (Switch): the switch.
        empty (list[bool]): for each case, whether it has no effect. Such cases are left out; that they come first is
            then part of the conditions of others.
        expressions (Expressions): writes the conditions.

    Returns:
        list[tuple[str | None, int]]: condition, or None for else, and index of the case.
    """
    patterns = [case.patterns for case in switch.cases]
    exclusive = _are_exclusive(switch)
    result: list[tuple[str | None, int]] = []
    excluded: list[str] = []
    for index, case in enumerate(switch.cases):
        is_rest = not case.patterns or index == 1 and set(patterns[:2]) == {("0",), ("1",)}
        condition = None if is_rest else _matches(switch.selector, case.patterns, expressions)
        if not empty[index]:
            conditions = excluded if is_rest else [condition] if exclusive else [*excluded, condition]
            result.append((join("&&", *conditions) if conditions else None, index))
        if is_rest:
            break
        if empty[index]:
            excluded.append(negate(condition))
    return result


def is_empty(statement):
    """Whether `statement`, an `Assign` or a `Switch`, assigns nothing."""
    return isinstance(statement, Switch) and all(empty_cases(statement))


def empty_cases(switch):
    """For each case of `switch`, whether it assigns nothing: a list of bool."""
    return [all(is_empty(statement) for statement in case.body) for case in switch.cases]


def is_exact(switch):
    """Whether the cases of `switch` are for single values, each for itself."""
    patterns = [pattern for case in switch.cases for pattern in case.patterns]
    return len(set(patterns)) == len(patterns) and not any("-" in pattern for pattern in patterns)


def _matches(selector, patterns, expressions):
    """The condition that `selector` matches one of `patterns`."""
    alternatives = []
    for pattern in patterns:
        tests = []
        for run in re.finditer(r"[01]+", pattern):
            text = expressions.bits(part(selector, len(pattern) - run.end(), len(run.group())))
            if len(run.group()) > 1:
                tests.append(f"{as_atom(text)} == {literal(run.group())}")
            else:
                tests.append(text if run.group() == "1" else negate(text))
        alternatives.append(join("&&", *tests) if tests else "1'b1")
    return join("||", *alternatives)


def _are_exclusive(switch):
    """True if no value matches two of the cases (the default aside)."""
    patterns = [pattern for case in switch.cases for pattern in case.patterns]
    return is_exact(switch) or not any(
        all("-" in pair or pair[0] == pair[1] for pair in zip(one, other))
        for one, other in itertools.combinations(patterns, 2)
    )
