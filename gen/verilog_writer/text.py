"""Verilog as text: names, constants, declarations, expressions put together, statements laid out.

An expression is a text, a statement a list of lines that are indented from its own margin on. Nothing here knows of
the netlist.
"""

import re
import textwrap

from .cells import BINARY_SYMBOLS

__all__ = ["LINE_LENGTH", "as_atom", "attribute_prefix", "clocked", "clocked_with_reset", "declaration", "followed_by",
           "headed", "identifier", "indent", "join", "literal", "negate", "wrap"]  # fmt: skip

LINE_LENGTH = 110


# Names, constants and declarations.


def identifier(name):
    """`name`, of the source, in letters that Verilog allows."""
    return re.sub(r"\W+", "_", name.removeprefix("\\"))


def literal(bits, signed=False):
    """A constant, decimal where it is short, else hexadecimal.

    Args:
        bits (str): its bits, such as "0101".
        signed (bool): whether it is a signed number.

    Returns:
        str: the constant with its width.
    """
    width, value = len(bits), int(bits, 2)
    if signed:
        return f"{width}'sh{value:x}" if bits[0] == "1" else f"{width}'sd{value}"
    if width == 1:
        return f"1'b{value}"
    return f"{width}'d{value}" if value < 1 << 32 else f"{width}'h{value:x}"


def attribute_prefix(attributes):
    """What stands before a declaration or an instance with attributes.

    Args:
        attributes (tuple[str, ...]): name and value of each, with a space between them.

    Returns:
        str: the attributes in Verilog and a space, or nothing if there are none.
    """
    if not attributes:
        return ""
    return f"(* {', '.join(' = '.join(attribute.split(' ', 1)) for attribute in attributes)} *) "


def declaration(kind, width, name, signed=False):
    """A declaration of a wire or register.

    Args:
        kind (str): what it begins with, such as `wire`.
        width (int): number of bits.
        name (str): name in Verilog.
        signed (bool): whether it is a signed number.

    Returns:
        str: the declaration without the semicolon.
    """
    vector = f" [{width - 1}:0]" if width > 1 else ""
    sign = " signed" if signed and width > 1 else ""
    return f"{kind}{sign}{vector} {name}"


# Expressions.


def _operators(text):
    """The binary operators of an expression outside of parentheses."""
    if " " not in text:
        return set()  # as are most
    depth, found, word = 0, set(), ""
    for letter in text + " ":
        depth += (letter in "([{") - (letter in ")]}")
        if depth == 0 and letter == " ":
            if word in BINARY_SYMBOLS:
                found.add(word)
            word = ""
        elif depth == 0 and letter not in ")]}":
            word += letter
    return found


def as_atom(text):
    """The expression `text`, in parentheses if an operator beside it could take it apart."""
    return f"({text})" if _operators(text) else text


def negate(text):
    """The opposite of the condition `text`."""
    if text.startswith("!") and not _operators(text):
        return text[1:]
    # Two unary operators may not stand side by side.
    return f"!({text})" if text[0] in "&|^" else f"!{as_atom(text)}"


def join(operator, *texts):
    """One condition of several.

    Args:
        operator (str): `&&`, `||` or `^`, which stands between them.
        *texts (str): the conditions.

    Returns:
        str: the condition.
    """
    if len(texts) == 1:
        return texts[0]
    return f" {operator} ".join(text if _operators(text) <= {operator} else f"({text})" for text in texts)


# Statements.


def indent(lines):
    """The `lines` (a list of str), one step to the right."""
    return [f"    {line}" for line in lines]


def headed(head, lines):
    """A heading and the statements that belong to it, between `begin` and `end` where that is needed.

    Args:
        head (str): `if (...)`, `else`, `always ...`, a label or nothing.
        lines (list[str]): the statements.

    Returns:
        list[str]: the lines.
    """
    is_one = len(lines) == 1 or lines[0].startswith(("if ", "case "))
    is_one &= all(line.startswith((" ", "end", "else")) for line in lines[1:])
    if lines[0].startswith("if ") and "if (" in head:
        is_one = False  # an `else` to come would be taken for the inner one's
    if len(lines) > 1 and head.endswith(": "):
        is_one = False  # below a label, `else` would stand under it
    if is_one and len(head + lines[0]) < LINE_LENGTH - 20:
        return [head + lines[0], *lines[1:]]
    return [f"{head}begin", *indent(lines), "end"]


def followed_by(lines, more):
    """An if and what follows it, with `end` and `else` on one line.

    Args:
        lines (list[str]): the if.
        more (list[str]): the else.

    Returns:
        list[str]: the lines.
    """
    if lines[-1] == "end":
        return [*lines[:-1], f"end {more[0]}", *more[1:]]
    return [*lines, *more]


def clocked(lines):
    """A block of registers that take the statements `lines` (a list of str); one short statement has its own line."""
    if len(lines) == 1:
        return ["always @(posedge clk)", *indent(lines)]
    return headed("always @(posedge clk) ", lines)


def clocked_with_reset(resets, lines):
    """A block of registers with reset.

    Args:
        resets (list[str]): what they take in reset.
        lines (list[str]): what they take otherwise; nothing if there are none.

    Returns:
        list[str]: the lines.
    """
    block = headed("if (rst) ", resets)
    if lines:
        block = followed_by(block, headed("else ", lines))
    return ["always @(posedge clk)", *indent(block)]


def wrap(line):
    """The `line` (a str) as several, broken after commas and logical operators, where it is too long: a list of str."""
    if len(line) <= LINE_LENGTH or line.lstrip().startswith("//"):
        return [line]
    margin = " " * (len(line) - len(line.lstrip()))
    # Only ASCII spaces are places to break.
    glued = re.sub(r"(?<!,)(?<!&&)(?<!\|\|) ", "\u00a0", line.lstrip())
    lines = textwrap.wrap(
        glued,
        LINE_LENGTH,
        initial_indent=margin,
        subsequent_indent=margin + "    ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [part.replace("\u00a0", " ") for part in lines]
