"""What the members of a file must be, as data.

str, int, bool, dict, list    a value of this kind; a truth is no integer
float                         a number that is finite
None                          null
(a, b)                        one or the other
[a]                           a list of such
{"name": a, "name?": b}       an object that has these members, or may have them, and perhaps others
{str: a}                      an object of any names, each of which is such
"""

import math
from typing import Any

from .errors import FileError

__all__ = ["Schema", "check_schema", "kind_of"]

Schema = Any

_NAMES = {
    str: "a text",
    int: "an integer",
    float: "a finite number",
    bool: "true or false",
    dict: "an object",
    list: "a list",
    None: "null",
}
_LONGEST = 60


def check_schema(value, schema: Schema, source: str, name: str = "") -> None:
    """Checks the members of a file.

    Args:
        value (object): what was read.
        schema (Schema): what it must be.
        source (str): what the text of an error begins with.
        name (str): of the value within the file; empty for all of it.

    Raises:
        FileError: a member is another than it must be; the text names the first.
    """
    if isinstance(schema, tuple):
        for each in schema[:-1]:
            if _is_a(value, each):
                return check_schema(value, each, source, name)
        return check_schema(value, schema[-1], source, name)
    if not _is_a(value, schema):
        shown = str(value).lower() if isinstance(value, bool) else "null" if value is None else repr(value)
        shown = shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}..."
        raise FileError(f"{source} {name or 'it'} must be {_NAMES[_kind(schema)]}, not {shown}")
    if isinstance(schema, list):
        for index, each in enumerate(value):
            check_schema(each, schema[0], source, f"{name}[{index}]")
    elif isinstance(schema, dict):
        members = dict.fromkeys(value, schema[str]) if str in schema else schema
        for key, of_member in members.items():
            if key not in value and str not in schema and key.endswith("?"):
                key = key.removesuffix("?")
                if key not in value:
                    continue
            member = f"{name}.{key}" if name else key
            if key not in value:
                raise FileError(f"{source} {member} must be there")
            check_schema(value[key], of_member, source, member)


def kind_of(value) -> str:
    """What a value of JSON is, in words.

    Args:
        value (object): the value.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return "a number"
    return _NAMES[None if value is None else type(value)]


def _kind(schema: Schema):
    return type(schema) if isinstance(schema, dict | list) else schema


def _is_a(value, schema: Schema) -> bool:
    kind = _kind(schema)
    if kind is None:
        return value is None
    if kind is float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and (isinstance(value, int) or math.isfinite(value))
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
