"""The domain rules that bars from providers are held to, through whole runs into the database.

Those that hold before a run are shown where they are at home: docs/ingestion.md has the list.
"""

from dataclasses import replace
from datetime import date
from typing import Any, Final

import numpy as np
import pytest

from marketdata.domain.adjustment import Adjustment
from marketdata.domain.bar_query import BarQuery
from marketdata.domain.bars import BarFlag, BarFrame
from marketdata.domain.corporate_action import CorporateAction, CorporateActionKind
from marketdata.domain.ingestion_run import RunState
from marketdata.domain.time_range import session_date, session_label_us
from marketdata.domain.timeframe import Timeframe
from tests.support.bars import NAN, Bar
from tests.support.ingesting import Ingesting, backfill, batch, days, ingesting
from tests.support.rows import changes, fetch, latest_bars, stored_bars
from tests.support.scripted_provider import ScriptedProvider
from tests.support.sessions import dates_between, local_us, minutes_between, walk
from tests.support.storage import Storage
from tests.support.symbols import create_symbols

DAY: Final = Timeframe.DAY_1
MINUTE: Final = Timeframe.MINUTE_1
DIVIDEND: Final = CorporateActionKind.CASH_DIVIDEND
SPLIT: Final = CorporateActionKind.SPLIT
PRICES: Final = ("open", "high", "low", "close", "vwap")
NO_PRICES: Final = dict.fromkeys(PRICES, NAN)
ZEROS: Final = dict.fromkeys(PRICES, 0.0)
FULL_YEAR: Final = dates_between("2023-01-01", "2024-07-01")

# Their statements on bars are those of every writer; runs need several connections at once.
pytestmark = pytest.mark.modes("plain", "apache", reason="needs connections of its own")


@pytest.fixture
async def one(storage: Storage) -> Ingesting:
    """Give ingestion from a provider that has a year and a half of days of A and B."""
    await create_symbols(storage, "A", "B")
    bars = {
        (symbol, DAY): days(symbol, "2023-01-01", "2024-06-29", seed)
        for seed, symbol in enumerate(("A", "B"), start=1)
    }
    return ingesting(storage, ScriptedProvider(bars))


def offer(one: Ingesting, frame: BarFrame, timeframe: Timeframe = DAY) -> None:
    """Let the provider have these bars of a symbol, and no others."""
    one.provider.bars = {**one.provider.bars, (frame.symbols[0], timeframe): frame}


def changed(frame: BarFrame, row: int, **values: float) -> BarFrame:
    """Put other values into one row."""
    columns: dict[str, Any] = {}
    for name, value in values.items():
        columns[name] = getattr(frame, name).copy()
        columns[name][row] = value
    return replace(frame, **columns)


async def under(storage: Storage, ticker: str, timeframe: Timeframe = DAY) -> list[Bar]:
    """List what stands under a ticker."""
    return [bar for bar in await stored_bars(storage, timeframe) if bar.symbol == ticker]


async def head(storage: Storage) -> int:
    """Tell the seq of the last write."""
    ((seq,),) = await fetch(storage, "SELECT seq FROM bar_log_head")
    return int(seq)


async def quarantined(storage: Storage) -> list[tuple[int, list[str]]]:
    """List time and rules of what stands in the quarantine instead of being stored."""
    rows = await fetch(
        storage,
        "SELECT (extract(epoch FROM time) * 1000000)::bigint, rules FROM bar_quarantine"
        " WHERE severity <> 'flag' ORDER BY 1",
    )
    return [(time_us, rules) for time_us, rules in rows]


async def test_run_given_holiday_row_keeps_it_out(storage: Storage, one: Ingesting) -> None:
    """Rule 4: the calendar knows Thanksgiving; a provider's row of it is no bar."""
    frame = one.provider.bars["A", DAY]
    holiday = session_label_us(date(2023, 11, 23))
    row = int(np.searchsorted(frame.time_us, holiday))
    times = frame.time_us.copy()
    times[row] = holiday
    offer(one, replace(frame, time_us=times))
    run = await one.run(backfill("A"))
    assert run.counts.quarantined == 1
    assert await quarantined(storage) == [(holiday, ["NOT_A_SESSION"])]
    assert holiday not in {bar.time_us for bar in await under(storage, "A")}


