"""Resampling against pandas on the same rule: made-up sessions with holes, and real E-mini minutes."""

from collections.abc import Iterator
from functools import cache
from typing import Any, Final

import exchange_calendars
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketdata.domain.bars import BarFlag, BarFrame
from marketdata.domain.calendar import SessionHours
from marketdata.domain.exchange_hours import get_calendar
from marketdata.domain.resample import resample
from marketdata.domain.timeframe import Timeframe
from tests.support.e_mini import bars_of_trades, minutes_of_trades, read_trades
from tests.support.sessions import LONG_AFTER_US, dates_between, labels_of, side_by_side, walk

DERIVED: Final = [Timeframe.MINUTES_5, Timeframe.MINUTES_15, Timeframe.HOUR_1, Timeframe.DAY_1]
RULES: Final = {Timeframe.MINUTES_5: "5min", Timeframe.MINUTES_15: "15min", Timeframe.HOUR_1: "1h"}
# (calendar, first date, date after the last): what makes each hard is why it is here.
WEEKS: Final = {
    "half day after Thanksgiving": ("XNYS", "2012-11-19", "2012-11-28"),
    "half day before and closed on Independence Day": ("XNYS", "2013-07-01", "2013-07-09"),
    "clocks forward": ("XNYS", "2013-03-06", "2013-03-14"),
    "clocks back": ("XNYS", "2013-10-30", "2013-11-07"),
    "hurricane": ("XNYS", "2012-10-25", "2012-11-02"),
    "lunch break of an hour, half day without": ("XHKG", "2012-12-20", "2012-12-29"),
    "lunch break that is no whole hour from the open": ("XTKS", "2013-07-01", "2013-07-06"),
    "clocks forward in London": ("XLON", "2013-03-27", "2013-04-04"),
    "sessions from the evening before": ("CMES", "2013-08-29", "2013-09-06"),
    "never closed": ("24/7", "2013-07-05", "2013-07-09"),
}


def utc(time_us: int) -> Any:
    """Turn Unix microseconds into what pandas calls them."""
    return pd.Timestamp(time_us, unit="us", tz="UTC")


def table_of(frame: BarFrame) -> Any:
    """Show a frame of one symbol as a table by time, missing trade counts as NaN."""
    columns = "open", "high", "low", "close", "volume", "vwap", "trade_count"
    table: Any = pd.DataFrame({column: getattr(frame, column).astype(float) for column in columns})
    table["trade_count"] = table["trade_count"].where(table["trade_count"] >= 0)
    table.index = pd.DatetimeIndex(frame.time_us.astype("datetime64[us]"), tz="UTC")
    return table


@cache
def library_calendar(name: str) -> Any:
    """Get the library's own calendar of the years around the weeks."""
    return exchange_calendars.get_calendar(name, start="2012-01-01", end="2014-12-31")


def segments(name: str, first: str, end: str) -> Iterator[tuple[Any, list[tuple[Any, Any]]]]:
    """List each session's regular hours from the library itself: one stretch, or two around a break."""
    schedule = library_calendar(name).schedule
    for session, row in schedule.loc[first : pd.Timestamp(end) - pd.Timedelta("1D")].iterrows():
        halves = [(row["open"], row["break_start"]), (row["break_end"], row["close"])]
        yield session, [(row["open"], row["close"])] if pd.isna(row["break_start"]) else halves


def summarised(groups: Any) -> Any:
    """Aggregate as bars are: a sum that misses a part is missing, and so is a vwap."""
    bars = groups.agg({"open": "first", "high": "max", "low": "min", "close": "last"})
    for column in ("volume", "trade_count", "notional"):
        bars[column] = groups[column].sum().where(groups[column].count() == groups.size())
    bars = bars[groups.size() > 0]
    bars["vwap"] = bars["notional"] / bars["volume"].where(bars["volume"] > 0)
    return bars.drop(columns="notional")


