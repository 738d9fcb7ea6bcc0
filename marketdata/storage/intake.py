"""Bars from outside made ready to commit: known tickers and feeds only, as ids of this database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from marketdata.domain.bars import BarFlag, BarFrame
from marketdata.domain.feed import FeedCatalog
from marketdata.domain.symbol import ResolvedSymbol
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import FieldViolation, InvalidRequestError
from marketdata.storage.calendars import in_regular_hours, load_calendars
from marketdata.storage.commit import BarWriter, CommitResult
from marketdata.storage.feeds import read_catalog
from marketdata.storage.pools import Pools
from marketdata.storage.symbols import resolve


@dataclass(frozen=True, slots=True)
class IntakeResult:
    """What became of the bars.

    Attributes
    ----------
    committed : CommitResult
        Of the bars of known symbols.
    rejected : mapping of str to int
        Bars left out per unknown symbol.
    """

    committed: CommitResult
    rejected: dict[str, int]


class BarIntake:
    """Takes in checked bars.

    Parameters
    ----------
    pools : Pools
        Where symbols and feeds are looked up.
    writer : BarWriter
        Commits.
    """

    def __init__(self, pools: Pools, writer: BarWriter) -> None:
        self._pools = pools
        self._writer = writer

    async def store(self, frame: BarFrame, timeframe: Timeframe) -> IntakeResult:
        """Commit the bars of known symbols in one transaction.

        Parameters
        ----------
        frame : BarFrame
            All columns, every rule kept; `feed` is a key into `feeds`, whose values name feeds.

        Raises
        ------
        InvalidRequestError
            A feed is not known; nothing was stored.
        DatabaseUnavailableError, QueryTimeoutError, StorageFullError, WriteConflictError
            See `BarWriter.commit_bars`.
        """
        async with self._pools.query() as connection, connection.pipeline():
            known = await resolve(connection, frame.symbols, timeframe)
            catalog = await read_catalog(connection)
        frame = _with_feed_ids(frame, catalog)
        is_known = np.array([symbol in known for symbol in frame.symbols])
        index = frame.row_symbol_index()
        counts = np.bincount(index, minlength=len(frame.symbols))
        rejected = {
            symbol: int(count)
            for symbol, count, found in zip(frame.symbols, counts, is_known, strict=True)
            if count and not found
        }
        if rejected:
            frame = frame.take(is_known[index])
        if len(frame) == 0:
            return IntakeResult(CommitResult(), rejected)
        if timeframe is not Timeframe.DAY_1:
            frame = await _with_session_flags(frame, known)
        committed = await self._writer.commit_bars(frame.with_used_symbols(), timeframe)
        return IntakeResult(committed, rejected)


async def _with_session_flags(frame: BarFrame, known: Mapping[str, ResolvedSymbol]) -> BarFrame:
    """Mark what lies outside of regular hours, so that reads can tell by the row."""
    by_name = await load_calendars(symbol.calendar for symbol in known.values())
    used = frame.with_used_symbols()
    calendars = {symbol: by_name[known[symbol].calendar] for symbol in used.symbols}
    regular = in_regular_hours(used, calendars)
    flags = frame.flags & ~np.int16(BarFlag.EXTENDED_SESSION)
    flags[~regular] |= BarFlag.EXTENDED_SESSION
    return replace(frame, flags=flags)


def _with_feed_ids(frame: BarFrame, catalog: FeedCatalog) -> BarFrame:
    keys = sorted(frame.feeds)
    found = [catalog.find(frame.feeds[key]) for key in keys]
    _refuse_unknown([frame.feeds[k] for k, f in zip(keys, found, strict=True) if f is None], catalog)
    ids = np.zeros(max(keys) + 1, np.int16)
    ids[keys] = [feed.feed_id for feed in found if feed is not None]
    return replace(frame, feed=ids[frame.feed], feeds=catalog.names)


def _refuse_unknown(names: Sequence[str], catalog: FeedCatalog) -> None:
    if names:
        known = ", ".join(catalog.known_names())
        problem = f"{', '.join(names[:5])} is not known; the feeds are {known}"
        raise InvalidRequestError(violations=[FieldViolation("batch.feeds", "UNKNOWN_FEED", problem)])
