"""Charts of Yahoo, parsed and made into bars."""

from typing import Any

import numpy as np
import pytest

from marketdata.domain.bars import BarFlag, BarFrame
from marketdata.domain.corporate_action import CorporateAction, CorporateActionKind
from marketdata.domain.time_range import TimeRange, session_date
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY, Timeframe
from marketdata.errors import ProviderAnswerError, ProviderSymbolError
from marketdata.providers.yahoo.actions import to_actions
from marketdata.providers.yahoo.bars import FEED, ChartContext, splits_of, to_bars
from marketdata.providers.yahoo.chart import parse_chart
from tests.support.sessions import clock_times, local_us

_ALL = TimeRange(Timeframe.DAY_1.earliest_us, Timeframe.DAY_1.latest_us)
_NOW_US = local_us("2024-11-27 10:05")


def _payload(
    times: list[str],
    closes: list[float | None],
    volumes: list[float | None] | None = None,
    events: dict[str, Any] | None = None,
    **meta: Any,
) -> dict[str, Any]:
    quote = dict.fromkeys(("open", "high", "low", "close"), closes)
    stamps = [local_us(text, meta.get("exchangeTimezoneName", "America/New_York")) for text in times]
    result = {
        "meta": {"currency": "USD", "exchangeTimezoneName": "America/New_York", **meta},
        "timestamp": [stamp // 1_000_000 for stamp in stamps],
        "indicators": {"quote": [{**quote, "volume": volumes or [100.0] * len(times)}]},
        "events": events or {},
    }
    return {"chart": {"result": [result], "error": None}}


def _bars(
    payload: dict[str, Any], timeframe: Timeframe = Timeframe.DAY_1, now_us: int = _NOW_US
) -> BarFrame:
    chart = parse_chart(payload, "AAPL")
    return to_bars(chart, ChartContext("AAPL", timeframe, splits_of([chart]), now_us), _ALL)


def _session(text: str) -> dict[str, int]:
    start_us = local_us(f"{text} 09:30") // 1_000_000
    return {"start": start_us, "end": start_us + 23_400}


def _dates(frame: BarFrame) -> list[str]:
    return [str(session_date(time_us)) for time_us in frame.time_us.tolist()]


def test_daily_bars_given_both_clocks_of_new_york_are_labelled_by_their_session() -> None:
    """Rule 2: the stamp is the open, at 14:30 or 13:30 UTC; the label is its date at midnight UTC."""
    frame = _bars(_payload(["2024-03-08 09:30", "2024-03-11 09:30"], [1.5, 2.5]))

    assert _dates(frame) == ["2024-03-08", "2024-03-11"]
    assert (frame.time_us % MICROSECONDS_PER_DAY == 0).all()
    assert frame.feeds == {0: FEED}


@pytest.mark.parametrize(
    "zone", ["Asia/Tokyo", "Pacific/Auckland", "Europe/London", "America/Sao_Paulo"]
)
def test_daily_bars_given_an_exchange_far_away_are_labelled_by_its_dates(zone: str) -> None:
    """In Auckland a session opens on the day before by UTC."""
    frame = _bars(_payload(["2024-07-01 10:00"], [1.5], exchangeTimezoneName=zone))

    assert _dates(frame) == ["2024-07-01"]


def test_daily_bars_given_a_midnight_of_the_other_half_of_the_year_name_the_day_meant() -> None:
    """Yahoo stamps some exchanges' sessions with 23:00 of the day before."""
    times = ["2024-07-01 00:00", "2024-07-01 23:00", "2024-07-03 00:00"]
    frame = _bars(_payload(times, [1.5, 2.5, 3.5], exchangeTimezoneName="Europe/Berlin"))

    assert _dates(frame) == ["2024-07-01", "2024-07-02", "2024-07-03"]


def test_daily_bars_given_the_running_session_twice_keep_its_latest_state_as_not_final() -> None:
    """While the market is open, Yahoo ends a daily chart with the day's latest state once more."""
    times = ["2024-11-26 09:30", "2024-11-27 09:30", "2024-11-27 10:04"]
    frame = _bars(_payload(times, [1.5, 2.5, 3.5]))

    assert _dates(frame) == ["2024-11-26", "2024-11-27"]
    assert frame.close.tolist() == [1.5, 3.5]
    assert frame.flags.tolist() == [BarFlag.FINAL, 0]


@pytest.mark.parametrize(
    ("now", "is_final"),
    [("2024-11-26 17:00", False), ("2024-11-26 19:30", False), ("2024-11-27 00:00", True)],
)
def test_daily_bars_given_today_at_the_exchange_are_not_final(now: str, is_final: bool) -> None:  # noqa: FBT001 -- a parameter of the test
    """Volumes are corrected after the close: also at 19:30, when it is tomorrow by UTC."""
    frame = _bars(_payload(["2024-11-26 09:30"], [1.5]), now_us=local_us(now))

    assert bool(frame.flags[0] & BarFlag.FINAL) is is_final


def test_bars_given_a_volume_without_prices_keep_the_row_as_nan() -> None:
    """So Yahoo sends today before the open; rule 19 is for the rules of quality to keep."""
    frame = _bars(_payload(["2024-11-26 09:30", "2024-11-27 09:30"], [1.5, None], [10.0, 0.0]))

    assert len(frame) == 2
    assert np.isnan(frame.close[1])
    assert frame.volume[1] == 0


def test_bars_given_rows_without_any_number_leave_them_out() -> None:
    """A minute of nulls is a minute without trades: no bar (rule 7)."""
    payload = _payload(["2024-11-26 09:30", "2024-11-26 09:31"], [1.5, None], [10.0, None])

    assert clock_times(_bars(payload, Timeframe.MINUTE_1).time_us) == ["09:30"]


def test_minutes_given_the_latest_trade_at_the_end_leave_it_out_and_mark_the_forming_bar() -> None:
    """The last row of an open market is stamped with a second; the bar before it is still forming."""
    start_us = local_us("2024-11-27 10:04")
    payload = _payload(["2024-11-27 10:03", "2024-11-27 10:04"], [1.5, 2.5])
    result = payload["chart"]["result"][0]
    result["timestamp"].append(start_us // 1_000_000 + 23)
    for values in result["indicators"]["quote"][0].values():
        values.append(3.5) if len(values) < 3 else None

    frame = _bars(payload, Timeframe.MINUTE_1, start_us + 23_000_000)

    assert clock_times(frame.time_us) == ["10:03", "10:04"]
    assert frame.flags.tolist() == [BarFlag.FINAL, 0]


def test_hours_given_a_session_are_anchored_at_its_open_and_end_with_its_close() -> None:
    """Rule 3: 09:30 to 15:30, the last one short; the closing price at 16:00 is no bar."""
    hours = [f"2024-11-26 {hour:02}:30" for hour in range(9, 16)]
    payload = _payload(
        [*hours, "2024-11-26 16:00"], [1.5] * 8, tradingPeriods=[[_session("2024-11-26")]]
    )

    assert clock_times(_bars(payload, Timeframe.HOUR_1).time_us) == [text[-5:] for text in hours]


def test_minutes_given_no_volume_outside_of_regular_hours_do_not_know_it() -> None:
    """Yahoo prices minutes before the open and never counts their shares; within, 0 is 0."""
    times = ["2024-11-26 08:00", "2024-11-26 08:01", "2024-11-26 09:30"]
    periods = {"pre": [], "regular": [[_session("2024-11-26")]], "post": []}
    frame = _bars(
        _payload(times, [1.5] * 3, [0.0, 7.0, 0.0], tradingPeriods=periods), Timeframe.MINUTE_1
    )

    assert np.isnan(frame.volume[0])
    assert frame.volume[1:].tolist() == [7, 0]


def test_bars_given_a_range_are_those_that_open_in_it() -> None:
    """The start is in, the end is out, whatever Yahoo sends around them."""
    times = [f"2024-11-{day} 09:30" for day in (20, 21, 22, 25)]
    chart = parse_chart(_payload(times, [1.5] * 4), "AAPL")
    context = ChartContext("AAPL", Timeframe.DAY_1, (), _NOW_US)
    start_us, end_us = (local_us(f"2024-11-{day} 00:00", "UTC") for day in (21, 25))

    assert _dates(to_bars(chart, context, TimeRange(start_us, end_us))) == ["2024-11-21", "2024-11-22"]


def _with_split(day: str, ratio: float) -> dict[str, Any]:
    stamp = local_us(f"{day} 09:30") // 1_000_000
    return {"splits": {"x": {"date": stamp, "numerator": ratio, "denominator": 1.0}}}


@pytest.mark.parametrize(("before", "is_late"), [(200.0, True), (101.0, False), (130.0, False)])
def test_bars_given_a_split_of_today_that_is_not_in_the_prices_yet_are_refused(
    before: float,
    is_late: bool,  # noqa: FBT001 -- a parameter of the test
) -> None:
    """Undone all the same, yesterday's close would read twice as high as it was."""
    times = ["2024-11-26 09:30", "2024-11-27 09:30"]
    payload = _payload(times, [before, 100.0], events=_with_split("2024-11-27", 2.0))

    if is_late:
        with pytest.raises(ProviderAnswerError, match="has not divided") as refusal:
            _bars(payload)
        assert refusal.value.retry_after_seconds
    else:
        assert _bars(payload).close.tolist() == [2 * before, 100.0]


def test_bars_given_an_old_jump_at_a_split_are_undone_all_the_same() -> None:
    """Refused for good, a symbol would have no history at all."""
    times = ["2024-06-03 09:30", "2024-06-04 09:30"]
    payload = _payload(times, [200.0, 100.0], events=_with_split("2024-06-04", 2.0))

    assert _bars(payload).close.tolist() == [400.0, 100.0]


def test_actions_given_a_dividend_before_a_split_are_as_declared() -> None:
    """Yahoo divides dividends by later splits; one of the ex-date of a split is not touched."""
    stamps = [local_us(f"2020-{day} 09:30") // 1_000_000 for day in ("08-07", "08-31")]
    events = {
        "splits": {"x": {"date": stamps[1], "numerator": 4.0, "denominator": 1.0}},
        "dividends": {
            "a": {"date": stamps[0], "amount": 0.205},
            "b": {"date": stamps[1], "amount": 0.2},
        },
    }
    chart = parse_chart(_payload(["2020-08-07 09:30"], [1.5], events=events), "AAPL")

    actions = to_actions(chart, _ALL, "USD")

    assert [(a.ex_date.isoformat(), a.split_ratio, a.cash_amount) for a in actions] == [
        ("2020-08-07", None, 0.82),
        ("2020-08-31", 4.0, None),
        ("2020-08-31", None, 0.2),
    ]
    assert isinstance(actions[0], CorporateAction)
    assert actions[0].kind is CorporateActionKind.CASH_DIVIDEND


def test_actions_given_a_midnight_of_the_other_half_of_the_year_have_the_day_meant() -> None:
    """A split a day early would be undone for a session too few."""
    stamp = local_us("2024-07-01 23:00", "Europe/Berlin") // 1_000_000
    events = {"splits": {"x": {"date": stamp, "numerator": 3.0, "denominator": 1.0}}}
    times = ["2024-07-01 00:00", "2024-07-01 23:00", "2024-07-03 00:00"]
    payload = _payload(times, [1.5] * 3, events=events, exchangeTimezoneName="Europe/Berlin")

    (action,) = to_actions(parse_chart(payload, "SAP.DE"), _ALL, "EUR")

    assert str(action.ex_date) == "2024-07-02"
    assert _bars(payload).close.tolist() == [4.5, 1.5, 1.5]


def test_actions_given_a_dividend_in_another_currency_say_so() -> None:
    """It must not pass for one in the currency of the prices."""
    stamp = local_us("2024-08-07 09:30") // 1_000_000
    events = {"dividends": {"a": {"date": stamp, "amount": 1.5, "currency": "CAD"}}}
    chart = parse_chart(_payload(["2024-08-07 09:30"], [1.5], events=events), "AAPL")

    assert [action.currency for action in to_actions(chart, _ALL, "USD")] == ["CAD"]


def test_chart_given_nothing_in_the_range_is_empty() -> None:
    """Yahoo knows the symbol, and answers 400 with these words."""
    error = {"code": "Bad Request", "description": "Data doesn't exist for startDate = 1, endDate = 2"}

    assert len(_bars({"chart": {"result": None, "error": error}})) == 0


def test_chart_given_an_unknown_symbol_says_what_to_do() -> None:
    """It is no empty answer, and no evidence that the symbol is gone (rule 16)."""
    error = {"code": "Not Found", "description": "No data found, symbol may be delisted"}

    with pytest.raises(ProviderSymbolError, match=r"AAPL.*provider_symbols"):
        parse_chart({"chart": {"result": None, "error": error}}, "AAPL")


_SPLIT_FOR_NOTHING = {"date": 1_700_000_000, "numerator": 2.0, "denominator": 0.0}
# Where in a payload, and what stands there instead.
_BROKEN: dict[str, tuple[tuple[str | int, ...], Any]] = {
    "no chart": (("chart",), None),
    "a chart that is a list": (("chart",), []),
    "no result": (("chart", "result"), []),
    "another error": (("chart", "error"), {"code": "Unprocessable", "description": "no\n\n  such"}),
    "short column": (("quote", "close"), []),
    "text for a price": (("quote", "open"), ["n/a"]),
    "nested prices": (("quote", "open"), [[1.5]]),
    "column that is missing": (("quote", "volume"), None),
    "no quote": (("result", "indicators"), {}),
    "time of no bar": (("result", "timestamp"), [10**12]),
    "no time": (("result", "timestamp"), [None]),
    "zone that is none": (("result", "meta", "exchangeTimezoneName"), "Nowhere/Town"),
    "split for nothing": (("result", "events"), {"splits": {"x": _SPLIT_FOR_NOTHING}}),
    "event without a time": (("result", "events"), {"dividends": {"x": {"amount": 1.0}}}),
    "session without an end": (("result", "meta", "tradingPeriods"), [[{"start": 1}]]),
}
_SHORT: dict[str, tuple[str | int, ...]] = {
    "result": ("chart", "result", 0),
    "quote": ("chart", "result", 0, "indicators", "quote", 0),
}


def _broken(name: str) -> Any:
    payload: Any = _payload(["2024-11-26 09:30"], [1.5])
    (first, *rest), value = _BROKEN[name]
    *way, last = (*_SHORT.get(str(first), (first,)), *rest)
    place = payload
    for step in way:
        place = place[step]
    place[last] = value
    return payload


@pytest.mark.parametrize("name", _BROKEN)
def test_chart_given_an_answer_that_is_none_is_refused(name: str) -> None:
    """It is a ProviderAnswerError, whatever is wrong, and its message is one line."""
    with pytest.raises(ProviderAnswerError) as refusal:
        _bars(_broken(name))

    assert "\n" not in refusal.value.message
