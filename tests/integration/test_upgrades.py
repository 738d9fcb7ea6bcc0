"""Databases of before, with what they stored, brought to this release in every storage mode."""

import gzip
from typing import Final

import pytest

from marketdata.storage import migrate as migrate_module
from marketdata.storage.embedded import ServerAddress
from marketdata.storage.ingestion.targets import TargetStore
from marketdata.storage.migrate import migrate, migrations
from marketdata.storage.modes import StorageMode
from tests.support.databases import Databases, connected
from tests.support.dumps import FIRST_RELEASE, restore_database, rows_of
from tests.support.releases import assert_kept
from tests.support.storage import opened_storage

# What release 0.1 had: its dump says so.
FIRST: Final = 4
# The migration after which coverage says why bars are missing.
GAP_REASONS: Final = 18
# The one after which a target has several providers.
TARGET_PROVIDERS: Final = 22
# A was called C before; of B no bar is there.
FETCHED_BEFORE: Final = """
    INSERT INTO market_symbol
           (symbol, venue, asset_class, currency, calendar, time_zone, status)
    SELECT symbol, 'XNYS', 'equity', 'USD', 'XNYS', 'America/New_York', 'active'
      FROM unnest(ARRAY['A', 'B']) AS symbol;
    INSERT INTO symbol_validity (symbol_id, symbol, valid_from, valid_to)
    SELECT symbol_id, ticker, valid_from::date, valid_to::date
      FROM market_symbol
      JOIN (VALUES ('A', 'C', NULL, '2024-02-01'), ('A', 'A', '2024-02-01', NULL),
                   ('B', 'B', NULL, NULL))
           AS named (symbol, ticker, valid_from, valid_to) USING (symbol);
    INSERT INTO bar_latest (symbol, timeframe, first_time, time, open, high, low, close, volume, vwap,
                            trade_count, feed, flags, revision, write_id)
    SELECT symbol, '1d', first::timestamptz, last::timestamptz, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1
      FROM (VALUES ('C', '2024-01-02 UTC', '2024-01-31 UTC'),
                   ('A', '2024-02-01 UTC', '2024-03-01 UTC')) AS held (symbol, first, last);
    INSERT INTO ingestion_fetched (provider, symbol_id, timeframe, ranges)
    SELECT 'alpaca', symbol_id, '1d', '{[2023-01-01,2024-06-01)}' FROM market_symbol;
"""


async def migrate_before(
    number: int, database: ServerAddress, mode: StorageMode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bring a database to what it was before a migration."""
    before = [one for one in migrations(mode) if one.number < number]
    with monkeypatch.context() as patch:
        patch.setattr(migrate_module, "migrations", lambda _: before)
        await migrate(database, mode)


@pytest.mark.modes("apache", "timescale", reason="plain mode restores the dump itself")
async def test_migrate_given_the_first_releases_hypertables_keeps_their_rows_and_goes_on(
    databases: Databases, storage_mode: StorageMode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its migrations, which nobody edits, then the rows of its dump, then the migrations since."""
    empty = databases.empty()
    try:
        with monkeypatch.context() as patch:
            patch.setattr(migrate_module, "migrations", lambda mode: migrations(mode)[:FIRST])
            await migrate(empty, storage_mode)
        restore_database(empty, rows_of(gzip.decompress(FIRST_RELEASE.read_bytes()).decode()))
        later = await migrate(empty, storage_mode)
        assert later == migrations(storage_mode)[FIRST:]
        async with opened_storage(lambda: empty) as storage:
            await assert_kept(storage)
    finally:
        databases.drop(empty)


async def test_migrate_given_answers_of_before_lets_the_stored_bars_stand_in_for_those_given(
    databases: Databases, storage_mode: StorageMode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was fetched before gaps had reasons is told apart by the bars that are there, or by none."""
    empty = databases.empty()
    try:
        await migrate_before(GAP_REASONS, empty, storage_mode, monkeypatch)
        with connected(empty) as connection:
            connection.execute(FETCHED_BEFORE)
        await migrate(empty, storage_mode)
        with connected(empty) as connection:
            rows = connection.execute(
                "SELECT symbol, (first_time AT TIME ZONE 'UTC')::date::text,"
                "       (last_time AT TIME ZONE 'UTC')::date::text, deleted::text"
                "  FROM ingestion_fetched JOIN market_symbol USING (symbol_id) ORDER BY 1"
            ).fetchall()
        assert rows == [("A", "2024-01-02", "2024-03-01", "{}"), ("B", None, None, "{}")]
    finally:
        databases.drop(empty)


async def test_migrate_given_targets_of_before_asks_their_provider_first(
    databases: Databases, storage_mode: StorageMode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one provider of a target becomes the first of its providers."""
    empty = databases.empty()
    try:
        await migrate_before(TARGET_PROVIDERS, empty, storage_mode, monkeypatch)
        with connected(empty) as connection:
            connection.execute(
                "INSERT INTO ingestion_target (name, symbols, timeframes, provider)"
                " VALUES ('days', '{AAPL}', '{1d}', 'yahoo'), ('all', '{}', '{1m}', 'iex')"
            )
        await migrate(empty, storage_mode)
        async with opened_storage(lambda: empty) as storage:
            targets = await TargetStore(storage.pools).list_all()
        assert [(target.name, target.providers) for target in targets] == [
            ("all", ("iex",)),
            ("days", ("yahoo",)),
        ]
    finally:
        databases.drop(empty)
