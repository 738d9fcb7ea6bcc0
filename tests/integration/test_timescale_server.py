"""The community-licence server of the tests: its licence, its databases, its turns."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from marketdata.storage.embedded import ServerAddress
from tests.support.databases import connected
from tests.support.servers.provision import NotProvisionedError, skip_or_fail
from tests.support.servers.timescale import TimescaleServer

START = datetime(2026, 1, 1, tzinfo=UTC)
MAKE_HYPERTABLE = """
    CREATE TABLE measured (time timestamptz NOT NULL, value float8 NOT NULL);
    SELECT create_hypertable('measured', by_range('time', INTERVAL '7 days'));
    INSERT INTO measured
    SELECT '2026-01-01'::timestamptz + day * INTERVAL '1 day', day FROM generate_series(0, 99) AS day;
"""


@pytest.fixture(scope="module")
def timescale() -> Iterator[ServerAddress]:
    """Run a server where a turn is awaited for a second; give a database with a hypertable."""
    try:
        server = TimescaleServer(patience_seconds=1.0)
    except NotProvisionedError as error:
        skip_or_fail(error)
    try:
        address = server.start()
        with connected(address) as connection:
            connection.execute(MAKE_HYPERTABLE)
        yield address
    finally:
        server.stop()


@pytest.fixture
def copied(timescale: ServerAddress) -> Iterator[ServerAddress]:
    """Give a copy of that database, the test's own."""
    with connected(timescale.for_maintenance()) as connection:
        connection.execute("CREATE DATABASE copied TEMPLATE marketdata")
        yield replace(timescale, database="copied")
        connection.execute("DROP DATABASE copied WITH (FORCE)")


def value_of(connection: "psycopg.Connection[Any]", statement: str) -> object:
    """Ask for one value."""
    row = connection.execute(statement.encode()).fetchone()
    assert row is not None
    return row[0]


def test_timescale_server_given_its_licence_compresses(copied: ServerAddress) -> None:
    """It is TimescaleDB under the community licence, and a compressed chunk still answers."""
    with connected(copied) as connection:
        assert value_of(connection, "SHOW timescaledb.license") == "timescale"
        connection.execute("ALTER TABLE measured SET (timescaledb.compress)")
        chunks = connection.execute(
            "SELECT compress_chunk(chunk) FROM show_chunks('measured') AS chunk"
        )
        assert len(chunks.fetchall()) == 15
        statuses = "SELECT DISTINCT compression_status FROM chunk_compression_stats('measured')"
        assert value_of(connection, statuses) == "Compressed"
        assert value_of(connection, "SELECT sum(value) FROM measured") == sum(range(100))


def test_timescale_server_given_a_policy_runs_its_job(copied: ServerAddress) -> None:
    """A policy does its work when its job is called: no scheduler runs by itself."""
    with connected(copied) as connection:
        job = value_of(connection, "SELECT add_retention_policy('measured', INTERVAL '20 years')")
        connection.execute("INSERT INTO measured VALUES ('2000-01-01', 1)")
        assert value_of(connection, "SELECT count(*) FROM measured") == 101
        connection.execute("CALL run_job(%s)", [job])
        assert value_of(connection, "SELECT count(*) FROM measured") == 100


def test_timescale_server_given_a_continuous_aggregate_answers_from_it(copied: ServerAddress) -> None:
    """Continuous aggregates are made and refreshed."""
    with connected(copied) as connection:
        connection.execute(
            "CREATE MATERIALIZED VIEW weekly WITH (timescaledb.continuous) AS"
            " SELECT time_bucket('7 days', time) AS week, sum(value) AS total"
            " FROM measured GROUP BY week WITH NO DATA"
        )
        assert value_of(connection, "SELECT count(*) FROM weekly") == 0
        connection.execute("CALL refresh_continuous_aggregate('weekly', NULL, NULL)")
        assert value_of(connection, "SELECT sum(total) FROM weekly") == sum(range(100))


@pytest.mark.parametrize("extension", ["btree_gist", "fuzzystrmatch", "pg_trgm"])
def test_timescale_server_given_an_extension_of_the_migrations_has_it(
    copied: ServerAddress, extension: str
) -> None:
    """The schema needs PostgreSQL's own extensions too."""
    with connected(copied) as connection:
        connection.execute(f"CREATE EXTENSION {extension}".encode())


