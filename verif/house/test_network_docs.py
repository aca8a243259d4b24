"""docs/network.md says what the hardware decodes: places of fields, values of enumerations, sizes of buffers."""

import dataclasses
import re

import pytest

from taylorvit.compiler.layout import Layout
from taylorvit.gen.presets import load_preset, preset_names
from taylorvit.golden.network.vit import SHAPES
from taylorvit.rtl.network.command import (
    CONSTANTS_FIELDS,
    FIELDS,
    HEADER_FIELDS,
    KERNEL_CONSTANTS,
    KERNELS,
    Destination,
    Flag,
    Kind,
    Opcode,
    Source,
    Stationary,
)
from verif import ROOT

PAGE = (ROOT / "docs/network.md").read_text(encoding="utf-8")
_BLOCKS = "The MLP in blocks of tokens"


def _section(title: str) -> str:
    """What stands below a heading, up to the next one."""
    return re.split(r"\n##+ ", PAGE.split(f"# {title}\n")[1])[0]


@pytest.mark.parametrize(
    "title, tables",
    [
        ("Header", [HEADER_FIELDS]),
        ("The command PRODUCT", [FIELDS]),
        ("The command CONSTANTS", [CONSTANTS_FIELDS, *KERNEL_CONSTANTS.values()]),
    ],
)
def test_fields(title, tables):
    shown = re.findall(r"^(\| \d+ \| \d+ \| .*)$", _section(title), re.MULTILINE)
    assert shown == [
        f"| {field.place} | {field.bytes} | `{field.name}` | {field.description} |"
        for fields in tables
        for field in fields.values()
    ]


@pytest.mark.parametrize(
    "field, members",
    [
        ("opcode", Opcode),
        ("kind", Kind),
        ("flags", Flag),
        ("source", Source),
        ("stationary", Stationary),
        ("destination", Destination),
    ],
)
def test_values(field, members):
    [shown] = re.findall(rf"^\| `{field}`(?:, added up)? \| (.*) \|$", _section("The command PRODUCT"), re.MULTILINE)
    assert shown == ", ".join(f"{member.value} {member.name}" for member in members)


def test_kernels():
    numbers = ", ".join(f"{number} for {name}" for number, name in enumerate(KERNELS))
    assert f"`kernel` is {numbers}." in _section("The command CONSTANTS")
    assert list(KERNEL_CONSTANTS) == list(KERNELS)


def test_kinds_of_operations():
    shown = re.findall(r"\| ([A-Z_]+) \|$", _section("Operations"), re.MULTILINE)
    assert shown == [kind.name for kind in Kind if kind != Kind.OTHER]


def test_buffers_of_blocks():
    rows = re.findall(
        r"^\| (\d+)(?:, all tokens)? \| (\d+) \| ([\d,]+) \| ([\d,]+) \|", _section(_BLOCKS), re.MULTILINE
    )
    assert len(rows) == 3
    for mlp_tokens, blocks, *sizes in rows:
        config = dataclasses.replace(load_preset("vit-16x8"), mlp_tokens=int(mlp_tokens))
        assert len(Layout(SHAPES["deit_tiny"], config).blocks(197)) == int(blocks)
        buffers = config.buffer_bytes
        assert sizes == [f"{size:,}" for size in (buffers["activations"], sum(buffers.values()))]


def test_buffers_of_the_presets():
    rows = re.findall(r"^\| `([\w-]+)` \| ([\d, |]+) \|$", _section("Memory map"), re.MULTILINE)
    assert dict(rows) == {
        name: " | ".join(f"{size:,}" for size in [*sizes.values(), sum(sizes.values())])
        for name in preset_names("network")
        for sizes in [load_preset(name).buffer_bytes]
    }
