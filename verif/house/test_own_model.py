"""docs/own_model.md is true: its program and its commands are run, on fewer images and for fewer epochs.

`build` and `load`, and `run` at a serial port, need long, or a board: they are only parsed.
"""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from taylorvit.__main__ import command_parser, main
from taylorvit.boundary.command import parse
from taylorvit.commands import COMMANDS
from verif import ROOT

TEXT = (ROOT / "docs/own_model.md").read_text(encoding="utf-8")
SMALLER = {'(("train", 120), ("val", 20))': '(("train", 30), ("val", 3))', "epochs = 20\n": "epochs = 4\n"}


def _block(first_line: str) -> str:
    """The indented block that begins with a line, with fewer images and epochs."""
    (block,) = re.findall(rf"^((?:    {re.escape(first_line)}\n)(?:    .*\n|\n)*)", TEXT, re.MULTILINE)
    for text, smaller in SMALLER.items():
        block = block.replace(text, smaller)
    return textwrap.dedent(block)


def _examples() -> list[tuple[list[str], list[str]]]:
    """The commands with what they print, in order."""
    blocks = re.findall(r"^    \$ taylorvit (.*)\n((?:    .*\n)+)", TEXT, re.MULTILINE)
    return [(command.split(), [line.strip() for line in shown.splitlines()]) for command, shown in blocks]


def _form(lines: list[str]) -> list[str]:
    """Lines without what depends on the numbers of a training, or on the machine."""
    text = "\n".join(line for line in lines if not re.match(r"│ time\W", line))
    for numbers in (r"-?\d[\d.,%]*", r"\b(rows|columns|checks)\b", r"(?<=bits, )\S+", "[ ━─┳┏┓┡╇┩└┴┘┌┬┐├┼┤]+"):
        text = re.sub(numbers, "#", text)
    return text.splitlines()


def test_tutorial(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert all(text in TEXT for text in SMALLER)
    exec(compile(_block("from pathlib import Path"), "docs/own_model.md", "exec"), {})
    Path("patterns.toml").write_text(_block('title = "Rows, columns, checks"'), encoding="utf-8")
    names = []
    for command, shown in _examples():
        names.append(command[0])
        assert main(command) == 0
        printed = [line.strip() for line in capsys.readouterr().out.splitlines() if line.strip()]
        assert _form(printed) == _form(shown)
    assert names == ["train", "quantize", "evaluate", "compile", "run"]
    assert any(re.search(r"mismatches +│ 0 of 9 logits", line) for line in printed)


def test_commands_for_the_board():
    section = TEXT.partition("## On the board\n")[2]
    commands = [line.split() for line in re.findall(r"^    taylorvit (.*)$", section, re.MULTILINE)]
    assert [name for name, *_options in commands] == ["build", "load", "run"]
    for name, *options in commands:
        parse(command_parser(COMMANDS[name]), options)
