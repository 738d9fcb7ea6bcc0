"""Every rule of bars: its breaking case, its just-not-breaking case, and all of them by oracle."""

import math
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from marketdata.domain.bar_rules import PRICE_TOLERANCE, check_bars
from marketdata.domain.bars import COLUMN_DTYPES, PRICE_COLUMNS, BarColumn, BarFrame
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY, Timeframe

NAN, INF = math.nan, math.inf
MINUTE_US = 60_000_000
# 2024-01-03 00:00:00 UTC; now is half past three in the afternoon of that day.
TODAY_US = 1_704_240_000_000_000
NOW_US = TODAY_US + (15 * 60 + 30) * MINUTE_US
SYMBOLS = ("AAPL", "IBM", "MSFT")


class Bar(NamedTuple):
    """One row; the defaults break no rule of any timeframe."""

    time_us: int = TODAY_US - MICROSECONDS_PER_DAY
    open: float = 100.0
    high: float = 101.0
    low: float = 99.0
    close: float = 100.5
    volume: float = 1000.0
    vwap: float = 100.2
    trade_count: int = 10
    symbol: int = 0


def frame_of(bars: list[Bar]) -> BarFrame:
    """Make a frame of rows in the order given."""
    columns: dict[str, Any] = {
        column.value: np.array([getattr(bar, column.value, 0) for bar in bars], dtype)
        for column, dtype in COLUMN_DTYPES.items()
    }
    index = np.array([bar.symbol for bar in bars], np.int32)
    return BarFrame(SYMBOLS, **columns, symbol_index=index)


def but(**values: Any) -> Bar:
    """Make the good row with some values of its own."""
    return Bar(**values)


def broken(
    *bars: Bar, timeframe: Timeframe = Timeframe.MINUTE_1, now_us: int = NOW_US
) -> set[tuple[str, str, int]]:
    """Check rows and list what is broken as (rule, column, row)."""
    return {
        (found.rule, found.column.value, row)
        for found in check_bars(frame_of(list(bars)), timeframe, now_us)
        for row in found.rows.tolist()
    }


@pytest.mark.parametrize("timeframe", list(Timeframe))
def test_check_bars_given_good_bar_finds_nothing(timeframe: Timeframe) -> None:
    """The row that the other tests break is good in every timeframe."""
    assert broken(Bar(), timeframe=timeframe) == set()


def test_check_bars_given_no_bars_finds_nothing() -> None:
    """An empty frame breaks no rule."""
    assert check_bars(frame_of([]), Timeframe.MINUTE_1, NOW_US) == []


@pytest.mark.parametrize("column", [column.value for column in PRICE_COLUMNS])
@pytest.mark.parametrize("price", [NAN, INF, -INF])
def test_check_bars_given_price_not_finite_reports_only_that(column: str, price: float) -> None:
    """A row with NaN prices is refused, and not blamed for the order of its prices as well."""
    assert broken(but(**{column: price})) == {("NOT_FINITE", column, 0)}


@pytest.mark.parametrize("column", [column.value for column in PRICE_COLUMNS])
@pytest.mark.parametrize("price", [0.0, -0.0, -1.0])
def test_check_bars_given_price_not_positive_reports_only_that(column: str, price: float) -> None:
    """Zeros in a vendor's snapshot are not prices."""
    assert broken(but(**{column: price})) == {("NOT_POSITIVE", column, 0)}


@pytest.mark.parametrize("price", [5e-324, 0.0001, 1e300])
def test_check_bars_given_any_positive_finite_prices_finds_nothing(price: float) -> None:
    """Neither a tiny nor a huge price is refused for its size."""
    assert broken(Bar(open=price, high=price, low=price, close=price)) == set()


@pytest.mark.parametrize(
    "prices",
    [
        {"open": 101.01},
        {"close": 101.01},
        {"low": 101.01, "open": 101.01, "close": 101.01},
    ],
)
def test_check_bars_given_high_below_another_price_reports_the_high(
    prices: dict[str, float],
) -> None:
    """The high is the highest of open, low and close."""
    assert broken(but(**prices)) == {("HIGH_NOT_HIGHEST", "high", 0)}


