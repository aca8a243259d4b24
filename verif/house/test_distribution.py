"""What is published: a source distribution with all of the checkout, and a wheel that works by itself, elsewhere."""

import email
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile

import numpy as np
import pytest

from taylorvit.gen.presets import preset_names
from taylorvit.rtl import __version__
from verif import ROOT

PACKAGES = ("boundary", "fpga", "gen", "golden", "rtl", "taylorvit")
BESIDES = ("docs", ".ci", "LICENSE", "MANIFEST.in", "Makefile", "README.md", "CHANGELOG.md", "CONTRIBUTING.md",
           "pyproject.toml")  # fmt: skip
BUILD = "import sys; from setuptools import build_meta; getattr(build_meta, sys.argv[1])(sys.argv[2])"
#: A command line with the packages of a folder alone: those of the checkout are not found, whatever is installed.
ELSEWHERE = """
import runpy, sys
packages, checkout, module, *sys.argv[1:] = sys.argv[1:]
sys.meta_path[:] = [each for each in sys.meta_path if not getattr(each, "__module__", "").startswith("__editable__")]
sys.path[:] = [packages, *(place for place in sys.path if place not in ("", checkout))]
try:
    runpy.run_module(module, run_name="__main__", alter_sys=True)
finally:
    roots = {name.partition(".")[0] for name in sys.modules}
    for name in roots & {"boundary", "fpga", "gen", "golden", "rtl", "verif"}:
        assert sys.modules[name].__file__.startswith(packages), sys.modules[name]
"""


def files_of(folder):
    """Files below a folder of the checkout, by their names in it."""
    files = (path.relative_to(ROOT) for path in folder.rglob("*") if path.is_file())
    return {str(path) for path in files if "__pycache__" not in path.parts}


@pytest.fixture(scope="module")
def distributions(tmp_path_factory):
    """(names in the source distribution, the wheel that is made of it): paths."""
    folder = tmp_path_factory.mktemp("distributions")
    checkout = folder / "checkout"
    for name in (*PACKAGES, *BESIDES):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        checkout.mkdir(exist_ok=True)
        copy(ROOT / name, checkout / name)

    def build(kind, place):
        subprocess.run([sys.executable, "-c", BUILD, f"build_{kind}", str(folder)], cwd=place, check=True, timeout=120,
                       capture_output=True)  # fmt: skip

    build("sdist", checkout)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
        names = {name.partition("/")[2] for name in tar.getnames()}
    build("wheel", folder / archive.name.removesuffix(".tar.gz"))
    (wheel,) = folder.glob("*.whl")
    return names, wheel


@pytest.fixture(scope="module")
def installed(distributions):
    """The folder that the wheel is unpacked into."""
    wheel = distributions[1]
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(wheel.parent / "site-packages")
    return wheel.parent / "site-packages"


@pytest.fixture
def run(installed, tmp_path, monkeypatch):
    """run(module, *arguments) -> exit status, output and errors of a command in another folder."""

    def command(module, *arguments):
        program = [sys.executable, "-c", ELSEWHERE, str(installed), str(ROOT), module, *arguments]
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        process = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, timeout=300, env=environment)
        return process.returncode, process.stdout, process.stderr

    return command


def test_sources_are_complete(distributions):
    names, _wheel = distributions
    wanted = set().union(*(files_of(ROOT / name) if (ROOT / name).is_dir() else {name} for name in PACKAGES + BESIDES))
    assert wanted - names == set()


def test_wheel_has_every_file_of_the_packages_and_nothing_else(distributions):
    _names, wheel = distributions
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if not name.startswith("taylorvit-")}
    assert inside == set().union(*(files_of(ROOT / package) for package in PACKAGES))


def test_wheel_says_what_it_is(installed):
    (information,) = installed.glob("*.dist-info")
    metadata = email.message_from_string((information / "METADATA").read_text(encoding="utf-8"))
    assert (metadata["Name"], metadata["Version"]) == ("taylorvit", __version__)
    assert metadata["License-Expression"] == "Apache-2.0" and (information / "licenses" / "LICENSE").is_file()
    assert set(metadata.get_all("Provides-Extra")) == {"sim", "lint", "fpga", "train", "oracle"}
    needed = {re.match(r"[\w-]+", each).group() for each in metadata.get_all("Requires-Dist") if "extra" not in each}
    assert needed == {"amaranth", "rich", "systemrdl-compiler", "peakrdl-html"}
    assert "taylorvit = taylorvit.__main__:main" in (information / "entry_points.txt").read_text(encoding="utf-8")


def test_presets_and_verilog(run, tmp_path):
    status, out, _err = run("gen", "presets")
    assert status == 0 and all(name in out for name in preset_names())
    status, _out, err = run("gen", "generate", "--preset", "tiny-4x4", "-o", "tiny")
    assert (status, err) == (0, "")
    assert f"// TaylorViT {__version__}." in (tmp_path / "tiny" / "taylorvit.v").read_text(encoding="utf-8")


def test_simulation(run, tmp_path):
    q, k, v = np.random.default_rng(0).standard_normal((3, 1, 20, 8))
    np.savez(tmp_path / "random.npz", q=q, k=k, v=v)
    status, out, err = run("gen", "simulate", "--preset", "edge-16x8", "--input", "random.npz", "-o", "z.npz")
    assert (status, err) == (0, "") and re.search(r"mismatches +│ +0 of 160", out)
    assert (tmp_path / "z.npz").is_file()


def test_boards_and_a_build_up_to_its_tools(run, tmp_path, monkeypatch):
    status, out, _err = run("fpga", "boards")
    assert status == 0 and "icebreaker" in out
    yosys = tmp_path / "yosys"
    yosys.write_text('#!/bin/sh\n[ "$1" = --version ] && exec echo Yosys 9.9\nexit 1\n')
    yosys.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    status, _out, err = run("fpga", "build", "--board", "icebreaker")
    assert status == 2 and "yosys failed with exit status 1" in err
    (verilog,) = tmp_path.glob("build/fpga/icebreaker/*/board_top.v")
    assert verilog.stat().st_size > 100_000


def test_models(run):
    status, out, _err = run("golden", "ops")
    assert status == 0 and "58.6 M" in out
    status, _out, err = run("golden", "train", "--config", "none")
    assert status == 2 and "or one of digits, mnist5k" in err
