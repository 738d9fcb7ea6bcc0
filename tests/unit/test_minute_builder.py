"""Minutes made of trades: every order and every cutting of them makes what pandas makes of them all."""

from itertools import pairwise
from typing import Any, Final

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from marketdata.domain.bar_merge import merge_frames
from marketdata.domain.bars import BarFlag, BarFrame
from marketdata.domain.minute_builder import BuilderTimes, MinuteBuilder, TradeCounts
from marketdata.domain.partial_minutes import MINUTE_US, Trades
from tests.support.e_mini import minutes_of_trades, read_trades

_START_US: Final = 1_772_548_200_000_000  # 2026-03-03 14:30 UTC
_SECOND_US: Final = 1_000_000
_SYMBOLS: Final = ("AAPL", "MSFT", "IBM")
_TIMES: Final = BuilderTimes()

Row = tuple[int, int, int, int]  # symbol, second of arrival, delay in seconds, price in cents


def made(rows: list[tuple[str, int, float, float]]) -> Trades:
    """Make trades of (symbol, time, price, size)."""
    symbols = tuple(dict.fromkeys(row[0] for row in rows))
    return Trades(
        symbols,
        np.array([symbols.index(row[0]) for row in rows], np.int32),
        np.array([row[1] for row in rows], np.int64),
        np.array([row[2] for row in rows], np.float64),
        np.array([row[3] for row in rows], np.float64),
    )


def one(time_us: int, price: float = 10.0, size: float = 100.0) -> Trades:
    """Make one trade of AAPL."""
    return made([("AAPL", time_us, price, size)])


def rows_of(frame: BarFrame) -> list[tuple[Any, ...]]:
    """List what bars say, for comparisons."""
    columns = (frame.open, frame.high, frame.low, frame.close, frame.volume, frame.trade_count)
    symbols = [frame.symbols[at] for at in frame.row_symbol_index().tolist()]
    return sorted(zip(symbols, frame.time_us.tolist(), *(c.tolist() for c in columns), strict=True))


def expected(trades: list[tuple[str, int, float, float]]) -> list[tuple[Any, ...]]:
    """List what pandas makes of trades in the order in which they arrived."""
    table = pd.DataFrame(trades, columns=["symbol", "time", "price", "size"])
    table["minute"] = table["time"] // MINUTE_US * MINUTE_US
    table = table.sort_values("time", kind="stable")
    groups: Any = table.groupby(["symbol", "minute"])
    bars = groups["price"].agg(["first", "max", "min", "last"])
    bars["volume"], bars["count"] = groups["size"].sum(), groups.size()
    return sorted(
        (symbol, int(minute), o, h, low, c, v, int(n))
        for (symbol, minute), o, h, low, c, v, n in bars.itertuples(name=None)
    )


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.integers(0, 2), st.integers(0, 600), st.integers(0, 240), st.integers(100, 10_000)
        ),
        min_size=1,
        max_size=80,
    ),
    cuts=st.sets(st.integers(1, 80)),
)
def test_builder_given_any_order_ends_with_what_pandas_makes(rows: list[Row], cuts: set[int]) -> None:
    """However trades are cut into batches and however late they are: the last bars are the truth."""
    rows = sorted(rows, key=lambda row: row[1])
    trades = [
        (_SYMBOLS[row[0]], _START_US + (row[1] - row[2]) * _SECOND_US, row[3] / 100, float(1 + at))
        for at, row in enumerate(rows)
    ]
    builder, given_out = MinuteBuilder("test/feed"), [BarFrame.empty(())]
    bounds = [0, *sorted(cut for cut in cuts if cut < len(trades)), len(trades)]
    for begin, end in pairwise(bounds):
        now_us = _START_US + rows[end - 1][1] * _SECOND_US
        assert builder.add(made(trades[begin:end]), now_us).used == end - begin
        given_out.append(builder.final_bars(now_us))
    given_out.append(builder.final_bars(_START_US + 900 * _SECOND_US))
    last: dict[tuple[str, int], tuple[Any, ...]] = {}
    for frame in given_out:
        last |= {(row[0], row[1]): row for row in rows_of(frame)}
    assert sorted(last.values()) == expected(trades)


