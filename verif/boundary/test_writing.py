"""Files that users get: exactly the name that was given, whole or not at all, and refused before the work begins."""

import os
import subprocess

import numpy as np
import pytest

from taylorvit.boundary.writing import FileError, check_output_file, check_output_folder, written_whole


def refusal(check, *arguments, **options):
    with pytest.raises(FileError) as error:
        check(*arguments, **options)
    return str(error.value)


def test_names_that_can_be_written(tmp_path):
    (tmp_path / "run [lr=0.1]").mkdir()
    (tmp_path / "there.npz").write_text("old")
    for name in ("a.npz", "A.NPZ", "there.npz", "run [lr=0.1]/z.npz", "a.b.npz", f"{'a' * 251}.npz", "\udcff.npz"):
        check_output_file(tmp_path / name, endings=(".npz",))
    check_output_file(tmp_path / "without")
    check_output_file("/dev/null", endings=(".npz",))
    assert sorted(os.listdir(tmp_path)) == ["run [lr=0.1]", "there.npz"]
    assert (tmp_path / "there.npz").read_text() == "old"


def test_names_that_cannot_be_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.npz").mkdir()
    (tmp_path / "file").write_text("")
    for name, message in {
        "folder.npz": "output must be a file, not the folder 'folder.npz'",
        "": "output must be a file, not the folder '.'",
        "none/a.npz": "output must be in a folder that exists, not 'none/a.npz'",
        "file/a.npz": "output must be in a folder that exists, not 'file/a.npz'",
        "a.txt": "output must end in .npz, not 'a.txt'",
        "a": "output must end in .npz, not 'a'",
        ".npz": "output must end in .npz, not '.npz'",
        "a\0.npz": "output must be a file that can be written, not 'a\\x00.npz': embedded null byte",
        "a" * 300 + ".npz": "output must be a file that can be written, not 'aaa",
    }.items():
        assert refusal(check_output_file, name, endings=(".npz",)).startswith(message)
    assert refusal(check_output_file, "a", endings=(".png", ".svg")) == "output must end in .png or .svg, not 'a'"


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_names_that_are_forbidden(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "file").chmod(0o400)
    assert "may be written to" in refusal(check_output_file, tmp_path / "file")
    tmp_path.chmod(0o500)
    assert "permission denied" in refusal(check_output_file, tmp_path / "new")
    assert "may be written to" in refusal(check_output_folder, tmp_path)
    assert "may be written to" in refusal(check_output_folder, tmp_path / "a" / "b")


def test_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    for name in (".", "a", "a/b/c", "[a]"):
        check_output_folder(name)
    assert os.listdir(tmp_path) == ["file"]
    assert refusal(check_output_folder, "file") == "output must be a folder, not 'file': 'file' is a file"
    assert refusal(check_output_folder, "file/a/b").startswith("output must be a folder, not 'file/a/b'")
    assert "file name too long" in refusal(check_output_folder, "a" * 300)


def test_written_whole(tmp_path):
    path = tmp_path / "run [lr=0.1].npz"
    with written_whole(path) as partial:
        assert partial.parent == tmp_path and partial.suffix == ".npz" and partial != path
        partial.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new" and os.listdir(tmp_path) == [path.name]


def test_an_old_file_stays_if_writing_fails(tmp_path):
    path = tmp_path / "a.npz"
    path.write_text("old")
    for error in (ValueError("x"), KeyboardInterrupt()):
        with pytest.raises(type(error)), written_whole(path) as partial:
            partial.write_text("half")
            raise error
    with pytest.raises(FileError, match="output must be a file that can be written, not '.*a.npz': no space left"):
        with written_whole(path) as partial:
            partial.write_text("half")
            raise OSError(28, "No space left on device")
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["a.npz"]


def test_modes_links_and_devices(tmp_path):
    path, link = tmp_path / "a", tmp_path / "b"
    path.write_text("old")
    path.chmod(0o640)
    link.symlink_to(path)
    with written_whole(link) as partial:
        partial.write_text("new")
    assert link.is_symlink() and path.read_text() == "new" and path.stat().st_mode & 0o777 == 0o640
    with written_whole(tmp_path / "c") as partial:
        partial.write_text("new")
        partial.chmod(0o600)
    (tmp_path / "d").touch()
    assert (tmp_path / "c").stat().st_mode == (tmp_path / "d").stat().st_mode


def test_devices_and_pipes(tmp_path):
    for _ in range(2):
        with written_whole("/dev/null") as partial:
            np.savez(partial.open("wb"), a=np.arange(3))
    assert not os.path.isfile("/dev/null")
    os.mkfifo(tmp_path / "pipe")
    check_output_file(tmp_path / "pipe", endings=(".npz",))
    reader = subprocess.Popen(["cat", tmp_path / "pipe"], stdout=subprocess.PIPE)
    with written_whole(tmp_path / "pipe") as partial:
        partial.write_text("through it")
    assert reader.communicate(timeout=600)[0] == b"through it"


def test_an_output_is_no_input(tmp_path):
    path, link = tmp_path / "a.npz", tmp_path / "b.npz"
    path.write_text("tensors")
    link.symlink_to(path)
    for output in (path, link, tmp_path / "." / "a.npz"):
        assert refusal(check_output_file, output, inputs=(path,)) == (
            f"output must be another file than the input, not {str(output)!r}"
        )
    check_output_file(tmp_path / "c.npz", inputs=(path,))


def test_a_link_that_leads_nowhere(tmp_path):
    link = tmp_path / "z.npz"
    link.symlink_to(tmp_path / "missing" / "z.npz")
    assert "no such file or directory" in refusal(check_output_file, link)
