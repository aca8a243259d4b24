"""`report`: of a build, and of what is none."""

import json

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
    status, _out, err = run(capsys, "report", str(tmp_path.parent))  # that of all builds of a board
    assert status == 2 and err == (
        f"taylorvit: error: DIR must be the folder of a build, not {str(tmp_path.parent)!r}; the newest below it is "
        f"{tmp_path}\n"
    )
    status, _out, err = run(capsys, "report", str(tmp_path / "nowhere"))
    assert (status, err) == (
        2,
        f"taylorvit: error: {tmp_path / 'nowhere' / 'report.json'}: file must be readable: no such file or directory\n",
    )
