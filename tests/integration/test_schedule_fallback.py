"""Targets of several providers: what one fails to give others give, and the first one replaces."""

import asyncio
import logging
from dataclasses import dataclass, replace
from datetime import date

import pytest

from marketdata.domain.bars import BarFrame
from marketdata.domain.ingestion_run import IngestionMode, IngestionRun, RunState
from marketdata.domain.time_range import TimeRange
from marketdata.errors import (
    ProviderError,
    ProviderKeyError,
    ProviderLimitError,
    ProviderSymbolError,
    ProviderUnavailableError,
)
from tests.support.ingesting import days, executing, ingesting
from tests.support.rows import fetch
from tests.support.scheduling import (
    DAY,
    Replica,
    Targets,
    all_over,
    at,
    replica,
    slots_with_runs,
    target,
)
from tests.support.scripted_provider import ScriptedProvider, SomeProviders
from tests.support.storage import Storage
from tests.support.symbols import create_symbols

pytestmark = pytest.mark.modes("plain", "apache", reason="needs connections of its own")

#: After the sessions of Thursday, Friday and Monday were settled.
FRIDAY, SATURDAY, TUESDAY = "2024-03-08 03:05", "2024-03-09 03:05", "2024-03-12 02:05"
SLOT = "slot/1/daily/1d/2024-03-09T03:00:00Z"
DOWN = ProviderUnavailableError("yahoo does not answer")


@dataclass(frozen=True, slots=True)
class Both:
    """A scheduler with two providers: yahoo, whose feed ranks higher, and alpaca."""

    storage: Storage
    replica: Replica
    yahoo: ScriptedProvider
    alpaca: ScriptedProvider
    catalog: SomeProviders

    async def look_at(self, now: str) -> list[IngestionRun]:
        """Look at a time, and again until nothing is started any more; return the runs, all over."""
        self.replica.set_clock(at(now))
        return await self.look()

    async def look(self) -> list[IngestionRun]:
        """Look until nothing is started any more."""
        found: list[IngestionRun] = []
        async with executing(self.replica.one):
            while started := await self.replica.scheduler.look():
                found += [await self.replica.one.over(run) for run in started]
        return found

    def fails(self, error: ProviderError, *symbols: str) -> None:
        """Let yahoo fail for symbols from now on."""
        self.yahoo.fails = dict.fromkeys(symbols, error)

    async def feeds(self, symbol: str) -> dict[str, tuple[str, int, float]]:
        """Give the feed, the revision and the volume of each stored day of March."""
        rows = await fetch(
            self.storage,
            "SELECT to_char(time, 'MM-DD'), provider, revision, volume"
            "  FROM market_stock_hist_bars_day_ts AS bar"
            "  JOIN market_feed AS own ON bar.feed = own.feed_id"
            " WHERE symbol = %s AND time >= '2024-03-06' ORDER BY time",
            [symbol],
        )
        return {day: (provider, revision, volume) for day, provider, revision, volume in rows}


def tapes(symbol: str) -> BarFrame:
    """Make days of a symbol, as yahoo has them."""
    return days(symbol, "2023-01-01", "2024-06-29", ord(symbol))


def one_venue(symbol: str) -> BarFrame:
    """Make the same days as alpaca has them: a part of the volume."""
    whole = tapes(symbol)
    return replace(whole, volume=whole.volume / 50)


@pytest.fixture
async def both(storage: Storage) -> Both:
    """Give a scheduler of a target of both providers and two symbols."""
    await create_symbols(storage, "A", "B")
    return scheduling(storage)


def scheduling(storage: Storage, history_start: date | None = None) -> Both:
    """Put a process together."""
    yahoo = ScriptedProvider({(s, DAY): tapes(s) for s in "AB"}, name="yahoo", feed="yahoo/chart")
    alpaca = ScriptedProvider({(s, DAY): one_venue(s) for s in "AB"})
    catalog = SomeProviders(yahoo, alpaca)
    one = ingesting(storage, yahoo, at(FRIDAY), catalog)
    wanted = target(
        "A", "B", timeframes=(DAY,), providers=("yahoo", "alpaca"), history_start=history_start
    )
    process = replica(storage, Targets([wanted]), FRIDAY, one=one)
    return Both(storage, process, yahoo, alpaca, catalog)


def told(runs: list[IngestionRun]) -> list[tuple[str, str, RunState]]:
    """Say of runs their slot, provider and end."""
    return [(run.request.request_id, run.request.provider, run.state) for run in runs]


