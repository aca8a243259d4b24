"""Models that several unit tests of this folder share: passes, places of operands, sums that become totals."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from taylorvit.rtl.array.partial_sum_accumulator import PartialSumAccumulator
from taylorvit.rtl.common.bundles import Phase
from taylorvit.rtl.config import AcceleratorConfig
from verif.rtl.harness import Timeline, bits, integers, tile_bits, wrapped

__all__ = ["Pass", "Totals", "partial_sums", "passes_of_product", "queue_slots"]


@dataclass(frozen=True)
class Pass:
    """One stationary tile and what streams past it, in a job of `tokens` x `head_dim`."""

    config: AcceleratorConfig
    tokens: int
    head_dim: int
    phase: Phase
    head: int
    column_tile: int
    tile: int
    last: bool  # of the tiles that are accumulated
    product_end: bool

    def __str__(self):
        return f"{self.phase.name} {self.head}, column tile {self.column_tile}, tile {self.tile}"

    @property
    def is_g(self) -> bool:
        return self.phase == Phase.G

    @property
    def half(self) -> int:
        return self.head % 2

    @property
    def base(self) -> int:
        """First token or feature of the tile."""
        return self.tile * self.config.rows

    @property
    def reduction(self) -> int:
        """How many tokens or features there are to sum over: the tiles' rows beyond are blank."""
        return self.tokens if self.is_g else self.head_dim

    @property
    def length(self) -> int:
        """Elements that stream past the tile."""
        return self.head_dim if self.is_g else self.tokens

    @property
    def fields(self) -> dict[str, int]:
        """The members of `rtl.schedule.passes.Pass`."""
        return {
            "phase": self.phase, "half": self.half, "column_tile": self.column_tile, "tile": self.tile,
            "first": int(self.tile == 0), "last": int(self.last), "product_end": int(self.product_end),
        }  # fmt: skip

    def stationary_address(self, row: int) -> int:
        """Where row `row` of the tile is in the V or the G buffer: {half, column tile, token or feature}."""
        minor = self.config.max_tokens if self.is_g else self.config.max_head_dim
        tile = self.half << tile_bits(self.config.column_tiles) | self.column_tile
        return tile << bits(minor) | (self.base + row)

    def streamed_address(self, position: int) -> int:
        """Where an element is in the K buffer, {half, token tile, beat}, or the Q buffer, {half, row tile, token}."""
        config = self.config
        if self.is_g:
            tile = self.half << tile_bits(config.token_tiles) | self.tile
            return tile << tile_bits(config.max_beats_per_row) | position // config.stream_lanes
        return (self.half << tile_bits(config.row_tiles) | self.tile) << bits(config.max_tokens) | position

    def mean_address(self, position: int) -> int:
        """Where the k_mean of an element is: {half, feature}."""
        return self.half << bits(self.config.column_tiles * self.config.columns) | position

    def control(self, position: int, queue_address: int) -> dict[str, int]:
        """The members of `rtl.common.bundles.StreamControl` that mean something for an element of the pass."""
        config = self.config
        end = int(position == self.length - 1 and self.product_end)
        control = {
            "phase": self.phase, "swap": int(position == 0), "address": self.streamed_address(position),
            "release": end, "accumulate__valid": 1, "accumulate__phase": self.phase,
            "accumulate__first": int(self.tile == 0), "accumulate__last": int(self.last),
            "accumulate__index": position, "accumulate__head_end": end,
        }  # fmt: skip
        if self.is_g:
            control["lane"] = position % config.stream_lanes
        if self.last:
            # A total of G goes to {half, column tile, feature}, one of Q G into the row queue.
            total = self.half << tile_bits(config.column_tiles) | self.column_tile
            g_address = total << bits(config.max_head_dim) | position
            control["accumulate__address"] = g_address if self.is_g else queue_address
        return control


def passes_of_product(config: AcceleratorConfig, phase: Phase, head: int, tokens: int, head_dim: int) -> list[Pass]:
    """The passes of one product of one head, in their order."""
    reduction = tokens if phase == Phase.G else head_dim
    tiles, column_tiles = -(-reduction // config.rows), -(-head_dim // config.columns)
    return [
        Pass(config, tokens, head_dim, Phase(phase), head, column_tile, tile, last=tile == tiles - 1,
             product_end=tile == tiles - 1 and column_tile == column_tiles - 1)
        for column_tile in range(column_tiles) for tile in range(tiles)
    ]  # fmt: skip


def queue_slots(config: AcceleratorConfig, parity: int) -> list[int]:
    """Places of the row queue: every other one."""
    return [slot for slot in range(config.row_queue_depth) if slot % 2 == parity]


@dataclass(frozen=True)
class Totals:
    """What totals of one phase are and where they go: their width, the places they may have, the address of a place."""

    width: int
    places: Sequence[int]
    address: Callable[[int], int] = int


def partial_sums(
    timeline: Timeline,
    generator: random.Random,
    accumulator: PartialSumAccumulator,
    *,
    reductions: int,
    longest: int,
    sum_width: int,
    kinds: Mapping[Phase, Totals],
) -> Iterator[tuple[Phase, dict[int, int], list[int]]]:
    """Sets the partial sums of random reductions, pass after pass, as early as the accumulator allows or later.

    Yields phase, place -> total, and the cycles of the totals' last partial sums, of each reduction.
    """
    cycle = 0
    for _ in range(reductions):
        phase = generator.choice(list(kinds))
        kind = kinds[phase]
        elements = generator.sample(kind.places, generator.randint(1, min(len(kind.places), longest)))
        passes = generator.randint(1, 4)
        totals = integers(generator, kind.width, len(elements))
        # Sums of all passes but the last are anything; the last makes the total, on the way around if need be.
        sums = [integers(generator, sum_width, len(elements)) for _ in range(passes - 1)]
        sums.append([wrapped(total - sum(one[index] for one in sums), sum_width) for index, total in enumerate(totals)])
        ends = []
        for number, of_pass in enumerate(sums):
            for index, (place, partial_sum) in enumerate(zip(elements, of_pass)):
                last = number == passes - 1
                timeline.set(
                    cycle,
                    accumulate_in__valid=1,
                    accumulate_in__first=int(number == 0),
                    accumulate_in__last=int(last),
                    accumulate_in__phase=phase,
                    accumulate_in__index=index,
                    accumulate_in__address=kind.address(place),
                )
                timeline.set(cycle + accumulator.sum_delay, partial_sum=partial_sum)
                if last:
                    ends.append(cycle)
                cycle += 1
            cycle += max(0, accumulator.latency - len(elements)) + generator.choice((0, 0, 3))
        yield phase, dict(zip(elements, totals)), ends
