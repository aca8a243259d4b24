"""How far nextpnr's router is, by the log that it writes, and whether it will come to an end.

router2 works in passes. Each takes up the connections that share a wire with another, and routes them again; a wire
that was shared costs more from then on. After each pass the log says how many wires are in conflict, that is, shared
(`overused`):

    Info:     iter=12 wires=1165202 overused=1575 overuse=1578 tmgfail=0 archfail=NA

The router ends when there are none. Where a design cannot be routed it goes on for hours, so `why_stuck` looks for a
run that gets nowhere. It counts passes and not seconds, since a run must end in the same way on every machine.

The other routers of nextpnr write no such lines, and nothing is said of them.
"""

import re

__all__ = ["RouterLog", "why_stuck"]

_PASS = re.compile(rb"^Info: +iter=\d+ wires=\d+ overused=(\d+) ", re.MULTILINE)

#: Passes without progress -> the run is stuck if all of them left more wires in conflict than this.
#:
#: The designs for boards that could be routed never made more than one such pass on end with more than 100 wires in
#: conflict. With few it takes longer, and passes are quick: DeiT-Tiny made 45 with one to five, and was done then.
_PATIENCE = {20: 100, 200: 0}


def why_stuck(conflicts):
    """Says whether a run of router2 is stuck.

    A pass is progress if it leaves fewer wires in conflict than every pass before it. A run that once left none is not
    stuck: if it goes on then, it routes slow wires again, for a limited number of passes.

    Args:
        conflicts (Sequence[int]): wires in conflict after each pass so far.

    Returns:
        str | None: what is seen if the run is stuck; None if it is not, or not yet.
    """
    if 0 in conflicts:
        return None
    for passes, few in _PATIENCE.items():
        before, last = conflicts[:-passes], conflicts[-passes:]
        if before and min(last) > few and min(last) >= min(before):
            least = min(conflicts)
            return (
                f"{conflicts[-1]:,} wires are in conflict after {len(conflicts)} passes, "
                f"and there were {least:,} after {conflicts.index(least) + 1}"
            )
    return None


class RouterLog:
    """A log that is being written, or will be.

    Args:
        path (Path): the log.

    Attributes:
        conflicts (list[int]): wires in conflict after each pass of router2 so far.
    """

    def __init__(self, path):
        self.conflicts = []
        self._path = path
        self._position = 0

    def read_on(self):
        """Reads what was written since the last call.

        Returns:
            bool: whether there are further passes.
        """
        try:
            with open(self._path, "rb") as log:
                log.seek(self._position)
                lines, end, _begun = log.read().rpartition(b"\n")
        except FileNotFoundError:
            return False
        self._position += len(lines + end)
        further = [int(count) for count in _PASS.findall(lines)]
        self.conflicts += further
        return bool(further)

    @property
    def state(self):
        """How far the router is, in a few words."""
        return f"routing: pass {len(self.conflicts)}, {self.conflicts[-1]:,} wires in conflict"
