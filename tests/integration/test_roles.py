"""The service's role: what it may do, and that everything else fails.

A change of the rights renews the lists, which a reviewer then reads:

    RENEW_PRIVILEGES=1 .venv/bin/python -m pytest tests/integration/test_roles.py \
        --mode plain --mode apache --mode timescale
"""

import os
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from psycopg import errors as pg
from psycopg import sql

from marketdata.domain.timeframe import Timeframe
from marketdata.storage.address import SERVICE_ROLE
from marketdata.storage.embedded import ServerAddress
from marketdata.storage.modes import StorageMode
from tests.support.bars import Bar, days, frame_of
from tests.support.databases import connected
from tests.support.dumps import DATA
from tests.support.privileges import as_service, privilege_matrix
from tests.support.rows import TABLES, fetch, stored_bars
from tests.support.storage import Storage

DAY_US: Final = days(20_000)
MINUTES: Final = TABLES[Timeframe.MINUTE_1]
DAYS: Final = TABLES[Timeframe.DAY_1]

DEFINITIONS: Final = {
    "create a table": "CREATE TABLE more ()",
    "create a schema": "CREATE SCHEMA more",
    "create a function": "CREATE FUNCTION more() RETURNS int LANGUAGE sql RETURN 1",
    "create a role": "CREATE ROLE more",
    "alter a table": "ALTER TABLE market_symbol ADD COLUMN more int",
    "drop a table": "DROP TABLE bar_latest",
    "drop bars": f"DROP TABLE {MINUTES}",
    "truncate": f"TRUNCATE {MINUTES}",
    "create an index": "CREATE INDEX more ON bar_latest (feed)",
    "create a trigger": (
        "CREATE TRIGGER more BEFORE INSERT ON bar_write FOR EACH ROW"
        " EXECUTE FUNCTION bar_write_take_seq()"
    ),
    "switch the change log off": "ALTER TABLE bar_write DISABLE TRIGGER bar_write_seq",
    "switch all triggers off": "SET session_replication_role = replica",
    "change a function": "ALTER FUNCTION bar_partition_drop_oldest(bar_table) RESET search_path",
    "drop an extension": "DROP EXTENSION pg_trgm",
}
POWERS: Final = {
    "become the owner": "SET ROLE postgres",
    "become who writes files": "SET ROLE pg_write_server_files",
    "raise itself": sql.SQL("ALTER ROLE {} CREATEROLE").format(sql.Identifier(SERVICE_ROLE)),
    "run a program": "COPY bar_latest TO PROGRAM 'true'",
    "read from a program": "COPY bar_latest FROM PROGRAM 'true'",
    "write a file": "COPY bar_latest TO '/tmp/marketdata_more'",
    "read a file": "COPY bar_latest FROM '/etc/hostname'",
    "read a file by function": "SELECT pg_read_file('PG_VERSION')",
    "list a folder": "SELECT pg_ls_dir('.')",
    "import a large object": "SELECT lo_import('/etc/hostname')",
    "read passwords": "SELECT * FROM pg_authid",
    "reload the server": "SELECT pg_reload_conf()",
}
WRITES: Final = {
    "invent a migration": "INSERT INTO schema_migration VALUES (9999, 'more', '')",
    "forget a migration": "DELETE FROM schema_migration",
    "set the sequence of writes": "SELECT setval('bar_write_id', 1)",
    "insert into another service's table": "INSERT INTO foreign_orders VALUES (2)",
    "update another service's table": "UPDATE foreign_orders SET id = 2",
    "delete from another service's table": "DELETE FROM foreign_orders",
}
REFUSED: Final = {**DEFINITIONS, **POWERS, **WRITES}


@pytest.fixture
async def filled(storage: Storage) -> Storage:
    """Give a database that has a bar, so that there is a partition or a chunk."""
    await storage.writer.commit_bars(frame_of([Bar("AAPL", DAY_US)]), Timeframe.DAY_1)
    return storage


@pytest.fixture
def foreign(database: ServerAddress) -> None:
    """Let there be a table that another owner allows the service to read."""
    with connected(database) as connection:
        connection.execute("CREATE TABLE foreign_orders AS SELECT 1 AS id")
        connection.execute(f"REVOKE ALL ON foreign_orders FROM {SERVICE_ROLE}")
        connection.execute(f"GRANT SELECT ON foreign_orders TO {SERVICE_ROLE}")


@pytest.mark.usefixtures("filled")
async def test_rights_given_a_migrated_database_are_the_checked_in_ones(
    database: ServerAddress, storage_mode: StorageMode
) -> None:
    """Whoever makes a table, a partition or a function sees what the service may do with it."""
    golden = DATA / f"privileges.{storage_mode.value}.txt"
    found = privilege_matrix(database)
    if os.environ.get("RENEW_PRIVILEGES"):
        golden.write_text(found)
    assert found == golden.read_text(), "RENEW_PRIVILEGES=1 renews the list"


