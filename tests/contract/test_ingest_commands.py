"""``marketdata ingest`` beside a running service: what people see, and what pipes get."""

import csv
import io
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Final

import pytest

from marketdata.domain.company import CompanyFacts
from marketdata.domain.corporate_action import CorporateAction, CorporateActionKind
from marketdata.domain.symbol import NewSymbol
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import ProviderAnswerError
from marketdata.storage.embedded import ServerAddress
from tests.contract.commands import Commands
from tests.contract.service import Service, serving
from tests.support.ingesting import days
from tests.support.scripted_provider import OneProvider, ScriptedProvider

SYMBOLS: Final = ("A", "B")
YEAR: Final = ("-p", "alpaca", "-t", "1d", "--start", "2023-01-01", "--end", "2024-01-01")
BARS: Final = 250  # sessions of New York in 2023


@pytest.fixture
def provider() -> ScriptedProvider:
    """Give a provider that has a year of days of two symbols."""
    return ScriptedProvider(
        {(s, Timeframe.DAY_1): days(s, "2023-01-01", "2024-01-01", n) for n, s in enumerate(SYMBOLS)}
    )


@pytest.fixture
async def service(
    database: ServerAddress, provider: ScriptedProvider, commands: Commands
) -> AsyncIterator[Service]:
    """Give a service that fetches from that provider, and commands that look for it."""
    async with serving(lambda: database, OneProvider(provider)) as running:
        for symbol in SYMBOLS:
            await running.stores.symbols.create(NewSymbol(symbol))
        commands.use_service(running.address)
        yield running


@pytest.mark.usefixtures("service")
async def test_backfill_given_symbols_says_what_became_of_them(commands: Commands) -> None:
    """The account of the run, and the second time that there is nothing to do."""
    done = await commands.run("ingest", "backfill", *SYMBOLS, *YEAR)
    assert done.code == 0, done.err
    counts = done.table()[0]
    assert counts[:2] == [f"{2 * BARS}", f"{2 * BARS}"]
    assert "2 of 2 tasks done" in done.out
    again = await commands.run("ingest", "backfill", *SYMBOLS, *YEAR)
    assert again.code == 0
    assert "everything was fetched already; --refetch does it again" in again.out
    once_more = await commands.run("ingest", "backfill", "A", *YEAR, "--refetch")
    assert once_more.table()[0][3] == f"{BARS}"  # unchanged


@pytest.mark.usefixtures("service")
async def test_backfill_given_a_file_of_symbols_or_all_takes_them(
    commands: Commands, tmp_path: Path, provider: ScriptedProvider
) -> None:
    """A line a symbol, comments left out, repeats once; --all are the active ones."""
    path = tmp_path / "symbols.txt"
    path.write_text("# mine\nA\n\nB  # the other\nA\n")
    done = await commands.run("ingest", "backfill", "--symbols", str(path), *YEAR, "--detach")
    assert done.code == 0, done.err
    assert "2 symbols, 2 tasks" in done.out
    everyone = await commands.run("ingest", "backfill", "--all", *YEAR, "--refetch")
    assert everyone.code == 0
    assert {request.symbol.symbol for request in provider.requests} == set(SYMBOLS)


@pytest.mark.usefixtures("service")
async def test_run_given_symbol_that_fails_says_which_and_ends_with_1(
    commands: Commands, provider: ScriptedProvider
) -> None:
    """The trouble stands in a table, the reason on standard error; the good ones are counted."""
    provider.fails["B"] = ProviderAnswerError("its answer is no JSON")
    done = await commands.run("ingest", "backfill", *SYMBOLS, *YEAR)
    assert done.code == 1
    assert "its answer is no JSON" in done.out
    assert "1 of 2 tasks done" in done.out
    assert "1 task failed" in done.err
    assert done.table()[0][0] == f"{BARS + 100}"


@pytest.mark.usefixtures("service")
async def test_watch_given_run_follows_it_to_its_end(commands: Commands) -> None:
    """A run that was started detached is looked at later."""
    started = await commands.run("ingest", "run", "A", "-p", "alpaca", "-t", "1d", "--detach",
                                 "--start", "2023-01-01")  # fmt: skip
    assert "marketdata ingest watch 1 follows it" in started.out
    watched = await commands.run("ingest", "watch", "1")
    assert watched.code == 0
    assert watched.table()[0][:2] == [f"{BARS}", f"{BARS}"]
    cancelled = await commands.run("ingest", "cancel", "1")
    assert "was over already: succeeded" in cancelled.out


