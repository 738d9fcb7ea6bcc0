"""Bars from outside made ready to commit: known tickers and feeds only, as ids of this database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from marketdata.domain.bars import BarFlag, BarFrame
from marketdata.domain.feed import FeedCatalog
from marketdata.domain.symbol import ResolvedSymbol
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import FieldViolation, InvalidRequestError, WriteConflictError
from marketdata.storage.calendars import in_regular_hours, load_calendars
from marketdata.storage.commit import Alongside, BarWriter, CommitResult
from marketdata.storage.feeds import read_catalog
from marketdata.storage.pools import Connection, Pools
from marketdata.storage.symbols import resolve


@dataclass(frozen=True, slots=True)
class IntakeResult:
    """What became of the bars.

    Attributes
    ----------
    committed : CommitResult
        Of the bars of known symbols.
    rejected : mapping of str to int
        Bars left out, per symbol that is unknown or named nothing at their time.
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

    async def store(
        self,
        frame: BarFrame,
        timeframe: Timeframe,
        alongside: Alongside | None = None,
        meant: Mapping[str, int] | None = None,
    ) -> IntakeResult:
        """Commit the bars of known symbols in one transaction.

        Parameters
        ----------
        frame : BarFrame
            All columns, every rule kept; `feed` is a key into `feeds`, whose values name feeds.
        alongside : callable, optional
            See `BarWriter.commit_bars`; called once in any case.
        meant : mapping of str to int, optional
            Which symbol_id is meant by a ticker. Where it names another identity by now, nothing is
            stored: bars that were fetched for one company never become those of the next.

        Raises
        ------
        InvalidRequestError
            A feed is not known, or two symbols name the same identity; nothing was stored.
        DatabaseUnavailableError, QueryTimeoutError, StorageFullError, WriteConflictError
            See `BarWriter.commit_bars`; a ticker names another identity than is meant.
        """
        if len(frame) == 0:
            return IntakeResult(await self._writer.commit_bars(frame, timeframe, None, alongside), {})
        async with self._pools.query() as connection, connection.pipeline():
            known = await resolve(connection, frame.symbols, timeframe)
            catalog = await read_catalog(connection)
        _refuse_other_identities(known, meant or {})
        _refuse_one_identity_twice(known)
        frame, rejected = _under_tickers(_with_feed_ids(frame, catalog), known, timeframe)
        if len(frame) == 0:
            return IntakeResult(
                await self._writer.commit_bars(frame, timeframe, None, alongside), rejected
            )
        frame = frame.with_used_symbols()
        if timeframe is not Timeframe.DAY_1:
            frame = await _with_session_flags(frame, known)

        async def check(connection: Connection) -> None:
            if await resolve(connection, tuple(known), timeframe) != known:
                raise WriteConflictError(
                    "a symbol was renamed or deleted meanwhile; nothing was stored, send the call again"
                )

        result = await self._writer.commit_bars(frame, timeframe, check, alongside)
        return IntakeResult(result, rejected)


def _under_tickers(
    frame: BarFrame, known: Mapping[str, ResolvedSymbol], timeframe: Timeframe
) -> tuple[BarFrame, dict[str, int]]:
    """Put each bar under the ticker that its identity had then, where reads look for it.

    Returns
    -------
    (BarFrame, dict of str to int)
        The bars that have one, and how many have none, by symbol.
    """
    always = TimeRange(timeframe.earliest_us, timeframe.latest_us)
    tickers = {s.ticker: 0 for symbol in known.values() for s in symbol.segments}
    tickers = {ticker: position for position, ticker in enumerate(tickers)}
    index = frame.row_symbol_index()
    lookup = np.full(len(frame.symbols), -1, np.int32)
    renamed: list[int] = []
    for position, symbol in enumerate(frame.symbols):
        segments = known[symbol].segments if symbol in known else ()
        if len(segments) == 1 and segments[0].range == always:
            lookup[position] = tickers[segments[0].ticker]
        elif segments:
            renamed.append(position)
    placed = lookup[index]
    for position in renamed:
        for segment in known[frame.symbols[position]].segments:
            rows = (index == position) & (frame.time_us >= segment.range.start_us)
            placed[rows & (frame.time_us < segment.range.end_us)] = tickers[segment.ticker]
    has_ticker = placed >= 0
    left_out = np.bincount(index[~has_ticker], minlength=len(frame.symbols)).tolist()
    rejected = {s: count for s, count in zip(frame.symbols, left_out, strict=True) if count}
    moved = replace(frame, symbols=tuple(tickers) or frame.symbols, symbol_index=placed)
    return moved.take(np.flatnonzero(has_ticker)), rejected


def _refuse_other_identities(known: Mapping[str, ResolvedSymbol], meant: Mapping[str, int]) -> None:
    for symbol, symbol_id in meant.items():
        if symbol in known and known[symbol].symbol_id != symbol_id:
            raise WriteConflictError(
                f"{symbol} names another symbol since a moment ago; nothing was stored, look it up and "
                "send its bars under its new ticker"
            )


def _refuse_one_identity_twice(known: Mapping[str, ResolvedSymbol]) -> None:
    by_id: dict[int, str] = {}
    for symbol, resolved in known.items():
        other = by_id.setdefault(resolved.symbol_id, symbol)
        if other != symbol:
            problem = f"{other} and {symbol} name the same symbol; send its bars under one of them"
            violation = FieldViolation("batch.symbols", "SAME_SYMBOL", problem)
            raise InvalidRequestError(violations=[violation])


async def _with_session_flags(frame: BarFrame, known: Mapping[str, ResolvedSymbol]) -> BarFrame:
    """Mark what lies outside of regular hours, so that reads can tell by the row."""
    by_name = await load_calendars(symbol.calendar for symbol in known.values())
    calendars = {
        segment.ticker: by_name[symbol.calendar]
        for symbol in known.values()
        for segment in symbol.segments
    }
    regular = in_regular_hours(frame, calendars)
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
