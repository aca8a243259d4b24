"""Buses: members with the names of a standard, and interfaces that are joined only if they fit."""

from __future__ import annotations

import re

import pytest
from amaranth.hdl import Fragment, Module
from amaranth.lib.wiring import In, Out, Signature, flipped

from taylorvit.gen.verilog import emit
from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.bus import Bus, connect


class Handshake(Bus):
    """A word and whether it is there, for whoever takes it."""

    def __init__(self, width=8):
        super().__init__({"word": Out(width), "valid": Out(1), "taken": In(1)})


class Inner(Block):
    """Takes a word whenever there is one, and offers it again."""

    module_name = "inner"

    def __init__(self):
        super().__init__({"s": In(Handshake()), "m": Out(Signature({"all": Out(Handshake())}))})

    def elaborate(self, platform):
        m = Module()
        connect(m, flipped(self.s), flipped(self.m.all))
        return m


class Outer(Block):
    """Two of them, one behind the other."""

    module_name = "outer"

    def __init__(self):
        super().__init__({"s_word": In(Handshake()), "m_word": Out(Handshake())})

    def elaborate(self, platform):
        m = Module()
        first, second = instantiate(m, "first", Inner()), instantiate(m, "second", Inner())
        connect(m, flipped(self.s_word), first.s)
        connect(m, second.s, first.m.all)
        connect(m, flipped(self.m_word), second.m.all)
        return m


def test_members_of_a_bus_are_joined_by_one_underscore():
    names = [name for name, _member, _value in Outer().flat_ports()]
    assert names == ["s_word_word", "s_word_valid", "s_word_taken", "m_word_word", "m_word_valid", "m_word_taken"]
    assert [name for name, _member, _value in Inner().flat_ports()][3:] == [
        "m__all_word",
        "m__all_valid",
        "m__all_taken",
    ]


def test_ports_of_an_instance_have_the_names_of_the_module():
    text = emit(Outer())
    assert re.search(r"output\s+wire\s+s_word_taken", text)
    assert re.search(r"input\s+wire\s+m__all_taken", text)
    # The whole way of each member, whichever of the two interfaces was named first.
    first = text.partition("inner first (")[2].partition(");")[0]
    second = text.partition("inner second (")[2].partition(");")[0]
    for member in ("word", "valid", "taken"):
        assert f".s_{member}(s_word_{member})" in first
        assert f".m__all_{member}(m_word_{member})" in second
        (wire,) = re.findall(rf"\.m__all_{member}\((\w+)\)", first)
        assert f".s_{member}({wire})" in second


@pytest.mark.parametrize(
    ("one", "other", "member"),
    [
        (Handshake(), Handshake(), "word"),
        (Handshake(), Handshake(9).flip(), "word"),
        (Handshake(), Signature({"word": In(8), "valid": In(1)}), "taken"),
        (Signature({"word": Out(8)}), Handshake().flip(), "valid"),
        (Signature({"word": Out(8)}), Signature({"word": In(8, init=1)}), "word"),
        (Signature({"all": Out(Handshake())}), Signature({"all": Out(Handshake())}), "all.word"),
    ],
    ids=["same direction", "width", "missing there", "missing here", "initial value", "nested"],
)
def test_interfaces_that_do_not_fit_are_not_joined(one, other, member):
    m = Module()
    with pytest.raises(TypeError, match=rf"^{re.escape(member)} must be an output of one and an input of the other, "):
        connect(m, one.create(path=("one",)), other.create(path=("other",)))
    Fragment.get(m, None)
