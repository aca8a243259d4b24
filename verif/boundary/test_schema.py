"""What the members of a file must be: each kind, and where it is wrong."""

import pytest

from taylorvit.boundary.errors import FileError
from taylorvit.boundary.schema import check_schema


@pytest.mark.parametrize(("value", "schema"), [
    ("a", str), (1, int), (1, float), (1.5, float), (True, bool), ({}, dict), ([], list), (None, (None, int)),
    ([1, 2], [int]), ([], [int]), ({"a": 1, "b": "more"}, {"a": int}), ({"x": 1, "y": 2}, {str: int}), ({}, {str: int}),
    ({"a": 1}, {"a": int, "b?": str}), ({"a": 1, "b": ""}, {"a": int, "b?": str}), (10**400, float),
])  # fmt: skip
def test_good_members(value, schema):
    check_schema(value, schema, "a.json:")


@pytest.mark.parametrize(
    ("value", "schema", "text"),
    [
        (1, str, "it must be a text, not 1"),
        (True, int, "it must be an integer, not true"),
        (1.0, int, "it must be an integer, not 1.0"),
        (True, float, "it must be a finite number, not true"),
        (float("nan"), float, "it must be a finite number, not nan"),
        (float("inf"), float, "it must be a finite number, not inf"),
        (1, bool, "it must be true or false, not 1"),
        ([], dict, "it must be an object, not []"),
        ({}, [int], "it must be a list, not {}"),
        (1, (None, dict), "it must be an object, not 1"),
        ({}, {"a": int}, "a must be there"),
        ({"a": {"b": [1, "x" * 100]}}, {"a": {str: [int]}}, f"a.b[1] must be an integer, not '{'x' * 59}..."),
        ({"b": 1}, {"b?": str}, "b must be a text, not 1"),
    ],
)
def test_wrong_members(value, schema, text):
    with pytest.raises(FileError) as error:
        check_schema(value, schema, "a.json:")
    assert str(error.value) == f"a.json: {text}"
