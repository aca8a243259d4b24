"""What every family has to have: a build asks for it."""

import re

import pytest

from taylorvit.fpga.board import board_names, load_board
from taylorvit.fpga.families import FAMILIES, RESOURCES
from verif import ROOT


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_family_is_complete(family):
    assert family.part_keys[0] == "device"
    assert family.fabric.reported_as.keys() == RESOURCES.keys()
    # Where LUTs and flip-flops are one cell, its flip-flop is seen by a parameter.
    assert {*family.fabric.kinds, *(["ff"] if family.fabric.register_parameter else [])} == RESOURCES.keys()
    assert set(family.fabric.site.groupindex) == {"x", "y", "place"}
    assert any(load_board(name).family is family for name in board_names())


@pytest.mark.parametrize("name", board_names())
def test_command_lines_name_the_part(name):
    board = load_board(name)
    arguments = board.family.place_and_route(board.part, "pins.txt")
    assert any("pins.txt" in argument for argument in arguments)
    assert {"routed", "out"} <= set(board.family.pack(board.part, "routed", "out"))
    commands = board.family.synthesis("some_top", board.part, ["-one", "-two"])
    assert all(re.search(r"-top some_top\b.* -one -two\b", line) for line in commands if "synth_" in line)
    assert any("synth_" in line for line in commands)


def test_unknown_device_of_ecp5():
    family = FAMILIES["ecp5"]
    with pytest.raises(ValueError, match=r"^device must be one of LFE5U-12F, .*, LFE5UM5G-85F, not 'LFE5U-100F'$"):
        family.place_and_route({"device": "LFE5U-100F", "package": "CABGA381", "speed": "6"}, "pins.lpf")


def test_nothing_else_knows_a_family_by_name():
    """Outside of its folder and the list of families, no module of `fpga` names one."""
    names = re.compile("|".join(FAMILIES), re.IGNORECASE)
    families = ROOT / "fpga" / "families"
    own = [families / "__init__.py", *(families / name for name in FAMILIES)]
    for path in (ROOT / "fpga").rglob("*.py"):
        if not any(path.is_relative_to(folder) for folder in own):
            code = path.read_text(encoding="utf-8").split('"""')[::2]  # without docstrings, which may give an example
            found = [line for part in code for line in part.splitlines() if names.search(line.partition("#")[0])]
            assert found == [], path