async def test_run_given_forming_bar_stores_it_once_it_is_final(
    storage: Storage, one: Ingesting
) -> None:
    """Rule 6: what the provider says is forming is not stored, and a backfill asks for it again."""
    frame = one.provider.bars["A", DAY]
    offer(one, changed(frame, -1, flags=0))
    run = await one.run(backfill("A"))
    assert (run.state, run.share_done) == (RunState.SUCCEEDED, 1.0)
    last = int(frame.time_us[-1])
    assert [bar.time_us for bar in await under(storage, "A")] == frame.time_us[:-1].tolist()
    assert [bar.time_us for bar in await latest_bars(storage, DAY)] == [int(frame.time_us[-2])]
    offer(one, frame)
    again = await one.run(backfill("A", request_id="tomorrow"))
    assert one.provider.requests[-1].range.start_us == last
    assert again.counts.accepted == 1
    (bar,) = [bar for bar in await under(storage, "A") if bar.time_us == last]
    assert (bar.close, bar.flags, bar.revision) == (frame.close[-1], int(BarFlag.FINAL), 0)


async def test_run_given_open_session_asks_for_bars_that_have_ended(storage: Storage) -> None:
    """Rule 6: the running minute is not asked for; the next run, a minute later, gets it."""
    await create_symbols(storage, "A")
    minutes = walk(minutes_between("2024-06-28 14:30", "2024-06-28 15:01"), symbol="A")
    provider = ScriptedProvider({("A", MINUTE): minutes})
    one = ingesting(storage, provider, local_us("2024-06-28 15:00") + 30_000_000)
    await one.run(backfill("A", start="2024-06-28", timeframes=(MINUTE,)))
    assert provider.requests[-1].range.end_us == local_us("2024-06-28 15:00")
    stored = await under(storage, "A", MINUTE)
    assert [bar.time_us for bar in stored] == minutes.time_us[:-1].tolist()
    one.clock.advance(60)
    run = await one.run(batch("A", timeframes=(MINUTE,)))
    assert (run.counts.accepted, run.counts.unchanged) == (1, len(minutes) - 1)
    assert {bar.flags for bar in await under(storage, "A", MINUTE)} == {int(BarFlag.FINAL)}


@pytest.mark.parametrize("volume", [NAN, 0.0])
async def test_run_given_minutes_without_trades_stores_none_for_them(
    storage: Storage, one: Ingesting, volume: float
) -> None:
    """Rule 7: rows of nulls are no bars, nothing is filled, and nobody has to look at them."""
    frame = walk(minutes_between("2024-06-28 09:30", "2024-06-28 16:00"), symbol="A")
    untraded = np.isin(np.arange(len(frame)), (5, 6, 200))
    columns = {name: np.where(untraded, np.nan, getattr(frame, name)) for name in PRICES}
    columns["volume"] = np.where(untraded, volume, frame.volume)
    offer(one, replace(frame, **columns), MINUTE)
    run = await one.run(backfill("A", start="2024-06-28", timeframes=(MINUTE,)))
    assert (run.counts.accepted, run.counts.quarantined) == (len(frame) - 3, 0)
    stored = await under(storage, "A", MINUTE)
    assert [bar.time_us for bar in stored] == frame.time_us[~untraded].tolist()


async def test_run_given_days_and_minutes_reads_the_official_close(
    storage: Storage, one: Ingesting
) -> None:
    """Rule 8: the auction's close stands, whichever of the two came last; minutes make no day of it."""
    minutes = walk(minutes_between("2024-06-28 09:30", "2024-06-28 16:00"), symbol="A")
    offer(one, minutes, MINUTE)
    official = float(one.provider.bars["A", DAY].close[-1])
    assert official != minutes.close[-1]
    await one.run(backfill("A", start="2024-06-24", timeframes=(DAY, MINUTE)))
    await one.run(batch("A", timeframes=(MINUTE,)))
    query = BarQuery(("A",), DAY, dates_between("2024-06-28", "2024-06-29"))
    page = await storage.reader.read_page(query, 10)
    assert page.frame.close.tolist() == [official]


