"""`ops`: operations of attention."""

import re

from .running import run


def test_operations_are_counted(capsys):
    status, out, err = run(capsys, "ops")
    assert (status, err) == (0, "")
    assert re.search(r"softmax attention, all layers +│ +178\.8 M", out)
    assert re.search(r"taylor attention, all layers +│ +58\.6 M", out)
    status, _out, err = run(capsys, "ops", "--model", "resnet")
    assert status == 2 and re.fullmatch("taylorvit: error: model must be one of deit_tiny, .*, not 'resnet'\n", err)
