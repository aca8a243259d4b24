"""Memories: an array of words, a clocked block for each write port, a register or a wire for each read port."""

import itertools

from taylorvit.gen.rtlil import Literal, part

from .text import attribute_prefix, clocked, declaration, headed, literal

__all__ = ["write_memory_port"]

_ALWAYS = (Literal("1"),)

# Words whose value at power-up is set by one initial block: Yosys reads a block in a time that grows with the square of
# its words, and 16,384 of them in one block take it a minute.
_FILLED = 1024  # in a loop
_LISTED = 128  # one by one
_ON_A_LINE = 4

_WITHOUT_CONTENTS = 'ram_style "ultra"'
"""Attribute of a memory that has no contents at power-up, whatever the netlist says: no synthesis could give it any."""


def write_memory_port(cell, draft, expressions):
    """Writes the contents of a memory, of which each has one, or one of its ports.

    Args:
        cell (Cell): one of `MEMORY_CELLS`.
        draft (Draft): the module so far.
        expressions (Expressions): writes the expressions of the same draft.

    Raises:
        ValueError: a read port passes on what is being written.
    """
    memory = draft.name(cell.parameters["MEMID"])
    if cell.kind == "$meminit_v2":
        _write_contents(cell, memory, draft)
        return
    word = f"{memory}[{expressions.bits(cell.ports['ADDR'])}]"
    if cell.kind == "$memwr_v2":
        _write_write_port(cell, word, draft, expressions)
    else:
        _write_read_port(cell, word, draft, expressions)


def _write_contents(cell, memory, draft):
    """Declares the memory and gives it its words at power-up, if it can have any."""
    array = draft.netlist.module.memories[cell.parameters["MEMID"]]
    width, depth = array.width, array.depth
    declared = attribute_prefix(array.attributes) + declaration("reg", width, memory)
    draft.declarations.append((f"{declared} [0:{depth - 1}];", None))
    if _WITHOUT_CONTENTS in array.attributes:
        return
    (content,) = cell.ports["DATA"]
    words = [content.bits[start : start + width] for start in range(0, width * depth, width)][::-1]
    index = None
    for first in range(0, depth, _FILLED):
        part_of = words[first : first + _FILLED]
        if len(set(part_of)) > 1:
            _write_words(memory, part_of, first, draft)
            continue
        if index is None:
            index = draft.new_name("index")
            draft.declarations.append((f"integer {index};", None))
        fill = f"{memory}[{index}] = {literal(part_of[0])};"
        loop = f"for ({index} = {first}; {index} < {first + len(part_of)}; {index} = {index} + 1) {fill}"
        draft.blocks.append([f"initial {loop}"])


def _write_words(memory, words, first, draft):
    """Words that differ, some a line."""
    texts = [f"{memory}[{first + place}] = {literal(word)};" for place, word in enumerate(words)]
    lines = [" ".join(texts[place : place + _ON_A_LINE]) for place in range(0, len(texts), _ON_A_LINE)]
    for start in range(0, len(lines), _LISTED // _ON_A_LINE):
        draft.blocks.append(headed("initial ", lines[start : start + _LISTED // _ON_A_LINE]))


def _write_write_port(cell, word, draft, expressions):
    lines = []
    for low, width in _runs(cell.ports["EN"]):
        bits = f"[{low + width - 1}:{low}]" if width < cell.parameters["WIDTH"] else ""
        line = f"{word}{bits} <= {expressions.bits(part(cell.ports['DATA'], low, width))};"
        lines.append(_enabled(part(cell.ports["EN"], low, 1), line, expressions))
    draft.blocks.append(clocked(lines))


def _write_read_port(cell, word, draft, expressions):
    name = cell.ports["DATA"][0].name
    if name not in draft.netlist.uses:
        return
    if not cell.parameters["CLK_ENABLE"]:
        draft.assign(draft.name(name), [word])
        return
    if cell.parameters["TRANSPARENCY_MASK"]:
        module = draft.netlist.module.name
        raise ValueError(f"read port of {module} must not be transparent, not bypassed around the memory")
    line = _enabled(cell.ports["EN"], f"{draft.name(name)} <= {word};", expressions)
    draft.blocks.append(clocked([line]))


def _enabled(enable, line, expressions):
    return line if enable == _ALWAYS else f"if ({expressions.bits(enable)}) {line}"


def _runs(bits):
    """Runs of equal bits: (lowest, number)."""
    each = []
    for chunk in reversed(bits):
        each += [part((chunk,), index, 1) for index in range(chunk.width)]
    low = 0
    for _bit, run in itertools.groupby(each):
        width = len(list(run))
        yield low, width
        low += width
