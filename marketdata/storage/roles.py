"""The two roles of a database: one owns the schema and migrates it, the other reads and writes rows.

The service's role belongs to the server, not to a database, so no migration makes it and no dump holds
it. What it may do in the database is granted by the migrations; what other services' tables grant it,
here, each time that somebody migrates.
"""

from typing import Final

from psycopg import AsyncConnection, sql
from psycopg import errors as pg
from psycopg.conninfo import make_conninfo

from marketdata.errors import MigrationError
from marketdata.storage.address import SERVICE_ROLE, Address
from marketdata.storage.pools import Connection
from marketdata.storage.translate import translated

#: What the service's role must not be, as CREATE ROLE and ALTER ROLE say it.
POWERLESS: Final = sql.SQL("NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS")

_OWNER: Final = """
    SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = to_regclass('schema_migration')
"""
_MAY_MIGRATE: Final = """
    SELECT current_user <> %s AND coalesce(
        (SELECT pg_get_userbyid(relowner) = current_user FROM pg_class
          WHERE oid = to_regclass('schema_migration')),
        has_schema_privilege(current_schema(), 'CREATE'), false)
"""
_ROLE: Final = """
    SELECT rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls,
           current_database(),
           has_database_privilege(oid, current_database(), 'CONNECT')
           AND has_database_privilege(oid, current_database(), 'TEMPORARY')
      FROM pg_roles WHERE rolname = %s
"""
# What other services keep in this database, as far as this role may grant it: the tables that are
# there, and those that their owners make later. Extensions' own are for everybody or for nobody.
_MISSING_READS: Final = """
    WITH service AS (SELECT oid FROM pg_roles WHERE rolname = %s),
    other AS (
        SELECT class.oid, class.relnamespace, class.relowner, space.nspowner
          FROM pg_class AS class JOIN pg_namespace AS space ON space.oid = class.relnamespace
         WHERE class.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT class.relispartition
           AND space.nspname !~ '^pg_' AND space.nspname <> 'information_schema'
           AND pg_get_userbyid(class.relowner) <> current_user
           AND pg_has_role(class.relowner, 'USAGE')
           AND NOT EXISTS (SELECT FROM pg_depend WHERE deptype = 'e' AND
                               (classid, objid) IN (('pg_class'::regclass, class.oid),
                                                    ('pg_namespace'::regclass, space.oid))))
    SELECT 'GRANT USAGE ON SCHEMA ' || quote_ident(nspname)
      FROM pg_namespace AS space, service
     WHERE space.oid IN (SELECT relnamespace FROM other) AND pg_has_role(space.nspowner, 'USAGE')
       AND NOT has_schema_privilege(service.oid, space.oid, 'USAGE')
     UNION ALL
    SELECT format('GRANT SELECT ON TABLE %%s', other.oid::regclass)
      FROM other, service WHERE NOT has_table_privilege(service.oid, other.oid, 'SELECT')
     UNION ALL
    SELECT DISTINCT format('ALTER DEFAULT PRIVILEGES FOR ROLE %%I IN SCHEMA %%s GRANT SELECT ON TABLES',
                           pg_get_userbyid(other.relowner), other.relnamespace::regnamespace)
      FROM other, service
     WHERE NOT EXISTS (
        SELECT FROM pg_default_acl AS defaults, aclexplode(defaults.defaclacl) AS granted
         WHERE defaults.defaclrole = other.relowner AND defaults.defaclobjtype = 'r'
           AND defaults.defaclnamespace IN (0, other.relnamespace)
           AND granted.grantee = service.oid AND granted.privilege_type = 'SELECT')
"""
_ROLE_NAME: Final = sql.Identifier(SERVICE_ROLE)


async def may_migrate(address: Address) -> bool:
    """Tell whether this role owns the schema, or may make it where there is none.

    Raises
    ------
    DatabaseUnavailableError
        The database cannot be reached.
    """
    with translated():
        connection = await AsyncConnection.connect(
            make_conninfo("", **address.connection_parameters()), autocommit=True
        )
        async with connection:
            cursor = await connection.execute(_MAY_MIGRATE, [SERVICE_ROLE])
            row = await cursor.fetchone()
            return row is not None and bool(row[0])