async def test_run_given_split_stores_what_was_traded(storage: Storage, one: Ingesting) -> None:
    """Rule 9: prices are stored raw; reads adjust them, and not for a split that is announced only."""
    frame = one.provider.bars["A", DAY]
    factor = np.where(np.arange(len(frame)) < 150, 4.0, 1.0)
    traded = replace(frame, **{name: getattr(frame, name) * factor for name in PRICES})
    offer(one, traded)
    ex_date = session_date(int(frame.time_us[150]))
    announced = CorporateAction(SPLIT, date(2024, 7, 15), split_ratio=10.0, source="alpaca")
    split = CorporateAction(SPLIT, ex_date, split_ratio=4.0, source="alpaca")
    one.provider.along = {"A": (split, announced)}
    await one.run(backfill("A"))
    assert [bar.close for bar in await under(storage, "A")] == traded.close.tolist()
    query = BarQuery(("A",), DAY, FULL_YEAR, adjustment=Adjustment.SPLIT)
    adjusted = (await storage.reader.read_page(query, 1_000)).frame
    np.testing.assert_allclose(adjusted.close, frame.close)
    np.testing.assert_allclose(adjusted.volume, frame.volume * factor)


async def test_run_given_price_off_by_a_float_stores_it_as_told(
    storage: Storage, one: Ingesting
) -> None:
    """Rule 13: a high of 236.889999 below a close of 236.89 breaks no rule, and is not rounded."""
    factor = 236.89 / one.provider.bars["A", DAY].close[-1]
    frame = one.provider.bars["A", DAY]
    frame = replace(frame, **{name: getattr(frame, name) * factor for name in PRICES})
    offer(one, changed(frame, -1, open=236.5, high=236.889999, low=236.1, close=236.89, vwap=236.4))
    run = await one.run(backfill("A"))
    assert run.counts.quarantined == 0
    last = (await under(storage, "A"))[-1]
    assert (last.high, last.close) == (236.889999, 236.89)


def dividend(amount: float, ex_date: date) -> CorporateAction:
    """Make a dividend as a provider tells it."""
    return CorporateAction(DIVIDEND, ex_date, cash_amount=amount, source="alpaca")


async def test_run_given_actions_that_cannot_be_refuses_them_and_goes_on(
    storage: Storage, one: Ingesting
) -> None:
    """Rule 14: factors of 0, below, NaN or infinite, and repeated dividends, are left out by name."""
    sound = dividend(0.24, date(2023, 5, 12))
    told = [
        sound,
        dividend(0.24, date(2023, 5, 17)),
        dividend(NAN, date(2023, 8, 11)),
        dividend(-0.24, date(2023, 9, 8)),
        CorporateAction(SPLIT, date(2023, 11, 1), split_ratio=0.0, source="alpaca"),
        CorporateAction(SPLIT, date(2023, 12, 1), split_ratio=float("inf"), source="alpaca"),
    ]
    one.provider.along = {"A": tuple(told)}
    run = await one.run(backfill("A", "B"))
    assert run.state is RunState.SUCCEEDED
    assert run.counts.accepted == run.counts.fetched
    stored = await storage.actions.list_all("A")
    assert [(action.ex_date, action.cash_amount) for action in stored] == [(sound.ex_date, 0.24)]
    (trouble,) = run.troubles
    assert not trouble.is_failed
    for action in told[1:]:
        assert f"{action.kind.value} of {action.ex_date} was not stored" in trouble.message


async def test_run_given_dividend_told_before_on_another_date_refuses_it(
    storage: Storage, one: Ingesting
) -> None:
    """Rule 14: within 7 days of one that is stored it is the same dividend, also in a later run."""
    one.provider.along = {"A": (dividend(0.24, date(2024, 6, 20)),)}
    await one.run(backfill("A"))
    one.provider.along = {"A": (dividend(0.24, date(2024, 6, 26)),)}
    run = await one.run(batch("A"))
    assert run.state is RunState.SUCCEEDED
    assert [a.ex_date for a in await storage.actions.list_all("A")] == [date(2024, 6, 20)]
    assert "cash_dividend of 2024-06-26 was not stored" in run.troubles[0].message


