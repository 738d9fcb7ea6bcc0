"""Adjustment of raw bars for corporate actions, on read.

The formulas (CRSP's and Yahoo's): at each ex-date::

    split factor     f = 1 / ratio
    dividend factor  g = 1 - D / (close(previous session, raw) * f)

D is declared on the shares that trade on the ex-date, so the close before it is brought to the same
split basis by the splits of that very date, whatever adjustment is asked for. Several dividends of a
date are added before the factor is made; several splits of a date are multiplied. Prices of sessions
strictly before the ex-date are multiplied by the factors of all later events; the ex-date itself is
untouched. Volume is divided by the split factors alone. Nothing is rounded.

The factors of a symbol are a step function of the session date, made once and looked up for whole
columns.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import groupby
from typing import Any, Final

import numpy as np

from marketdata.domain.action_rules import ActionFinding, cash_yield, sift_actions, split_factor
from marketdata.domain.adjustment import Adjustment
from marketdata.domain.bars import PRICE_COLUMNS, BarColumn, BarFrame, Float64Array, Int64Array
from marketdata.domain.calendar import SessionCalendar
from marketdata.domain.corporate_action import CorporateAction, CorporateActionKind
from marketdata.domain.time_range import session_label_us
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY, Timeframe

_BOTH: Final = (CorporateActionKind.SPLIT, CorporateActionKind.CASH_DIVIDEND)
# Dividends need the splits too: one of the same date changes what their close stands for.
_KINDS_READ: Final = {
    Adjustment.RAW: (),
    Adjustment.SPLIT: (CorporateActionKind.SPLIT,),
    Adjustment.DIVIDEND: _BOTH,
    Adjustment.ALL: _BOTH,
}
_ADJUSTED_PRICES: Final = (*PRICE_COLUMNS, BarColumn.VWAP)
# The day before the first that may have a bar.
NO_SESSION_US: Final = Timeframe.DAY_1.earliest_us - MICROSECONDS_PER_DAY
# Session dates of 1900 to 2100, in days since 1970, lie within half of this on both sides.
_DAYS_PER_SYMBOL: Final = 1 << 20


@dataclass(frozen=True, slots=True, eq=False)
class AdjustmentFactors:
    """What the bars of one symbol are multiplied by, as a step function of the session date.

    Attributes
    ----------
    ex_us : int64[k]
        Distinct ex-dates at 00:00:00 UTC, Unix microseconds, ascending.
    price : float64[k + 1]
        Factor of prices in the sessions with `i` of the ex-dates at or before them; the last is 1.
    split : float64[k + 1]
        The part of it that splits have, by which volume is divided; the last is 1.
    rejected : tuple of ActionFinding
        Events that should be in the factors and are not: reported, never guessed.
    """

    ex_us: Int64Array
    price: Float64Array
    split: Float64Array
    rejected: tuple[ActionFinding, ...] = ()

    def steps_before(self, session_us: Int64Array) -> Int64Array:
        """Tell how many ex-dates lie at or before each session, int64[n]: positions in `price`."""
        n = len(session_us)
        for ordered, step in ((session_us, 1), (session_us[::-1], -1)):
            if np.all(ordered[1:] >= ordered[:-1]):
                # A few ex-dates among many sorted rows: faster than to look up each row.
                cuts = np.searchsorted(ordered, self.ex_us)
                counts = np.diff(cuts, prepend=0, append=n)
                return np.repeat(np.arange(len(self.ex_us) + 1), counts)[::step]
        return np.searchsorted(self.ex_us, session_us, side="right")


def actions_of_interest(
    actions: Iterable[CorporateAction], adjustment: Adjustment, until: date, since: date | None = None
) -> list[CorporateAction]:
    """Pick the actions whose previous closes `build_factors` needs.

    Parameters
    ----------
    actions : iterable of CorporateAction
        Of one symbol, any order.
    adjustment : Adjustment
        What is asked for. A dividend's factor needs a close, a split's does not.
    until, since : date
        As `build_factors` takes them.

    Returns
    -------
    list of CorporateAction
        The dividends with an ex-date in `(since, until]`; none where dividends are not asked for.
    """
    return [
        action
        for action in actions
        if action.kind is CorporateActionKind.CASH_DIVIDEND
        and action.kind in _KINDS_READ[adjustment]
        and action.ex_date <= until
        and (since is None or action.ex_date > since)
    ]


def previous_sessions(actions: Iterable[CorporateAction], calendar: SessionCalendar) -> Int64Array:
    """Tell which daily bars' closes the actions need.

    Parameters
    ----------
    actions : iterable of CorporateAction
        See `actions_of_interest`.
    calendar : SessionCalendar
        Of the symbol.

    Returns
    -------
    int64[a]
        For each action the label of the last session before its ex-date, Unix microseconds;
        `NO_SESSION_US`, at which no bar is, where the calendar does not know it.
    """
    ex_us = np.array([session_label_us(action.ex_date) for action in actions], np.int64)
    is_known = (ex_us > calendar.label_us[0]) & (ex_us <= calendar.label_us[-1])
    labels = np.full(len(ex_us), NO_SESSION_US, np.int64)
    labels[is_known] = calendar.previous_labels(ex_us[is_known])
    return labels


def previous_closes(
    actions: Sequence[CorporateAction], calendar: SessionCalendar, daily: BarFrame
) -> dict[date, float]:
    """Look up the raw closes of the sessions just before the ex-dates.

    Parameters
    ----------
    actions : sequence of CorporateAction
        See `actions_of_interest`.
    calendar : SessionCalendar
        Of the symbol.
    daily : BarFrame
        Raw daily bars of the symbol, ascending by time, with `close`; at least those of
        `previous_sessions`, where they exist.

    Returns
    -------
    dict of date to float
        By ex-date. Absent where the bar of that very session is missing, or the calendar does not know
        which one it is: an older close is no substitute.
    """
    if len(daily) == 0:
        return {}
    wanted_us = previous_sessions(actions, calendar)
    rows = np.minimum(np.searchsorted(daily.time_us, wanted_us), len(daily) - 1)
    found = daily.time_us[rows] == wanted_us
    closes = daily.close[rows].tolist()
    return {
        action.ex_date: close
        for action, close, is_found in zip(actions, closes, found.tolist(), strict=True)
        if is_found
    }


def build_factors(
    actions: Sequence[CorporateAction],
    previous_closes: Mapping[date, float],
    adjustment: Adjustment,
    until: date,
    *,
    since: date | None = None,
    currency: str | None = None,
) -> AdjustmentFactors:
    """Make the factors of one symbol.

    Parameters
    ----------
    actions : sequence of CorporateAction
        All of the symbol, in any order.
    previous_closes : mapping of date to float
        Raw close of the session just before each ex-date, quote currency a share.
    adjustment : Adjustment
        Which actions to take out of the prices.
    until : date
        Last session that is asked about, inclusive: the last of the range, or the as-of. Nothing
        with a later ex-date leaks in.
    since : date, optional
        First session that is asked about. Events up to it change no bar of the range, so they need no
        close and are not reported.
    currency : str, optional
        ISO 4217 code of the prices; dividends in another one are rejected.

    Returns
    -------
    AdjustmentFactors
        Without the events that `sift_actions` rejects; `rejected` says which and why.
    """
    known = (a for a in actions if a.kind in _KINDS_READ[adjustment] and a.ex_date <= until)
    sound, rejected = sift_actions(known, previous_closes, currency)
    steps: dict[date, tuple[float, float]] = {}
    for ex_date, events in groupby(sound, lambda action: action.ex_date):
        if since is None or ex_date > since:
            steps[ex_date] = _step(list(events), previous_closes.get(ex_date), adjustment)
    return AdjustmentFactors(
        ex_us=np.array([session_label_us(ex_date) for ex_date in steps], np.int64),
        price=_of_later_events([price for price, _ in steps.values()]),
        split=_of_later_events([split for _, split in steps.values()]),
        rejected=tuple(f for f in rejected if since is None or f.action.ex_date > since),
    )


def _step(
    events: Sequence[CorporateAction], previous_close: float | None, adjustment: Adjustment
) -> tuple[float, float]:
    split = 1.0 if adjustment is Adjustment.DIVIDEND else split_factor(events)
    # A sound dividend has a close; a split of a date without dividends needs none.
    paid_out = 0.0 if previous_close is None else cash_yield(events, previous_close)
    return split * (1 - paid_out), split


def _of_later_events(factors: Sequence[float]) -> Float64Array:
    return np.append(np.cumprod(factors[::-1], dtype=np.float64)[::-1], 1.0)


def adjust_frame(
    frame: BarFrame, factors: AdjustmentFactors, session_us: Int64Array | None = None
) -> BarFrame:
    """Adjust the bars of one symbol.

    Parameters
    ----------
    frame : BarFrame
        Raw bars of one symbol in any order; ascending and descending are fastest. Columns that are
        absent stay absent.
    factors : AdjustmentFactors
        Of the symbol.
    session_us : int64[n], optional
        Label of the session that each bar belongs to (`SessionCalendar.session_labels`), Unix
        microseconds. None: `frame.time_us`, as for daily bars.

    Returns
    -------
    BarFrame
        open, high, low, close and vwap multiplied, volume divided, the rest shared with `frame`;
        `frame` itself where no event counts. NaN stays NaN.
    """
    if len(factors.ex_us) == 0:
        return frame
    steps = factors.steps_before(frame.time_us if session_us is None else session_us)
    return _scaled(frame, factors.price, factors.split, steps)


def adjust_frames(
    frame: BarFrame, factors: Sequence[AdjustmentFactors], session_us: Int64Array | None = None
) -> BarFrame:
    """Adjust the bars of many symbols, in whatever order their rows are.

    Parameters
    ----------
    frame : BarFrame
        Raw bars.
    factors : sequence of AdjustmentFactors
        One for each of `frame.symbols`, in their order.
    session_us : int64[n], optional
        As `adjust_frame` takes it.

    Returns
    -------
    BarFrame
        As `adjust_frame` returns it.

    Raises
    ------
    ValueError
        There are not as many factors as symbols: a defect of the caller.
    """
    if len(factors) != len(frame.symbols):
        raise ValueError(f"{len(factors)} factors for {len(frame.symbols)} symbols")
    if all(len(of_one.ex_us) == 0 for of_one in factors):
        return frame
    # One sorted table for all symbols: day numbers, each symbol's after the one's before it. Every
    # symbol has one step more than it has ex-dates, hence the `+ index`.
    offsets = np.arange(len(factors)) * _DAYS_PER_SYMBOL
    keys = np.concatenate(
        [
            of_one.ex_us // MICROSECONDS_PER_DAY + offset
            for of_one, offset in zip(factors, offsets, strict=True)
        ]
    )
    index = frame.row_symbol_index()
    session_us = frame.time_us if session_us is None else session_us
    rows = session_us // MICROSECONDS_PER_DAY + offsets[index]
    steps = np.searchsorted(keys, rows, side="right") + index
    price = np.concatenate([of_one.price for of_one in factors])
    split = np.concatenate([of_one.split for of_one in factors])
    return _scaled(frame, price, split, steps)


def _scaled(frame: BarFrame, price: Float64Array, split: Float64Array, steps: Int64Array) -> BarFrame:
    scaled: dict[str, Any] = {}
    row_price = price[steps]
    for column in _ADJUSTED_PRICES:
        if len(frame.column(column)):
            scaled[column.value] = frame.column(column) * row_price
    if len(frame.volume):
        scaled["volume"] = frame.volume if np.all(split == 1) else frame.volume / split[steps]
    return replace(frame, **scaled)
