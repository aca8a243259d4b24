"""Counters, and comparisons that are prepared by a register, so that no decision waits for a carry chain."""

from amaranth.hdl import Mux, Signal

__all__ = ["credits", "last_start", "next_address", "room"]


def credits(m, width, arrives, taken, name):
    """Whether any credit is left: one is added in a cycle with `arrives` and one is used in a cycle with `taken`.

    Args:
        m (amaranth.hdl.Module): the module that gets the counter.
        width (int): bits of the counter, enough for the most credits that there can be.
        arrives (amaranth.hdl.Value): one more credit, 1 bit.
        taken (amaranth.hdl.Value): one less, 1 bit; only while there is one.
        name (str): name of the counter.

    Returns:
        amaranth.hdl.Signal: a register, so that a decision does not wait for a comparison with 0.
    """
    count = Signal(width, name=name)
    some = Signal(name=f"some_{name}")
    m.d.sync += [count.eq(count + arrives - taken), some.eq(arrives | Mux(taken, count != 1, count != 0))]
    return some


def last_start(m, size, step, name):
    """`size` - `step`, to find the last step: of 0, `step`, 2 `step`, ... the first that is not less than this.

    Args:
        m (amaranth.hdl.Module): the module that gets the register.
        size (amaranth.hdl.Value): elements, constant from the cycle in which a job starts.
        step (int): elements from one position to the next.
        name (str): name of the register.

    Returns:
        amaranth.hdl.Signal: the difference, negative if one step covers all elements with room to spare; a register,
        so that no comparison of a position waits for a subtraction.
    """
    last = Signal(range(-step, (1 << len(size)) - step), name=name, reset_less=True)
    m.d.sync += last.eq(size - step)
    return last


def next_address(address, depth):
    """The address after `address` in a circular buffer of `depth` words."""
    following = address + 1
    return following if depth == 1 << len(address) else Mux(address == depth - 1, 0, following)


def room(m, depth, batch, promise, taken):
    """Whether a queue has room for all rows of a batch, which are promised to it together and come one by one.

    Batches are promised two cycles apart at least, so that the register knows of the rows that were promised last.

    Args:
        m (amaranth.hdl.Module): the module that gets the registers.
        depth (int): rows that the queue holds.
        batch (amaranth.hdl.Value): rows of a batch, constant while a job runs.
        promise (amaranth.hdl.Value): a batch is promised, 1 bit.
        taken (amaranth.hdl.Value): a row leaves the queue, 1 bit.

    Returns:
        amaranth.hdl.Signal: a register.
    """
    queued = Signal(range(depth + 1), name="queued")  # rows in the queue, or promised to it
    promised = Signal(name="promised")
    has_room = Signal(name="queue_has_room")
    # Most rows in the queue with which those of one batch more, of two more, have room.
    for_one = Signal(range(-depth, depth + 1), name="most_queued_1")
    for_two = Signal(range(-depth, depth + 1), name="most_queued_2")
    m.d.sync += [
        for_one.eq(depth - batch),
        for_two.eq(depth - (batch << 1)),
        promised.eq(promise),
        queued.eq(queued + Mux(promised, batch, 0) - taken),
        has_room.eq(Mux(promised, queued <= for_two, queued <= for_one)),
    ]
    return has_room
