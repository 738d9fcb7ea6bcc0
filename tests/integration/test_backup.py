"""The documented backup: restored into an empty database, or an empty server, it answers the same."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pytest

from marketdata.domain.bar_query import BarQuery
from marketdata.domain.calendar_span import CalendarSpan
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import LogGenerationError
from marketdata.storage.address import SERVICE_ROLE
from marketdata.storage.aggregates import settle_aggregates
from marketdata.storage.bar_storage import BarStorage
from marketdata.storage.columnstore import settle_columnstore
from marketdata.storage.embedded import ServerAddress
from marketdata.storage.log_reader import LogReader
from marketdata.storage.migrate import migrate
from marketdata.storage.modes import StorageMode
from marketdata.storage.statistics import StatisticsReader
from tests.support.backups import dump, restore
from tests.support.bars import bars_of
from tests.support.databases import Databases, RunningServer, connected
from tests.support.kept import BARS_A_DAY, midnight_us, store_minutes
from tests.support.privileges import privilege_matrix
from tests.support.reads import read_in_bulk
from tests.support.rows import changes, fetch, latest_bars
from tests.support.servers.provision import REPOSITORY
from tests.support.servers.running import made_bare, server_of
from tests.support.storage import Storage, opened_storage

MINUTE: Final = Timeframe.MINUTE_1
QUERY: Final = BarQuery(("A", "B"), MINUTE, TimeRange(midnight_us(40), midnight_us(-1)))
PASSWORD: Final = "of the servers that these tests run"  # noqa: S105
COMPRESS: Final = """
    SELECT compress_chunk(chunk) FROM show_chunks('market_stock_hist_bars_min_ts') AS chunk
"""
REFRESH: Final = "CALL refresh_continuous_aggregate('bar_statistics_min', NULL, NULL)"
KNOWN_DAYS: Final = "SELECT day, bars FROM bar_statistics_min ORDER BY 1"
COLUMNSTORE: Final = """
    SELECT (SELECT count(*) FROM timescaledb_information.chunks WHERE is_compressed),
           (SELECT count(*) FROM timescaledb_information.jobs WHERE proc_name = 'policy_compression')
"""


async def answers(storage: Storage) -> list[Any]:
    """Ask all that a backup has to bring back: bars, latest, symbols, the log, the settings."""
    bulk = await read_in_bulk(storage, QUERY)
    return [
        bulk.seq,
        [bars_of(frame) for frame in bulk.frames],
        await latest_bars(storage, MINUTE),
        await changes(storage),
        [await storage.symbols.get(symbol) for symbol in QUERY.symbols],
        await BarStorage(storage.pools).of_all(),
    ]


async def filled(storage: Storage) -> list[Any]:
    """Store something of every kind, and give the answers of it."""
    await store_minutes(storage, "A", 20, 9, 2)
    await store_minutes(storage, "B", 9)
    await BarStorage(storage.pools).change(MINUTE, keep=CalendarSpan(months=3))
    return await answers(storage)


async def assert_goes_on(restored: Storage, expected: list[Any]) -> None:
    """Every answer is the same, and the next write gets the next seq."""
    assert await answers(restored) == expected
    await store_minutes(restored, "C", 9, 1)
    # The symbol, then its bars.
    later = [change.seq for change in await changes(restored, expected[0])]
    assert later == [expected[0] + 1, expected[0] + 2]


@pytest.fixture
def empty(databases: Databases, storage_mode: StorageMode) -> Iterator[ServerAddress]:
    """Give an empty database whose server knows the service's role."""
    address = databases.empty()
    if storage_mode is StorageMode.TIMESCALE:  # each of its databases is a server of its own
        with connected(address) as connection:
            connection.execute(f"CREATE ROLE {SERVICE_ROLE}".encode())
    yield address
    databases.drop(address)


async def test_restore_given_a_dump_answers_the_same_and_goes_on(
    storage: Storage,
    database: ServerAddress,
    empty: ServerAddress,
    storage_mode: StorageMode,
    tmp_path: Path,
) -> None:
    """Every answer is the same, the schema is this release's, and the next write gets the next seq."""
    expected = await filled(storage)
    dump(storage_mode, database, tmp_path / "marketdata.dump")
    restore(storage_mode, empty, tmp_path / "marketdata.dump")
    assert await migrate(empty, storage_mode) == []
    async with opened_storage(empty.for_service, owner=lambda: empty) as restored:
        await assert_goes_on(restored, expected)


@pytest.mark.modes("plain", "apache", reason="engines are copies, server and all")
async def test_restore_given_a_dump_begins_another_generation_of_the_change_log(
    storage: Storage,
    database: ServerAddress,
    empty: ServerAddress,
    storage_mode: StorageMode,
    tmp_path: Path,
) -> None:
    """The log goes on with other entries there: positions of before are refused, on one server too."""
    await filled(storage)
    before = (await LogReader(storage.pools).bounds()).head
    dump(storage_mode, database, tmp_path / "marketdata.dump")
    restore(storage_mode, empty, tmp_path / "marketdata.dump")
    async with opened_storage(empty.for_service, owner=lambda: empty) as restored:
        bounds = await LogReader(restored.pools).bounds()
        assert bounds.head_seq == before.seq
        with pytest.raises(LogGenerationError):
            bounds.admit(before)