async def feed_names(storage: Storage, ticker: str) -> set[str]:
    """List the feeds of what stands under a ticker."""
    rows = await fetch(storage, "SELECT feed_id, provider || '/' || feed FROM market_feed")
    names = dict(rows)
    return {names[bar.feed] for bar in await under(storage, ticker)}


@pytest.mark.parametrize("comes_first", ["alpaca", "yahoo"])
async def test_runs_given_two_feeds_keep_the_bars_of_the_higher_rank(
    storage: Storage, one: Ingesting, comes_first: str
) -> None:
    """Rule 17: one venue's bars never replace the tapes', and volumes are never added up."""
    frame = one.provider.bars["A", DAY]
    tapes = replace(frame, volume=frame.volume * 40 + 1, close=frame.close, vwap=frame.vwap)
    whole = ScriptedProvider({("A", DAY): tapes}, name="yahoo", feed="yahoo/chart")
    of = {"alpaca": one, "yahoo": ingesting(storage, whole)}
    second = next(name for name in of if name != comes_first)
    runs = [
        await of[name].run(backfill("A", provider=name, request_id=name))
        for name in (comes_first, second)
    ]
    counts = runs[1].counts
    if second == "alpaca":
        assert (counts.outranked, counts.accepted, counts.revised) == (len(frame), 0, 0)
    else:
        assert (counts.outranked, counts.revised) == (0, len(frame))
    assert await feed_names(storage, "A") == {"yahoo/chart"}
    assert [bar.volume for bar in await under(storage, "A")] == tapes.volume.tolist()


async def test_batch_given_correction_raises_its_revision_and_tells_followers(
    storage: Storage, one: Ingesting
) -> None:
    """Rule 18: only what differs is written, as a revision, and the change log says that it is one."""
    await one.run(backfill("A"))
    before = await head(storage)
    frame = one.provider.bars["A", DAY]
    corrected = round(float(frame.close[-3]) + 0.01, 2)
    high = max(float(frame.high[-3]), corrected)
    offer(one, changed(frame, -3, close=corrected, high=high))
    run = await one.run(batch("A"))
    assert (run.counts.accepted, run.counts.revised) == (0, 1)
    bars = await under(storage, "A")
    assert [bar.revision for bar in bars] == [0] * (len(bars) - 3) + [1, 0, 0]
    (entry,) = [change for change in await changes(storage, before) if change.kind == "bars"]
    assert (entry.accepted, entry.revised) == (0, 1)
    assert entry.bars is not None
    assert [(bar.close, bar.revision) for bar in entry.bars] == [(corrected, 1)]
    kept = await fetch(storage, "SELECT close FROM bar_revision")
    assert [close for (close,) in kept] == [frame.close[-3]]


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        pytest.param(NO_PRICES, "NOT_FINITE", id="rule 19"),
        pytest.param(ZEROS, "NOT_POSITIVE", id="rule 20"),
    ],
)
@pytest.mark.parametrize("volume", [0.0, 1_234.0])
async def test_batch_given_rows_of_before_the_open_overwrites_nothing(
    storage: Storage, one: Ingesting, row: dict[str, float], rule: str, volume: float
) -> None:
    """Rules 19 and 20: NaN with a volume, or zeros, never replace the good bar that stands there."""
    await one.run(backfill("A"))
    bars, seq = await under(storage, "A"), await head(storage)
    frame = one.provider.bars["A", DAY]
    offer(one, changed(frame, -1, **row, volume=volume))
    run = await one.run(batch("A"))
    assert run.state is RunState.SUCCEEDED
    assert (run.counts.accepted, run.counts.revised) == (0, 0)
    assert await under(storage, "A") == bars
    assert await latest_bars(storage, DAY) == bars[-1:]
    assert await head(storage) == seq
    # Without any number it is a day without trades: nobody has to look at it.
    is_empty = np.isnan(row["close"]) and volume == 0
    expected = [] if is_empty else [int(frame.time_us[-1])]
    found = await quarantined(storage)
    assert [time_us for time_us, _ in found] == expected
    assert all(rule in rules for _, rules in found)
