"""Commands whose output a person reads: the calendar, the plot, help, and refusals that help."""

import asyncio
from datetime import date
from pathlib import Path

import pytest

from marketdata.client import CorporateAction, CorporateActionKind, MarketDataClient
from marketdata.domain.gaps import UNKNOWN
from marketdata.storage.embedded import ServerAddress
from tests.contract.commands import Commands
from tests.contract.known import Known
from tests.contract.requests import DAY, TUESDAY_US, add_bars, add_symbols
from tests.contract.service import Service
from tests.support.bars import days
from tests.support.databases import Databases, connected

COMMANDS = (
    ["serve"], ["worker"], ["migrate"], ["bars"], ["coverage"], ["symbols"], ["company"], ["export"],
    ["doctor"], ["import"], ["import", "sample"], ["import", "csv"], ["import", "parquet"], ["log"],
    ["log", "show"], ["log", "tail"], ["log", "new-generation"],
)  # fmt: skip
ASKING = (["bars"], ["coverage"], ["symbols"], ["company"], ["export"])
MANY_SESSIONS = ("--start", "2023-12-01", "--end", "2024-02-01")


async def test_coverage_given_service_draws_a_calendar(commands: Commands, known: Known) -> None:
    """A mark a session, holidays blank, then totals and the longest gaps; no escape code in a pipe."""
    found = await commands.run("coverage", "AAPL", *MANY_SESSIONS, "--address", known.service.address)
    assert (found.code, found.err) == (0, "")
    assert "\x1b" not in found.out
    lines = found.out.splitlines()
    # 2023-12-25 and 2024-01-01 and 15 are Mondays without a session.
    december, january = (line for line in lines if line.startswith("Mon"))
    assert december.strip("Mon ") == "xxx"
    assert january == "Mon  ■ xx"
    assert "AAPL 1d: 8 of 41 expected bars are stored (19.51 %), 8 of 41 sessions" in found.out
    assert "2 more are stored where the calendar expects none" in found.out
    assert "2 gaps, the longest first" in lines
    assert [line.split() for line in lines[-3:-1]] == [
        ["2023-12-01", "2023-12-29", "missing", "20"],
        ["2024-01-12", "2024-01-31", "missing", "13"],
    ]
    assert lines[-1] == f"- {UNKNOWN.message}"


async def test_coverage_given_fewer_gaps_asked_lists_the_longest(
    commands: Commands, known: Known
) -> None:
    """The count stays the whole one."""
    commands.use_service(known.service.address)
    found = await commands.run("coverage", "AAPL", *MANY_SESSIONS, "--gaps", "1")
    assert "2 gaps" in found.out
    assert found.out.splitlines()[-2].split()[-1] == "20"


async def test_coverage_given_nothing_stored_says_so(commands: Commands, known: Known) -> None:
    """Without bars and without a range nothing says where a calendar should begin."""
    found = await commands.run("coverage", "BRK.B", "--address", known.service.address)
    assert (found.code, found.out) == (0, "")
    assert "No 1d bars of BRK.B" in found.err


async def test_coverage_given_derived_timeframe_names_those_that_are_stored(
    commands: Commands, known: Known
) -> None:
    """Only what is stored can be missing."""
    found = await commands.run("coverage", "AAPL", "-t", "5m", "--address", known.service.address)
    assert found.code == 1
    assert "1m, 1h, 1d" in found.err


async def test_bars_given_adjustment_takes_actions_out_of_the_prices(
    commands: Commands, service: Service
) -> None:
    """A split halves what was before it; a dividend without a close before it is named instead."""
    await add_symbols(service, "AAPL")
    await add_bars(service, [TUESDAY_US, TUESDAY_US + days(1)], DAY)
    split = CorporateAction(CorporateActionKind.SPLIT, date(2024, 1, 3), split_ratio=2.0)
    dividend = CorporateAction(CorporateActionKind.CASH_DIVIDEND, date(2024, 1, 2), cash_amount=0.5)
    async with MarketDataClient(service.address) as client:
        await client.create_corporate_actions("AAPL", [split, dividend])
    commands.use_service(service.address)
    found = await commands.run("bars", "AAPL", "--adjustment", "all")
    assert [row[5] for row in found.table()] == ["5.50", "12.00"]
    assert "AAPL: prices are not adjusted for what happened on 2024-01-02" in found.err
    raw = await commands.run("bars", "AAPL")
    assert ([row[5] for row in raw.table()], raw.err) == (["11.00", "12.00"], "")


async def test_bars_given_plot_draws_without_colors_in_a_pipe(commands: Commands, known: Known) -> None:
    """Ten bars, their times and what they are, in at most a hundred columns."""
    found = await commands.run("bars", "AAPL", "--plot", "--address", known.service.address)
    assert (found.code, found.err) == (0, "")
    assert "\x1b" not in found.out
    assert max(len(line) for line in found.out.splitlines()) <= 100
    assert "╵2024-01-02" in found.out
    assert "AAPL 1d raw · 10 bars · close 20.00" in found.out


async def test_bars_given_plot_of_none_says_so(commands: Commands, known: Known) -> None:
    """There is nothing to draw."""
    found = await commands.run("bars", "BRK.B", "--plot", "--address", known.service.address)
    assert (found.code, found.out) == (0, "")
    assert "No 1d bars of BRK.B" in found.err


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
async def test_help_given_command_shows_how_it_is_typed(commands: Commands, command: list[str]) -> None:
    """Every command teaches by an example of its own."""
    found = await commands.run(*command, "--help")
    assert found.code == 0
    assert f"marketdata {' '.join(command)}" in found.out.split("Example:", 1)[1]


@pytest.mark.parametrize("command", ASKING, ids=" ".join)
async def test_help_given_command_that_asks_says_where_and_in_which_zone(
    commands: Commands, command: list[str]
) -> None:
    """The default of the address is told, and so are units of time."""
    commands.use(COLUMNS=200)
    found = await commands.run(*command, "--help")
    assert "default: MARKETDATA_HOST and MARKETDATA_PORT" in found.out
    assert "UTC" in found.out or "ISO 8601" in found.out


async def test_import_given_dry_run_on_an_empty_database_changes_nothing(
    commands: Commands, databases: Databases, database: ServerAddress
) -> None:
    """A dry run brings no schema: it says what does; on a database of this release it goes on."""
    empty = databases.empty()
    commands.use_database(empty)
    content = "time,open,high,low,close\n2024-01-02,1,2,1,2\n"
    await asyncio.to_thread(Path("bars.csv").write_text, content)
    arguments = ("import", "csv", "bars.csv", "-t", "1d", "-s", "AAPL", "--dry-run", "--create-symbols")
    refused = await commands.run(*arguments)
    assert refused.code == 1
    assert "run marketdata migrate first" in refused.err
    with connected(empty) as connection:
        tables = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        assert tables.fetchone() == (0,)
    databases.drop(empty)
    commands.use_database(database)
    assert (await commands.run(*arguments)).code == 0
