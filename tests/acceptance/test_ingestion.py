"""Ingestion as an operator runs it: a service, a command, a provider that misbehaves, and kills."""

import asyncio
import os
import random
import signal
import string
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice, product
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from marketdata.client import (
    IngestionMode,
    NewSymbol,
    RunState,
    RunStatus,
    SyncMarketDataClient,
)
from marketdata.domain.bars import BarFrame
from marketdata.domain.exchange_hours import get_calendar
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import ServiceUnavailableError
from tests.acceptance.ingestion_truth import differences, last_seq
from tests.acceptance.processes import Outcome, Service, begin, marketdata
from tests.support.providers.faults import Fault, FaultPlan, at_random, never
from tests.support.providers.iex.alpaca_side import KEY_ID, SECRET, AlpacaDialect
from tests.support.providers.played import LoopbackServer
from tests.support.providers.truth import Truth
from tests.support.sessions import MINUTE_US, dates_between, walk

Start = Callable[..., Service]

START: Final = "2023-01-03"
END: Final = "2025-01-01"
MINUTE_START: Final = "2024-11-25"  # five sessions, the last of them a half day
MINUTE_END: Final = "2024-12-02"
SYMBOLS: Final = 200
KILLS: Final = 50
LEASE_SECONDS: Final = 0.5
#: Those that a run gets over by itself; a byte now and then takes as long as the adapter's patience.
FAULTS: Final = frozenset(
    {
        Fault.TOO_MANY,
        Fault.SERVER_ERROR,
        Fault.RESET,
        Fault.TRUNCATED,
        Fault.EMPTY_BODY,
        Fault.GARBAGE,
        Fault.REPEATED_PAGE,
        Fault.REORDERED,
        Fault.OTHER_TIME_ZONE,
    }
)
_SECONDS: Final = 300.0


def names(count: int) -> list[str]:
    """Name symbols, as Alpaca spells them: in letters."""
    return ["Q" + "".join(each) for each in islice(product(string.ascii_uppercase, repeat=2), count)]


def truth_of(symbols: Sequence[str]) -> Truth:
    """Make two years of days and five sessions of minutes of each."""
    calendar = get_calendar("XNYS")
    label_us = calendar.label_us
    days = dates_between(START, END)
    sessions = dates_between(MINUTE_START, MINUTE_END)
    day_us = label_us[(label_us >= days.start_us) & (label_us < days.end_us)]
    rows = np.flatnonzero((label_us >= sessions.start_us) & (label_us < sessions.end_us))
    opens, closes = calendar.open_us[rows], calendar.close_us[rows]
    minute_us = np.concatenate(
        [np.arange(o, c, MINUTE_US, dtype=np.int64) for o, c in zip(opens, closes, strict=True)]
    )
    bars: dict[tuple[str, Timeframe], BarFrame] = {}
    for seed, symbol in enumerate(symbols):
        bars[symbol, Timeframe.DAY_1] = walk(day_us, seed, symbol)
        bars[symbol, Timeframe.MINUTE_1] = walk(minute_us, seed + 1_000, symbol)
    return Truth(bars, dict.fromkeys(symbols, ()), {})


@contextmanager
def played(truth: Truth, faults: FaultPlan, answer_seconds: float = 0.001) -> Iterator[LoopbackServer]:
    """Play Alpaca in a thread of its own, which nothing that the test waits for holds up."""
    server = LoopbackServer(AlpacaDialect(truth, 1_000), faults, answer_seconds)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="alpaca")
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(server.start(), loop).result(10)
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def settings(server: LoopbackServer) -> dict[str, str | int]:
    """Set a service up to fetch from there."""
    return {
        "MARKETDATA_ALPACA_URL": server.address,
        "MARKETDATA_ALPACA_KEY_ID": KEY_ID,
        "MARKETDATA_ALPACA_SECRET_KEY": SECRET,
        "MARKETDATA_ALPACA_CALLS_A_MINUTE": 100_000,
        "MARKETDATA_INGESTION_LEASE_SECONDS": str(LEASE_SECONDS),
    }


def create(service: Service, symbols: Sequence[str]) -> None:
    """Make symbols known."""
    with SyncMarketDataClient(service.address) as client:
        for symbol in symbols:
            client.create_symbol(NewSymbol(symbol))


def ingest(service: Service, *arguments: str) -> Outcome:
    """Run ``marketdata ingest`` to its end."""
    process = begin(service.folder, "ingest", *arguments, "--address", service.address)
    out, err = process.communicate(timeout=_SECONDS)
    return Outcome(process.returncode, out, err)


