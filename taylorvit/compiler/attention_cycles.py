"""The cycles of attention below the array: what each kernel makes of totals, and the divider array.

    K, V        when the next products may use them
    G, scores   likewise
    rows        when each is divided, and when the row queue has room for those of a pass

All times are cycles; the numbers between two events are those of `taylorvit.compiler.latencies`.
"""

from collections import deque

from taylorvit.rtl.network.config import NetworkConfig

from .latencies import Latencies, latencies_of

__all__ = ["CYCLES", "Divider", "KernelCycles", "RowQueue"]

_RECENT = 8  # passes whose returned places may not be counted yet


class Divider:
    """The divider array: rows of the row queue in their order, rows of means before them.

    Args:
        config (NetworkConfig): the accelerator.

    Attributes:
        starts (list[int]): the cycles in which rows of the row queue have started.
    """

    def __init__(self, config: NetworkConfig) -> None:
        self.starts: list[int] = []
        self._interval = config.attention.divider_row_interval
        self._mean_interval = max(config.columns, self._interval)
        self._waiting: deque[int] = deque()
        self._free = 0

    def put(self, ready: int) -> None:
        """Takes a row that may start from a cycle on.

        Args:
            ready (int): the cycle.
        """
        self._waiting.append(ready)

    def start(self, row: int) -> int:
        """The cycle in which a row starts.

        Args:
            row (int): its number.
        """
        while len(self.starts) <= row:
            self._start_row()
        return self.starts[row]

    def means(self, ready: int, count: int) -> int:
        """Starts rows of means; returns the cycle of the last one.

        Args:
            ready (int): the cycle from which they may start.
            count (int): rows.
        """
        start = ready
        for index in range(count):
            if index:
                start += self._mean_interval
            while self._waiting and max(self._waiting[0], self._free) < max(start, self._free):
                self._start_row()
            start = max(start, self._free)
            self._free = start + self._interval
        return start

    def _start_row(self) -> None:
        start = max(self._waiting.popleft(), self._free)
        self._free = start + self._interval
        self.starts.append(start)


class RowQueue:
    """The row queue: a pass begins when there is room for as many rows as the longest block of the layer gives.

    What a pass of a shorter block does not need is free again a while after its last element.

    Args:
        config (NetworkConfig): the accelerator.
        divider (Divider): takes its rows.

    Attributes:
        rows (int): rows of all passes so far.
    """

    def __init__(self, config: NetworkConfig, divider: Divider) -> None:
        self.rows = 0
        self._latencies = latencies_of(config)
        self._depth = config.attention.row_queue_depth
        self._divider = divider
        self._promised = 0  # places, without those that were free again a long time ago
        self._returns: deque[tuple[int, int]] = deque()  # of the last passes: when, how many places

    def room(self, batch: int) -> int:
        """The cycle from which there is room for one more pass.

        Args:
            batch (int): rows of the longest block.
        """
        # Room comes from rows that are divided and from places that are returned; the earliest way of both counts.
        cycles, returned = [], 0
        for cycle, count in ((0, 0), *self._returns):
            returned += count
            divided = self._promised - returned + batch - self._depth
            if divided <= self.rows:
                start = self._divider.start(divided - 1) + self._latencies.row_leaves if divided > 0 else 0
                cycles.append(max(cycle, start))
        return min(cycles)

    def begin(self, taken: int, length: int, batch: int) -> None:
        """A pass that completes rows has been taken.

        Args:
            taken (int): the cycle.
            length (int): its rows.
            batch (int): rows of the longest block.
        """
        self.rows += length
        self._promised += batch
        if length < batch:
            self._returns.append((taken + length + self._latencies.places_return, batch - length))
        if len(self._returns) > _RECENT:
            self._promised -= self._returns.popleft()[1]


class KernelCycles:
    """What a kernel makes of the totals of a layer. Cycles of pulses are those from which a product may be finished.

    Args:
        config (NetworkConfig): the accelerator.
        divider (Divider): of all kernels.
    """

    def __init__(self, config: NetworkConfig, divider: Divider) -> None:
        self.columns = config.columns
        self.latencies: Latencies = latencies_of(config)
        self.divider = divider

    def key(self, last: int, tiles: int) -> int:
        """The pulse of a product for KEY.

        Args:
            last (int): the cycle of its last result.
            tiles (int): its output tiles.
        """
        raise NotImplementedError

    def value(self, last: int, tiles: int) -> int:
        """The pulse of a product for VALUE.

        Args:
            last (int): the cycle of its last result.
            tiles (int): its output tiles.
        """
        raise NotImplementedError

    def kernel_0(self, last: int) -> int:
        """The pulse of a product for KERNEL_0.

        Args:
            last (int): the cycle of its last result.
        """
        raise NotImplementedError

    def rows(self, first: int, length: int, *, ends: bool) -> None:
        """Rows go to the divider array.

        Args:
            first (int): the cycle of the first result.
            length (int): rows.
            ends (bool): they are the last ones of their product.
        """
        raise NotImplementedError


class TaylorCycles(KernelCycles):
    """Taylor attention: the divider array has means, too, and rows wait for the biases of their head."""

    def __init__(self, config: NetworkConfig, divider: Divider) -> None:
        super().__init__(config, divider)
        self._value_done = [0, 0]  # of the last heads
        self._values = self._divided = 0

    def key(self, last: int, tiles: int) -> int:
        latencies = self.latencies
        collected = last + latencies.value + self.columns
        return self.divider.means(collected + latencies.means, tiles) + latencies.mean

    def value(self, last: int, tiles: int) -> int:
        latencies = self.latencies
        done = last + latencies.value + self.columns + latencies.biases + tiles * self.columns
        self._value_done[self._values % 2] = done
        self._values += 1
        return done

    def kernel_0(self, last: int) -> int:
        return last + self.latencies.g

    def rows(self, first: int, length: int, *, ends: bool) -> None:
        biases = self._value_done[self._divided % 2] + 1
        for row in range(length):
            self.divider.put(max(first + row + self.latencies.row, biases))
        self._divided += ends


class SoftmaxCycles(KernelCycles):
    """Softmax attention: K and V are written, scores too, with the largest ones of their rows."""

    def key(self, last: int, tiles: int) -> int:
        return last + self.latencies.key_written

    def value(self, last: int, tiles: int) -> int:
        return last + self.latencies.value_written

    def kernel_0(self, last: int) -> int:
        return last + self.latencies.scores

    def rows(self, first: int, length: int, *, ends: bool) -> None:
        for row in range(length):
            self.divider.put(first + row + self.latencies.row)


#: Cycles of each kernel, by its name.
CYCLES: dict[str, type[KernelCycles]] = {"taylor": TaylorCycles, "softmax": SoftmaxCycles}
