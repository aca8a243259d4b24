"""One at a time at the hardware; others wait, but not too many."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

__all__ = ["BusyError", "Turns"]


class BusyError(Exception):
    """Too many are waiting already."""


class Turns:
    """Gives turns in the order of the requests.

    Args:
        most_waiting (int): how many may wait while another has its turn.
    """

    def __init__(self, most_waiting: int) -> None:
        self._most, self._there, self._lock = most_waiting + 1, 0, asyncio.Lock()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Waits for a turn, which ends with the block.

        Raises:
            BusyError: too many are waiting.
        """
        if self._there == self._most:
            raise BusyError
        self._there += 1
        try:
            async with self._lock:
                yield
        finally:
            self._there -= 1