def test_backfill_given_provider_that_misbehaves_ends_in_its_truth(
    empty_folder: Path, start: Start
) -> None:
    """200 symbols, two years of days and five sessions of minutes: all of it, none twice.

    What a run gives up after many attempts, the same command gets the next time. When all is there, it
    has nothing to do; a batch asks for the newest days again, and changes nothing.
    """
    symbols = names(SYMBOLS)
    truth = truth_of(symbols)
    wanted = ("-p", "alpaca", "-t", "1d", "-t", "1m", "--all")
    backfill = ("backfill", *wanted, "--start", START, "--end", END)
    with played(truth, at_random(7, FAULTS, 0.08)) as server:
        service = start(empty_folder, **settings(server))
        create(service, symbols)
        ended = [ingest(service, *backfill)]
        while ended[-1].code != 0 and len(ended) < 5:
            ended.append(ingest(service, *backfill))
        assert ended[-1].code == 0, ended[-1].err
        assert not differences(service.database(), truth.bars)
        seq, calls = last_seq(service.database()), len(server.calls)
        again = ingest(service, *backfill)
        assert "everything was fetched already" in again.out
        assert len(server.calls) == calls
        batch = ingest(service, "run", *wanted)
        while batch.code != 0:
            batch = ingest(service, "run", *wanted)
        assert batch.table()[0][1:3] == ["0", "0"]  # accepted, revised
        assert int(batch.table()[0][0].replace(",", "")) <= 7 * SYMBOLS
        assert last_seq(service.database()) == seq
        assert SECRET not in service.log()


@pytest.mark.timeout(600)
def test_backfill_given_fifty_kills_ends_in_the_same_state(empty_folder: Path, start: Start) -> None:
    """Killed with -9 at random points, each process goes on where the last one was; nothing doubles.

    Now and then it is PostgreSQL that is killed: the service starts it again, and the run goes on.
    """
    symbols = names(SYMBOLS)
    truth = truth_of(symbols)
    chance = random.Random(5)  # noqa: S311 -- no secret
    with played(truth, never, answer_seconds=0.35) as server:
        service = start(empty_folder, **settings(server))
        create(service, symbols)
        run = begun(service, symbols)
        fetched = 0
        for number in range(KILLS):
            # One in five before the process has come to anything, the others in the middle of its work.
            if number % 5:
                fetched = until_more(service, run.run_id, fetched)
            time.sleep(chance.uniform(0, 0.3))
            if number % 10 == 1:
                os.kill(service.postmaster_pid(), signal.SIGKILL)
                continue
            service.kill()
            service = start(empty_folder, **settings(server))
        assert status(service, run.run_id).state is RunState.RUNNING
        server.answer_seconds = 0.001
        over = waited_for(service, run.run_id)
        assert over.state is RunState.SUCCEEDED, over.error
        assert not differences(service.database(), truth.bars)
        counts = over.counts
        assert counts.fetched == counts.accepted == sum(len(frame) for frame in truth.bars.values())


def begun(service: Service, symbols: Sequence[str]) -> RunStatus:
    """Start a run of all symbols."""
    with SyncMarketDataClient(service.address) as client:
        return client.start_ingestion(
            IngestionMode.BACKFILL,
            "alpaca",
            symbols,
            ["1d", "1m"],
            *(np.datetime64(day).item() for day in (START, END)),
        )


def until_more(service: Service, run_id: int, fetched: int) -> int:
    """Wait until a run has fetched more than that; return how much it has."""
    deadline = time.monotonic() + 60
    now = fetched
    with SyncMarketDataClient(service.address) as client:
        while now <= fetched:
            assert time.monotonic() < deadline, service.log()
            time.sleep(0.02)
            with suppress(ServiceUnavailableError):  # while PostgreSQL starts again
                now = client.get_ingestion_run(run_id).counts.fetched
    return now


def status(service: Service, run_id: int) -> RunStatus:
    """Ask how far a run is."""
    with SyncMarketDataClient(service.address) as client:
        return client.get_ingestion_run(run_id)


def waited_for(service: Service, run_id: int) -> RunStatus:
    """Watch a run to its end."""
    with SyncMarketDataClient(service.address) as client:
        *_, last = client.watch_ingestion_run(run_id)
        return client.get_ingestion_run(last.run_id)


def test_command_given_ctrl_c_cancels_its_run_and_says_how_to_go_on(
    empty_folder: Path, start: Start
) -> None:
    """The run ends in order, what it fetched stays, and the same command goes on behind it."""
    symbols = names(40)
    truth = truth_of(symbols)
    arguments = ("backfill", "-p", "alpaca", "-t", "1d", "--all", "--start", START, "--end", END)
    with played(truth, never, answer_seconds=0.2) as server:
        service = start(empty_folder, **settings(server))
        create(service, symbols)
        process = begin(service.folder, "ingest", *arguments, "--address", service.address)
        deadline = time.monotonic() + 60
        while len(server.calls) < 10:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 130
        assert "is cancelled" in err
        assert "goes on behind them" in err
        runs = marketdata(service.folder, "ingest", "runs", "--address", service.address)
        assert runs.table()[0][1] == "cancelled"
        server.answer_seconds = 0.001
        assert ingest(service, *arguments).code == 0
        days = {key: frame for key, frame in truth.bars.items() if key[1] is Timeframe.DAY_1}
        assert not differences(service.database(), days)
