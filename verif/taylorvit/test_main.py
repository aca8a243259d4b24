"""The one command: its help, what it loads, unknown words, completion."""

import json
import re
import shutil
import subprocess
import sys

import pytest

from taylorvit.__main__ import main
from taylorvit.commands import COMMANDS
from taylorvit.fpga.board import board_names
from taylorvit.gen.presets import preset_names
from taylorvit.rtl import __version__
from verif import ROOT


def loaded_by(*words):
    """The names of all modules that a command line loads."""
    script = (
        "import json, sys\nfrom taylorvit.__main__ import main\nmain(sys.argv[1:])\nprint(json.dumps([*sys.modules]))"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, *words], capture_output=True, text=True, timeout=600, check=True, cwd=ROOT
    )
    return set(json.loads(result.stdout.splitlines()[-1]))


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"taylorvit {__version__}\n"


def test_module_runs():
    command = [sys.executable, "-m", "taylorvit", "--version"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True, cwd=ROOT)
    assert result.stdout == f"taylorvit {__version__}\n"


def test_help_has_every_command_under_its_group(capsys):
    assert main(["--help"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("usage: taylorvit [-h] [--version] COMMAND ...\n")
    groups = re.findall(r"^(\w+):\n((?:  .+\n)+)", printed.partition("\n\noptions:")[2], re.MULTILINE)
    listed = [(group, name) for group, lines in groups for name in re.findall(r"^  (\S+) ", lines, re.M)]
    assert listed == [(command.group, command.name) for command in COMMANDS.values()]
    assert max(map(len, printed.splitlines())) <= 92


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command(capsys, command):
    assert main([command, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"usage: taylorvit {command} ")


def test_help_loads_no_command():
    loaded = loaded_by("--help")
    assert not loaded & {"amaranth", "torch", "numpy", "rich", "shtab"}
    assert {name for name in loaded if name.startswith("taylorvit.commands")} == {"taylorvit.commands"}


def test_a_command_loads_no_other():
    loaded = loaded_by("train", "--help")
    assert not loaded & {"amaranth", "torch", "numpy"}
    assert "taylorvit.commands.train" in loaded and "taylorvit.commands.quantize" not in loaded
    assert not loaded_by("presets") & {"torch", "numpy"}


def fails(capsys, *words):
    """What a command line that is refused says."""
    assert main(list(words)) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    return printed.err


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("generat", "; did you mean 'generate'?"),
        ("c_job", "; did you mean 'c-job'?"),
        ("x", ""),
        ("", ""),
        ("a\nb", ""),
    ],
)
def test_unknown_command(capsys, word, hint):
    expected = f"taylorvit: error: command must be one that `taylorvit --help` lists, not {word!r}{hint}\n"
    assert fails(capsys, word) == expected


def test_words_that_are_missing_or_none(capsys):
    assert fails(capsys).splitlines()[-1] == "taylorvit: error: the following arguments are required: COMMAND"
    assert "unrecognized arguments: --fast" in fails(capsys, "--fast", "presets")
    assert "taylorvit generate: error: one of the arguments --preset --config is required" in fails(capsys, "generate")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "tcsh"])
def test_script_of_completion(capsys, shell):
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    for name in (*COMMANDS, *preset_names(), *board_names()):
        assert name in script


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        (["gen"], ["generate"]),
        (["generate", "--preset", "edge"], ["edge-16x16", "edge-16x16-softmax", "edge-16x8"]),
        (["build", "--board", "ice"], ["icebreaker"]),
        (["build", "--board", "ulx3s-25f", "--network", "dig"], ["digits"]),
        (["simulate", "--wa"], ["--waves"]),
    ],
)
def test_completion_in_bash(capsys, words, completed):
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("bash is not installed")
    main(["completion", "bash"])
    script = f"""{capsys.readouterr().out}
COMP_WORDS=(taylorvit {" ".join(words)}); COMP_CWORD={len(words)}
_shtab_taylorvit taylorvit {words[-1]} "" 2> /dev/null
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    result = subprocess.run([bash, "-c", script], capture_output=True, text=True, timeout=600, check=True)
    assert sorted(word.strip() for word in result.stdout.split()) == completed