def test_timescale_server_given_a_copy_of_a_database_changes_only_that(
    timescale: ServerAddress, copied: ServerAddress
) -> None:
    """Databases are apart: each test can have its own."""
    with connected(copied) as connection:
        connection.execute("DELETE FROM measured")
    with connected(timescale) as connection:
        assert value_of(connection, "SELECT count(*) FROM measured") == 100


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("CREATE DATABASE postgres", psycopg.errors.DuplicateDatabase),
        ("CREATE DATABASE other TEMPLATE nope", psycopg.errors.InvalidCatalogName),
        ("CREATE DATABASE other TEMPLATE postgres", psycopg.errors.ObjectInUse),
        ("DROP DATABASE nope", psycopg.errors.InvalidCatalogName),
        ("DROP DATABASE postgres", psycopg.errors.ObjectInUse),
    ],
)
def test_timescale_server_given_a_database_that_cannot_be_refuses(
    timescale: ServerAddress, statement: str, expected: type[psycopg.Error]
) -> None:
    """Databases are made and dropped by the server itself; it refuses as PostgreSQL does."""
    with connected(timescale.for_maintenance()) as connection, pytest.raises(expected):
        connection.execute(statement.encode())


def test_timescale_server_given_an_unknown_database_refuses_the_connection(
    timescale: ServerAddress,
) -> None:
    """A mistaken name is no empty database."""
    with pytest.raises(psycopg.OperationalError, match='database "nope" does not exist'):
        connected(replace(timescale, database="nope")).__enter__()


def test_timescale_server_given_a_dropped_database_ends_its_connections(copied: ServerAddress) -> None:
    """A test that leaves a connection open does not keep its database."""
    with closing(psycopg.connect(**copied.connection_parameters())) as left:
        with connected(copied.for_maintenance()) as connection:
            connection.execute("DROP DATABASE copied WITH (FORCE)")
            connection.execute("CREATE DATABASE copied")
        with pytest.raises(psycopg.OperationalError):
            left.execute("SELECT 1")


def test_timescale_server_given_an_open_transaction_refuses_others_in_time(
    timescale: ServerAddress,
) -> None:
    """Two transactions at once are told apart from a hang, and the connection can be used again."""
    with connected(timescale) as holder, connected(timescale) as waiter:
        with holder.transaction():
            holder.execute("SELECT 1")
            with pytest.raises(psycopg.errors.LockNotAvailable, match="connections take turns"):
                waiter.execute("SELECT 1")
        assert value_of(waiter, "SELECT 2") == 2


def test_timescale_server_given_a_lost_connection_rolls_its_transaction_back(
    copied: ServerAddress,
) -> None:
    """Whoever held the turn and is gone gives it back, with nothing written."""
    lost = psycopg.connect(**copied.connection_parameters())
    lost.execute("DELETE FROM measured")
    lost.close()
    with connected(copied) as connection:
        assert value_of(connection, "SELECT count(*) FROM measured") == 100


def test_timescale_server_given_settings_keeps_them_apart(timescale: ServerAddress) -> None:
    """Each connection has the settings that it started with or set, though the session is shared."""
    parameters: dict[str, Any] = timescale.connection_parameters()
    options = "-c timezone=Asia/Tokyo -c lock_timeout=3s"
    with (
        psycopg.connect(autocommit=True, options=options, **parameters) as one,
        connected(timescale) as two,
    ):
        two.execute("SET lock_timeout = '7s'")
        assert value_of(one, "SHOW lock_timeout") == "3s"
        assert value_of(two, "SHOW lock_timeout") == "7s"
        assert str(value_of(one, "SELECT '2026-01-01 00:00+00'::timestamptz")).endswith("+09:00")


def test_timescale_server_given_an_unknown_setting_says_so(timescale: ServerAddress) -> None:
    """A setting that the database does not know is not passed over."""
    parameters: dict[str, Any] = timescale.connection_parameters()
    with (
        psycopg.connect(autocommit=True, options="-c no_such_setting=1", **parameters) as connection,
        pytest.raises(psycopg.errors.UndefinedObject, match="no_such_setting"),
    ):
        connection.execute("SELECT 1")


