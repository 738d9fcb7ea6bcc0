"""The bars that a subscription begins with, as they are stored."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from marketdata.domain.as_of import AsOf
from marketdata.domain.bar_query import BarQuery
from marketdata.domain.bars import BarFrame
from marketdata.domain.calendar import SessionHours
from marketdata.domain.subscription import BarsChange, SubscriptionFilter
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.bar_reader import BarReader


class StoredBars:
    """Reads the bars of a subscription as of a seq, so that the log behind that seq continues them.

    Parameters
    ----------
    reader : BarReader
        Reads snapshots.
    """

    def __init__(self, reader: BarReader) -> None:
        self._reader = reader

    async def blocks(
        self,
        wanted: SubscriptionFilter,
        start_us: int,
        seq: int,
        encode: Callable[[BarsChange], bytes],
    ) -> AsyncGenerator[bytes, None]:
        """Yield the bars from a time on, each timeframe by symbol and time.

        Parameters
        ----------
        wanted : SubscriptionFilter
            Symbols by name; unknown ones have no bars.
        start_us : int
            First time, Unix microseconds.
        seq : int
            What was committed up to it is read, and nothing behind it.
        encode : callable
            Runs in the reading thread.

        Raises
        ------
        DatabaseUnavailableError, QueryTimeoutError, StreamStalledError
            Not all was read; begin again.
        """
        for timeframe in sorted(wanted.timeframes, key=lambda own: -own.duration_us):
            query = BarQuery(
                symbols=wanted.symbols,
                timeframe=timeframe,
                range=_from(start_us, timeframe),
                session=SessionHours.ALL,
                # What a subscription tells of: minutes make no hours or days in the log.
                stored_only=True,
                as_of=AsOf(seq=seq),
            )

            def to_block(frame: BarFrame, timeframe: Timeframe = timeframe) -> bytes:
                return encode(BarsChange((frame,), timeframe, is_stored=True))

            async with (
                self._reader.snapshot(query) as snapshot,
                aclosing(snapshot.blocks(to_block)) as blocks,
            ):
                async for block in blocks:
                    yield block


def _from(start_us: int, timeframe: Timeframe) -> TimeRange:
    within = TimeRange(timeframe.earliest_us, timeframe.latest_us)
    return TimeRange(start_us, max(start_us, timeframe.latest_us)).intersect(within)
