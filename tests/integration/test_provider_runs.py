"""Runs from Yahoo, as it is played, and from a folder of files: what is stored is what was traded."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from marketdata.clock import ManualClock
from marketdata.domain.bars import BarFrame
from marketdata.domain.corporate_action import CorporateAction, CorporateActionKind
from marketdata.domain.ingestion_run import IngestionMode, IngestionRun, RunRequest, RunState
from marketdata.domain.time_range import session_label_us
from marketdata.domain.timeframe import Timeframe
from marketdata.providers.files.provider import FilesProvider
from marketdata.providers.protocol import Provider
from tests.support.ingesting import ingesting_from
from tests.support.providers.yahoo.played import NOW_US, apple, played_yahoo, sample_of
from tests.support.rows import fetch, stored_bars
from tests.support.storage import Storage
from tests.support.symbols import create_symbols
from tests.support.waiting import until

DAY: Final = Timeframe.DAY_1
SPLIT: Final = CorporateActionKind.SPLIT
HEADER: Final = "date,open,high,low,close,volume\n"

pytestmark = pytest.mark.modes("plain", "apache", reason="runs need several connections at once")


async def run_from(provider: Provider, storage: Storage, request: RunRequest) -> IngestionRun:
    """Execute a run, and wait until it is over."""
    async with ingesting_from(provider, storage, NOW_US) as ingestion:
        run = await ingestion.starter.start(request)

        async def is_over() -> bool:
            return (await ingestion.runs.get(run.run_id)).state.is_over

        await until(is_over, seconds=60)
    return await ingestion.runs.get(run.run_id)


def backfill(provider: str, start: str, end: str, request_id: str = "first") -> RunRequest:
    """Ask for days of AAPL."""
    bounds = (session_label_us(date.fromisoformat(day)) for day in (start, end))
    return RunRequest(request_id, IngestionMode.BACKFILL, provider, ("AAPL",), (DAY,), *bounds)


def lines_of(bars: BarFrame) -> list[str]:
    """Write days as lines of CSV."""
    columns = (bars.open, bars.high, bars.low, bars.close, bars.volume)
    return [
        ",".join([str(np.datetime64(time_us, "us"))[:10], *(str(value) for value in values)])
        for time_us, *values in zip(bars.time_us.tolist(), *columns, strict=True)
    ]


def write_days(folder: Path, bars: BarFrame) -> None:
    """Write the file of AAPL's days."""
    (folder / "1d").mkdir(exist_ok=True)
    (folder / "1d" / "AAPL.csv").write_text(HEADER + "\n".join([*lines_of(bars), ""]))


async def feeds_of(storage: Storage) -> Sequence[str]:
    """List the feeds that stored days are from."""
    rows = await fetch(
        storage,
        "SELECT DISTINCT f.provider || '/' || f.feed"
        " FROM market_stock_hist_bars_day_ts d JOIN market_feed f ON f.feed_id = d.feed",
    )
    return [str(row[0]) for row in rows]


async def test_backfill_given_yahoo_stores_prices_as_they_were_traded(storage: Storage) -> None:
    """Thirteen years over four splits, two of them later: to the cent, and with the dividends paid."""
    await create_symbols(storage, "AAPL")
    later = [
        CorporateAction(SPLIT, date.fromisoformat(day), split_ratio=ratio)
        for day, ratio in (("2014-06-09", 7.0), ("2020-08-31", 4.0))
    ]
    request = backfill("yahoo", "2000-03-01", "2013-03-02")
    async with played_yahoo(apple(*later)) as played:
        run = await run_from(played.provider, storage, request)
        asked = len(played.server.calls)
        again = await run_from(played.provider, storage, replace(request, request_id="again"))
        assert len(played.server.calls) == asked

    assert (run.state, again.state) == (RunState.SUCCEEDED, RunState.SUCCEEDED)
    assert run.troubles == ()
    sample = sample_of("AAPL")
    raw, stored = sample.bars, await stored_bars(storage, DAY)
    assert run.counts.fetched == run.counts.accepted == len(raw)
    assert [bar.time_us for bar in stored] == raw.time_us.tolist()
    assert np.abs(np.array([bar.close for bar in stored]) - raw.close).max() < 2e-4
    assert [bar.volume for bar in stored] == raw.volume.tolist()
    assert await feeds_of(storage) == ["yahoo/chart"]
    known = await fetch(storage, "SELECT count(*) FROM market_corporate_action")
    assert known == [(len(sample.actions),)]


async def test_runs_given_a_folder_keep_it_current_and_keep_bad_bars_aside(
    storage: Storage, tmp_path: Path
) -> None:
    """A row that is added is the only one that is new; one without a price is not stored."""
    await create_symbols(storage, "AAPL")
    bars = sample_of("AAPL").bars
    lines = lines_of(bars)
    (tmp_path / "1d").mkdir()
    path = tmp_path / "1d" / "AAPL.csv"
    no_price = lines[101].split(",")
    no_price[1] = ""
    path.write_text(HEADER + "\n".join([*lines[:101], ",".join(no_price), *lines[102:200], ""]))
    provider = FilesProvider(tmp_path, ManualClock(NOW_US))

    # The last day of the file is 2000-12-13.
    first = await run_from(provider, storage, backfill("files", "2000-03-01", "2000-12-16"))
    path.write_text(HEADER + "\n".join([*lines[:201], ""]))
    request = replace(
        backfill("files", "2000-03-01", "2000-12-16", request_id="second"), refetches=True
    )
    second = await run_from(provider, storage, request)
    await provider.aclose()

    assert (first.state, first.troubles) == (RunState.SUCCEEDED, ())
    assert (first.counts.fetched, first.counts.quarantined) == (200, 1)
    assert (second.counts.accepted, second.counts.unchanged) == (2, 199)
    assert len(await stored_bars(storage, DAY)) == 201
    assert await feeds_of(storage) == ["files/archive"]


async def test_runs_given_a_folder_that_lags_go_on_where_it_ended(
    storage: Storage, tmp_path: Path
) -> None:
    """Sessions that are not in the file yet are not taken for fetched: they come when it has them."""
    await create_symbols(storage, "AAPL")
    bars = sample_of("AAPL").bars
    write_days(tmp_path, bars.take(slice(0, 100)))
    provider = FilesProvider(tmp_path, ManualClock(NOW_US))

    first = await run_from(provider, storage, backfill("files", "2000-03-01", "2000-12-16"))
    write_days(tmp_path, bars.take(slice(0, 200)))
    second = await run_from(
        provider, storage, backfill("files", "2000-03-01", "2000-12-16", request_id="second")
    )
    await provider.aclose()

    assert (first.state, first.counts.accepted) == (RunState.FAILED, 100)
    assert "has nothing from 2000-07-24 on" in first.troubles[0].message
    assert (second.state, second.counts.accepted) == (RunState.SUCCEEDED, 100)
