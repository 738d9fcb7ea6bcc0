"""Who migrates: the role that owns the schema, and may do no more; and what it leaves the service."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from psycopg import errors as pg
from psycopg import sql

from marketdata import app
from marketdata import database as configured
from marketdata.config import Settings
from marketdata.domain.symbol import NewSymbol
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import MigrationError
from marketdata.storage import migrate as migrate_module
from marketdata.storage.address import SERVICE_ROLE, DatabaseRoles
from marketdata.storage.embedded import EmbeddedPostgres, ServerAddress
from marketdata.storage.migrate import Migration, migrate, migrations
from marketdata.storage.modes import StorageMode
from tests.support.bars import Bar, days, frame_of
from tests.support.databases import Databases, connected, running_server
from tests.support.storage import opened_storage

PLAIN = StorageMode.PLAIN
PASSWORD = "of the server that these tests run"  # noqa: S105


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedPostgres]:
    """Run a server of this module's own, whose roles it may change."""
    with running_server(in_memory=True) as running:
        yield running


@pytest.fixture
def administrator(server: EmbeddedPostgres) -> Iterator[ServerAddress]:
    """Give an empty database; what is in it, and every role of a test, is gone at the end."""
    databases = Databases(server)
    address = databases.empty()
    yield address
    databases.drop(address)
    with connected(address.for_maintenance()) as connection:
        connection.execute("DROP ROLE IF EXISTS market_owner, orders_owner")
        connection.execute(f"DROP ROLE IF EXISTS {SERVICE_ROLE}")


@pytest.fixture
def owner(administrator: ServerAddress) -> ServerAddress:
    """Give the address of a role that may do nothing on the server but own this database."""
    execute(administrator, f"DROP ROLE IF EXISTS {SERVICE_ROLE}")
    execute(administrator, f"CREATE ROLE market_owner LOGIN PASSWORD '{PASSWORD}'")
    name = sql.Identifier(administrator.database)
    execute(administrator, sql.SQL("ALTER DATABASE {} OWNER TO market_owner").format(name))
    return replace(administrator, user="market_owner", password=PASSWORD)


def service_of(address: ServerAddress) -> ServerAddress:
    """Let the service's role log in, as an administrator does, and give its address."""
    return replace(address, user=SERVICE_ROLE, password=PASSWORD)


def execute(address: ServerAddress, statement: str | sql.Composed) -> list[Any]:
    """Run one statement in a connection of its own."""
    query = statement.encode() if isinstance(statement, str) else statement
    with connected(address) as connection:
        cursor = connection.execute(query)
        return cursor.fetchall() if cursor.description else []


def roles_of(owner: ServerAddress, service: ServerAddress) -> DatabaseRoles:
    """Give both addresses as the composition root has them."""
    return DatabaseRoles(lambda: owner, lambda: service)


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Make settings that know nothing of the machine's."""
    monkeypatch.delenv("MARKETDATA_STORAGE_MODE", raising=False)
    return Settings(_env_file=None)


@pytest.fixture
async def separate(administrator: ServerAddress, owner: ServerAddress) -> DatabaseRoles:
    """Give a migrated database whose two roles are the least that they need to be."""
    execute(administrator, f"CREATE ROLE {SERVICE_ROLE} LOGIN PASSWORD '{PASSWORD}'")
    await migrate(owner, PLAIN)
    return roles_of(owner, service_of(owner))


async def test_migrate_given_no_role_and_no_right_to_make_it_says_what_to_run(
    administrator: ServerAddress, owner: ServerAddress
) -> None:
    """An administrator runs what the message says as it stands there; then it migrates."""
    with pytest.raises(MigrationError, match="is missing, and market_owner may not make it") as caught:
        await migrate(owner, PLAIN)
    assert execute(owner, "SELECT to_regclass('schema_migration')") == [(None,)]
    told = re.findall(r"(CREATE ROLE .+?|GRANT .+?);", str(caught.value))
    assert len(told) == 2
    for statement in told:
        execute(administrator, statement.replace("...", PASSWORD))
    assert await migrate(owner, PLAIN) == migrations(PLAIN)
    async with opened_storage(lambda: service_of(owner)) as storage:
        bars = frame_of([Bar("AAPL", days(20_000))])
        assert (await storage.writer.commit_bars(bars, Timeframe.DAY_1)).accepted == 1


async def test_migrate_given_a_role_that_may_make_roles_makes_one_that_cannot_log_in(
    administrator: ServerAddress, owner: ServerAddress
) -> None:
    """No password is known for it, so nobody can use it before an administrator gives it one."""
    execute(administrator, "ALTER ROLE market_owner CREATEROLE")
    await migrate(owner, PLAIN)
    found = execute(
        administrator,
        """
        SELECT rolcanlogin OR rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication
               OR rolbypassrls, rolpassword FROM pg_authid WHERE rolname = 'market_data_service_user'
        """,
    )
    assert found == [(False, None)]
    execute(administrator, f"ALTER ROLE {SERVICE_ROLE} LOGIN PASSWORD '{PASSWORD}'")
    assert execute(service_of(owner), "SELECT count(*) FROM market_symbol") == [(0,)]