@pytest.mark.parametrize("prices", [{"open": 98.99}, {"close": 98.99}])
def test_check_bars_given_low_above_another_price_reports_the_low(
    prices: dict[str, float],
) -> None:
    """The low is the lowest of open and close."""
    assert broken(but(**prices)) == {("LOW_NOT_LOWEST", "low", 0)}


@pytest.mark.parametrize(("excess", "is_broken"), [(0.9, False), (1.1, True)])
def test_check_bars_given_prices_beyond_by_about_the_tolerance_breaks_only_above_it(
    excess: float, *, is_broken: bool
) -> None:
    """One part in a million of the high is float noise, more is not."""
    slack = excess * PRICE_TOLERANCE * 101.0
    above, below = Bar(close=101.0 + slack), Bar(close=99.0 - slack)
    assert broken(above) == ({("HIGH_NOT_HIGHEST", "high", 0)} if is_broken else set())
    assert broken(below) == ({("LOW_NOT_LOWEST", "low", 0)} if is_broken else set())


def test_check_bars_given_price_that_went_through_a_binary_float_finds_nothing() -> None:
    """A vendor's 236.889999 for 236.89 is no broken bar (rule 13)."""
    bar = Bar(open=236.5, high=236.889999, low=236.1, close=236.89)
    assert broken(bar) == set()


def test_check_bars_given_bar_without_movement_finds_nothing() -> None:
    """One trade makes all four prices equal."""
    assert broken(Bar(open=100.0, high=100.0, low=100.0, close=100.0)) == set()


@pytest.mark.parametrize("volume", [-1.0, -1e-9, INF, -INF])
def test_check_bars_given_volume_that_is_none_reports_it(volume: float) -> None:
    """A volume is not negative and not infinite."""
    assert broken(Bar(volume=volume)) == {("NEGATIVE_VOLUME", "volume", 0)}


@pytest.mark.parametrize("volume", [NAN, 0.0, 0.5])
def test_check_bars_given_missing_zero_or_fractional_volume_finds_nothing(volume: float) -> None:
    """NaN means missing, 0 means no volume, crypto trades in fractions."""
    assert broken(Bar(volume=volume)) == set()


@pytest.mark.parametrize("vwap", [0.0, -1.0, INF, -INF])
def test_check_bars_given_vwap_that_is_no_price_reports_it(vwap: float) -> None:
    """A vwap is a price, or NaN."""
    assert broken(Bar(vwap=vwap)) == {("VWAP_NOT_POSITIVE", "vwap", 0)}


@pytest.mark.parametrize("vwap", [NAN, 98.0, 102.0])
def test_check_bars_given_missing_vwap_or_one_beyond_the_range_finds_nothing(vwap: float) -> None:
    """Vendors' vwap counts trades that do not make highs and lows: it may lie outside of them."""
    assert broken(Bar(vwap=vwap)) == set()


@pytest.mark.parametrize(("trade_count", "is_broken"), [(-2, True), (-1, False), (0, False)])
def test_check_bars_given_trade_count_breaks_only_below_the_mark_for_missing(
    trade_count: int, *, is_broken: bool
) -> None:
    """-1 means missing; less means nothing."""
    expected = {("NEGATIVE_TRADE_COUNT", "trade_count", 0)} if is_broken else set()
    assert broken(Bar(trade_count=trade_count)) == expected


@pytest.mark.parametrize("timeframe", list(Timeframe))
def test_check_bars_given_time_at_the_bounds_takes_the_first_and_refuses_the_end(
    timeframe: Timeframe,
) -> None:
    """The earliest time is inclusive, the latest exclusive."""
    far_us = timeframe.latest_us + MICROSECONDS_PER_DAY
    outside = {("TIME_OUT_OF_BOUNDS", "time_us", 0)}

    def at(time_us: int) -> set[tuple[str, str, int]]:
        return broken(Bar(time_us=time_us), timeframe=timeframe, now_us=far_us)

    assert at(timeframe.earliest_us) == set()
    assert at(timeframe.latest_us - timeframe.alignment_us) == set()
    assert at(timeframe.earliest_us - timeframe.alignment_us) == outside
    assert at(timeframe.latest_us) == outside