def test_builder_given_a_real_night_makes_the_minutes_that_pandas_makes() -> None:
    """Half a million trades of the E-mini, fed in as ten seconds at a time bring them."""
    table = read_trades()
    truth = minutes_of_trades(table)
    time_us = table.index.tz_convert(None).to_numpy().astype("datetime64[us]").astype(np.int64)
    builder, parts = MinuteBuilder("test/feed"), []
    stretches = np.flatnonzero(np.diff(time_us // (10 * _SECOND_US))) + 1
    for begin, end in pairwise([0, *stretches.tolist(), len(table)]):
        trades = Trades(
            ("ESU13",),
            np.zeros(end - begin, np.int32),
            time_us[begin:end],
            table["Price"].to_numpy()[begin:end],
            table["Volume"].to_numpy()[begin:end].astype(np.float64),
        )
        now_us = int(time_us[end - 1])
        assert builder.add(trades, now_us).used == end - begin
        parts.append(builder.final_bars(now_us))
    parts.append(builder.final_bars(int(time_us[-1]) + 2 * MINUTE_US))
    bars = merge_frames([part for part in parts if len(part)])
    assert rows_of(bars) == rows_of(truth)
    np.testing.assert_allclose(bars.vwap, truth.vwap, rtol=1e-12)
    assert (bars.flags == BarFlag.FINAL).all()


def test_final_bars_given_an_unsettled_minute_wait_for_it() -> None:
    """Over for less than the time to settle, a minute is forming and not final."""
    builder = MinuteBuilder("test/feed")
    end_us = _START_US + MINUTE_US
    builder.add(one(_START_US), _START_US)
    assert len(builder.final_bars(end_us + _TIMES.settle_us - 1)) == 0
    forming = builder.forming_bars(end_us)
    assert forming.flags.tolist() == [0]
    assert len(builder.forming_bars(end_us)) == 0
    final = builder.final_bars(end_us + _TIMES.settle_us)
    assert rows_of(final) == [("AAPL", _START_US, 10.0, 10.0, 10.0, 10.0, 100.0, 1)]
    assert len(builder.final_bars(end_us + _TIMES.settle_us)) == 0


def test_final_bars_given_a_late_trade_come_again_with_it() -> None:
    """A revision is the whole bar, with the earlier trades in it."""
    builder = MinuteBuilder("test/feed")
    builder.add(one(_START_US + 10), _START_US)
    later_us = _START_US + 5 * MINUTE_US
    assert len(builder.final_bars(later_us)) == 1
    builder.add(one(_START_US, price=9.0), later_us)
    assert rows_of(builder.final_bars(later_us)) == [
        ("AAPL", _START_US, 9.0, 10.0, 9.0, 10.0, 200.0, 2)
    ]


def test_add_given_trades_that_are_none_counts_each_by_its_reason() -> None:
    """Nothing is dropped without being counted."""
    now_us = _START_US + 20 * MINUTE_US
    trades = made(
        [
            ("AAPL", now_us, np.nan, 1.0),
            ("AAPL", now_us, 10.0, 0.0),
            ("AAPL", now_us, -1.0, 1.0),
            ("AAPL", now_us + _TIMES.ahead_us + 1, 10.0, 1.0),
            ("AAPL", _START_US, 10.0, 1.0),
            ("MSFT", now_us, 10.0, 1.0),
        ]
    )
    builder = MinuteBuilder("test/feed")
    assert builder.add(trades, now_us) == TradeCounts(used=1, invalid=3, ahead=1, late=1)
    assert len(builder) == 1


def test_builder_given_hours_forgets_what_cannot_be_revised() -> None:
    """It holds as many minutes as can still be revised, however long it runs."""
    builder = MinuteBuilder("test/feed")
    most = 0
    for minute in range(300):
        now_us = _START_US + minute * MINUTE_US
        builder.add(one(now_us), now_us)
        builder.final_bars(now_us)
        most = max(most, len(builder))
    assert most <= _TIMES.keep_us // MINUTE_US + 2


def test_forming_bars_given_prices_of_one_level_have_their_average_there() -> None:
    """Rounding does not put the average outside of the range."""
    builder = MinuteBuilder("test/feed")
    builder.add(made([("AAPL", _START_US, 0.1, 0.3), ("AAPL", _START_US, 0.1, 0.7)]), _START_US)
    forming = builder.forming_bars(_START_US)
    assert forming.low[0] <= forming.vwap[0] <= forming.high[0]


def test_watermark_given_a_moment_is_the_minute_that_is_not_settled() -> None:
    """All bars before it are out once the final ones of that moment are."""
    builder = MinuteBuilder("test/feed")
    assert builder.watermark_us(_START_US + MINUTE_US + _TIMES.settle_us) == _START_US + MINUTE_US
    assert builder.watermark_us(_START_US + MINUTE_US + _TIMES.settle_us - 1) == _START_US
