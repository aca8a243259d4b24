"""The cycles of a tape on its way in: when each command and each row of payload is there.

    memory or stream --> source --> [queue] --> checker --> [queue] --> decoder --> commands, a ring of rows

All times are cycles; the numbers between two events are those of `taylorvit.compiler.latencies`.
`taylorvit.compiler.cycles` has what the engine makes of them.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, gcd

from taylorvit.rtl.network.command import COMMAND_BYTES, EXPONENTIAL_BYTES, HEADER_BYTES, TRAILER_BYTES, Opcode
from taylorvit.rtl.network.config import NetworkConfig

from .latencies import latencies_of
from .steps import Step, table_bytes

__all__ = ["Memory", "TapeCycles"]

_BURST_BEATS = 64
_PAGE_BYTES = 4096
_ASK_INTERVAL = 2  # cycles between two addresses of bursts
_ASK_LATENCY = 2  # from the last word of a burst to the address of another one that waits for it
_QUEUED_WORDS = 2  # in each of the queues in front of and behind the checker, each for a cycle at least


@dataclass(frozen=True)
class Memory:
    """What feeds the tape.

    Attributes:
        bytes_per_cycle (float | None): most bytes a cycle; a word a cycle if None. What is not taken is lost.
        latency (int): of a memory that is read in bursts, cycles from the address of one to its first word.

    Raises:
        ValueError: a value is out of range.
    """

    bytes_per_cycle: float | None = None
    latency: int = 0

    def __post_init__(self) -> None:
        if self.bytes_per_cycle is not None and not self.bytes_per_cycle > 0:
            raise ValueError(f"bytes_per_cycle must be positive, not {self.bytes_per_cycle!r}")
        if self.latency < 0:
            raise ValueError(f"latency must be at least 0, not {self.latency!r}")


class _Source:
    """Where the words of the tape come from: a stream, or a memory that is read in bursts."""

    def __init__(self, config: NetworkConfig, memory: Memory, size: int) -> None:
        bandwidth = memory.bytes_per_cycle
        self._spacing = 1.0 if bandwidth is None else max(1.0, config.tape_bytes / bandwidth)
        self._ready = 0.0  # when the next word may come
        self._words = size // config.tape_bytes
        self._word = 0  # of the tape
        self._burst_words = min(_BURST_BEATS, _PAGE_BYTES // config.tape_bytes)
        self._has_bursts = config.tape_source == "axi"
        self._latency = memory.latency
        self._left = 0  # words of the burst
        self._asked = -_ASK_INTERVAL
        self._ends = deque([-_ASK_LATENCY] * config.axi_outstanding)  # of the last bursts, as many as may be asked for
        self._taken = deque([-1] * _QUEUED_WORDS)  # cycles in which the last words were taken out of the queue

    def take(self, first: int) -> int:
        """The cycle in which a word is taken out of the queue behind the source, not before a first one."""
        if self._has_bursts and not self._left:
            self._asked = max(self._asked + _ASK_INTERVAL, self._ends.popleft() + _ASK_LATENCY)
            self._ready = max(self._ready, self._asked + self._latency)
            self._left = min(self._burst_words - self._word % self._burst_words, self._words - self._word)
        came = max(self._taken.popleft() + 1, ceil(self._ready))
        # A fraction of a cycle is not lost.
        self._ready = (self._ready if came - self._ready < 1 else came) + self._spacing
        self._word = (self._word + 1) % self._words
        self._left -= 1
        if not self._left:
            self._ends.append(came)
        self._taken.append(max(first, came + 1))
        return self._taken[-1]


class TapeCycles:
    """Source, checker and decoder: when each command and each row of payload is there."""

    def __init__(self, plan: Sequence[Step], config: NetworkConfig, memory: Memory) -> None:
        self.config = config
        self.latencies = latencies_of(config)
        self.queue_rows = config.tape_queue_rows
        self.row_words = config.columns // config.tape_bytes
        self.tape_bytes = config.tape_bytes

        self.header_words, self.command_words = self._words_of(HEADER_BYTES), self._words_of(COMMAND_BYTES)
        self.trailer_words = self._words_of(TRAILER_BYTES)
        self.size = self.tape_bytes * (
            self.header_words
            + sum(self.command_words + step["payload"] * self.row_words + self._table_words(step) for step in plan)
            + self.trailer_words
        )
        self._source = _Source(config, memory, self.size) if memory != Memory() else None
        self._next_word = 0  # the first cycle in which the decoder may take a word
        self._checked = -1  # cycle in which the checker took the last word
        self._decoded = deque([-1] * _QUEUED_WORDS)  # cycles in which the decoder took the last words
        self.visible: list[int] = []  # cycle from which each row of payload may be read
        self.reads: list[int] = []  # cycle in which each was read
        self._rows_due = 0  # rows of payload of the commands so far
        self.taken = [-1, -1]  # cycles in which the last commands were taken
        self._last_visible = 0
        self.table_free = self.exponentials_free = 0  # the tables may be written again
        self._check(self.header_words)

    def _words_of(self, size: int) -> int:
        """Words of so many bytes, filled up to whole rows."""
        return ceil(size / self.config.columns) * self.row_words

    def _table_words(self, step: Step) -> int:
        return self._words_of(table_bytes(step, self.config))

    def _check(self, count: int, first: int = 0) -> int:
        """The checker takes words one after another, none before a cycle; returns the cycle of the last one."""
        for _word in range(count):
            first = max(first, self._checked + 1)
            self._checked = first if self._source is None else self._source.take(first)
        return self._checked

    def _words(self, count: int, first: int) -> int:
        """The decoder takes words one after another, none before a cycle; returns the cycle of the last one."""
        first = max(first, self._next_word)
        for word in range(count):
            if self._source is None and word > _QUEUED_WORDS:
                # From here on a word moves in each cycle.
                self._checked += count - word
                first += count - word
                self._decoded = deque(range(first - _QUEUED_WORDS, first))
                break
            came = self._check(1, self._decoded.popleft() + 1)
            self._decoded.append(max(first, came + 1))
            first = self._decoded[-1] + 1
        self._next_word = first
        return first - 1

    def row(self, index: int) -> int:
        """The cycle from which a row of payload may be read; rows more than the ring holds before it have been read."""
        visible = self.visible
        while len(visible) <= index:
            first = 0
            if len(visible) >= self.queue_rows:
                first = self.reads[len(visible) - self.queue_rows] + self.latencies.ring + 1
            visible.append(self._words(self.row_words, first) + self.latencies.row_written)
        return visible[index]

    def command(self, step: Step) -> int:
        """The cycle from which the loader may take a command; all rows before it have been read."""
        if self._rows_due:
            self.row(self._rows_due - 1)
        last = self._words(self.command_words, 0)
        judged = last + self.latencies.check
        if step.opcode == Opcode.END:
            # The rest of the tape, and the next header, pass the checker alone.
            judged = max(judged, self._check(self.trailer_words) + self.latencies.crc)
            self._check(self.header_words)
        if table_words := self._table_words(step):
            # Each step of the writer takes a byte, or a whole exponential if words are of such.
            steps = self.tape_bytes if step.table else self.tape_bytes // gcd(self.tape_bytes, EXPONENTIAL_BYTES)
            free = self.table_free if step.table else self.exponentials_free
            for _word in range(table_words):
                judged = self._words(1, max(judged, free)) + steps
            judged += 1
        # Without a queue it is given out when it is taken, and is offered until then.
        queued = bool(self.config.command_queue)
        given = max(judged, self.taken[-2] + 1) if queued else judged
        self._next_word = max(self._next_word, given + 1)
        self._rows_due += step["payload"]
        return max(given + queued, self.taken[-1] + 1)

    def take(self, cycle: int) -> None:
        """The loader takes the command in a cycle."""
        self.taken = [self.taken[-1], cycle]
        if not self.config.command_queue:
            self._next_word = max(self._next_word, cycle + 1)