@pytest.mark.usefixtures("service")
async def test_runs_given_forms_lists_them_for_people_and_pipes(commands: Commands) -> None:
    """The newest first; --json is an object a line, --csv a table with a header."""
    nothing = await commands.run("ingest", "runs")
    assert (nothing.code, nothing.out) == (0, "")
    assert "There are no such runs" in nothing.err
    for symbol in SYMBOLS:
        await commands.run("ingest", "backfill", symbol, *YEAR, "--request-id", f"year of {symbol}")
    listed = await commands.run("ingest", "runs")
    assert [row[:4] for row in listed.table()] == [
        ["2", "succeeded", "backfill", "alpaca"],
        ["1", "succeeded", "backfill", "alpaca"],
    ]
    objects = [
        json.loads(line) for line in (await commands.run("ingest", "runs", "--json")).out.splitlines()
    ]
    assert [each["request_id"] for each in objects] == ["year of B", "year of A"]
    assert objects[0]["fetched"] == objects[0]["accepted"] == BARS
    rows = list(csv.DictReader(io.StringIO((await commands.run("ingest", "runs", "--csv")).out)))
    assert [row["state"] for row in rows] == ["succeeded", "succeeded"]
    failed = await commands.run("ingest", "runs", "--state", "failed", "--json")
    assert (failed.code, failed.out) == (0, "")


async def test_actions_given_symbols_says_what_became_of_them(
    service: Service, commands: Commands, provider: ScriptedProvider
) -> None:
    """The account of corporate actions; a correction is said, and runs show the mode."""
    split = CorporateAction(CorporateActionKind.SPLIT, date(2023, 6, 1), split_ratio=2.0)
    provider.actions = {"A": [split]}
    done = await commands.run("ingest", "actions", *SYMBOLS, "-p", "alpaca")
    assert done.code == 0, done.err
    assert done.table()[0][:4] == ["1", "1", "0", "0"]  # fetched, accepted, revised, unchanged
    assert "2 of 2 tasks done" in done.out
    provider.actions = {"A": [replace(split, split_ratio=3.0)]}
    corrected = await commands.run("ingest", "actions", "--all", "-p", "alpaca", "--refetch")
    assert "split of 2023-06-01 was 2 and is 3 now" in corrected.out
    assert corrected.table()[0][:3] == ["1", "0", "1"]
    (stored,) = await service.stores.actions.list_all("A")
    assert stored.split_ratio == 3.0
    listed = await commands.run("ingest", "runs")
    assert [row[1:4] for row in listed.table()] == [["succeeded", "actions", "alpaca"]] * 2
    provider.companies = {"B": CompanyFacts(name="Bee", sector="Insects")}
    facts = await commands.run("ingest", "company", "B", "-p", "alpaca")
    assert (facts.code, facts.table()[0][:2]) == (0, ["2", "2"])
    await service.stores.companies.update("B", {"industry": "Honey"})
    shown = (await commands.run("company", "B")).out
    assert "sector      Insects" in shown
    assert "by hand     industry" in shown
    detached = await commands.run("ingest", "actions", "A", "-p", "alpaca", "--detach")
    assert "1 symbols, 1 tasks" in detached.out


@pytest.mark.usefixtures("service")
async def test_commands_given_mistakes_say_what_to_do(commands: Commands, tmp_path: Path) -> None:
    """Wrong usage ends with 2 before anybody is asked; what the service refuses ends with 1."""
    misused: list[tuple[tuple[str, ...], str]] = [
        (("backfill", *YEAR), "name the symbols, or give --symbols FILE or --all"),
        (("backfill", "A", "--all", *YEAR), "exclude each other"),
        (("backfill", "--symbols", str(tmp_path / "none"), *YEAR), "cannot be read"),
        (("backfill", "A", "-p", "alpaca", "-t", "1d"), "--start"),
    ]
    for arguments, words in misused:
        done = await commands.run("ingest", *arguments)
        assert done.code == 2
        assert words in " ".join(done.err.replace("│", " ").split())
    refused: list[tuple[tuple[str, ...], str]] = [
        (("backfill", "NOPE", *YEAR), "NOPE is not known; CreateSymbol adds it"),
        (("backfill", "A", "-p", "alpaca", "-t", "5m", "--start", "2023-01-01"), "derived on read"),
        (("watch", "99"), "there is no ingestion run 99"),
        (("cancel", "99"), "there is no ingestion run 99"),
    ]
    for arguments, words in refused:
        done = await commands.run("ingest", *arguments)
        assert done.code == 1
        assert words in " ".join(done.err.split())


@pytest.mark.usefixtures("service")
async def test_providers_given_one_shows_what_it_has(commands: Commands) -> None:
    """Name, whether it is ready, and what it has."""
    done = await commands.run("ingest", "providers")
    assert done.code == 0
    assert done.table()[0][:2] == ["alpaca", "yes"]


async def test_providers_given_no_keys_says_which_settings_are_missing(
    database: ServerAddress, commands: Commands
) -> None:
    """The real catalog, without a key: every provider is there, with what it lacks."""
    async with serving(lambda: database) as running:
        commands.use_service(running.address)
        done = await commands.run("ingest", "providers")
        refused = await commands.run("ingest", "run", "A", "-p", "alpaca", "-t", "1d")
    assert done.code == 0
    text = " ".join(done.out.split())
    for name in (
        "MARKETDATA_ALPHA_VANTAGE_API_KEY",
        "MARKETDATA_ALPACA_KEY_ID",
        "MARKETDATA_TIINGO_TOKEN",
    ):
        assert name in text
    assert refused.code == 1
    assert "set MARKETDATA_ALPACA_KEY_ID" in " ".join(refused.err.split())
