"""Where things are kept: the cache folder, what is made once in it, and paths as they are shown."""

import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from taylorvit.simulation import ToolError, places
from taylorvit.simulation.places import cache_folder, once, shown


@pytest.fixture
def user(tmp_path, monkeypatch):
    """A user of a machine: home and temporary files in `tmp_path`, no variable set."""
    for name in (places.CACHE_VARIABLE, "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name in ("home", "tmp"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    return tmp_path


# Cache folder


def test_cache_of_the_user(user, monkeypatch):
    assert cache_folder() == user / "home" / ".cache" / "taylorvit" and cache_folder().is_dir()
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # to be ignored, says the standard
    assert cache_folder() == user / "home" / ".cache" / "taylorvit"
    monkeypatch.setenv("XDG_CACHE_HOME", str(user / "cache"))
    assert cache_folder() == user / "cache" / "taylorvit" and cache_folder().is_dir()


def test_cache_that_is_chosen(user, monkeypatch):
    monkeypatch.chdir(user)
    monkeypatch.setenv(places.CACHE_VARIABLE, "a cache/of mine")
    assert cache_folder() == user / "a cache" / "of mine" and cache_folder().is_dir()


def test_cache_that_is_chosen_and_is_none(user, monkeypatch):
    monkeypatch.setenv(places.CACHE_VARIABLE, "/dev/null/cache")
    with pytest.raises(
        ToolError,
        match="^TAYLORVIT_CACHE_DIR must be a folder that can be written to, not "
        "'/dev/null/cache': /dev/null is a file$",
    ):
        cache_folder()


@pytest.mark.parametrize("home", ["/dev/null", "nowhere", None])
def test_home_that_is_none(user, monkeypatch, home):
    if home is None:
        monkeypatch.delenv("HOME")
        monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # nobody of this number in the list of users
    else:
        monkeypatch.setenv("HOME", home)
    folder = cache_folder()
    assert folder == user / "tmp" / f"taylorvit-{os.getuid()}"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert cache_folder() == folder


def test_temporary_folder_of_somebody_else(user, monkeypatch):
    monkeypatch.setenv("HOME", "/dev/null")
    theirs = user / "theirs"
    theirs.mkdir()
    folder = user / "tmp" / f"taylorvit-{os.getuid()}"
    folder.symlink_to(theirs)
    with pytest.raises(
        ToolError,
        match="^no cache folder can be written to, neither /dev/null/.cache/taylorvit nor "
        f"{folder} .others may write to it.: name one with TAYLORVIT_CACHE_DIR$",
    ):
        cache_folder()
    folder.unlink()
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(ToolError, match="others may write to it"):
        cache_folder()


def test_paths_are_shown_from_here(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert shown(tmp_path / "build" / "z.vcd") == shown("build/z.vcd") == "build/z.vcd"
    assert shown(tmp_path.parent / "z.vcd") == shown("../z.vcd") == f"{tmp_path.parent}/z.vcd"


# Made once


class Maker:
    """Makes a program and a text, and counts how often."""

    def __init__(self):
        self.made = 0

    def __call__(self, folder: Path):
        self.made += 1
        (folder / "deep").mkdir()
        (folder / "deep" / "text").write_text("something" * 100)
        (folder / "program").write_text("#!/bin/sh\necho done\n")
        (folder / "program").chmod(0o755)


@pytest.fixture
def make():
    return Maker()


def test_made_once(tmp_path, make):
    assert once(tmp_path / "thing", make) > 0
    assert once(tmp_path / "thing", make) == 0
    assert make.made == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [".locks", "thing"]


def cut_off(path):
    os.truncate(path, path.stat().st_size // 2)


def change_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def write_nothing(path):
    path.write_bytes(b"{}")


@pytest.mark.parametrize(
    "name, damage",
    [
        ("program", Path.unlink),
        ("program", cut_off),
        ("program", change_a_bit),
        ("program", lambda path: path.chmod(0o644)),
        ("deep/text", Path.unlink),
        ("deep/text", cut_off),
        ("manifest.json", Path.unlink),
        ("manifest.json", cut_off),
        ("manifest.json", write_nothing),
    ],
)
@pytest.mark.parametrize("known", [True, False])
def test_what_is_damaged_is_made_anew(tmp_path, make, name, damage, known):
    """Whether this process, or another one, has seen it whole before."""
    once(tmp_path / "thing", make)
    if known:
        assert once(tmp_path / "thing", make) == 0
    damage(tmp_path / "thing" / name)
    assert once(tmp_path / "thing", make) > 0
    assert once(tmp_path / "thing", make) == 0
    assert make.made == 2
    assert os.access(tmp_path / "thing" / "program", os.X_OK)


def test_processes_side_by_side_make_it_once(tmp_path):
    make = Maker()

    def slowly(folder):
        make(folder)
        time.sleep(0.2)

    with ThreadPoolExecutor(3) as pool:
        seconds = list(pool.map(lambda _number: once(tmp_path / "thing", slowly), range(3)))
    assert make.made == 1 and sum(second > 0 for second in seconds) == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_interruption_leaves_nothing(tmp_path, make, error):
    def interrupted(folder):
        make(folder)
        raise error

    with pytest.raises(error):
        once(tmp_path / "thing", interrupted)
    assert [path.name for path in tmp_path.iterdir()] == [".locks"]


def test_failure_is_there_until_the_next_attempt(tmp_path, make):
    def failing(folder):
        make(folder)
        raise ToolError("no")

    for _attempt in range(2):
        with pytest.raises(ToolError):
            once(tmp_path / "thing", failing)
        (left,) = tmp_path.glob("thing.*.unfinished")
        assert (left / "program").is_file()
    once(tmp_path / "thing", make)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".locks", "thing"]


def test_what_a_killed_process_still_writes_is_not_taken(tmp_path, make):
    """Its folder has another name than the one that is made now."""
    folders = []

    def killed(folder):
        folders.append(folder)
        raise ToolError("as if killed")

    with pytest.raises(ToolError):
        once(tmp_path / "thing", killed)

    def while_it_goes_on(folder):
        assert folder != folders[0] and not folders[0].exists()
        make(folder)

    once(tmp_path / "thing", while_it_goes_on)


def test_file_system_without_locks(tmp_path, make, monkeypatch):
    def acquire(_lock):
        raise NotImplementedError

    monkeypatch.setattr(places.FileLock, "acquire", acquire)
    with pytest.raises(ToolError, match="must be on a file system that knows locks: name another folder with TAYLORV"):
        once(tmp_path / "thing", make)
    assert make.made == 0
