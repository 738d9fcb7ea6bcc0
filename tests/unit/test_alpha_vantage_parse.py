"""Alpha Vantage's answers: CSV and JSON say the same, and messages are errors of the right kind."""

import json
from datetime import date
from typing import Final

import numpy as np
import pytest

from marketdata.domain.bars import BarColumn
from marketdata.domain.company import CompanyFacts
from marketdata.domain.corporate_action import CorporateActionKind
from marketdata.errors import (
    ProviderAnswerError,
    ProviderError,
    ProviderKeyError,
    ProviderLimitError,
    ProviderSymbolError,
)
from marketdata.providers.alpha_vantage.listings import parse_listings
from marketdata.providers.alpha_vantage.messages import check_message, seconds_to_midnight
from marketdata.providers.alpha_vantage.overview import parse_overview
from marketdata.providers.alpha_vantage.parse import parse_series
from tests.support.providers.samples import answer, sample, sample_message
from tests.support.sessions import labels_of, local_us


@pytest.mark.parametrize("form", ["csv", "json"])
def test_parse_series_given_intraday_sample_labels_opens_in_utc(form: str) -> None:
    """Both sides of the switch of New York's clocks (rule 5): 09:30 is 14:30 UTC, then 13:30."""
    series = parse_series(answer(sample(f"alpha_vantage/intraday.{form}")), "AAPL", is_daily=False)
    expected = ["2024-03-11 09:30", "2024-03-11 09:29", "2024-03-08 09:30"]
    assert series.time_us.tolist() == [local_us(text) for text in expected]
    assert series.columns[BarColumn.CLOSE].tolist() == [172.98, 172.94, 169.31]
    assert series.columns[BarColumn.VOLUME].tolist() == [1_105_466, 10_412, 1_234_567]
    assert series.actions() == []


@pytest.mark.parametrize("form", ["csv", "json"])
def test_parse_series_given_daily_adjusted_sample_keeps_raw_prices_and_actions(form: str) -> None:
    """Rule 9: the close is the one that was traded; a dividend is as declared then."""
    series = parse_series(answer(sample(f"alpha_vantage/daily_adjusted.{form}")), "AAPL", is_daily=True)
    np.testing.assert_array_equal(series.time_us, labels_of("2020-08-31", "2020-08-28", "2020-08-07"))
    assert series.columns[BarColumn.CLOSE].tolist() == [129.04, 499.23, 444.45]
    found = [(a.kind, a.ex_date, a.split_ratio, a.cash_amount) for a in series.actions()]
    assert found == [
        (CorporateActionKind.CASH_DIVIDEND, date(2020, 8, 7), None, 0.82),
        (CorporateActionKind.SPLIT, date(2020, 8, 31), 4.0, None),
    ]


def test_parse_series_given_header_only_has_no_bars() -> None:
    """A month without bars is no error, where the answer says so."""
    series = parse_series(answer("timestamp,open,high,low,close,volume\r\n"), "AAPL", is_daily=False)
    assert len(series.time_us) == 0


def test_parse_series_given_other_zone_converts_from_it() -> None:
    """What the meta data name is what counts."""
    document = json.loads(sample("alpha_vantage/intraday.json"))
    document["Meta Data"]["6. Time Zone"] = "Europe/London"
    series = parse_series(answer(document), "AAPL", is_daily=False)
    assert series.time_us[0] == local_us("2024-03-11 09:30", "Europe/London")


@pytest.mark.parametrize(
    "body",
    [
        "",
        "  \n",
        "<html></html>",
        "timestamp,open\r\n2024-03-11 09:30:00,1\r\n",
        "timestamp,open,high,low,close,volume\r\n2024-03-11 09:30:00,1,1,1",
        "timestamp,open,high,low,close,volume\r\n2024-03-11 09:30:00,1,1,1,1\r\n",
        "timestamp,open,high,low,close,volume\r\nyesterday,1,1,1,1,1\r\n",
        "{}",
        "[]",
        '{"Meta Data": {}, "Time Series (1min)": [1]}',
        '{"Meta Data": {"2. Symbol": "IBM", "6. Time Zone": "UTC"}, "Time Series (1min)": {}}',
        '{"Meta Data": {"6. Time Zone": "Mars"}, "Time Series (1min)": {}}',
        '{"Meta Data": {"6. Time Zone": "UTC"}, "Time Series (1m)": {"2024-03-11": {"1. open": "1"}}}',
        '{"Meta Data": {"6. Time Zone": "UTC"}, "Time Series (1min)": {"2024-03-11": 7}}',
        b"\xff\xfe",
    ],
)
def test_parse_series_given_broken_answer_refuses_it(body: str | bytes) -> None:
    """No answer that is not what the documentation says is taken for bars."""
    with pytest.raises(ProviderAnswerError):
        parse_series(answer(body), "AAPL", is_daily=False)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("used_up", ProviderLimitError),
        ("too_fast", ProviderLimitError),
        ("too_fast_then", ProviderLimitError),
        ("premium_endpoint", ProviderKeyError),
        ("premium_size", ProviderKeyError),
        ("no_key", ProviderKeyError),
        ("demo_key", ProviderKeyError),
        ("no_symbol", ProviderSymbolError),
        ("news", ProviderAnswerError),
    ],
)
def test_parse_series_given_message_in_a_200_raises_what_it_says(
    name: str, kind: type[ProviderError]
) -> None:
    """Messages come as JSON with status 200, also where CSV was asked for (rule 24)."""
    with pytest.raises(ProviderError) as caught:
        parse_series(answer(sample_message("alpha_vantage", name)), "AAPL", is_daily=False)
    assert type(caught.value) is kind


