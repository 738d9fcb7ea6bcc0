"""Alpaca's and Tiingo's answers: sessions of days, opens of minutes, ratios of splits."""

import json
from datetime import date

import numpy as np
import pytest

from marketdata.domain.bars import BarColumn
from marketdata.domain.corporate_action import CorporateActionKind
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import (
    ProviderAnswerError,
    ProviderError,
    ProviderKeyError,
    ProviderLimitError,
    ProviderSymbolError,
)
from marketdata.providers.iex import alpaca_parse, tiingo_parse
from marketdata.providers.iex.rows import to_unix_times
from tests.support.providers.samples import answer, sample, sample_message
from tests.support.sessions import labels_of, local_us


def test_alpaca_bars_given_minutes_sample_are_columns_and_a_token() -> None:
    """Times are opens in UTC (rule 1), and nothing is lost of what it tells."""
    page = alpaca_parse.parse_bars(answer(sample("alpaca/bars_1min.json")), "AAPL", Timeframe.MINUTE_1)
    columns = page.columns
    assert columns[BarColumn.TIME].tolist() == [
        local_us("2024-03-11 09:30"),
        local_us("2024-03-11 09:31"),
    ]
    assert columns[BarColumn.VWAP].tolist() == [172.8123, 172.7711]
    assert columns[BarColumn.TRADE_COUNT].tolist() == [312, 201]
    assert columns[BarColumn.VOLUME].tolist() == [31_022, 20_017]
    assert page.token


def test_alpaca_bars_given_days_sample_are_labelled_by_session() -> None:
    """Midnight in New York is 05:00 UTC in winter and 04:00 in summer: both are that day (rule 2)."""
    page = alpaca_parse.parse_bars(answer(sample("alpaca/bars_1day.json")), "AAPL", Timeframe.DAY_1)
    np.testing.assert_array_equal(page.columns[BarColumn.TIME], labels_of("2022-02-28", "2024-03-11"))
    assert page.token is None


def test_alpaca_bars_given_null_have_none() -> None:
    """A symbol without bars in the range, or without any."""
    page = alpaca_parse.parse_bars(
        answer({"bars": None, "symbol": "AAPL", "next_page_token": None}), "AAPL", Timeframe.DAY_1
    )
    assert len(page.columns[BarColumn.TIME]) == 0


def test_alpaca_actions_given_sample_have_ratios_and_amounts() -> None:
    """Forward and reverse splits are new shares for one old one; special dividends count as well."""
    actions, token = alpaca_parse.parse_actions(answer(sample("alpaca/corporate_actions.json")), "NVDA")
    assert token is None
    assert [(a.kind, a.ex_date, a.split_ratio, a.cash_amount) for a in actions] == [
        (CorporateActionKind.SPLIT, date(2024, 6, 10), 10.0, None),
        (CorporateActionKind.SPLIT, date(2024, 7, 1), 0.04, None),
        (CorporateActionKind.CASH_DIVIDEND, date(2024, 3, 5), None, 0.04),
        (CorporateActionKind.CASH_DIVIDEND, date(2024, 12, 5), None, 2.5),
    ]
    assert "special" in actions[3].source


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {"message": "code=400, message=invalid symbol: A A"}, ProviderSymbolError),
        (422, {"message": "end should not be before start"}, ProviderAnswerError),
        (204, "", ProviderAnswerError),
        (200, "[]", ProviderAnswerError),
        (200, {"symbol": "AAPL"}, ProviderAnswerError),
        (200, {"bars": {}, "symbol": "IBM"}, ProviderAnswerError),
        (200, {"bars": {"AAPL": []}, "symbol": "AAPL"}, ProviderAnswerError),
        (200, {"bars": [{"t": "2024-03-11T04:00:00Z"}], "symbol": "AAPL"}, ProviderAnswerError),
        (200, {"bars": [], "symbol": "AAPL", "next_page_token": 7}, ProviderAnswerError),
    ],
)
def test_alpaca_bars_given_broken_answer_refuses_it(
    status: int, body: object, kind: type[ProviderError]
) -> None:
    """No answer that is not what the documentation says is taken for bars."""
    with pytest.raises(ProviderError) as caught:
        alpaca_parse.parse_bars(answer(body, status), "AAPL", Timeframe.DAY_1)
    assert type(caught.value) is kind


