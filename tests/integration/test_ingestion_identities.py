"""Runs and identities: a ticker is renamed, given to another company, or a provider has nothing of it.

Domain rules 15 and 16.
"""

from datetime import date
from typing import Any, Final

import pytest

from marketdata.domain.bar_query import BarQuery
from marketdata.domain.bars import BarFrame
from marketdata.domain.corporate_action import CorporateAction, CorporateActionKind
from marketdata.domain.ingestion_run import RunState
from marketdata.domain.symbol import NewSymbol, SymbolUpdate
from marketdata.domain.time_range import session_label_us
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import ProviderAnswerError, ProviderError, ProviderSymbolError
from marketdata.storage.intake import IntakeResult
from tests.support.bars import Bar
from tests.support.ingesting import Gate, Ingesting, backfill, batch, days, executing, ingesting
from tests.support.rows import fetch, stored_bars
from tests.support.scripted_provider import ScriptedProvider
from tests.support.sessions import dates_between
from tests.support.storage import Storage
from tests.support.symbols import create_symbols
from tests.support.waiting import until

DAY: Final = Timeframe.DAY_1
SPLIT: Final = CorporateActionKind.SPLIT
FULL_YEAR: Final = dates_between("2023-01-01", "2024-07-01")

# Their statements on bars are those of every writer; runs need several connections at once.
pytestmark = pytest.mark.modes("plain", "apache", reason="needs connections of its own")


async def under(storage: Storage, ticker: str) -> list[Bar]:
    """List what stands under a ticker."""
    return [bar for bar in await stored_bars(storage, DAY) if bar.symbol == ticker]


async def head(storage: Storage) -> int:
    """Tell the seq of the last write."""
    ((seq,),) = await fetch(storage, "SELECT seq FROM bar_log_head")
    return int(seq)


RENAMED: Final = date(2024, 3, 1)
REUSED: Final = date(2024, 5, 1)


def as_of_rename(frame: BarFrame) -> list[tuple[str, int]]:
    """List where the bars of FB, which became META, have to stand."""
    renamed_us = session_label_us(RENAMED)
    return sorted(("FB" if t < renamed_us else "META", t) for t in frame.time_us.tolist())


async def facebook(storage: Storage) -> Ingesting:
    """Give ingestion of FB, under both of its names, held up behind two pages."""
    await create_symbols(storage, "FB")
    bars = {(s, DAY): days(s, "2023-01-01", "2024-06-29") for s in ("FB", "META")}
    return ingesting(storage, ScriptedProvider(bars, calls_at_once=1))


async def rename(storage: Storage, behind: int = 200) -> None:
    """Call it META, once so many bars are committed."""

    async def are_stored() -> bool:
        return len(await under(storage, "FB")) == behind

    await until(are_stored)
    update = SymbolUpdate({"symbol": "META"}, effective_date=RENAMED)
    await storage.symbols.update("FB", update)


async def test_run_given_rename_meanwhile_puts_bars_under_the_ticker_of_their_time(
    storage: Storage,
) -> None:
    """Rule 15: pages on their way follow the identity, and so does the next run."""
    one = await facebook(storage)
    gate = Gate()
    one.provider.before_page = lambda _, number: gate() if number == 2 else Gate.passed()
    async with executing(one):
        run = await one.ingestion.starter.start(backfill("FB"))
        await gate.reached.wait()
        await rename(storage)
        gate.open.set()
        assert (await one.over(run)).state is RunState.SUCCEEDED
    bars = [bar.key for bar in await stored_bars(storage, DAY)]
    assert bars == as_of_rename(one.provider.bars["FB", DAY])
    again = await one.run(batch("FB"))
    assert one.provider.requests[-1].symbol.symbol == "META"
    assert again.counts.unchanged == again.counts.fetched > 0