@pytest.mark.usefixtures("foreign")
@pytest.mark.parametrize("statement", REFUSED.values(), ids=REFUSED.keys())
async def test_service_given_what_is_not_its_own_is_refused(
    database: ServerAddress, statement: str | sql.Composed
) -> None:
    """No definition, no file, no other role, and no row of others."""
    query = statement.encode() if isinstance(statement, str) else statement
    with as_service(database) as service, pytest.raises(pg.InsufficientPrivilege):
        service.execute(query)


@pytest.mark.modes("plain", "apache", reason="a server that knows who connects")
@pytest.mark.parametrize(
    "statement",
    [
        "SET SESSION AUTHORIZATION postgres",
        "CREATE DATABASE more",
        "ALTER SYSTEM SET fsync = off",
        "ALTER DATABASE postgres SET synchronous_commit = off",
        "CREATE TABLESPACE more LOCATION '/tmp'",
    ],
)
async def test_service_given_what_is_the_servers_is_refused(
    database: ServerAddress, statement: str
) -> None:
    """It has one database, and cannot turn durability off for others."""
    with connected(database.for_service()) as service, pytest.raises(pg.InsufficientPrivilege):
        service.execute(statement.encode())


@pytest.mark.modes("plain", "apache", reason="two sessions at once")
async def test_service_given_a_session_of_the_owner_cannot_end_it(database: ServerAddress) -> None:
    """A migration that runs is not stopped by the service."""
    with connected(database) as owner, connected(database.for_service()) as service:
        with pytest.raises(pg.InsufficientPrivilege):
            service.execute("SELECT pg_terminate_backend(%s)", [owner.info.backend_pid])
        assert owner.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.modes("plain", reason="native partitions")
@pytest.mark.parametrize(
    "statement", ["DROP TABLE {part}", "ALTER TABLE {table} DETACH PARTITION {part}"]
)
async def test_service_given_a_partition_cannot_take_it_away(
    filled: Storage, database: ServerAddress, statement: str
) -> None:
    """Partitions that its own writes have made belong to the migrator."""
    ((part,),) = await fetch(filled, "SELECT name FROM bar_partitions('day')")
    query = sql.SQL(statement).format(table=sql.Identifier(DAYS), part=sql.Identifier(part))  # type: ignore[arg-type]
    with as_service(database) as service, pytest.raises(pg.InsufficientPrivilege):
        service.execute(query)


@pytest.mark.modes("apache", "timescale", reason="chunks")
async def test_service_given_chunks_cannot_drop_them(filled: Storage, database: ServerAddress) -> None:
    """What retention may drop is dropped by its function only."""
    drop = sql.SQL("SELECT drop_chunks({}, older_than => now())").format(sql.Literal(DAYS))
    with as_service(database) as service, pytest.raises(pg.InsufficientPrivilege):
        service.execute(drop)
    assert len(await stored_bars(filled, Timeframe.DAY_1)) == 1


@pytest.mark.modes("timescale", reason="compression and policies")
@pytest.mark.parametrize(
    "statement",
    [
        "SELECT add_retention_policy('{table}', interval '1 year')",
        "ALTER TABLE {table} SET (timescaledb.compress)",
        "SELECT compress_chunk(chunk) FROM show_chunks('{table}') AS chunk",
    ],
)
@pytest.mark.usefixtures("filled")
async def test_service_given_a_hypertable_cannot_set_its_policies(
    database: ServerAddress, statement: str
) -> None:
    """How bars are kept is set by the role that owns them."""
    query = statement.format(table=DAYS).encode()
    with as_service(database) as service, pytest.raises(pg.InsufficientPrivilege):
        service.execute(query)


async def test_functions_given_the_owners_rights_are_narrow(database: ServerAddress) -> None:
    """Not for everybody, with names that nobody can stand in front of, and without a text to run."""
    with connected(database) as connection:
        found = connection.execute(
            """
            SELECT oid::regprocedure::text, has_function_privilege('public', oid, 'EXECUTE'),
                   'search_path=pg_catalog, pg_temp' = ANY (proconfig),
                   ARRAY(SELECT format_type(type, NULL) FROM unnest(proargtypes) AS type)
              FROM pg_proc WHERE prosecdef AND pronamespace = 'public'::regnamespace
                             AND proowner = current_user::regrole
            """
        ).fetchall()
    assert found
    for name, is_for_everybody, has_search_path, arguments in found:
        assert not is_for_everybody, name
        assert has_search_path, name
        assert isinstance(arguments, list)
        assert set(arguments) <= {"bar_table", "timestamp with time zone", "timestamp with time zone[]"}


