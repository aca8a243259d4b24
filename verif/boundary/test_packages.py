"""Commands without the packages of their extras: what needs none works, the rest names package and extra."""

import json
import os
import re
import subprocess
import sys
import tomllib

import numpy as np
import pytest

from taylorvit.commands import COMMANDS
from verif import ROOT
from verif.fpga.flow.example_report import example_report

#: Modules that are named otherwise than their packages.
MODULES = {"amaranth-boards": "amaranth_boards", "pyserial": "serial", "pillow": "PIL", "scikit-image": "skimage",
           "scikit-learn": "sklearn", "pytest-xdist": "xdist"}  # fmt: skip

#: Commands that work without any extra.
PLAIN = ["presets", "info --preset tiny-4x4", "generate --preset tiny-4x4 -o out", "boards", "report .",
         "completion bash", "completion zsh", "completion fish"]  # fmt: skip
#: Others, and the extra that each needs.
NEEDING = {
    "simulate --preset tiny-4x4 --input a.npz": "sim",
    "serve --sim": "sim,train,web",
    "serve --port /dev/tty0 --model a": "fpga,train,web",
    "build --board icebreaker": "fpga",
    "run --sim --input a.npz": "sim",
    "run --port /dev/tty0 --input a.npz": "fpga",
    "c-job --preset tiny-4x4 --input a.npz": "fpga",
    "figures": "fpga",
    "train --config mnist5k": "train",
    "quantize a.safetensors": "train",
    "evaluate a.safetensors": "train",
    "evaluate a.safetensors -o a.png": "train",
    "inspect a.safetensors": "train",
    "capture a.safetensors --images 1 -o b.npz": "train",
    "ops": "train",
    "fidelity": "train",
}
HELP = ["--help", "--version", *(f"{command} --help" for command in COMMANDS)]

SCRIPT = """
import contextlib, io, json, shlex, sys
commands, blocked = json.loads(sys.argv[1])
for name in blocked:
    sys.modules[name] = None
from taylorvit.__main__ import main
results = []
for command in commands:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(shlex.split(command))
    results.append([status, out.getvalue(), err.getvalue()])
print(json.dumps(results))
"""


def extras():
    """Extra -> modules of its packages."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    modules = {}
    for extra, packages in project.items():
        names = [re.match(r"[\w-]+", package)[0] for package in packages]
        modules[extra] = {MODULES.get(name, name.replace("-", "_")) for name in names}
    return modules


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "report.json").write_text(json.dumps(example_report()))
    np.savez(tmp_path / "a.npz", **dict.fromkeys("qkv", np.ones((1, 2, 3))))
    return tmp_path


def without(modules, commands, folder, path=""):
    """Runs commands in a process that lacks modules: command -> (status, standard output, standard error)."""
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps([commands, modules])],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": path or str(folder)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert result.returncode == 0, result.stderr
    return dict(zip(commands, json.loads(result.stdout), strict=True))


def check(command, result, extra):
    """One line that names a package of the extra."""
    status, out, err = result
    assert (status, out) == (2, ""), command
    package = re.fullmatch(
        r"taylorvit: error: this needs the Python package '(\w+)', which is not installed: "
        rf'pip install "taylorvit\[{extra}\]"\n',
        err,
    )
    assert package, (command, err)
    assert any(package[1] in extras()[each] for each in extra.split(",")), command


@pytest.mark.slow
def test_without_any_extra(folder):
    results = without(sorted(set.union(*extras().values())), [*HELP, *PLAIN, *NEEDING], folder)
    for command in HELP + PLAIN:
        status, out, err = results[command]
        assert (status, err) == (0, "") and out, command
    for command, extra in NEEDING.items():
        check(command, results[command], extra)


#: Commands that an extra suffices for, beside those that name it; what they lack there is no package of Python.
ABLE = {
    "sim": ("build", "run --port", "c-job", "figures", "fidelity"),
    "fpga": ("fidelity",),
}


@pytest.mark.slow
@pytest.mark.parametrize("extra", ["sim", "fpga"])
def test_with_one_extra(folder, extra):
    """What another extra has is missed where it is needed, after what is there was loaded."""
    missing = set.union(*extras().values()) - extras()[extra]
    needing = {command: others for command, others in NEEDING.items() if others != extra}
    needing = {command: others for command, others in needing.items() if not command.startswith(ABLE[extra])}
    for command, result in without(sorted(missing), list(needing), folder).items():
        check(command, result, needing[command])


@pytest.mark.slow
def test_jobs_need_one_extra(folder):
    """A job is simulated with `sim` alone, and made for a board with `fpga` alone: torch is not missed."""
    (folder / "small.toml").write_text("rows = 2\ncolumns = 2\nmax_tokens = 2\nmax_head_dim = 3\nstream_width = 8\n")
    for extra, command in (
        ("sim", "simulate --config small.toml --input a.npz"),
        ("fpga", "c-job --config small.toml --input a.npz"),
    ):
        missing = set.union(*extras().values()) - extras()[extra] - {"pytest"}  # which cocotb itself brings
        (result,) = without(sorted(missing), [command], folder, os.environ["PATH"]).values()
        assert result[0] == 0, result
