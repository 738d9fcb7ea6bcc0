"""Parsers of providers' answers, whatever stands in them: columns, or an error of ours."""

import json
from collections.abc import Callable
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketdata.domain.timeframe import Timeframe
from marketdata.errors import ProviderError
from marketdata.providers.alpha_vantage.overview import parse_overview
from marketdata.providers.alpha_vantage.parse import parse_series
from marketdata.providers.http.answer import HttpAnswer
from marketdata.providers.iex import alpaca_parse, tiingo_parse
from tests.support.providers.samples import answer, sample

Parser = Callable[[HttpAnswer], object]

PARSERS: Final[dict[str, Parser]] = {
    "alpha_vantage/intraday.json": lambda a: parse_series(a, "AAPL", is_daily=False),
    "alpha_vantage/daily_adjusted.json": lambda a: parse_series(a, "AAPL", is_daily=True).actions(),
    "alpha_vantage/overview.json": lambda a: parse_overview(a, "IBM"),
    "alpaca/bars_1min.json": lambda a: alpaca_parse.parse_bars(a, "AAPL", Timeframe.MINUTE_1),
    "alpaca/bars_1day.json": lambda a: alpaca_parse.parse_bars(a, "AAPL", Timeframe.DAY_1),
    "alpaca/corporate_actions.json": lambda a: alpaca_parse.parse_actions(a, "NVDA"),
    "tiingo/prices.json": lambda a: tiingo_parse.parse_bars(a, "AAPL"),
}
JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.just("1e999"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=4,
)


def places(document: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """List the ways to every value of a document."""
    found = [way]
    if isinstance(document, dict):
        for key, value in document.items():
            found += places(value, (*way, key))
    if isinstance(document, list):
        for position, value in enumerate(document):
            found += places(value, (*way, position))
    return found


def put(document: Any, way: tuple[Any, ...], value: Any) -> Any:
    """Replace the value at a way."""
    if not way:
        return value
    holder = document
    for step in way[:-1]:
        holder = holder[step]
    holder[way[-1]] = value
    return document


@pytest.mark.parametrize("name", PARSERS)
@settings(max_examples=60)
@given(data=st.data())
def test_parsers_given_any_value_anywhere_give_columns_or_an_error_of_ours(
    name: str, data: st.DataObject
) -> None:
    """One value of a sample is replaced by anything that JSON can hold."""
    document = json.loads(sample(name))
    way = data.draw(st.sampled_from(places(document)))
    body = json.dumps(put(document, way, data.draw(JSON)))
    try:
        PARSERS[name](answer(body))
    except ProviderError as error:
        assert error.message  # noqa: PT017 -- either outcome will do, and this one says why


@pytest.mark.parametrize("name", ["alpha_vantage/intraday.csv", "alpha_vantage/daily_adjusted.csv"])
@settings(max_examples=60)
@given(data=st.data())
def test_parsers_given_any_bytes_in_csv_give_columns_or_an_error_of_ours(
    name: str, data: st.DataObject
) -> None:
    """A piece of a sample is replaced by any bytes."""
    body = sample(name)
    start = data.draw(st.integers(0, len(body)))
    end = data.draw(st.integers(start, min(len(body), start + 12)))
    broken = body[:start] + data.draw(st.binary(max_size=6)) + body[end:]
    try:
        parse_series(answer(broken), "AAPL", is_daily="daily" in name).actions()
    except ProviderError as error:
        assert error.message  # noqa: PT017 -- either outcome will do, and this one says why
