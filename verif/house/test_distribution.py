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

FLOORS = ("boundary", "fpga", "gen", "golden", "rtl")
BESIDES = ("verif", "docs", "examples", ".ci", "LICENSE", "MANIFEST.in", "Makefile", "README.md", "CHANGELOG.md",
           "CONTRIBUTING.md", "pyproject.toml", "setup.py")  # fmt: skip
WHEEL_BYTES = 1_300_000  # about a quarter of it are the integer models
BUILD = "import sys; from setuptools import build_meta; getattr(build_meta, sys.argv[1])(sys.argv[2])"
#: `python -m MODULE` with the packages of a folder alone: those of the checkout are not found, whatever is installed.
ELSEWHERE = """
import runpy, site, sys
packages, checkout, module, *sys.argv[1:] = sys.argv[1:]
sys.meta_path[:] = [each for each in sys.meta_path if not getattr(each, "__module__", "").startswith("__editable__")]
for name in [name for name in sys.modules if name.startswith("__editable__")]:
    del sys.modules[name]
sys.path[:] = [packages, *(place for place in sys.path if place not in ("", checkout))]
site.addsitedir(packages)
try:
    runpy.run_module(module, run_name="__main__", alter_sys=True)
finally:
    for name, loaded in list(sys.modules.items()):
        assert name.partition(".")[0] != "verif", name
        if name.partition(".")[0] == "taylorvit":
            assert loaded.__file__.startswith(PLACE), loaded
"""


def files_of(folder):
    """Files below a folder of the checkout, by their names in it."""
    files = (path.relative_to(ROOT) for path in folder.rglob("*") if path.is_file())
    return {str(path) for path in files if "__pycache__" not in path.parts}


def build(kind, source, folder):
    """Has setuptools make a distribution of a folder of sources in `folder`."""
    subprocess.run([sys.executable, "-c", BUILD, f"build_{kind}", str(folder)], cwd=source, check=True, timeout=600,
                   capture_output=True)  # fmt: skip


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of the checkout that may be written to."""
    folder = tmp_path_factory.mktemp("checkout") / "checkout"
    for name in (*FLOORS, "taylorvit", *BESIDES):
        folder.mkdir(exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def distributions(checkout, tmp_path_factory):
    """(names in the source distribution, the wheel that is made of it, where an older one was made before)."""
    folder = tmp_path_factory.mktemp("distributions")
    build("sdist", checkout, folder)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
        names = {name.partition("/")[2] for name in tar.getnames()}
    sources = folder / archive.name.removesuffix(".tar.gz")
    for old in ("rtl/__init__.py", "taylorvit/gone.py"):
        (sources / "build" / "lib" / old).parent.mkdir(parents=True)
        (sources / "build" / "lib" / old).touch()
    build("wheel", sources, folder)
    (wheel,) = folder.glob("*.whl")
    return names, wheel


def unpacked(wheel):
    """The folder that a wheel is unpacked into."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(wheel.parent / "site-packages")
    return wheel.parent / "site-packages"


@pytest.fixture(scope="module")
def installed(distributions):
    return unpacked(distributions[1])


def run_elsewhere(site, place, folder, *words):
    """Exit status, output and errors of `taylorvit` in a folder, with the packages of a site, loaded from `place`."""
    script = ELSEWHERE.replace("PLACE", repr(str(place)))
    program = [sys.executable, "-c", script, str(site), str(ROOT), "taylorvit", *words]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    process = subprocess.run(program, cwd=folder, capture_output=True, text=True, timeout=600, env=environment)
    return process.returncode, process.stdout, process.stderr


@pytest.fixture
def run(installed, tmp_path):
    """run(*words) -> exit status, output and errors of `taylorvit` from the wheel, in another folder."""
    return lambda *words: run_elsewhere(installed, installed, tmp_path, *words)


def test_sources_are_complete(distributions):
    names, _wheel = distributions
    wanted = set()
    for name in (*FLOORS, "taylorvit", *BESIDES):
        wanted |= files_of(ROOT / name) if (ROOT / name).is_dir() else {name}
    assert wanted - names == set()
    assert not [name for name in names if name.endswith(".pyc")]