async def test_run_given_ticker_reused_meanwhile_gives_the_new_company_nothing(
    storage: Storage,
) -> None:
    """Rule 15: what was fetched for FB of before is META's; FB of now stays empty."""
    one = await facebook(storage)
    gate = Gate()
    one.provider.before_page = lambda _, number: gate() if number == 2 else Gate.passed()
    split = CorporateAction(SPLIT, date(2024, 6, 3), split_ratio=3.0, source="alpaca")
    one.provider.actions = {"META": [split]}
    async with executing(one):
        run = await one.ingestion.starter.start(backfill("FB"))
        await gate.reached.wait()
        await rename(storage)
        await storage.symbols.create(NewSymbol("FB", valid_from=REUSED))
        gate.open.set()
        over = await one.over(run)
    assert over.state is RunState.SUCCEEDED
    assert [request.symbol.symbol for request in one.provider.requests] == ["FB", "META"]
    bars = [bar.key for bar in await stored_bars(storage, DAY)]
    assert bars == as_of_rename(one.provider.bars["META", DAY])
    assert over.counts.accepted == len(bars)
    of_now = BarQuery(("FB",), DAY, FULL_YEAR)
    assert len((await storage.reader.read_page(of_now, 1_000)).frame) == 0


async def test_run_given_pages_of_both_names_waiting_together_commits_them_apart(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rule 15: a run whose first task began before a rename and whose second after it goes on."""
    one = await facebook(storage)
    await one.run(backfill("FB", start="2023-06-01", end="2023-09-01", request_id="between"))
    already = len(await under(storage, "FB"))
    gate, commits, store = Gate(), Gate(), storage.intake.store

    async def stalled(*args: Any) -> IntakeResult:
        await commits()
        return await store(*args)

    monkeypatch.setattr(storage.intake, "store", stalled)
    one.provider.before_page = lambda _, number: gate() if number == 1 else Gate.passed()
    async with executing(one):
        run = await one.ingestion.starter.start(backfill("FB"))
        await gate.reached.wait()
        await rename(storage, behind=already)
        gate.open.set()

        async def are_served() -> bool:
            return len(one.provider.requests) == 3

        await until(are_served)
        commits.open.set()
        over = await one.over(run)
    assert over.state is RunState.SUCCEEDED
    assert [request.symbol.symbol for request in one.provider.requests[1:]] == ["FB", "META"]
    bars = [bar.key for bar in await stored_bars(storage, DAY)]
    assert bars == as_of_rename(one.provider.bars["FB", DAY])


async def test_run_given_bars_of_before_the_reuse_of_a_ticker_leaves_them_out(
    storage: Storage,
) -> None:
    """Rule 15: a provider that knows one FB tells two companies' bars; only the present one's stay."""
    await storage.symbols.create(NewSymbol("FB", valid_from=REUSED))
    frame = days("FB", "2023-01-01", "2024-06-29")
    run = await ingesting(storage, ScriptedProvider({("FB", DAY): frame})).run(backfill("FB"))
    assert run.state is RunState.SUCCEEDED
    own = frame.time_us[frame.time_us >= session_label_us(REUSED)]
    assert [bar.time_us for bar in await under(storage, "FB")] == own.tolist()
    (trouble,) = run.troubles
    assert not trouble.is_failed
    assert trouble.message == "bars of a time at which FB did not name this symbol were left out"


@pytest.mark.parametrize(
    "error",
    [None, ProviderSymbolError("it knows no A"), ProviderAnswerError("its answer is no JSON")],
    ids=["empty", "unknown", "broken"],
)
async def test_run_given_no_answer_leaves_the_symbol_as_it_is(
    storage: Storage, error: ProviderError | None
) -> None:
    """Rule 16: a symbol is not delisted because a provider has nothing to say of it."""
    await create_symbols(storage, "A")
    frame = days("A", "2023-01-01", "2024-06-29")
    one = ingesting(storage, ScriptedProvider({("A", DAY): frame}))
    await one.run(backfill("A"))
    before, seq, bars = await storage.symbols.get("A"), await head(storage), await under(storage, "A")
    if error:
        one.provider.fails["A"] = error
    one.provider.bars = {}
    run = await one.run(batch("A"))
    assert run.state is (RunState.FAILED if error else RunState.SUCCEEDED)
    assert await storage.symbols.get("A") == before
    assert await head(storage) == seq
    assert await under(storage, "A") == bars
