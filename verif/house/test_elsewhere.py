"""`simulate` from packages that are installed somewhere, in a folder of the user's."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from taylorvit.simulation.places import CACHE_VARIABLE, cache_folder
from verif import ROOT
from verif.taylorvit.small import SMALL

FLOORS = ("boundary", "fpga", "gen", "golden", "rtl")


def contents(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*")}


@pytest.fixture
def site(tmp_path):
    """A copy of the packages that nobody may write to."""
    site = tmp_path / "site-packages"
    for name in ("taylorvit", *FLOORS):
        place = site / "taylorvit" / ("" if name == "taylorvit" else name)
        shutil.copytree(ROOT / name, place, ignore=shutil.ignore_patterns("__pycache__"))
    folders = [site, *(path for path in site.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    yield site
    for folder in folders:
        folder.chmod(0o755)


def test_read_only_installation(site, tmp_path):
    """Root may write everywhere: so it is also looked at whether something has been written."""
    here = tmp_path / "here"
    here.mkdir()
    (here / "small.toml").write_text(SMALL, encoding="utf-8")
    q, k, v = np.random.default_rng(1).standard_normal((3, 1, 7, 5))
    np.savez(here / "in [1].npz", q=q, k=k, v=v)
    (tmp_path / "cache").mkdir()
    # The user's cache, with what other tests have built.
    (tmp_path / "cache" / "taylorvit").symlink_to(cache_folder())
    environment = {name: value for name, value in os.environ.items() if name != CACHE_VARIABLE}
    environment |= {"PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    before = contents(site)
    command = [
        sys.executable,
        "-m",
        "taylorvit",
        "simulate",
        "--config",
        "small.toml",
        "--input",
        "in [1].npz",
        "--waves",
    ]
    run = subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[-1] == "wrote build/simulate/small.vcd"
    assert (here / "build" / "simulate" / "small.vcd").stat().st_size > 1000
    assert contents(site) == before
    written = {path.name for path in here.rglob("*")} - {"in [1].npz", "small.toml"}
    assert written == {"build", "simulate", "small.vcd"}