async def check_owner(connection: Connection) -> None:
    """Refuse a role that would make tables which another role's grants and functions do not cover.

    Raises
    ------
    MigrationError
        The asking role is the service's own, or not the one that owns the schema.
    """
    cursor = await connection.execute("SELECT current_user")
    (asking,) = await cursor.fetchone() or ("",)
    if asking == SERVICE_ROLE:
        raise MigrationError(
            f"{SERVICE_ROLE} is the service's own role, which is to own nothing: migrate as another, "
            "with MARKETDATA_MIGRATOR_USERNAME and MARKETDATA_MIGRATOR_PASSWORD"
        )
    cursor = await connection.execute(_OWNER)
    (owner,) = await cursor.fetchone() or (asking,)
    if owner != asking:
        raise MigrationError(
            f"the schema belongs to {owner}, and {asking} would own what it adds: migrate as {owner}, "
            "with MARKETDATA_MIGRATOR_USERNAME and MARKETDATA_MIGRATOR_PASSWORD"
        )


async def ensure_service_role(connection: Connection) -> None:
    """Make the service's role where it is missing, and let it into this database.

    It cannot log in until an administrator gives it a password: none is known here.

    Raises
    ------
    MigrationError
        The role is missing and cannot be made by the one who asks, or may do too much.
    """
    cursor = await connection.execute(_ROLE, [SERVICE_ROLE])
    found = await cursor.fetchone()
    if found is None:
        await _create(connection)
        cursor = await connection.execute(_ROLE, [SERVICE_ROLE])
        found = await cursor.fetchone()
    assert found is not None  # noqa: S101 -- it has just been made
    has_powers, database, may_enter = found
    if has_powers:
        remedy = sql.SQL("ALTER ROLE {} {}").format(_ROLE_NAME, POWERLESS).as_string()
        raise MigrationError(
            f"the service's role may do more than read and write rows; as an administrator run {remedy}"
        )
    if not may_enter:
        await _let_in(connection, database)


async def grant_platform_reads(connection: Connection) -> list[str]:
    """Let the service read the tables that other services keep in this database, now and later.

    Covers the owners whose member the asking role is: all of them for a superuser. Others grant it
    themselves; ``docs/storage.md`` has the statement.

    Returns
    -------
    list of str
        What was granted now.
    """
    cursor = await connection.execute(_MISSING_READS, [SERVICE_ROLE])
    granted = [str(row[0]) for row in await cursor.fetchall()]
    for grant in granted:
        # The names in it were quoted by the server.
        await connection.execute(f"{grant} TO {SERVICE_ROLE}".encode())
    return granted


async def _create(connection: Connection) -> None:
    create = sql.SQL("CREATE ROLE {} NOLOGIN {}").format(_ROLE_NAME, POWERLESS)
    try:
        await connection.execute(create)
    except (pg.DuplicateObject, pg.UniqueViolation):
        pass  # another database of the same server was migrated in this moment
    except pg.InsufficientPrivilege as error:
        database = connection.info.dbname
        login = sql.SQL("CREATE ROLE {} LOGIN PASSWORD '...'").format(_ROLE_NAME)
        let_in = _entrance(database)
        raise MigrationError(
            f"the role {SERVICE_ROLE} is missing, and {connection.info.user} may not make it; as an "
            f"administrator run {login.as_string()}; {let_in.as_string()}; then migrate again"
        ) from error


async def _let_in(connection: Connection, database: str) -> None:
    let_in = _entrance(database)
    try:
        await connection.execute(let_in)
    except pg.InsufficientPrivilege as error:
        raise MigrationError(
            f"{SERVICE_ROLE} may not connect to the database {database}, or make temporary tables in "
            f"it; as an administrator run {let_in.as_string()}; then migrate again"
        ) from error


def _entrance(database: str) -> sql.Composed:
    grant = sql.SQL("GRANT CONNECT, TEMPORARY ON DATABASE {} TO {}")
    return grant.format(sql.Identifier(database), _ROLE_NAME)
