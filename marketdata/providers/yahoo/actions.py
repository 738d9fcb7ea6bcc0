"""Events of a chart as corporate actions, as they were declared: pure."""

from typing import Final

import numpy as np

from marketdata.domain.corporate_action import CorporateAction, CorporateActionKind
from marketdata.domain.time_range import TimeRange, session_date
from marketdata.providers.yahoo.bars import ex_dates, splits_of
from marketdata.providers.yahoo.chart import Chart
from marketdata.providers.yahoo.splits import Split, split_ratios, traded_prices

_SOURCE: Final = "Yahoo Finance"


def to_actions(chart: Chart, labels: TimeRange, currency: str) -> tuple[CorporateAction, ...]:
    """List the corporate actions of a chart.

    A dividend is brought back to what a share of then was paid: Yahoo has it as if every later split
    had been before.

    Parameters
    ----------
    chart : Chart
        Up to today: splits after the last ex-date that is wanted count for its dividends.
    labels : TimeRange
        Ex-dates that are wanted, as labels of their sessions.
    currency : str
        Of the symbol's prices; a dividend can be in another.

    Returns
    -------
    tuple of CorporateAction
        Ascending by ex-date; of one date the split first.
    """
    splits = splits_of([chart])
    events = [_split(split) for split in splits if _lies_in(split.label_us, labels)]
    label_us = ex_dates(chart.dividends, chart.time_zone)
    cash = np.array([dividend.value for dividend in chart.dividends], np.float64)
    declared = traded_prices(cash, split_ratios(label_us, splits))
    for event, ex_us, amount in zip(chart.dividends, label_us.tolist(), declared.tolist(), strict=True):
        if _lies_in(ex_us, labels):
            events.append(_dividend(ex_us, amount, event.currency or currency))
    return tuple(sorted(events, key=lambda action: action.ex_date))


def _lies_in(label_us: int, labels: TimeRange) -> bool:
    return labels.start_us <= label_us < labels.end_us


def _split(split: Split) -> CorporateAction:
    return CorporateAction(
        CorporateActionKind.SPLIT,
        session_date(split.label_us),
        split_ratio=split.ratio,
        source=_SOURCE,
    )


def _dividend(label_us: int, amount: float, currency: str) -> CorporateAction:
    return CorporateAction(
        CorporateActionKind.CASH_DIVIDEND,
        session_date(label_us),
        cash_amount=amount,
        currency=currency,
        source=_SOURCE,
    )