def test_wheel_has_every_file_of_the_packages_but_workloads_and_nothing_else(distributions):
    _names, wheel = distributions
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if not name.startswith("taylorvit-")}
    wanted = files_of(ROOT / "taylorvit").union(
        *({f"taylorvit/{name}" for name in files_of(ROOT / floor)} for floor in FLOORS)
    )
    assert inside == {name for name in wanted if not name.endswith(".npz")}
    assert "taylorvit/py.typed" in inside and not [name for name in inside if "/test_" in name]
    assert wheel.stat().st_size < WHEEL_BYTES


def test_wheel_says_what_it_is(installed):
    (information,) = installed.glob("*.dist-info")
    metadata = email.message_from_string((information / "METADATA").read_text(encoding="utf-8"))
    assert (metadata["Name"], metadata["Version"]) == ("taylorvit", __version__)
    assert metadata["License-Expression"] == "Apache-2.0" and (information / "licenses" / "LICENSE").is_file()
    assert set(metadata.get_all("Provides-Extra")) == {
        "sim",
        "test",
        "lint",
        "fpga",
        "train",
        "web",
        "pretrained",
        "oracle",
    }
    needed = {re.match(r"[\w-]+", each).group() for each in metadata.get_all("Requires-Dist") if "extra" not in each}
    assert needed == {"amaranth", "rich", "systemrdl-compiler", "peakrdl-html", "shtab"}
    assert "taylorvit = taylorvit.__main__:main" in (information / "entry_points.txt").read_text(encoding="utf-8")
    assert (information / "top_level.txt").read_text(encoding="utf-8").split() == ["taylorvit"]


def test_editable_installation_is_the_checkout(checkout, tmp_path):
    build("editable", checkout, tmp_path)
    site = unpacked(*tmp_path.glob("*.whl"))
    status, out, err = run_elsewhere(site, checkout, tmp_path, "presets")
    assert (status, err) == (0, "") and all(name in out for name in preset_names())


def test_presets_and_verilog(run, tmp_path):
    status, out, _err = run("presets")
    assert status == 0 and all(name in out for name in preset_names())
    status, _out, err = run("generate", "--preset", "tiny-4x4", "-o", "tiny")
    assert (status, err) == (0, "")
    assert f"// TaylorViT {__version__}." in (tmp_path / "tiny" / "taylorvit.v").read_text(encoding="utf-8")


def test_simulation(run, tmp_path):
    q, k, v = np.random.default_rng(0).standard_normal((3, 1, 20, 8))
    np.savez(tmp_path / "random.npz", q=q, k=k, v=v)
    status, out, err = run("simulate", "--preset", "edge-16x8", "--input", "random.npz", "-o", "z.npz")
    assert (status, err) == (0, "") and re.search(r"mismatches +│ +0 of 160", out)
    assert (tmp_path / "z.npz").is_file()


def test_boards_and_a_build_up_to_its_tools(run, tmp_path, monkeypatch):
    status, out, _err = run("boards")
    assert status == 0 and "icebreaker" in out
    yosys = tmp_path / "yosys"
    yosys.write_text('#!/bin/sh\n[ "$1" = --version ] && exec echo Yosys 9.9\nexit 1\n')
    yosys.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    status, _out, err = run("build", "--board", "icebreaker")
    assert status == 2 and "yosys failed with exit status 1" in err
    (verilog,) = tmp_path.glob("build/fpga/icebreaker/*/board_top.v")
    assert verilog.stat().st_size > 100_000


def test_models(run):
    status, out, _err = run("ops")
    assert status == 0 and "58.6 M" in out
    status, _out, err = run("train", "--config", "none")
    assert status == 2 and "or one of digits, mnist5k" in err


def test_fidelity_says_what_is_not_in_the_wheel(run):
    status, out, _err = run("fidelity", "--count", "2")
    assert status == 0 and "scales up to 3" in out
    assert "without captured operands: captured workloads are in the checkout" in out.splitlines()[-1]
