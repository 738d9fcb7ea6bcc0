"""Who may do what in a database, read from its catalogue: a text that a reviewer reads."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, LiteralString

import psycopg
from psycopg import Connection, sql

from marketdata.storage.address import SERVICE_ROLE
from marketdata.storage.embedded import ServerAddress
from tests.support.databases import connected

_ROLE: Final = """
    SELECT format('role: superuser %%s, createdb %%s, createrole %%s, replication %%s, bypassrls %%s, '
                  'member of %%s roles, owns %%s objects', rolsuper, rolcreatedb, rolcreaterole,
                  rolreplication, rolbypassrls,
                  (SELECT count(*) FROM pg_auth_members WHERE member = role.oid),
                  (SELECT count(*) FROM pg_shdepend WHERE refobjid = role.oid AND deptype = 'o'))
      FROM pg_roles AS role WHERE rolname = %(service)s
"""
_DATABASE: Final = """
    SELECT format('database: %%s', string_agg(may, ' ' ORDER BY may))
      FROM unnest('{CONNECT,TEMPORARY,CREATE}'::text[]) AS may
     WHERE has_database_privilege(%(service)s, current_database(), may)
"""
_SCHEMAS: Final = """
    SELECT format('schema %%s: %%s', nspname, coalesce(string_agg(may, ' ' ORDER BY may), '-'))
      FROM pg_namespace AS space
      LEFT JOIN unnest('{USAGE,CREATE}'::text[]) AS may
             ON has_schema_privilege(%(service)s, space.oid, may)
     WHERE nspname !~ '^(pg_|_?timescaledb)' AND nspname <> 'information_schema'
     GROUP BY nspname ORDER BY nspname
"""
# Chunks stand in a schema of the extension, and are the migrator's all the same.
_TABLES: Final = """
    SELECT format('table %%s: %%s; everybody: %%s; of %%s', class.oid::regclass,
                  coalesce(service, '-'), coalesce(everybody, '-'),
                  CASE WHEN relowner = current_user::regrole THEN 'the migrator'
                       ELSE pg_get_userbyid(relowner) END)
      FROM pg_class AS class JOIN pg_namespace AS space ON space.oid = relnamespace
     CROSS JOIN LATERAL (
        SELECT string_agg(may, ' ' ORDER BY place)
                   FILTER (WHERE has_table_privilege(%(service)s, class.oid, may)),
               string_agg(may, ' ' ORDER BY place)
                   FILTER (WHERE has_table_privilege('public', class.oid, may))
          FROM unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER,MAINTAIN}'::text[])
               WITH ORDINALITY AS asked (may, place)) AS rights (service, everybody)
     WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND nspname !~ '^pg_'
       AND nspname <> 'information_schema'
       AND (nspname !~ 'timescaledb' OR relname LIKE '_hyper_%%')
     ORDER BY class.oid::regclass::text COLLATE "C"
"""
_SEQUENCES: Final = """
    SELECT format('sequence %%s: %%s', class.oid::regclass, coalesce(string_agg(may, ' '), '-'))
      FROM pg_class AS class
      LEFT JOIN unnest('{USAGE,SELECT,UPDATE}'::text[]) AS may
             ON has_sequence_privilege(%(service)s, class.oid, may)
     WHERE relkind = 'S' AND relnamespace = 'public'::regnamespace
     GROUP BY class.oid ORDER BY class.oid::regclass::text COLLATE "C"
"""
# EXECUTE for everybody is the default of functions, and harmless in one that runs as its caller.
_FUNCTIONS: Final = """
    SELECT format('function %%s: %%s; everybody: %%s; as its %%s; %%s', function.oid::regprocedure,
                  CASE WHEN has_function_privilege(%(service)s, function.oid, 'EXECUTE')
                       THEN 'EXECUTE' ELSE '-' END,
                  CASE WHEN has_function_privilege('public', function.oid, 'EXECUTE')
                       THEN 'EXECUTE' ELSE '-' END,
                  CASE WHEN prosecdef THEN 'owner' ELSE 'caller' END,
                  coalesce(array_to_string(proconfig, ', '), 'no settings'))
      FROM pg_proc AS function
     WHERE pronamespace = 'public'::regnamespace
       AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass
                          AND objid = function.oid AND deptype = 'e')
     ORDER BY function.oid::regprocedure::text COLLATE "C"
"""
_LATER: Final = """
    SELECT format('later %%s in %%s: %%s',
                  CASE defaclobjtype WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences' ELSE '?' END,
                  defaclnamespace::regnamespace, string_agg(granted.privilege_type, ' '))
      FROM pg_default_acl AS defaults, aclexplode(defaclacl) AS granted
     WHERE granted.grantee = %(service)s::regrole
     GROUP BY defaults.oid, defaclobjtype, defaclnamespace
     ORDER BY 1
"""
_PARTS: Final[tuple[LiteralString, ...]] = (
    _ROLE, _DATABASE, _SCHEMAS, _TABLES, _SEQUENCES, _FUNCTIONS, _LATER,
)  # fmt: skip


@contextmanager
def as_service(database: ServerAddress) -> Iterator["psycopg.Connection[Any]"]:
    """Work as the service in one transaction, which is rolled back.

    A server that takes everybody for its owner is told at the beginning who asks; what is refused to a
    role is refused to it there as well.
    """
    service = database.for_service()
    with connected(service) as connection, connection.transaction(force_rollback=True):
        if service.user != SERVICE_ROLE:
            role = sql.Identifier(SERVICE_ROLE)
            connection.execute(sql.SQL("SET LOCAL SESSION AUTHORIZATION {}").format(role))
        yield connection


def privilege_matrix(database: ServerAddress) -> str:
    """Describe what the service's role, and everybody, may do in a database.

    Parameters
    ----------
    database : ServerAddress
        The owner's, who is called the migrator.
    """
    with connected(database) as connection:
        return "".join(f"{line}\n" for part in _PARTS for line in _lines(connection, part))


def _lines(connection: "Connection[Any]", query: LiteralString) -> list[str]:
    return [str(row[0]) for row in connection.execute(query, {"service": SERVICE_ROLE}).fetchall()]