def test_timescale_server_given_prepared_statements_keeps_them_apart(timescale: ServerAddress) -> None:
    """Drivers give the statements of every connection the same names."""
    with connected(timescale) as one, connected(timescale) as two:
        for _ in range(2):
            assert one.execute("SELECT %s::int + 1", [1], prepare=True).fetchone() == (2,)
            assert two.execute("SELECT %s::text || 'x'", ["a"], prepare=True).fetchone() == ("ax",)
        one.execute("DEALLOCATE ALL")
        with one.pipeline():
            one.execute("DEALLOCATE ALL")
        assert two.execute("SELECT %s::text || 'x'", ["b"], prepare=True).fetchone() == ("bx",)


def test_timescale_server_given_a_copy_takes_and_gives_the_rows(copied: ServerAddress) -> None:
    """COPY works both ways, in binary, into a hypertable; a refused one does no harm."""
    rows = [(START + timedelta(minutes=minute), float(minute)) for minute in range(5_000)]
    with connected(copied) as connection:
        connection.execute("DELETE FROM measured")
        with connection.cursor().copy("COPY measured FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(["timestamptz", "float8"])
            for row in rows:
                copy.write_row(row)
        with (
            pytest.raises(psycopg.errors.UndefinedTable),
            connection.cursor().copy("COPY nope FROM STDIN") as copy,
        ):
            copy.write("1\n")
        with connection.cursor().copy(
            "COPY (SELECT time, value FROM measured ORDER BY time) TO STDOUT (FORMAT BINARY)"
        ) as copy:
            copy.set_types(["timestamptz", "float8"])
            assert list(copy.rows()) == rows


def test_timescale_server_given_a_failed_pipeline_answers_what_follows(
    timescale: ServerAddress,
) -> None:
    """A failure within a pipeline ends that pipeline only."""
    with connected(timescale) as connection:
        with pytest.raises(psycopg.errors.DivisionByZero), connection.pipeline():
            connection.execute("SELECT %s / 0", [1])
        with connection.pipeline():
            cursors = [connection.execute("SELECT %s::int", [number]) for number in range(3)]
            assert [cursor.fetchone() for cursor in cursors] == [(0,), (1,), (2,)]


def test_timescale_server_given_a_notification_tells_who_listens(timescale: ServerAddress) -> None:
    """NOTIFY reaches the other connections that listen to the channel, and no other."""
    with connected(timescale) as one, connected(timescale) as two, connected(timescale) as sender:
        one.execute("LISTEN ours")
        two.execute("LISTEN theirs")
        sender.execute("NOTIFY ours, 'hello'")
        assert [note.payload for note in one.notifies(timeout=10, stop_after=1)] == ["hello"]
        assert list(two.notifies(timeout=0)) == []


def test_timescale_server_given_a_flush_after_a_pipeline_gives_the_turn_back(
    timescale: ServerAddress,
) -> None:
    """Drivers ask for what is outstanding when nothing is: that begins no transaction."""
    with connected(timescale) as one, connected(timescale) as two:
        with one.pipeline() as pipeline, one.transaction():
            one.execute("SELECT %s::int", [1])
            pipeline.sync()
        one.pgconn.enter_pipeline_mode()
        one.pgconn.send_flush_request()
        one.pgconn.flush()
        one.pgconn.exit_pipeline_mode()
        assert value_of(two, "SELECT 2") == 2


def test_timescale_server_given_a_temporary_table_keeps_it_while_its_maker_is_there(
    timescale: ServerAddress,
) -> None:
    """Another connection that came and went does not take it away; the end of its maker does."""
    with connected(timescale) as maker:
        maker.execute("CREATE TEMPORARY TABLE ours (value int)")
        with connected(timescale) as other:
            other.execute("SELECT 1")
        assert value_of(maker, "SELECT count(*) FROM ours") == 0
    with connected(timescale) as later:
        assert value_of(later, "SELECT to_regclass('ours') IS NULL") is True
