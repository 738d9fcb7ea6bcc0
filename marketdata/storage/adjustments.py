"""What adjusted reads need of the database: corporate actions, and closes before their ex-dates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
from psycopg import sql

from marketdata.domain.adjust import (
    AdjustmentFactors,
    actions_of_interest,
    build_factors,
    previous_sessions,
)
from marketdata.domain.bar_query import BarQuery
from marketdata.domain.calendar import SessionCalendar
from marketdata.domain.corporate_action import CorporateAction
from marketdata.domain.symbol import ResolvedSymbol
from marketdata.domain.time_range import from_unix_us, session_date
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY, Timeframe
from marketdata.storage.actions import read_actions
from marketdata.storage.known_rows import known_bars
from marketdata.storage.parameters import number_array, text_array, time_array
from marketdata.storage.pools import Connection

# By the primary key of the daily bars, within the partitions between the first and last session.
_CLOSES: Final = sql.SQL("""
    SELECT asked.ord, bar.close
      FROM unnest(%(ord)s, %(symbol)s, %(time)s) AS asked (ord, symbol, time)
      JOIN {table} AS bar
        ON bar.symbol = asked.symbol COLLATE "C" AND bar.time = asked.time
       AND bar.time >= %(first)s AND bar.time <= %(last)s
""")


@dataclass(frozen=True, slots=True)
class UnadjustedAction:
    """A corporate action that prices are not adjusted for, and why."""

    symbol: str
    ex_date: date
    reason: str


@dataclass(frozen=True, slots=True)
class Adjustments:
    """What the bars of a read are multiplied by.

    Attributes
    ----------
    factors : mapping of str to AdjustmentFactors
        By symbol of the request.
    unadjusted : tuple of UnadjustedAction
        Actions that are not in the factors.
    """

    factors: Mapping[str, AdjustmentFactors]
    unadjusted: tuple[UnadjustedAction, ...]


@dataclass(frozen=True, slots=True)
class _Wanted:
    symbol: ResolvedSymbol
    calendar: SessionCalendar
    actions: list[CorporateAction]
    since: date
    until: date


async def read_adjustments(
    connection: Connection,
    query: BarQuery,
    resolved: Sequence[ResolvedSymbol],
    calendars: Mapping[str, SessionCalendar],
) -> Adjustments:
    """Read what a query's adjustment needs, in the snapshot of the caller's connection.

    Parameters
    ----------
    query : BarQuery
        Not raw.
    resolved : sequence of ResolvedSymbol
        Its known symbols.
    calendars : mapping of str to SessionCalendar
        By symbol.
    """
    identities = [symbol.symbol_id for symbol in resolved]
    actions = await read_actions(connection, identities, query.known)
    since = session_date(query.range.start_us)
    if query.timeframe is not Timeframe.DAY_1:
        since = session_date(query.range.start_us - MICROSECONDS_PER_DAY)
    wanted = []
    for symbol in resolved:
        calendar = calendars[symbol.symbol]
        until = calendar.last_session(query.timeframe, query.range.end_us, query.now_us)
        if until is not None:
            wanted.append(_Wanted(symbol, calendar, actions.get(symbol.symbol_id, []), since, until))
    return _build(query, wanted, await _read_closes(connection, query, wanted))


def _build(
    query: BarQuery, wanted: Sequence[_Wanted], closes: Sequence[Mapping[date, float]]
) -> Adjustments:
    factors, unadjusted = {}, []
    for one, previous in zip(wanted, closes, strict=True):
        symbol = one.symbol.symbol
        factors[symbol] = build_factors(
            one.actions,
            previous,
            query.adjustment,
            one.until,
            since=one.since,
            currency=one.symbol.currency,
        )
        unadjusted += [
            UnadjustedAction(symbol, finding.action.ex_date, finding.description)
            for finding in factors[symbol].rejected
        ]
    return Adjustments(factors, tuple(unadjusted))


async def _read_closes(
    connection: Connection, query: BarQuery, wanted: Sequence[_Wanted]
) -> list[dict[date, float]]:
    """Read per symbol the raw close before each dividend of interest, by ex-date."""
    asked: list[tuple[int, date, str, int]] = []
    for position, one in enumerate(wanted):
        actions = actions_of_interest(one.actions, query.adjustment, one.until, one.since)
        labels = previous_sessions(actions, one.calendar).tolist()
        for action, label_us in zip(actions, labels, strict=True):
            ticker = _ticker_at(one.symbol, label_us)
            if ticker is not None:
                asked.append((position, action.ex_date, ticker, label_us))
    closes: list[dict[date, float]] = [{} for _ in wanted]
    if asked:
        times = np.array([label_us for *_, label_us in asked], np.int64)
        order = np.arange(len(asked), dtype=np.int32)
        parameters = {
            "ord": number_array(order),
            "symbol": text_array([ticker for _, _, ticker, _ in asked], order),
            "time": time_array(times),
            "first": from_unix_us(int(times.min())),
            "last": from_unix_us(int(times.max())),
        }
        query_text = _CLOSES.format(table=known_bars(Timeframe.DAY_1, query.known))
        cursor = await connection.execute(query_text, parameters)
        for row, close in await cursor.fetchall():
            position, ex_date, *_ = asked[row]
            closes[position][ex_date] = close
    return closes


def _ticker_at(symbol: ResolvedSymbol, label_us: int) -> str | None:
    for segment in symbol.segments:
        if segment.range.start_us <= label_us < segment.range.end_us:
            return segment.ticker
    return None