async def test_migrate_given_two_roles_leaves_everything_to_the_owner(
    separate: DatabaseRoles, administrator: ServerAddress
) -> None:
    """Tables, functions, and the partitions that the service's writes need."""
    async with opened_storage(separate.service) as storage:
        await storage.writer.commit_bars(frame_of([Bar("AAPL", days(20_000))]), Timeframe.DAY_1)
    owners = execute(
        administrator,
        """
        SELECT DISTINCT pg_get_userbyid(owner) FROM (
            SELECT relowner, oid, 'pg_class'::regclass FROM pg_class
             WHERE relnamespace = 'public'::regnamespace
             UNION ALL
            SELECT proowner, oid, 'pg_proc'::regclass FROM pg_proc
             WHERE pronamespace = 'public'::regnamespace) AS thing (owner, oid, class)
         WHERE NOT EXISTS (SELECT FROM pg_depend WHERE deptype = 'e' AND classid = thing.class
                              AND objid = thing.oid)
        """,
    )
    assert owners == [("market_owner",)]


async def test_migrate_given_a_later_migration_lets_the_service_use_its_tables(
    separate: DatabaseRoles, monkeypatch: pytest.MonkeyPatch, owner: ServerAddress
) -> None:
    """Nobody has to think of the role when a table is added."""
    more = Migration(9001, "more", "CREATE TABLE more (id bigint GENERATED ALWAYS AS IDENTITY, n int)")
    monkeypatch.setattr(migrate_module, "migrations", lambda mode: [*migrations(mode), more])
    assert await migrate(owner, PLAIN) == [more]
    service = service_of(owner)
    assert execute(service, "INSERT INTO more (n) VALUES (7) RETURNING id, n") == [(1, 7)]
    with pytest.raises(pg.InsufficientPrivilege):
        execute(service, "TRUNCATE more")
    assert separate.service() == service


@pytest.mark.parametrize("powers", ["SUPERUSER", "CREATEDB", "CREATEROLE", "REPLICATION", "BYPASSRLS"])
async def test_migrate_given_a_service_role_that_may_too_much_refuses(
    administrator: ServerAddress, owner: ServerAddress, powers: str
) -> None:
    """The statement of the message takes it away."""
    execute(administrator, f"CREATE ROLE {SERVICE_ROLE} LOGIN {powers}")
    with pytest.raises(MigrationError, match="may do more than read and write") as caught:
        await migrate(owner, PLAIN)
    execute(administrator, str(caught.value).partition(" run ")[2])
    assert await migrate(owner, PLAIN) == migrations(PLAIN)


