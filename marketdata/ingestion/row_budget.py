"""Bars on their way through a pipeline, bounded: who brings more waits until others are committed."""

import asyncio


class RowBudget:
    """Room for a number of bars.

    Parameters
    ----------
    rows : int
        Most bars at a time. A page that is larger has it to itself.
    """

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._free = rows
        self._changed = asyncio.Condition()

    async def take(self, rows: int) -> None:
        """Wait until there is room for `rows` bars, and take it."""
        wanted = min(rows, self._rows)
        async with self._changed:
            await self._changed.wait_for(lambda: self._free >= wanted)
            self._free -= wanted

    async def give_back(self, rows: int) -> None:
        """Free the room of `rows` bars, as one call of `take` took it."""
        async with self._changed:
            self._free += min(rows, self._rows)
            self._changed.notify_all()