async def test_day_given_first_provider_down_loses_no_bar_and_is_replaced_later(both: Both) -> None:
    """The next one stands in, for what failed alone; the first one's bars are final, as a revision."""
    await both.look_at(FRIDAY)
    both.fails(DOWN, "A")
    assert told(await both.look_at(SATURDAY)) == [
        (SLOT, "yahoo", RunState.FAILED),
        (f"{SLOT}/2", "alpaca", RunState.SUCCEEDED),
    ]
    assert {request.symbol.symbol for request in both.alpaca.requests} == {"A"}
    stood_in = await both.feeds("A")
    assert [feed for feed, _, _ in stood_in.values()] == ["yahoo", "yahoo", "alpaca"]
    assert {feed for feed, _, _ in (await both.feeds("B")).values()} == {"yahoo"}
    both.fails(DOWN)
    (run,) = await both.look_at(TUESDAY)
    assert (run.request.provider, run.state, run.request.mode) == (
        "yahoo", RunState.SUCCEEDED, IngestionMode.BATCH,
    )  # fmt: skip
    assert (run.counts.revised, run.counts.outranked) == (1, 0)
    final = await both.feeds("A")
    volumes = dict(zip(final, tapes("A").volume[_rows(tapes("A"))].tolist(), strict=True))
    assert final == {
        "03-06": ("yahoo", 0, volumes["03-06"]),
        "03-07": ("yahoo", 0, volumes["03-07"]),
        "03-08": ("yahoo", 1, volumes["03-08"]),
        "03-11": ("yahoo", 0, volumes["03-11"]),
    }


def _rows(frame: BarFrame) -> list[int]:
    within = (frame.time_us >= at("2024-03-06 00:00")) & (frame.time_us < at("2024-03-12 00:00"))
    return [place for place, is_within in enumerate(within.tolist()) if is_within]


async def test_fallback_given_stored_bars_of_higher_rank_replaces_none(both: Both) -> None:
    """What the first one has stored of the range that is fetched again stays, and is counted."""
    await both.look_at(FRIDAY)
    before = await both.feeds("A")
    both.fails(DOWN, "A")
    _, run = await both.look_at(SATURDAY)
    # The trailing week of the failed batch, less the new day.
    assert (run.counts.accepted, run.counts.revised) == (1, 0)
    assert run.counts.outranked == run.counts.fetched - 1 > 0
    assert (await both.feeds("A")).items() > before.items()


@pytest.mark.parametrize(
    "error",
    [
        ProviderLimitError("the limit is used up", retry_after_seconds=3600),
        ProviderKeyError("the key is refused"),
        ProviderSymbolError("the symbol is not known"),
        DOWN,
    ],
    ids=lambda error: type(error).__name__,
)
async def test_fallback_given_any_end_of_the_first_fetches_what_is_left(
    both: Both, error: ProviderError
) -> None:
    """A limit, a key, a symbol, or nobody there: what was not fetched comes from the next one."""
    both.fails(error, "A", "B")
    first, second = await both.look_at(SATURDAY)
    assert (first.state, second.state) == (RunState.FAILED, RunState.SUCCEEDED)
    assert (second.request.mode, second.request.symbols) == (IngestionMode.BACKFILL, ("A", "B"))
    assert second.request.request_id == f"{first.request.request_id}/2"
    assert len(await both.feeds("A")) == len(await both.feeds("B")) == 3


async def test_fallback_given_a_first_page_fetches_behind_it(both: Both) -> None:
    """What was committed of a task is not asked for again, though it failed."""
    both.yahoo.page_bars = 2
    both.fails(DOWN, "A")
    first, _ = await both.look_at(SATURDAY)
    (failed,) = [trouble for trouble in first.troubles if trouble.is_failed]
    assert [request.range.start_us for request in both.alpaca.requests] == [failed.done_until_us]
    feeds = await fetch(
        both.storage,
        "SELECT provider FROM market_stock_hist_bars_day_ts AS bar"
        "  JOIN market_feed AS own ON bar.feed = own.feed_id"
        " WHERE symbol = 'A' ORDER BY time LIMIT 3",
    )
    assert feeds == [("yahoo",), ("yahoo",), ("alpaca",)]


async def test_fallback_given_two_processes_is_one_run(both: Both) -> None:
    """Both see the failure at once."""
    both.fails(DOWN, "A")
    other = scheduling(both.storage)
    for one in (both, other):
        one.replica.set_clock(at(SATURDAY))
    async with executing(both.replica.one):
        await both.replica.scheduler.look()
        await all_over(both.storage)
        for _ in range(3):
            await asyncio.gather(*(one.replica.scheduler.look() for one in (both, other)))
            await all_over(both.storage)
    assert await slots_with_runs(both.storage) == [SLOT, f"{SLOT}/2"]