def pandas_bars(frame: BarFrame, week: tuple[str, str, str], timeframe: Timeframe) -> Any:
    """Resample with pandas, session by session and stretch by stretch."""
    minutes = table_of(frame)
    minutes["notional"] = (minutes["vwap"] * minutes["volume"]).where(minutes["volume"] != 0, 0.0)
    made = []
    # The night before the first date and the one after the last can belong to sessions of others.
    name, first, end = week
    around = (str(np.datetime64(first) - 4), str(np.datetime64(end) + 4))
    for session, stretches in segments(name, *around):
        inside = [minutes[(minutes.index >= start) & (minutes.index < end)] for start, end in stretches]
        if timeframe is Timeframe.DAY_1:
            whole = pd.concat(inside)
            made.append(whole.groupby(np.full(len(whole), session.tz_localize("UTC"))))
        else:
            for (start, _), part in zip(stretches, inside, strict=True):
                made.append(part.resample(RULES[timeframe], origin=start, closed="left", label="left"))
    return pd.concat([summarised(groups) for groups in made if len(groups)])


def minutes_with_holes(week: tuple[str, str, str], seed: int) -> BarFrame:
    """Make minutes round the clock of a week, some of them and some stretches missing."""
    _, first, end = week
    random = np.random.default_rng(seed)
    dates = dates_between(first, end)
    times_us = np.arange(dates.start_us, dates.end_us, 60_000_000)
    kept = random.random(len(times_us)) < random.choice([0.05, 0.6, 1.0])
    for start in random.integers(0, len(times_us), 6):
        kept[start : start + random.integers(1, 300)] = False
    frame = walk(times_us[kept], seed)
    frame.volume[random.random(len(frame)) < 0.002] = np.nan
    frame.vwap[random.random(len(frame)) < 0.002] = np.nan
    frame.volume[random.random(len(frame)) < 0.05] = 0.0
    frame.vwap[frame.volume == 0] = np.nan
    frame.trade_count[random.random(len(frame)) < 0.002] = -1
    return frame


def assert_same(derived: BarFrame, expected: Any) -> None:
    """Hold derived bars to the oracle's: prices and sizes exactly, the average to the last digits."""
    actual = table_of(derived)
    assert actual.index.tolist() == expected.index.tolist()
    for column in ("open", "high", "low", "close", "volume", "trade_count"):
        np.testing.assert_array_equal(actual[column], expected[column], err_msg=column)
    np.testing.assert_allclose(actual["vwap"], expected["vwap"], rtol=1e-12)


@pytest.mark.parametrize("timeframe", DERIVED)
@pytest.mark.parametrize("week", WEEKS.values(), ids=WEEKS)
def test_rule_3_resample_given_week_with_holes_equals_pandas(
    week: tuple[str, str, str], timeframe: Timeframe
) -> None:
    """Every kind of session that an anchor can get wrong, with minutes missing here and there."""
    seed = 4 * list(WEEKS.values()).index(week) + DERIVED.index(timeframe)
    frame = minutes_with_holes(week, seed)
    derived = resample(frame, timeframe, get_calendar(week[0]), now_us=LONG_AFTER_US)
    assert_same(derived, pandas_bars(frame, week, timeframe))
    assert np.all(derived.flags == BarFlag.DERIVED | BarFlag.FINAL)


# Each example costs pandas 30 ms.
@settings(max_examples=40)
@given(
    week=st.sampled_from([week for week in WEEKS.values() if week[0] in ("XNYS", "XHKG")]),
    timeframe=st.sampled_from(DERIVED),
    seed=st.integers(0, 10_000),
    picked=st.sets(st.integers(0, 8 * 1_440 - 1), min_size=1, max_size=40),
)
def test_property_resample_given_few_scattered_minutes_equals_pandas(
    week: tuple[str, str, str], timeframe: Timeframe, seed: int, picked: set[int]
) -> None:
    """A handful of minutes anywhere in the week, most of them alone in their bar."""
    times_us = dates_between(*week[1:]).start_us + np.array(sorted(picked)) * 60_000_000
    frame = walk(times_us, seed)
    derived = resample(frame, timeframe, get_calendar(week[0]), now_us=LONG_AFTER_US)
    regular = get_calendar(week[0]).in_hours(times_us, SessionHours.REGULAR)
    if not regular.any():
        assert len(derived) == 0
        return
    assert_same(derived, pandas_bars(frame, week, timeframe))