async def test_migrate_given_a_database_that_is_closed_to_all_opens_it_to_the_service(
    administrator: ServerAddress, owner: ServerAddress
) -> None:
    """Hardened databases let nobody in who is not named; writes need temporary tables."""
    execute(administrator, f"CREATE ROLE {SERVICE_ROLE} LOGIN PASSWORD '{PASSWORD}'")
    name = sql.Identifier(administrator.database)
    execute(administrator, sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        execute(service_of(owner), "SELECT 1")
    await migrate(owner, PLAIN)
    execute(service_of(owner), "CREATE TEMPORARY TABLE staged ()")


async def test_migrate_given_another_than_the_owner_refuses(
    separate: DatabaseRoles, administrator: ServerAddress
) -> None:
    """Not even a superuser: what it added would be its own, and not the owner's to change."""
    for other in (administrator, separate.service()):
        with pytest.raises(MigrationError, match=r"MARKETDATA_MIGRATOR_USERNAME"):
            await migrate(other, PLAIN)


async def test_settle_given_a_schema_that_is_behind_says_who_migrates(
    owner: ServerAddress, administrator: ServerAddress, settings: Settings
) -> None:
    """A service that does not own the schema starts on one that fits, and changes none."""
    execute(administrator, f"CREATE ROLE {SERVICE_ROLE} LOGIN PASSWORD '{PASSWORD}'")
    service = service_of(owner)
    alone = roles_of(service, service)
    with pytest.raises(MigrationError, match=r"migrations behind.*as the owner"):
        await configured.settle_schema(alone, settings)
    assert execute(owner, "SELECT to_regclass('schema_migration')") == [(None,)]
    await configured.settle_schema(roles_of(owner, service), settings)
    await configured.settle_schema(alone, settings)
    assert (await configured.examine_database(alone, settings)).pending == []


async def test_settle_given_a_schema_from_before_the_roles_says_who_migrates(
    owner: ServerAddress,
    administrator: ServerAddress,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The service's role may not even read how far it is."""
    execute(administrator, f"CREATE ROLE {SERVICE_ROLE} LOGIN PASSWORD '{PASSWORD}'")
    with monkeypatch.context() as patch:
        patch.setattr(migrate_module, "migrations", lambda mode: migrations(mode)[:6])
        await migrate(owner, PLAIN)
    service = service_of(owner)
    with pytest.raises(MigrationError, match="may not read what was migrated: run marketdata migrate"):
        await configured.settle_schema(roles_of(service, service), settings)
    await configured.settle_schema(roles_of(owner, service), settings)
    await configured.settle_schema(roles_of(service, service), settings)


async def test_migrate_given_tables_of_another_service_lets_the_service_read_them(
    administrator: ServerAddress, separate: DatabaseRoles
) -> None:
    """Those that are there and those that come, in every schema; it writes none of them."""
    execute(administrator, "CREATE ROLE orders_owner")
    execute(administrator, "GRANT orders_owner TO market_owner")
    with connected(administrator) as connection:
        connection.execute("CREATE SCHEMA orders AUTHORIZATION orders_owner")
        connection.execute("SET ROLE orders_owner")
        connection.execute("CREATE TABLE orders.placed AS SELECT 1 AS id")
        await migrate(separate.owner(), PLAIN)
        connection.execute("CREATE TABLE orders.filled AS SELECT 2 AS id")
    service = separate.service()
    assert execute(service, "SELECT * FROM orders.placed, orders.filled") == [(1, 2)]
    for statement in (
        "INSERT INTO orders.placed VALUES (3)",
        "UPDATE orders.filled SET id = 3",
        "DELETE FROM orders.filled",
        "TRUNCATE orders.placed",
        "CREATE TABLE orders.more ()",
    ):
        with pytest.raises(pg.InsufficientPrivilege):
            execute(service, statement)


async def test_migrate_given_reads_that_are_granted_grants_nothing_twice(
    administrator: ServerAddress, owner: ServerAddress
) -> None:
    """Every start of a service asks, and leaves the catalogue alone."""
    execute(administrator, "CREATE ROLE orders_owner")
    execute(administrator, "GRANT orders_owner TO market_owner")
    execute(administrator, "CREATE TABLE orders_placed ()")
    execute(administrator, "ALTER TABLE orders_placed OWNER TO orders_owner")
    execute(administrator, "ALTER ROLE market_owner CREATEROLE")
    await migrate(owner, PLAIN)
    before = execute(administrator, "SELECT xmin::text, oid FROM pg_default_acl ORDER BY oid")
    assert len(before) == 3
    await migrate(owner, PLAIN)
    assert execute(administrator, "SELECT xmin::text, oid FROM pg_default_acl ORDER BY oid") == before


async def test_open_stores_given_both_roles_migrates_as_one_and_works_as_the_other(
    owner: ServerAddress, administrator: ServerAddress
) -> None:
    """A command that writes needs no step before it where it is told who owns the schema."""
    execute(administrator, f"CREATE ROLE {SERVICE_ROLE} LOGIN PASSWORD '{PASSWORD}'")
    variables: dict[str, Any] = {
        "DB_HOST": owner.host,
        "DB_PORT": owner.port,
        "DB_NAME": owner.database,
        "DB_USERNAME": SERVICE_ROLE,
        "DB_PASSWORD": PASSWORD,
    }
    alone = Settings(_env_file=None, **variables)
    with pytest.raises(MigrationError, match="MARKETDATA_MIGRATOR_USERNAME"):
        await app.open_stores(alone, "import").__aenter__()
    migrator = {
        "MARKETDATA_MIGRATOR_USERNAME": owner.user,
        "MARKETDATA_MIGRATOR_PASSWORD": PASSWORD,
    }
    async with app.open_stores(Settings(_env_file=None, **variables, **migrator), "import") as stores:
        created = await stores.symbols.create(NewSymbol("AAPL"))
    async with app.open_stores(alone, "import") as stores:
        assert await stores.symbols.get("AAPL") == created
        async with stores.pools.query() as connection:
            cursor = await connection.execute("SELECT current_user")
            assert await cursor.fetchall() == [(SERVICE_ROLE,)]


@pytest.mark.parametrize("is_owner", [True, False])
async def test_examine_given_a_service_that_owns_the_schema_says_so(
    separate: DatabaseRoles, settings: Settings, *, is_owner: bool
) -> None:
    """An operator hears that one role does both."""
    asking = separate.owner if is_owner else separate.service
    report = await configured.examine_database(DatabaseRoles(separate.owner, asking), settings)
    assert report.is_owner == is_owner
