"""Dumps of databases, made and restored with the programs of the PostgreSQL that the tests run."""

import os
import re
import subprocess
from pathlib import Path
from typing import Final

from marketdata.storage.embedded import ServerAddress
from marketdata.storage.embedded.account import current_account
from marketdata.storage.embedded.binaries import find_binaries
from marketdata.storage.embedded.folder import STATE_FOLDER

DATA: Final = Path(__file__).parents[1] / "data"
SCHEMA: Final = DATA / "schema.plain.sql"
FIRST_RELEASE: Final = DATA / "release_0.1.plain.sql.gz"
# Versions of the server and of pg_dump, and the random words with which a dump guards itself.
_UNSTABLE: Final = re.compile(r"(?m)^(-- Dumped (from|by) .*|\\(un)?restrict .*)\n")
# What brings rows and the states of sequences.
_ROWS: Final = re.compile(r"(?ms)^COPY public\..*?^\\\.$|^SELECT pg_catalog\.setval[^;]*;$")
_PARTITION: Final = re.compile(r"(public\.market_stock_hist_bars_[a-z]+_ts)_p\d{8} ")


def dump_database(address: ServerAddress) -> str:
    """Dump schema and rows, as an operator would for a backup."""
    return _run("pg_dump", address)


def dump_schema(address: ServerAddress) -> str:
    """Dump the schema as a text that depends on the schema alone."""
    text = _UNSTABLE.sub("", _run("pg_dump", address, "--schema-only", "--no-owner"))
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def restore_database(address: ServerAddress, dump: str) -> None:
    """Run a dump in an empty database; the first statement that fails ends it."""
    _run("psql", address, "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", stdin=dump)


def rows_of(dump: str) -> str:
    """Give the rows of a dump of plain mode as a script for the same tables, empty, of any mode.

    What migrations applied stays as it is in the database; the rows of partitions go to their parents.
    """
    blocks = [block for block in _ROWS.findall(dump) if "COPY public.schema_migration" not in block]
    tables = sorted({_table_of(block) for block in blocks if block.startswith("COPY")})
    # As in a restore, no trigger acts on rows that were there before.
    return "\n".join(
        [
            "SET session_replication_role = replica;",
            *(f"DELETE FROM {table};" for table in tables),  # noqa: S608 -- names of our own dump
            *(_PARTITION.sub(r"\1 ", block) for block in blocks),
            "RESET session_replication_role;",
        ]
    )


def _table_of(block: str) -> str:
    return _PARTITION.sub(r"\1 ", block).split()[1]


def _run(program: str, address: ServerAddress, *options: str, stdin: str = "") -> str:
    binaries = find_binaries(None, current_account(), STATE_FOLDER)
    where = [f"--host={address.host}", f"--port={address.port}", f"--username={address.user}"]
    done = subprocess.run(
        [binaries.program(program), *where, f"--dbname={address.database}", *options],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "PGPASSWORD": address.password},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