async def test_slot_given_no_key_of_the_first_begins_with_the_next(
    both: Both, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said once; once the key is there, the first one has what it missed."""
    caplog.set_level(logging.WARNING, "marketdata.ingestion")
    await both.look_at(FRIDAY)
    both.catalog.missing.add("yahoo")
    assert told(await both.look_at(SATURDAY)) == [(SLOT, "alpaca", RunState.SUCCEEDED)]
    # What the first one would have been asked for: a week from where it ended.
    assert {request.range for request in both.alpaca.requests} == {
        TimeRange(at("2024-03-01 00:00"), at("2024-03-09 00:00"))
    }
    assert [feed for feed, _, _ in (await both.feeds("A")).values()] == ["yahoo", "yahoo", "alpaca"]
    assert _said(caplog) == ["yahoo needs a key"]
    both.catalog.missing.clear()
    (run,) = await both.look_at(TUESDAY)
    assert (run.request.provider, run.counts.revised) == ("yahoo", 2)
    assert {feed for feed, _, _ in (await both.feeds("A")).values()} == {"yahoo"}


async def test_slot_given_no_provider_that_answers_tries_the_first_again_later(
    both: Both, caplog: pytest.LogCaptureFixture
) -> None:
    """A quarter of an hour after the last one failed, then twice that; the trouble is said."""
    caplog.set_level(logging.WARNING, "marketdata.ingestion")
    await both.look_at(FRIDAY)
    for provider in (both.yahoo, both.alpaca):
        provider.fails = {"A": ProviderUnavailableError(f"{provider.name} is down")}
    assert len(await both.look_at(SATURDAY)) == 2
    (said,) = _said(caplog)
    assert "not fetched of 1 symbol (A): yahoo: 1 task failed" in said
    await _pass(both.storage, minutes=14)
    assert await both.look() == []
    await _pass(both.storage, minutes=1)
    assert [run.request.request_id for run in await both.look()] == [f"{SLOT}/3", f"{SLOT}/4"]
    assert len(_said(caplog)) == 1  # it is the same
    await _pass(both.storage, minutes=29)
    assert await both.look() == []
    both.fails(DOWN)
    await _pass(both.storage, minutes=1)
    assert told(await both.look()) == [(f"{SLOT}/5", "yahoo", RunState.SUCCEEDED)]
    assert [feed for feed, _, _ in (await both.feeds("A")).values()] == ["yahoo"] * 3
    await _pass(both.storage, minutes=600)
    assert await both.look() == []


async def test_slot_given_a_symbol_that_nobody_knows_is_over(
    both: Both, caplog: pytest.LogCaptureFixture
) -> None:
    """Asking again would take calls and bring nothing: it has its next turn with the next slot."""
    caplog.set_level(logging.WARNING, "marketdata.ingestion")
    for provider in (both.yahoo, both.alpaca):
        provider.fails = {"A": ProviderSymbolError("the symbol is not known")}
    assert len(await both.look_at(SATURDAY)) == 2
    await _pass(both.storage, minutes=600)
    assert await both.look() == []
    assert len(_said(caplog)) == 1
    assert "schedule_target_defect" not in caplog.messages


async def test_slot_given_a_cancelled_run_is_over(both: Both) -> None:
    """What a person ends is not fetched from somebody else."""
    await both.replica.scheduler.look()
    (run,) = await both.replica.one.ingestion.runs.list_page(None, 10)
    await both.replica.one.ingestion.runs.cancel(run.run_id)
    assert await both.look() == []
    assert both.alpaca.requests == []


async def test_slot_given_a_cancelled_fallback_is_over(both: Both) -> None:
    """Neither is it fetched by the first one again."""
    both.fails(DOWN, "A")
    both.replica.set_clock(at(SATURDAY))
    async with executing(both.replica.one):
        (first,) = await both.replica.scheduler.look()
        await both.replica.one.over(first)
    (second,) = await both.replica.scheduler.look()
    await both.replica.one.ingestion.runs.cancel(second.run_id)
    await _pass(both.storage, minutes=600)
    assert await both.look() == []
    assert both.alpaca.requests == []


async def test_next_slot_given_a_fallback_that_was_not_begun_waits_for_it(both: Both) -> None:
    """Where the first one fails later than the next slot is due, the others still have their turn."""
    await both.look_at(FRIDAY)
    both.fails(DOWN, "A")
    both.replica.set_clock(at(SATURDAY))
    async with executing(both.replica.one):
        (first,) = await both.replica.scheduler.look()
        await both.replica.one.over(first)
    runs = await both.look_at(TUESDAY)
    assert [run.request.request_id for run in runs] == [
        f"{SLOT}/2",
        "slot/1/daily/1d/2024-03-12T02:00:00Z",
        "slot/1/daily/1d/2024-03-12T02:00:00Z/2",
    ]


async def _pass(storage: Storage, minutes: int) -> None:
    """Let runs be over for longer: they go by the database's clock."""
    await fetch(
        storage,
        "UPDATE ingestion_run SET finished_at = finished_at - %s * interval '1 minute'",
        [minutes],
    )
    await fetch(
        storage,
        "UPDATE ingestion_task SET retry_at = retry_at - %s * interval '1 minute'",
        [minutes],
    )


def _said(caplog: pytest.LogCaptureFixture) -> list[str]:
    records = [vars(record) for record in caplog.records]
    return [str(fields["error"]) for fields in records if fields["msg"] == "schedule_target_in_trouble"]