def test_alpaca_bars_given_day_off_midnight_refuses_it() -> None:
    """A day that is not stamped with midnight in New York is another kind of bar."""
    document = json.loads(sample("alpaca/bars_1day.json"))
    document["bars"][1]["t"] = "2024-03-11T05:00:00Z"
    with pytest.raises(ProviderAnswerError):
        alpaca_parse.parse_bars(answer(document), "AAPL", Timeframe.DAY_1)


def test_alpaca_actions_given_broken_ones_refuse_them() -> None:
    """A split without rates is none that can be guessed."""
    for event in ({"symbol": "A", "ex_date": "2024-01-02", "new_rate": 2, "old_rate": 0}, {}, 7):
        with pytest.raises(ProviderAnswerError):
            alpaca_parse.parse_actions(answer({"corporate_actions": {"forward_splits": [event]}}), "A")


def test_tiingo_bars_given_sample_are_columns() -> None:
    """Times are opens in UTC."""
    columns = tiingo_parse.parse_bars(answer(sample("tiingo/prices.json")), "AAPL")
    assert columns[BarColumn.TIME].tolist() == [
        local_us("2019-01-02 09:30"),
        local_us("2019-01-02 09:31"),
    ]
    assert columns[BarColumn.CLOSE].tolist() == [154.76, 154.645]
    assert columns[BarColumn.VOLUME].tolist() == [16_102, 19_127]


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (404, sample_message("tiingo", "no_symbol"), ProviderSymbolError),
        (200, sample_message("tiingo", "used_up"), ProviderLimitError),
        (200, sample_message("tiingo", "used_up")["detail"], ProviderLimitError),
        (200, sample_message("tiingo", "no_key"), ProviderKeyError),
        (200, "None", ProviderAnswerError),
        (200, {"detail": "What?"}, ProviderAnswerError),
        (200, [{"date": "2019-01-02T14:30:00.000Z"}], ProviderAnswerError),
        (200, [7], ProviderAnswerError),
        (200, [{}] * tiingo_parse.MOST_ROWS, ProviderAnswerError),
    ],
)
def test_tiingo_bars_given_broken_answer_refuses_it(
    status: int, body: object, kind: type[ProviderError]
) -> None:
    """Limits come as words or as JSON, with status 200; an answer that may be cut off is no answer."""
    with pytest.raises(ProviderError) as caught:
        tiingo_parse.parse_bars(answer(body, status), "AAPL")
    assert type(caught.value) is kind


def test_tiingo_bars_given_used_up_hour_say_when_the_next_begins() -> None:
    """Its calls are counted by the hour."""
    asked_us = local_us("2024-11-27 10:40")
    with pytest.raises(ProviderLimitError) as caught:
        tiingo_parse.parse_bars(answer(sample_message("tiingo", "used_up"), asked_us=asked_us), "AAPL")
    assert caught.value.retry_after_seconds == 20 * 60


def test_to_unix_times_given_offsets_are_the_same_instants() -> None:
    """However a time is written, it is one moment; without an offset it is none."""
    instant = local_us("2024-03-11 09:30")
    texts = ["2024-03-11T13:30:00Z", "2024-03-11T09:30:00-04:00", "2024-03-11T13:30:00+00:00"]
    assert to_unix_times(texts).tolist() == [instant] * 3
    assert to_unix_times(texts[:1]).tolist() == [instant]
    with pytest.raises(TypeError):
        to_unix_times(["2024-03-11T13:30:00"])
