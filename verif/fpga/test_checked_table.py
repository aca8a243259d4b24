"""Tables of TOML files: each key by its rule, errors that name it, and nothing left over."""

import pytest

from taylorvit.fpga.checked_table import CheckedTable, TableError

CONTENT = {
    "name": "one", "names": ["a", "b"], "count": 3, "size": 64, "on": True, "io": {"TYPE": "X", "DRIVE": 4},
    "inner": {"count": 5},
}  # fmt: skip


@pytest.fixture
def table():
    return CheckedTable(CONTENT, "thing")


def test_every_kind_of_value(table):
    assert "name" in table and "other" not in table
    assert table.keys() == tuple(CONTENT)
    assert table.text("name", choices=["one", "two"]) == "one"
    assert table.texts("names") == ("a", "b")
    assert table.number("count", 1, 3) == 3
    assert table.power_of_two("size", 16, 64, 32) == 64
    assert table.flag("on") is True
    assert dict(table.attributes("io")) == CONTENT["io"]
    inner = table.table("inner")
    assert inner.number("count", 0, 9) == 5
    for each in (table, inner):
        assert each.keys() == ()
        each.refuse_the_rest()


def test_what_may_be_missing():
    empty = CheckedTable({}, "thing")
    assert empty.texts("names", optional=True) == ()
    assert empty.number("count", 1, 9, default=2) == 2
    assert empty.power_of_two("size", 16, 64, 32) == 32
    assert empty.flag("on") is False
    assert dict(empty.attributes("io")) == {}


def test_rest_is_taken_as_it_is(table):
    table.number("count", 1, 3)
    assert table.rest() == {key: value for key, value in CONTENT.items() if key != "count"}
    table.refuse_the_rest()


@pytest.mark.parametrize(
    ("take", "message"),
    [
        (lambda table: table.text("other"), "thing must have the key 'other'"),
        (lambda table: table.table("inner").text("other"), "thing must have the key 'inner.other'"),
        (lambda table: table.text("name", choices=["two"]), "name must be one of two, not 'one'"),
        (lambda table: table.text("count"), "count must be text, not 3"),
        (lambda table: table.texts("name"), "name must be a list of texts, not 'one'"),
        (lambda table: table.number("on", 0, 1), "on must be an integer in 0..1, not True"),
        (lambda table: table.number("count", 4, 5), "count must be an integer in 4..5, not 3"),
        (lambda table: table.power_of_two("count", 1, 9, 2), "count must be a power of two, not 3"),
        (lambda table: table.flag("count"), "count must be true or false, not 3"),
        (lambda table: table.attributes("names"), "names must be a table of texts and integers, not ['a', 'b']"),
        (lambda table: table.table("count"), "count must be a table, not 3"),
        (lambda table: table.table("inner").refuse_the_rest(), "key must be one that a thing has, not 'inner.count'"),
    ],
)
def test_wrong_keys(table, take, message):
    with pytest.raises(TableError) as error:
        take(table)
    assert str(error.value) == message