@pytest.mark.parametrize("timeframe", [Timeframe.MINUTES_5, Timeframe.MINUTES_15, Timeframe.HOUR_1])
@pytest.mark.parametrize("week", WEEKS.values(), ids=WEEKS)
def test_rule_3_anchors_given_every_minute_equal_the_trading_index_of_exchange_calendars(
    week: tuple[str, str, str], timeframe: Timeframe
) -> None:
    """The library's own intervals: anchored at the open, anew after a break, the last one short."""
    name, first, end = week
    dates = dates_between(first, end)
    times_us = np.arange(dates.start_us - 86_400_000_000, dates.end_us + 86_400_000_000, 60_000_000)
    derived = resample(walk(times_us), timeframe, get_calendar(name), now_us=LONG_AFTER_US)
    inside = derived.take(np.isin(get_calendar(name).session_labels(derived.time_us), labels(*week)))
    sessions = labels(*week)[[0, -1]].astype("datetime64[us]").astype("datetime64[D]").astype(str)
    index = library_calendar(name).trading_index(
        *sessions.tolist(), RULES[timeframe], intervals=False, closed="left"
    )
    assert table_of(inside).index.tolist() == index.tolist()


def labels(name: str, first: str, end: str) -> Any:
    """List the sessions of a week."""
    calendar = get_calendar(name)
    return calendar.label_us[calendar.session_rows_in(dates_between(first, end))]


@pytest.mark.parametrize("timeframe", DERIVED)
def test_resample_given_many_symbols_equals_each_alone(timeframe: Timeframe) -> None:
    """Symbols do not run into each other, even where one starts at the time another ends."""
    week = WEEKS["clocks forward"]
    frames = [minutes_with_holes(week, seed) for seed in (4, 5, 6)]
    frames = [
        BarFrame(**{name: getattr(frame, name) for name in frame.__slots__} | {"symbols": (symbol,)})
        for symbol, frame in zip(("B", "A", "C"), frames, strict=True)
    ]
    calendar = get_calendar("XNYS")
    together = resample(side_by_side(frames), timeframe, calendar, now_us=LONG_AFTER_US)
    assert together.symbols == ("B", "A", "C")
    for position, frame in enumerate(frames):
        alone = resample(frame, timeframe, calendar, now_us=LONG_AFTER_US)
        assert_same(together.take(together.symbol_index == position), table_of(alone))


@pytest.fixture(scope="module")
def ticks() -> Any:
    """Read half a million trades of the E-mini S&P."""
    return read_trades()


@pytest.fixture(scope="module")
def minutes(ticks: Any) -> BarFrame:
    """Make the minutes of the trades."""
    return minutes_of_trades(ticks)


@pytest.mark.parametrize("timeframe", DERIVED)
def test_rule_3_resample_given_e_mini_minutes_equals_bars_made_of_the_trades(
    timeframe: Timeframe, ticks: Any, minutes: BarFrame
) -> None:
    """Real minutes of two sessions, Labor Day's short one among them, against the trades themselves."""
    assert len(minutes) == 2_264
    derived = resample(minutes, timeframe, get_calendar("CMES"), now_us=LONG_AFTER_US)
    made = []
    for session, [(start, end)] in segments("CMES", "2013-09-02", "2013-09-04"):
        part = ticks[(ticks.index >= start) & (ticks.index < end)]
        if timeframe is Timeframe.DAY_1:
            groups = part.groupby(np.full(len(part), session.tz_localize("UTC")))
        else:
            groups = part.resample(RULES[timeframe], origin=start, closed="left", label="left")
        made.append(bars_of_trades(groups))
    assert_same(derived, pd.concat(made))
    assert derived.volume.sum() == ticks["Volume"].sum()


def test_rule_2_day_bars_given_e_mini_minutes_belong_to_the_session_of_the_evening_before(
    minutes: BarFrame,
) -> None:
    """Trades from Sunday 17:00 in Chicago on make Monday's bar, those of Monday evening Tuesday's."""
    derived = resample(minutes, Timeframe.DAY_1, get_calendar("CMES"), now_us=LONG_AFTER_US)
    assert derived.time_us.tolist() == labels_of("2013-09-02", "2013-09-03").tolist()
    assert utc(int(minutes.time_us[0])).day_name() == "Sunday"
    assert derived.open[0] == minutes.open[0]