@pytest.mark.parametrize("time_us", [NOW_US // 1_000, NOW_US // 1_000_000, NOW_US * 1_000, -(2**63)])
def test_check_bars_given_time_in_another_unit_reports_only_its_bounds(time_us: int) -> None:
    """Milliseconds, seconds and nanoseconds land in 1970 or beyond 2100 and get one message."""
    assert broken(Bar(time_us=time_us)) == {("TIME_OUT_OF_BOUNDS", "time_us", 0)}


@pytest.mark.parametrize(
    ("timeframe", "offset_us", "is_broken"),
    [
        (Timeframe.MINUTE_1, 1, True),
        (Timeframe.MINUTE_1, MINUTE_US - 1, True),
        (Timeframe.MINUTE_1, MINUTE_US, False),
        (Timeframe.HOUR_1, 30 * MINUTE_US, False),
        (Timeframe.HOUR_1, 30 * MINUTE_US + 1_000_000, True),
        (Timeframe.DAY_1, -5 * 60 * MINUTE_US, True),
        (Timeframe.DAY_1, -MICROSECONDS_PER_DAY, False),
    ],
)
def test_check_bars_given_time_off_its_grid_breaks_only_off_it(
    timeframe: Timeframe, offset_us: int, *, is_broken: bool
) -> None:
    """Minutes and hours start on a whole minute (hours also at 09:30), days at 00:00 UTC."""
    expected = {("TIME_NOT_ALIGNED", "time_us", 0)} if is_broken else set()
    bar = Bar(time_us=Bar().time_us + offset_us)
    assert broken(bar, timeframe=timeframe) == expected


def test_check_bars_given_time_before_1970_off_its_grid_reports_it() -> None:
    """Negative times are held to the grid as well."""
    bar = Bar(time_us=-MICROSECONDS_PER_DAY)
    assert broken(bar, timeframe=Timeframe.DAY_1) == set()
    off = bar._replace(time_us=bar.time_us - 1)
    assert broken(off, timeframe=Timeframe.DAY_1) == {("TIME_NOT_ALIGNED", "time_us", 0)}


@pytest.mark.parametrize("timeframe", [t for t in Timeframe if t is not Timeframe.DAY_1])
def test_check_bars_given_intraday_bar_still_forming_breaks_until_it_ends(
    timeframe: Timeframe,
) -> None:
    """A bar may be stored from the microsecond on at which it ends, not before."""
    bar = Bar()
    end_us = bar.time_us + timeframe.duration_us
    assert broken(bar, timeframe=timeframe, now_us=end_us) == set()
    forming = broken(bar, timeframe=timeframe, now_us=end_us - 1)
    assert forming == {("BAR_NOT_ENDED", "time_us", 0)}


def test_check_bars_given_daily_bar_of_today_breaks_until_the_next_utc_day() -> None:
    """A session's bar may be stored from the next day on, whatever the hour."""
    today = Bar(time_us=TODAY_US)
    not_ended = {("BAR_NOT_ENDED", "time_us", 0)}
    tomorrow_us = TODAY_US + MICROSECONDS_PER_DAY
    assert broken(today, timeframe=Timeframe.DAY_1, now_us=TODAY_US) == not_ended
    assert broken(today, timeframe=Timeframe.DAY_1, now_us=tomorrow_us - 1) == not_ended
    assert broken(today, timeframe=Timeframe.DAY_1, now_us=tomorrow_us) == set()


def test_check_bars_given_future_bar_says_that_it_has_not_ended() -> None:
    """A sane time after now is told apart from an insane one."""
    bar = Bar(time_us=NOW_US + MICROSECONDS_PER_DAY)
    assert broken(bar) == {("BAR_NOT_ENDED", "time_us", 0)}


def test_check_bars_given_repeated_time_reports_the_second_row() -> None:
    """The first of two bars of one time stands."""
    assert broken(Bar(), Bar()) == {("DUPLICATE_TIME", "time_us", 1)}


def test_check_bars_given_time_before_its_predecessor_reports_the_later_row() -> None:
    """Bars of a symbol ascend by time."""
    earlier = Bar(time_us=Bar().time_us - MINUTE_US)
    assert broken(Bar(), earlier) == {("TIME_NOT_ASCENDING", "time_us", 1)}
    assert broken(earlier, Bar()) == set()


def test_check_bars_given_interleaved_symbols_compares_each_with_its_own() -> None:
    """Bars of many symbols may come minute by minute, or symbol by symbol."""
    first, second = Bar(), Bar(time_us=Bar().time_us + MINUTE_US)
    other_first, other_second = first._replace(symbol=1), second._replace(symbol=1)
    assert broken(first, other_first, second, other_second) == set()
    assert broken(other_first, other_second, first, second) == set()
    assert broken(first, other_second, second, other_second) == {("DUPLICATE_TIME", "time_us", 3)}
    assert broken(second, other_first, first) == {("TIME_NOT_ASCENDING", "time_us", 2)}


def test_check_bars_given_frame_without_index_takes_all_rows_as_one_symbol() -> None:
    """A frame of one symbol has no index, and its order counts all the same."""
    many = frame_of([Bar(), Bar()])
    columns: dict[str, Any] = {column.value: many.column(column) for column in BarColumn}
    found = check_bars(BarFrame(("AAPL",), **columns), Timeframe.MINUTE_1, NOW_US)
    assert [(rule.rule, rule.rows.tolist()) for rule in found] == [("DUPLICATE_TIME", [1])]


def test_check_bars_given_insane_time_does_not_blame_the_sane_row_after_it() -> None:
    """The distance from the least int64 does not overflow into a false finding."""
    rows = broken(Bar(time_us=-(2**63)), Bar())
    assert rows == {("TIME_OUT_OF_BOUNDS", "time_us", 0)}


def test_check_bars_given_row_that_breaks_several_rules_reports_each() -> None:
    """One look tells all that is wrong with a row, and with which rows."""
    bad = Bar(volume=-1.0, vwap=0.0, trade_count=-5, low=NAN, close=0.0, symbol=1)
    assert broken(Bar(), bad) == {
        ("NEGATIVE_VOLUME", "volume", 1),
        ("VWAP_NOT_POSITIVE", "vwap", 1),
        ("NEGATIVE_TRADE_COUNT", "trade_count", 1),
        ("NOT_FINITE", "low", 1),
        ("NOT_POSITIVE", "close", 1),
    }


def test_check_bars_given_broken_rows_describes_what_to_send_instead() -> None:
    """A finding has ascending int64 rows and words for people."""
    found = check_bars(
        frame_of([Bar(volume=-1.0), Bar(symbol=1), Bar(volume=-2.0, symbol=2)]),
        Timeframe.MINUTE_1,
        NOW_US,
    )
    assert [rule.rows.tolist() for rule in found] == [[0, 2]]
    assert found[0].rows.dtype == np.int64
    assert found[0].description.startswith("is ")


def slow_check(bars: list[Bar], timeframe: Timeframe, now_us: int) -> set[tuple[str, str, int]]:
    """Apply every rule row by row in plain Python, as the oracle."""
    found: set[tuple[str, str, int]] = set()
    last: dict[int, int] = {}
    for row, bar in enumerate(bars):
        rules = [*slow_price_rules(bar), *slow_size_rules(bar)]
        rules += slow_time_rules(bar.time_us, timeframe, now_us)
        if bar.symbol in last and bar.time_us == last[bar.symbol]:
            rules.append(("DUPLICATE_TIME", "time_us"))
        if bar.symbol in last and bar.time_us < last[bar.symbol]:
            rules.append(("TIME_NOT_ASCENDING", "time_us"))
        last[bar.symbol] = bar.time_us
        found |= {(rule, column, row) for rule, column in rules}
    return found


def slow_price_rules(bar: Bar) -> list[tuple[str, str]]:
    """Hold one row's prices to the rules."""
    prices = {"open": bar.open, "high": bar.high, "low": bar.low, "close": bar.close}
    rules = [("NOT_FINITE", name) for name, price in prices.items() if not math.isfinite(price)]
    rules += [
        ("NOT_POSITIVE", name) for name, price in prices.items() if math.isfinite(price) and price <= 0
    ]
    if rules:
        return rules
    slack = bar.high * PRICE_TOLERANCE
    if any(bar.high < price - slack for price in prices.values()):
        rules.append(("HIGH_NOT_HIGHEST", "high"))
    if any(bar.low > price + slack for price in (bar.open, bar.close)):
        rules.append(("LOW_NOT_LOWEST", "low"))
    return rules


def slow_size_rules(bar: Bar) -> list[tuple[str, str]]:
    """Hold one row's volume, vwap and trade count to the rules."""
    rules = []
    if not math.isnan(bar.volume) and not 0 <= bar.volume < INF:
        rules.append(("NEGATIVE_VOLUME", "volume"))
    if not math.isnan(bar.vwap) and not 0 < bar.vwap < INF:
        rules.append(("VWAP_NOT_POSITIVE", "vwap"))
    if bar.trade_count < -1:
        rules.append(("NEGATIVE_TRADE_COUNT", "trade_count"))
    return rules


def slow_time_rules(time_us: int, timeframe: Timeframe, now_us: int) -> list[tuple[str, str]]:
    """Hold one row's time to the rules that need no other row."""
    if not timeframe.earliest_us <= time_us < timeframe.latest_us:
        return [("TIME_OUT_OF_BOUNDS", "time_us")]
    rules = []
    if time_us % timeframe.alignment_us:
        rules.append(("TIME_NOT_ALIGNED", "time_us"))
    if timeframe is Timeframe.DAY_1:
        forming = time_us // MICROSECONDS_PER_DAY >= now_us // MICROSECONDS_PER_DAY
    else:
        forming = time_us + timeframe.duration_us > now_us
    return [*rules, ("BAR_NOT_ENDED", "time_us")] if forming else rules


PRICES = st.sampled_from(
    [100.0, 100.00005, 100.0002, 99.9999, 99.99995, 101.0, 0.0, -1.0, NAN, INF, -INF]
) | st.floats(1.0, 200.0)
SIZES = st.sampled_from([NAN, 0.0, -0.0, 1.0, -1.0, INF, -INF]) | st.floats()
NEAR_US = st.builds(
    lambda days, minutes, odd: TODAY_US + days * MICROSECONDS_PER_DAY + minutes * MINUTE_US + odd,
    st.integers(-2, 1),
    st.sampled_from([0, 0, 570, 929, 930, 931]),
    st.sampled_from([0, 0, 0, 1, -1]),
)
BOUNDS_US = [bound for t in Timeframe for bound in (t.earliest_us, t.latest_us)]
TIMES_US = NEAR_US | st.sampled_from(
    [*BOUNDS_US, *(bound - 1 for bound in BOUNDS_US), -(2**63), 2**63 - 1, 0]
)
BARS = st.builds(
    Bar,
    time_us=TIMES_US,
    open=PRICES,
    high=PRICES,
    low=PRICES,
    close=PRICES,
    volume=SIZES,
    vwap=SIZES,
    trade_count=st.sampled_from([-(2**63), -2, -1, 0, 5]),
    symbol=st.integers(0, len(SYMBOLS) - 1),
)


@given(st.lists(BARS, max_size=12), st.sampled_from(list(Timeframe)))
@example([Bar(time_us=-(2**63)), Bar(time_us=2**63 - 1), Bar()], Timeframe.DAY_1)
def test_check_bars_given_any_rows_equals_the_row_by_row_oracle(
    bars: list[Bar], timeframe: Timeframe
) -> None:
    """The vectorised rules find exactly what plain Python finds, row by row."""
    assert broken(*bars, timeframe=timeframe) == slow_check(bars, timeframe, NOW_US)