def test_check_message_given_used_up_day_says_when_the_next_begins() -> None:
    """Calls of a day come back at midnight in New York; those of a second are worth a short wait."""
    evening_us = local_us("2024-11-02 22:30")
    with pytest.raises(ProviderLimitError) as caught:
        check_message(sample_message("alpha_vantage", "used_up"), "AAPL", evening_us)
    assert caught.value.retry_after_seconds == 1.5 * 3_600
    with pytest.raises(ProviderLimitError) as caught:
        check_message(sample_message("alpha_vantage", "too_fast"), "AAPL", evening_us)
    assert caught.value.retry_after_seconds is None


@pytest.mark.parametrize(
    ("moment", "hours"),
    [("2024-03-10 00:00", 23), ("2024-11-03 00:00", 25), ("2024-11-04 00:00", 24)],
)
def test_seconds_to_midnight_given_switch_of_clocks_counts_what_passes(moment: str, hours: int) -> None:
    """A day of 23 or 25 hours lasts as long."""
    assert seconds_to_midnight(local_us(moment)) == hours * 3_600


def test_check_message_given_premium_endpoint_says_which_plan() -> None:
    """The operator reads what the plan lacks, where plans are, and which setting goes with one."""
    with pytest.raises(ProviderKeyError) as caught:
        check_message(sample_message("alpha_vantage", "premium_endpoint"), "AAPL", 0)
    assert "https://www.alphavantage.co/premium/" in caught.value.message
    assert "free plan" in caught.value.message
    assert "MARKETDATA_ALPHA_VANTAGE_CALLS_A_DAY=0" in caught.value.message


def test_parse_overview_given_sample_tells_what_is_known() -> None:
    """None and - are nothing known."""
    assert parse_overview(answer(sample("alpha_vantage/overview.json")), "IBM") == CompanyFacts(
        name="International Business Machines",
        sector="TECHNOLOGY",
        industry="COMPUTER & OFFICE EQUIPMENT",
        market_cap=207_915_000_000.0,
        currency="USD",
    )


def test_parse_overview_given_unknown_symbol_or_another_ones_is_refused() -> None:
    """An empty object is an unknown symbol; figures of another company are nobody's."""
    with pytest.raises(ProviderSymbolError):
        parse_overview(answer({}), "IBM")
    with pytest.raises(ProviderAnswerError):
        parse_overview(answer(sample("alpha_vantage/overview.json")), "AAPL")
    with pytest.raises(ProviderAnswerError):
        parse_overview(answer({"Symbol": "IBM", "SharesOutstanding": "many"}), "IBM")


def test_parse_listings_given_sample_has_the_days_of_those_wanted() -> None:
    """A name with a comma is one field; what nobody asked for is left out."""
    body = answer(sample("alpha_vantage/listing_delisted.csv"))
    found = parse_listings(body, {"META", "AAAP", "NOSUCH"}, is_listed=False)
    assert [(one.symbol, one.listed_on, one.delisted_on, one.is_listed) for one in found] == [
        ("AAAP", date(2015, 11, 11), date(2018, 2, 12), False),
        ("META", date(2021, 6, 30), date(2022, 1, 31), False),
    ]
    assert found[1].name == "Roundhill Ball Metaverse, ETF"


_HEAD: Final = "symbol,name,exchange,assetType,ipoDate,delistingDate,status\r\n"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("", ProviderAnswerError),
        (_HEAD, ProviderAnswerError),  # nothing is listed at all
        ("symbol,name\r\nA,B\r\n", ProviderAnswerError),
        (_HEAD + "A,Agilent,NYSE,Stock,1999-11-18,null,Active", ProviderAnswerError),  # breaks off
        (_HEAD + "A,Agilent,NYSE,Stock,1999-11-18,null\r\n", ProviderAnswerError),
        (_HEAD + "A,Agilent,NYSE,Stock,1999-11-18,2020-01-01,Delisted\r\n", ProviderAnswerError),
        (_HEAD + "A,Agilent,NYSE,Stock,18/11/1999,null,Active\r\n", ProviderAnswerError),
        ("{}", ProviderAnswerError),
        ({"Information": "our standard API rate limit is 25 requests per day"}, ProviderLimitError),
        ({"Error Message": "the parameter apikey is invalid"}, ProviderKeyError),
    ],
)
def test_parse_listings_given_what_is_no_list_raises(
    body: str | dict[str, str], error: type[ProviderError]
) -> None:
    """Half a list, or another one, would make those that are missing look delisted (rule 16)."""
    with pytest.raises(error):
        parse_listings(answer(body), {"A"}, is_listed=True)
