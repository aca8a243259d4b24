"""The examples run, and print what they show."""

import io
import json
from contextlib import redirect_stdout

import pytest

from verif import ROOT

NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_notebook_prints_what_it_shows(path, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}
    shown = 0
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            printed = io.StringIO()
            with redirect_stdout(printed):
                exec(compile("".join(cell["source"]), cell["id"], "exec"), names)
            expected = "".join("".join(output["text"]) for output in cell["outputs"])
            assert printed.getvalue() == expected, cell["id"]
            shown += bool(expected)
    assert shown


def test_there_are_examples():
    assert NOTEBOOKS
