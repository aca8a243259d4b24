"""Requests that no tool is run for."""

from __future__ import annotations

import pytest

from .cell_models import CELL_MODELS
from .flow import make_netlist, route


def test_stage_must_be_known():
    with pytest.raises(ValueError, match="stage must be one of post-synthesis, post-route, not 'pre-route'"):
        make_netlist(None, CELL_MODELS["ecp5"], "pre-route")


def test_route_needs_a_device(tmp_path):
    with pytest.raises(ValueError, match="family must have a device to route .* for, not 'gowin'"):
        route(tmp_path / "netlist.json", CELL_MODELS["gowin"])