@pytest.mark.modes("timescale", reason="the community edition's columnstore")
async def test_restore_given_compressed_chunks_has_them_and_their_policies(
    storage: Storage,
    database: ServerAddress,
    empty: ServerAddress,
    storage_mode: StorageMode,
    tmp_path: Path,
) -> None:
    """They come back compressed, with the same answers, and what keeps them so."""
    await settle_columnstore(database, storage_mode)
    expected = await filled(storage)
    await fetch(storage, COMPRESS)
    dump(storage_mode, database, tmp_path / "marketdata.dump")
    restore(storage_mode, empty, tmp_path / "marketdata.dump")
    assert await settle_columnstore(empty, storage_mode) == []
    async with opened_storage(empty.for_service, owner=lambda: empty) as restored:
        assert await fetch(restored, COLUMNSTORE) == await fetch(storage, COLUMNSTORE) == [(3, 3)]
        await assert_goes_on(restored, expected)


@pytest.mark.modes("timescale", reason="continuous aggregates")
async def test_restore_given_days_counted_ahead_knows_them_and_counts_on(
    storage: Storage,
    database: ServerAddress,
    empty: ServerAddress,
    storage_mode: StorageMode,
    tmp_path: Path,
) -> None:
    """Continuous aggregates come back with what they hold; later changes are noted there."""
    await settle_columnstore(database, storage_mode)
    await settle_aggregates(database, storage_mode)
    await filled(storage)
    await run_refresh(storage)
    await fetch(storage, COMPRESS)
    known = await fetch(storage, KNOWN_DAYS)
    assert len(known) == 3
    dump(storage_mode, database, tmp_path / "marketdata.dump")
    restore(storage_mode, empty, tmp_path / "marketdata.dump")
    assert await settle_aggregates(empty, storage_mode) == []
    async with opened_storage(empty.for_service, owner=lambda: empty) as restored:
        assert await fetch(restored, KNOWN_DAYS) == known
        assert await counted(restored) == await counted(storage)
        await store_minutes(restored, "C", 20)
        assert (await counted(restored))[:3] == (5 * BARS_A_DAY, 3, False)
        await run_refresh(restored)
        assert sum(bars for _, bars in await fetch(restored, KNOWN_DAYS)) == 5 * BARS_A_DAY


async def counted(storage: Storage) -> tuple[int, int, bool, int, int]:
    """Give the statistics of the minutes, without sizes."""
    (found,) = await StatisticsReader(storage.pools).of_all()
    return found.rows, found.symbols, found.is_estimate, found.first_us, found.last_us


async def run_refresh(storage: Storage) -> None:
    """Refresh all of what is counted ahead, in no transaction."""
    async with storage.owner.connection() as connection:
        await connection.execute(REFRESH, prepare=False)


@dataclass(frozen=True)
class GivenDatabase:
    """A database as docs/storage.md lets an administrator make it.

    Attributes
    ----------
    administrator, owner, service : ServerAddress
        As whom it is reached.
    """

    administrator: ServerAddress
    owner: ServerAddress
    service: ServerAddress

    @classmethod
    def made_on(cls, server: RunningServer) -> "GivenDatabase":
        """Run the statements of the document on a server that has no role but its administrator's."""
        text = (REPOSITORY / "docs" / "storage.md").read_text()
        statements = re.findall(r"^CREATE (?:ROLE|DATABASE) .*;$", text, re.MULTILINE)
        assert len(statements) == 3
        address = made_bare(server)
        with connected(address.for_maintenance()) as connection:
            for statement in statements:
                connection.execute(statement.replace("...", PASSWORD).encode())
        owner = replace(address, user="market_data_owner", password=PASSWORD)
        return cls(address, owner, replace(owner, user=SERVICE_ROLE))


@pytest.fixture
def servers(storage_mode: StorageMode) -> Iterator[tuple[RunningServer, RunningServer]]:
    """Run two servers of the test's own."""
    with ExitStack() as stack:
        yield (
            stack.enter_context(server_of(storage_mode)),
            stack.enter_context(server_of(storage_mode)),
        )


@pytest.mark.modes("plain", "apache", reason="roles of a server that knows who connects")
async def test_restore_given_an_empty_server_has_every_answer_and_every_right(
    servers: tuple[RunningServer, RunningServer], storage_mode: StorageMode, tmp_path: Path
) -> None:
    """Roles as documented on both; what the service may do there is what it might."""
    source, target = (GivenDatabase.made_on(server) for server in servers)
    if storage_mode.has_hypertables:
        with connected(source.owner) as connection:
            connection.execute("CREATE EXTENSION timescaledb")
    await migrate(source.owner, storage_mode)
    async with opened_storage(lambda: source.service, owner=lambda: source.owner) as storage:
        expected = await filled(storage)
    dump(storage_mode, source.owner, tmp_path / "marketdata.dump")
    # TimescaleDB's own tables are a superuser's.
    by = target.administrator if storage_mode.has_hypertables else target.owner
    restore(storage_mode, by, tmp_path / "marketdata.dump")
    assert privilege_matrix(target.owner) == privilege_matrix(source.owner)
    assert await migrate(target.owner, storage_mode) == []
    async with opened_storage(lambda: target.service, owner=lambda: target.owner) as restored:
        await assert_goes_on(restored, expected)
