"""`report`: of a build, and of what is none."""

import json
import os

from verif.fpga.flow.example_report import example_report

from .running import run


def test_report_of_a_folder(capsys, tmp_path):
    (tmp_path / "report.json").write_text(json.dumps(example_report()))
    status, out, _err = run(capsys, "report", str(tmp_path))
    assert status == 0 and "systolic array" in out and "critical path" in out
    (tmp_path / "report.json").write_text("{}")
    assert run(capsys, "report", str(tmp_path))[::2] == (
        2,
        f"taylorvit: error: {tmp_path / 'report.json'}: file must be the report of a build: board must be there\n",
    )
    status, _out, err = run(capsys, "report", str(tmp_path / "nowhere"))
    assert (status, err) == (
        2,
        f"taylorvit: error: {tmp_path / 'nowhere' / 'report.json'}: file must be readable: no such file or directory\n",
    )


def test_folder_of_all_builds_of_a_board(capsys, tmp_path):
    for age, name in enumerate(("newest", "older", "oldest")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "report.json").write_text(json.dumps(example_report()))
        os.utime(tmp_path / name / "report.json", (1e9 - age, 1e9 - age))
    status, _out, err = run(capsys, "report", str(tmp_path))
    assert (status, err) == (
        2,
        f"taylorvit: error: DIR must be the folder of a build, not {str(tmp_path)!r}; the newest below it is "
        f"{tmp_path / 'newest'}\n",
    )