@pytest.mark.modes("plain", reason="native partitions")
@pytest.mark.parametrize(
    ("which", "starts"),
    [
        pytest.param("day", None, id="no starts"),
        pytest.param(None, [datetime(2024, 9, 14, tzinfo=UTC)], id="no table"),
        pytest.param("day", [None], id="a null"),
        pytest.param("day", ["infinity"], id="the end of time"),
        pytest.param("day", ["-infinity"], id="the beginning of time"),
        pytest.param("min", [datetime(1989, 12, 31, tzinfo=UTC)], id="a minute too early"),
        pytest.param("day", [datetime(1899, 11, 9, tzinfo=UTC)], id="a day too early"),
        pytest.param("min", [datetime(2100, 1, 1, tzinfo=UTC)], id="too late"),
        pytest.param("min", [datetime(2024, 9, 14, 12, tzinfo=UTC)], id="no start of a partition"),
        pytest.param("min", [datetime(2024, 9, 14, tzinfo=UTC)] * 1_001, id="too many"),
    ],
)
async def test_ensure_given_unfit_arguments_refuses_them(
    database: ServerAddress, which: str | None, starts: list[Any] | None
) -> None:
    """It runs with the owner's rights, so it checks what it is given, and makes nothing."""
    with as_service(database) as service:
        service.execute("SAVEPOINT before")
        with pytest.raises(pg.InvalidParameterValue):
            service.execute(
                "SELECT bar_partition_ensure(%s::bar_table, %s::timestamptz[])", [which, starts]
            )
        service.execute("ROLLBACK TO before")
        names = service.execute("SELECT name FROM bar_partitions('day')").fetchall()
        assert names == service.execute("SELECT name FROM bar_partitions('min')").fetchall() == []


@pytest.mark.modes("plain", reason="native partitions")
async def test_ensure_given_the_bounds_of_all_times_makes_their_partitions(
    database: ServerAddress,
) -> None:
    """The first and the last partition that a bar can need, and as many starts as a call takes."""
    last = datetime(2099, 12, 31, tzinfo=UTC)
    with as_service(database) as service:
        for which, first in (
            ("min", datetime(1990, 1, 1, tzinfo=UTC)),
            ("day", datetime(1899, 12, 9, tzinfo=UTC)),
        ):
            grid = timedelta(days=1 if which == "min" else 30)
            end = first + (last - first) // grid * grid
            made = service.execute(
                "SELECT bar_partition_ensure(%s, %s::timestamptz[])", [which, [first, end] * 500]
            ).fetchone()
            assert made == (2,)


async def test_drop_oldest_given_a_table_in_front_of_its_own_is_not_deceived(
    filled: Storage, database: ServerAddress
) -> None:
    """A temporary table of the same name, in which retention is confirmed, is not what it reads."""
    with as_service(database) as service:
        service.execute("CREATE TEMPORARY TABLE bar_storage AS TABLE public.bar_storage")
        service.execute("UPDATE bar_storage SET keep_confirmed_at = now()")
        with pytest.raises(pg.ObjectNotInPrerequisiteState):
            service.execute("SELECT * FROM bar_partition_drop_oldest('day')")
    assert len(await stored_bars(filled, Timeframe.DAY_1)) == 1


async def test_drop_oldest_given_a_confirmed_retention_drops_for_the_service(
    filled: Storage, database: ServerAddress
) -> None:
    """What is older than is kept goes with one call of the service, and no other way."""
    old = Bar("AAPL", days(10_000))
    await filled.writer.commit_bars(frame_of([old]), Timeframe.DAY_1)
    await fetch(filled, "UPDATE bar_storage SET keep_confirmed_at = now()")
    with as_service(database) as service:
        ((start, end),) = service.execute("SELECT * FROM bar_partition_drop_oldest('day')").fetchall()
        assert start <= datetime(1997, 5, 19, tzinfo=UTC) < end
        left = service.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(DAYS)))
        assert left.fetchone() == (1,)


async def test_service_given_its_own_tables_reads_and_writes_them(
    filled: Storage, database: ServerAddress
) -> None:
    """Rows of every one, partitions and chunks included, and statistics of them."""
    with as_service(database) as service:
        tables = service.execute(
            """
            SELECT oid::regclass::text FROM pg_class
             WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace
               AND relname NOT IN ('schema_migration', 'token_key')
            """
        ).fetchall()
        assert len(tables) > 10
        for (table,) in tables:
            name = sql.Identifier(table)
            service.execute(sql.SQL("SELECT FROM {} LIMIT 1").format(name))
            service.execute(sql.SQL("DELETE FROM {}").format(name))
    (part,) = await filled.statistics.of_all()
    assert (part.timeframe, part.partitions) == (Timeframe.DAY_1, 1)
    assert part.size_bytes > 0
