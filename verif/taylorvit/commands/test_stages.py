"""How stages are shown, on a terminal and elsewhere."""

import io

from rich.console import Console

from taylorvit.commands.stages import Stages


def shown(*events, is_terminal):
    """What is shown of events; of a terminal, all pictures of the living display."""
    console = Console(file=io.StringIO(), force_terminal=is_terminal, width=100)
    with Stages(console) as stages:
        for event in events:
            stages(*event)
            if is_terminal:
                stages._live.refresh()
    return console.file.getvalue()


ROUTING = (
    ("emit", "start"),
    ("emit", "reused"),
    ("place_and_route", "start"),
    ("place_and_route", "routing: pass 37, 1,204 wires in conflict"),
)
DONE = (*ROUTING, ("place_and_route", "done"))


def test_stage_that_runs_says_how_far_it_is_on_a_terminal():
    text = shown(*ROUTING, is_terminal=True)
    assert "s ... routing: pass 37, 1,204 wires in conflict" in text and "was done before" in text
    assert "wires in conflict" not in shown(*DONE, is_terminal=True).rpartition("place and route")[2]


def test_stages_elsewhere_are_a_line_each():
    emit, routed = shown(*DONE, is_terminal=False).splitlines()
    assert emit.split() == ["emit", "was", "done", "before"]
    assert routed.startswith("  place and route ") and routed.endswith(" s")
