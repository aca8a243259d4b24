"""Driving and sampling a block's ports, one clock cycle after another.

Every block has a clock `clk` and a synchronous reset `rst`, high when active. After `await RisingEdge(dut.clk)`
a bench reads the values from just before the edge, as the block's own registers do, and what it then writes
appears after the edge. So "wait for the edge, look at valid and ready" sees exactly the transfers that the
block sees.

Each access to a port costs some microseconds of Python, more than simulating a small block for one cycle:
the helpers write a port only when its value changes, and vectors travel as one wide port (`pack`, `unpack`).

Streams have flat ports `<prefix>_valid`, `<prefix>_ready`, `<prefix>_payload`. A word is transferred in each
cycle in which valid and ready are both high. `Source` and `Sink` take a pattern that says in which cycles they
take part, and `Sink` checks the rule that a word once offered stays until it is taken.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge

__all__ = ["PATTERNS", "Sink", "Source", "WaitError", "pack", "pattern", "start", "unpack", "wait_until"]

CLOCK_PERIOD_NS = 10
PATTERNS = ("always", "random", "rare", "bursts")


class WaitError(AssertionError):
    """Something that a bench waited for did not come within its bound."""


async def start(dut, *, reset_cycles: int = 2, **inputs: int) -> None:
    """Starts the clock, sets the named inputs, and holds reset, if the block has one.

    Every input of the block should be named, so that none is undefined in a four-state simulator:
    `await start(dut, i_valid=0, i_payload=0, o_ready=0)`.

    Args:
        dut (HierarchyObject): the block.
        reset_cycles (int): cycles of reset.
        inputs (int): value of each input.
    """
    for name, value in inputs.items():
        getattr(dut, name).value = value
    reset = getattr(dut, "rst", None)
    if reset is not None:
        reset.value = 1
    Clock(dut.clk, CLOCK_PERIOD_NS, unit="ns").start()
    await ClockCycles(dut.clk, reset_cycles)
    if reset is not None:
        reset.value = 0


async def wait_until(dut, condition: Callable[[], bool], *, what: str, limit: int) -> int:
    """Waits for a clock edge before which a condition was true.

    Args:
        dut (HierarchyObject): the block.
        condition (Callable): is called at every edge.
        what (str): what is waited for, for the error.
        limit (int): edges after which it is an error.

    Returns:
        How many edges passed without it.

    Raises:
        WaitError: it did not come.
    """
    edge = RisingEdge(dut.clk)
    for cycle in range(limit):
        await edge
        if condition():
            return cycle
    raise WaitError(f"{what} did not come within {limit} cycles")


def pack(values: Iterable[int], width: int) -> int:
    """The bits of a wide port whose element 0 is lowest.

    Args:
        values (Iterable[int]): the elements, signed or unsigned.
        width (int): bits of each.

    Raises:
        ValueError: an integer has no representation in so many bits.
    """
    word = 0
    mask = (1 << width) - 1
    for position, value in enumerate(values):
        if not -(1 << (width - 1)) <= value <= mask:
            raise ValueError(f"element {position} must be an integer of {width} bits, not {value!r}")
        word |= (value & mask) << (position * width)
    return word


def unpack(word, width: int, count: int, *, signed: bool = True) -> list[int]:
    """The elements of a wide port; inverse of `pack`.

    Args:
        word (int): an integer, or the value of a port.
        width (int): bits of each element.
        count (int): number of elements.
        signed (bool): whether they are in two's complement.

    Raises:
        ValueError: a bit is X or Z, or there are bits beyond the last element.
    """
    word = int(word)
    if word < 0 or word >> (width * count):
        raise ValueError(f"word must be an unsigned integer of {width * count} bits, not {word!r}")
    mask = (1 << width) - 1
    # v ^ sign - sign extends the sign bit: it maps 0..2^w-1 to -2^(w-1)..2^(w-1)-1.
    sign = 1 << (width - 1) if signed else 0
    return [((word >> (position * width) & mask) ^ sign) - sign for position in range(count)]


def pattern(kind: str, seed: int | str) -> Iterator[bool]:
    """Endless booleans that say in which cycles a stream's side takes part.

    | kind     | active                                                         |
    |----------|----------------------------------------------------------------|
    | `always` | in every cycle                                                 |
    | `random` | in half of the cycles, at random                               |
    | `rare`   | in an eighth of the cycles, at random                          |
    | `bursts` | in bursts of 1 to 16 cycles, with gaps of 1 to 16 between them |

    Args:
        kind (str): one of these.
        seed (int | str): the same one gives the same pattern.

    Raises:
        ValueError: another kind.
    """
    if kind not in PATTERNS:
        raise ValueError(f"kind must be one of {', '.join(PATTERNS)}, not {kind!r}")
    return _PATTERNS[kind](random.Random(seed))


def _always(generator: random.Random) -> Iterator[bool]:
    while True:
        yield True


def _bernoulli(probability: float) -> Callable[[random.Random], Iterator[bool]]:
    def draw(generator: random.Random) -> Iterator[bool]:
        while True:
            yield generator.random() < probability

    return draw


def _bursts(generator: random.Random) -> Iterator[bool]:
    active = generator.random() < 0.5
    while True:
        yield from [active] * generator.randint(1, 16)
        active = not active


_PATTERNS = {"always": _always, "random": _bernoulli(1 / 2), "rare": _bernoulli(1 / 8), "bursts": _bursts}


class _StreamEnd:
    """The ports of one stream; `signals` are what is transferred besides valid and ready."""

    def __init__(self, dut, prefix: str, activity: Iterator[bool] | None, signals: Sequence[str], limit: int):
        self.prefix = prefix
        self.edge = RisingEdge(dut.clk)
        self.valid = getattr(dut, f"{prefix}_valid")
        self.ready = getattr(dut, f"{prefix}_ready", None)
        self.payload = [getattr(dut, f"{prefix}_{name}") for name in signals]
        self.activity = pattern("always", 0) if activity is None else activity
        self.limit = limit


class Source(_StreamEnd):
    """Sends words into the stream `prefix` of a block.

    A stream without a ready port never waits. While valid is low the payload carries random bits, which a correct block
    does not look at.

    Args:
        dut (HierarchyObject): the block.
        prefix (str): of the stream's ports.
        activity (Iterator[bool]): a `pattern`; a word in every cycle if left out.
        signals (Sequence[str]): the ports that make up a word (`("payload", "last")`: words are tuples); with the usual
            single one, words are integers.
        limit (int): cycles to wait for ready before `WaitError`.
    """

    def __init__(
        self,
        dut,
        prefix: str = "i",
        activity: Iterator[bool] | None = None,
        *,
        signals: Sequence[str] = ("payload",),
        limit: int = 10_000,
    ):
        super().__init__(dut, prefix, activity, signals, limit)
        self.generator = random.Random(cocotb.RANDOM_SEED)
        self.valid.value = 0
        self.scramble()

    def scramble(self) -> None:
        """Puts random bits on the payload."""
        for port in self.payload:
            port.value = self.generator.getrandbits(len(port))

    async def send(self, words: Iterable[int] | Iterable[tuple[int, ...]]) -> None:
        """Sends each word, and returns just after the edge that transfers the last one, with valid low."""
        offering = False
        for position, word in enumerate(words):
            while not next(self.activity):
                if offering:
                    offering = False
                    self.valid.value = 0
                    self.scramble()
                await self.edge
            if not offering:
                offering = True
                self.valid.value = 1
            for port, value in zip(self.payload, word if isinstance(word, tuple) else (word,), strict=True):
                port.value = value
            await self.edge
            waited = 0
            while self.ready is not None and not self.ready.value:
                waited += 1
                if waited > self.limit:
                    raise WaitError(f"{self.prefix}_ready did not come within {self.limit} cycles for word {position}")
                await self.edge
        self.valid.value = 0
        self.scramble()


class Sink(_StreamEnd):
    """Receives words from the stream `prefix` of a block; parameters as for `Source`.

    Raises `WaitError` if no word comes for `limit` cycles in which the sink was ready, and `AssertionError`
    if a block takes back or changes a word that it offered before it was taken.
    """

    def __init__(
        self,
        dut,
        prefix: str = "o",
        activity: Iterator[bool] | None = None,
        *,
        signals: Sequence[str] = ("payload",),
        limit: int = 10_000,
    ):
        super().__init__(dut, prefix, activity, signals, limit)
        self.offered: int | tuple[int, ...] | None = None
        if self.ready is not None:
            self.ready.value = 0

    async def receive(self, count: int) -> list:
        """Receives words, integers, or tuples if the stream has several signals; leaves ready low.

        Args:
            count (int): number of words.
        """
        words: list = []
        waited = 0
        ready = False
        while len(words) < count:
            active = self.ready is None or next(self.activity)
            if active != ready:
                ready = active
                if self.ready is not None:
                    self.ready.value = ready
            await self.edge
            word = self._sample()
            if ready and word is not None:
                words.append(word)
                self.offered = None
                waited = 0
            elif ready:
                waited += 1
                if waited > self.limit:
                    raise WaitError(
                        f"{self.prefix}_valid did not come within {self.limit} cycles for word {len(words)} of {count}"
                    )
        if self.ready is not None:
            self.ready.value = 0
        return words

    async def expect_nothing(self, cycles: int) -> None:
        """Is ready for some cycles, in which no word may come.

        Args:
            cycles (int): number of cycles.

        Raises:
            AssertionError: a word came.
        """
        if self.ready is not None:
            self.ready.value = 1
        for _ in range(cycles):
            await self.edge
            word = self._sample()
            if word is not None:
                raise AssertionError(f"{self.prefix}_valid came with {word!r} where no word was expected")
        if self.ready is not None:
            self.ready.value = 0

    def _sample(self):
        """The word offered before this edge, or None."""
        if not self.valid.value:
            if self.offered is not None:
                raise AssertionError(f"{self.prefix}_valid fell before the word {self.offered!r} was taken")
            return None
        values = tuple(int(port.value) for port in self.payload)
        word = values if len(values) > 1 else values[0]
        if self.offered not in (None, word):
            raise AssertionError(f"{self.prefix} changed from {self.offered!r} to {word!r} before it was taken")
        if self.ready is not None:
            self.offered = word
        return word
