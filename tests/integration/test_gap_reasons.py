"""Why bars are missing: what runs note of it, and what coverage says from it."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

import numpy as np
import pytest

from marketdata.domain.bars import BarFrame
from marketdata.domain.coverage import BarCoverage
from marketdata.domain.gaps import GapReason
from marketdata.domain.ingestion_run import RunState
from marketdata.domain.quality import QualityRule
from marketdata.domain.symbol import SymbolUpdate
from marketdata.domain.time_range import TimeRange, session_date, session_label_us, to_unix_us
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import ProviderAnswerError, ProviderLimitError
from marketdata.storage.coverage import CoverageReader
from marketdata.storage.ingestion.run_trim import RunTrimmer
from tests.support.bars import Bar
from tests.support.ingesting import (
    NOW_US,
    SYMBOLS,
    Ingesting,
    backfill,
    days,
    ingesting,
    ingesting_days,
)
from tests.support.quarantined import decider, ids, judged, put
from tests.support.rows import fetch
from tests.support.scripted_provider import ScriptedProvider
from tests.support.sessions import dates_between, minutes_between, walk
from tests.support.storage import Storage, opened_storage
from tests.support.symbols import create_symbols

DAY, MINUTE = Timeframe.DAY_1, Timeframe.MINUTE_1
FAILED, MISSING = GapReason.FAILED, GapReason.MISSING
NO_TRADES, HAS_NONE = GapReason.NO_TRADES, GapReason.PROVIDER_HAS_NONE
BEYOND, QUARANTINED = GapReason.BEYOND_HISTORY, GapReason.QUARANTINED
#: What the provider of `one` has, and was asked for.
YEARS: Final = dates_between("2023-01-01", "2024-06-29")

Part = tuple[str, str, GapReason, str]

runs = pytest.mark.modes("plain", "apache", reason="runs need connections of their own")


@pytest.fixture
async def one(storage: Storage) -> Ingesting:
    """Give ingestion from a provider that has a year and a half of days of three symbols."""
    return await ingesting_days(storage)


@dataclass(frozen=True, slots=True)
class Looking:
    """Looks at coverage through some storage."""

    storage: Storage
    one: Ingesting

    async def read(
        self, symbol: str, within: TimeRange = YEARS, timeframe: Timeframe = DAY
    ) -> BarCoverage:
        """Read the coverage of a symbol, session by session as well."""
        found, _ = await CoverageReader(self.storage.reader).read(
            symbol,
            timeframe,
            within.start_us,
            within.end_us,
            NOW_US,
            with_sessions=True,
            providers=self.one.ingestion.providers.describe(),
        )
        return found

    async def parts(self, symbol: str, within: TimeRange = YEARS) -> list[Part]:
        """List the gaps of days with their reasons: first and last session, and the provider."""
        return parts_of(await self.read(symbol, within))


def parts_of(found: BarCoverage) -> list[Part]:
    """List gaps of days."""
    gaps = found.gaps
    causes = [gaps.causes[number] for number in gaps.cause.tolist()]
    return [
        (f"{session_date(start)}", f"{session_date(end - 1)}", cause.reason, cause.provider)
        for start, end, cause in zip(gaps.start_us.tolist(), gaps.end_us.tolist(), causes, strict=True)
    ]


def without_days(frame: BarFrame, start: str, end: str) -> BarFrame:
    """Leave out the bars of a range of dates."""
    left = dates_between(start, end)
    return frame.take((frame.time_us < left.start_us) | (frame.time_us >= left.end_us))


def leave_out(one: Ingesting, start: str, end: str) -> None:
    """Let the provider have no days of A in a range of dates."""
    one.provider.bars = {("A", DAY): without_days(one.provider.bars["A", DAY], start, end)}


@runs
async def test_coverage_given_task_that_failed_says_so_over_restarts_until_it_is_fetched(
    storage: Storage, one: Ingesting
) -> None:
    """What a provider did not give is told with when to ask again, also by the next process."""
    one.provider.fails["A"] = ProviderAnswerError("answers are garbled", retry_after_seconds=3600)
    assert (await one.run(backfill(*SYMBOLS))).state is RunState.FAILED
    # Its first page has a hundred sessions.
    expected = [("2023-05-26", "2024-06-28", FAILED, "alpaca")]
    assert await Looking(storage, one).parts("A") == expected
    async with opened_storage(storage.address) as restarted:
        found = await Looking(restarted, one).read("A")
        assert parts_of(found) == expected
        cause = found.gaps.causes[int(found.gaps.cause[0])]
        assert "answers are garbled" in cause.message
        (noted,) = await fetch(storage, "SELECT retry_at, noted_at FROM ingestion_failed")
        assert cause.retry_us == to_unix_us(noted[0])
        assert timedelta(minutes=59) < noted[0] - noted[1] < timedelta(minutes=61)
        assert found.sessions is not None
        assert np.bincount(found.sessions.reason, minlength=3).tolist() == [100, 0, 274]
    assert await Looking(storage, one).parts("B") == []
    one.provider.fails.clear()
    assert (await one.run(backfill(*SYMBOLS, request_id="again"))).state is RunState.SUCCEEDED
    assert await Looking(storage, one).parts("A") == []
    assert await fetch(storage, "SELECT * FROM ingestion_failed") == []


@runs
async def test_coverage_given_run_that_stopped_says_what_it_left(
    storage: Storage, one: Ingesting
) -> None:
    """A limit that is used up: of the symbols behind it nothing was asked, and the run says when."""
    one.provider.calls_at_once = 1
    one.provider.fails["B"] = ProviderLimitError("25 calls are used up.", retry_after_seconds=60)
    assert (await one.run(backfill(*SYMBOLS))).state is RunState.FAILED
    looking = Looking(storage, one)
    assert await looking.parts("A") == []
    assert await looking.parts("B") == [("2023-05-26", "2024-06-28", FAILED, "alpaca")]
    found = await looking.read("C")
    assert parts_of(found) == [("2023-01-03", "2024-06-28", FAILED, "alpaca")]
    cause = found.gaps.causes[int(found.gaps.cause[0])]
    assert "25 calls are used up" in cause.message
    assert cause.retry_us is not None


@runs
async def test_coverage_given_run_that_was_cancelled_notes_no_failure(
    storage: Storage, one: Ingesting
) -> None:
    """Whoever ends a run knows that the rest is missing: no provider failed."""
    run = await one.ingestion.starter.start(backfill("A"))
    await one.ingestion.runs.cancel(run.run_id)
    assert await fetch(storage, "SELECT * FROM ingestion_failed") == []
    assert await Looking(storage, one).parts("A") == [("2023-01-03", "2024-06-28", MISSING, "")]


@runs
async def test_coverage_given_runs_trimmed_still_knows_the_failure(
    storage: Storage, one: Ingesting
) -> None:
    """Runs go after a month; that their range is missing stays true."""
    one.provider.fails["A"] = ProviderAnswerError("garbled")
    await one.run(backfill("A"))
    assert await RunTrimmer(storage.pools, timedelta(microseconds=1)).run_once() == 1
    assert await Looking(storage, one).parts("A") == [("2023-05-26", "2024-06-28", FAILED, "alpaca")]


@runs
async def test_coverage_given_part_fetched_later_cuts_the_failure_back(
    storage: Storage, one: Ingesting
) -> None:
    """A note says what is missing still, in the transaction that stores the rest."""
    one.provider.fails["A"] = ProviderAnswerError("garbled")
    await one.run(backfill("A"))
    one.provider.fails.clear()
    await one.run(backfill("A", start="2024-01-01", end="2024-02-01", request_id="part"))
    assert await Looking(storage, one).parts("A") == [
        ("2023-05-26", "2023-12-29", FAILED, "alpaca"),
        ("2024-02-01", "2024-06-28", FAILED, "alpaca"),
    ]
    (noted,) = await fetch(
        storage, "SELECT ranges && '{[2024-01-01,2024-02-01)}' FROM ingestion_failed"
    )
    assert noted == (False,)


@runs
async def test_coverage_given_refetch_that_failed_notes_nothing_that_was_fetched(
    storage: Storage, one: Ingesting
) -> None:
    """What was given once stays given: a lost second look makes no gap a failure."""
    leave_out(one, "2024-02-01", "2024-03-01")
    await one.run(backfill("A"))
    one.provider.fails["A"] = ProviderAnswerError("garbled")
    again = await one.run(backfill("A", request_id="again", refetches=True))
    assert again.state is RunState.FAILED
    assert await Looking(storage, one).parts("A") == [("2024-02-01", "2024-02-29", NO_TRADES, "alpaca")]
    assert await fetch(storage, "SELECT * FROM ingestion_failed") == []


@runs
async def test_rule_7_coverage_given_answers_without_bars_tells_the_answers_apart(
    storage: Storage, one: Ingesting
) -> None:
    """Rule 7: between bars of the provider nothing was traded; before and after it has none."""
    frame = one.provider.bars["A", DAY]
    wanted = dates_between("2023-03-01", "2024-05-01")
    frame = frame.take((frame.time_us >= wanted.start_us) & (frame.time_us < wanted.end_us))
    one.provider.bars = {("A", DAY): without_days(frame, "2023-07-10", "2023-07-12")}
    assert (await one.run(backfill("A", "B"))).state is RunState.SUCCEEDED
    looking = Looking(storage, one)
    found = await looking.read("A", dates_between("2022-12-01", "2024-06-29"))
    assert parts_of(found) == [
        ("2022-12-01", "2022-12-30", MISSING, ""),
        ("2023-01-03", "2023-02-28", HAS_NONE, "alpaca"),
        ("2023-07-10", "2023-07-11", NO_TRADES, "alpaca"),
        ("2024-05-01", "2024-06-28", HAS_NONE, "alpaca"),
    ]
    messages = [found.gaps.causes[number].message for number in found.gaps.cause.tolist()]
    assert "before 2023-03-01" in messages[1]
    assert "after 2024-04-30" in messages[3]
    assert await looking.parts("B") == [("2023-01-03", "2024-06-28", HAS_NONE, "alpaca")]


@runs
async def test_coverage_given_bars_deleted_does_not_blame_the_provider(
    storage: Storage, one: Ingesting
) -> None:
    """Whatever was fetched and deleted since was traded; fetched again, the answer counts again."""
    await one.run(backfill("A"))
    gone = dates_between("2024-02-01", "2024-02-10")
    await storage.deleter.delete("A", DAY, gone, "a test")
    found = await Looking(storage, one).read("A")
    assert parts_of(found) == [("2024-02-01", "2024-02-09", MISSING, "")]
    assert "deleted" in found.gaps.causes[int(found.gaps.cause[0])].message
    leave_out(one, "2024-02-05", "2024-02-07")
    await one.run(backfill("A", request_id="again", refetches=True))
    assert await Looking(storage, one).parts("A") == [("2024-02-05", "2024-02-06", NO_TRADES, "alpaca")]


@runs
async def test_coverage_given_time_that_no_provider_reaches_says_beyond(
    storage: Storage, one: Ingesting
) -> None:
    """What is older than any provider goes back; where nobody is in charge nothing is claimed."""
    one.provider.history = {DAY: timedelta(days=365)}
    await one.run(backfill("A", start="2024-01-01"))
    within = dates_between("2023-06-01", "2023-08-01")
    found = await Looking(storage, one).read("A", within)
    assert parts_of(found) == [
        ("2023-06-01", "2023-06-30", BEYOND, "alpaca"),
        ("2023-07-03", "2023-07-31", MISSING, ""),
    ]
    assert "goes farthest" in found.gaps.causes[int(found.gaps.cause[0])].message
    assert await Looking(storage, one).parts("B", within) == [("2023-06-01", "2023-07-31", MISSING, "")]
    async with storage.pools.query() as connection:
        await connection.execute(
            "INSERT INTO ingestion_target (name, symbols, timeframes, providers) "
            "VALUES ('all', '{}', '{1d}', '{alpaca}')"
        )
    assert (await Looking(storage, one).parts("B", within))[0][2] is BEYOND


async def test_coverage_given_bars_in_quarantine_counts_them_until_they_are_decided(
    storage: Storage, one: Ingesting
) -> None:
    """Of a bar that is kept aside a person has to decide; then it is something else."""
    await create_symbols(storage, "Q")
    labels = [session_label_us(session_date(0) + timedelta(days=n)) for n in (19_724, 19_725, 19_726)]
    within = TimeRange(labels[0], labels[-1] + 86_400_000_000)  # 2024-01-02 to 04
    aside = [Bar("Q", time_us, feed=0) for time_us in labels[:2]]
    flagged = judged(Bar("Q", labels[2], feed=0), rules=(QualityRule.STALE_REPEAT,))
    await put(storage.pools, judged(*aside), flagged)
    looking = Looking(storage, one)
    found = await looking.read("Q", within)
    assert found.quarantined == 2
    assert parts_of(found) == [
        ("2024-01-02", "2024-01-03", QUARANTINED, "sample"),
        ("2024-01-04", "2024-01-04", MISSING, ""),
    ]
    assert found.sessions is not None
    assert found.sessions.quarantined.tolist() == [1, 1, 0]
    assert found.sessions.reason.tolist() == [QUARANTINED, QUARANTINED, MISSING]
    first, second, _ = await ids(storage)
    await decider(storage).release([first], "it is right")
    await decider(storage).drop([second], "it is wrong")
    found = await looking.read("Q", within)
    assert (found.present, found.quarantined) == (1, 0)
    assert parts_of(found) == [("2024-01-03", "2024-01-04", MISSING, "")]


@runs
async def test_coverage_given_minutes_of_a_session_says_that_its_day_is_derived(
    storage: Storage, one: Ingesting
) -> None:
    """No provider gave the day, a read makes it from minutes: still a gap, and told apart."""
    minutes = minutes_between("2024-01-03 09:30", "2024-01-03 16:00")
    one.provider.bars = {
        ("A", MINUTE): walk(minutes, 7, "A"),
        ("A", DAY): days("A", "2024-01-02", "2024-01-03"),
    }
    await one.run(backfill("A", start="2024-01-01", timeframes=(MINUTE, DAY)))
    found = await Looking(storage, one).read("A", dates_between("2024-01-02", "2024-01-05"))
    assert (found.count, found.present, found.expected) == (1, 1, 3)
    assert found.sessions is not None
    assert found.sessions.present.tolist() == [1, 0, 0]
    assert found.sessions.derived.tolist() == [0, 1, 0]


@runs
async def test_coverage_given_symbol_renamed_keeps_its_reasons(
    storage: Storage, one: Ingesting
) -> None:
    """What is known goes with the identity, not with the ticker."""
    one.provider.fails["A"] = ProviderAnswerError("garbled")
    await one.run(backfill("A"))
    renamed = SymbolUpdate({"symbol": "AA"}, session_date(NOW_US))
    await storage.symbols.update("A", renamed)
    assert await Looking(storage, one).parts("AA") == [("2023-05-26", "2024-06-28", FAILED, "alpaca")]


async def test_coverage_given_retention_does_not_blame_anybody(
    storage: Storage, one: Ingesting
) -> None:
    """What is too old to be kept is not asked for, whatever was known of it."""
    one.provider.bars = {("A", DAY): days("A", "2024-01-02", "2024-06-01")}
    await one.run(backfill("A"))
    async with storage.owner.connection() as connection:
        await connection.execute(
            "UPDATE bar_storage SET keep_confirmed_at = now(), dropped_before = '2024-01-01'"
            " WHERE which = 'day'"
        )
    found = await Looking(storage, one).read("A", dates_between("2023-12-01", "2024-01-10"))
    assert "retention" in found.gaps.causes[int(found.gaps.cause[0])].message
    assert parts_of(found) == [("2023-12-01", "2023-12-29", MISSING, "")]


@runs
async def test_coverage_given_two_providers_names_the_one_that_covers_the_time(
    storage: Storage, one: Ingesting
) -> None:
    """One has nothing of before; the other covers it, so nothing was traded."""
    frame = without_days(one.provider.bars["A", DAY], "2023-07-10", "2023-07-12")
    one.provider.bars = {("A", DAY): frame}
    await one.run(backfill("A"))
    late = frame.take(frame.time_us >= dates_between("2024-01-01", "2024-01-02").start_us)
    other = ingesting(storage, ScriptedProvider({("A", DAY): late}, name="yahoo", feed="yahoo/chart"))
    request = replace(backfill("A", request_id="other"), provider="yahoo")
    assert (await other.run(request)).state is RunState.SUCCEEDED
    assert await Looking(storage, one).parts("A") == [("2023-07-10", "2023-07-11", NO_TRADES, "alpaca")]


async def test_coverage_given_notes_that_overlap_believes_what_was_given(
    storage: Storage, one: Ingesting
) -> None:
    """A failure noted in the moment in which another run fetched the same is none."""
    async with storage.pools.query() as connection:
        await connection.execute(
            "INSERT INTO ingestion_failed (provider, symbol_id, timeframe, ranges, error, run_id)"
            " SELECT 'alpaca', symbol_id, '1d', '{[2024-01-01,2024-04-01)}', 'garbled', 1"
            "   FROM market_symbol WHERE symbol = 'A'"
        )
        await connection.execute(
            "INSERT INTO ingestion_fetched (provider, symbol_id, timeframe, ranges, deleted,"
            "                               first_time, last_time)"
            " SELECT 'alpaca', symbol_id, '1d', '{[2024-01-01,2024-03-01)}',"
            "        '{[2024-02-01,2024-02-15)}', '2023-01-03', '2024-06-28'"
            "   FROM market_symbol WHERE symbol = 'A'"
        )
    assert await Looking(storage, one).parts("A", dates_between("2024-01-01", "2024-04-10")) == [
        ("2024-01-02", "2024-01-31", NO_TRADES, "alpaca"),
        ("2024-02-01", "2024-02-14", MISSING, ""),
        ("2024-02-15", "2024-02-29", NO_TRADES, "alpaca"),
        ("2024-03-01", "2024-03-28", FAILED, "alpaca"),
        ("2024-04-01", "2024-04-09", MISSING, ""),
    ]
