"""Targets: created, listed, changed, deleted."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from psycopg import sql

from marketdata.domain.ingestion_target import IngestionTarget, NewIngestionTarget
from marketdata.domain.time_range import to_unix_us
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import (
    TargetAlreadyExistsError,
    TargetNotFoundError,
    TooManyTargetsError,
    WriteConflictError,
)
from marketdata.storage.pools import Connection, Pools
from marketdata.storage.symbol_rows import fetch_rows

# Whoever plans what is due reads all of them: more would be a sign of one target a symbol.
MOST_TARGETS: Final = 1_000
# A page of full targets would be tens of megabytes, and clients take 4 MiB: with the longest tickers
# this many symbols are about 1 MiB, and the last target of a page may bring 5,000 more.
_MOST_SYMBOLS_A_PAGE: Final = 20_000

# Against a second creation between the count and the row; reads go on.
_LOCK: Final = "LOCK TABLE ingestion_target IN SHARE ROW EXCLUSIVE MODE"
_INSERT: Final = sql.SQL("""
    INSERT INTO ingestion_target (name, symbols, timeframes, providers, history_start)
    SELECT %(name)s, %(symbols)s, %(timeframes)s, %(providers)s, %(history_start)s
     WHERE (SELECT count(*) FROM ingestion_target) < %(most)s
    ON CONFLICT (name) DO NOTHING
""")
_BY_NAME: Final = sql.SQL("SELECT * FROM ingestion_target WHERE name = %(name)s").format()
_ALL: Final = sql.SQL("SELECT * FROM ingestion_target ORDER BY name").format()
# By ingestion_target_name_key. The first target of a page is always in it, however many symbols it has.
_PAGE: Final = sql.SQL("""
    SELECT *
      FROM (SELECT *, sum(symbol_count) OVER by_name - symbol_count AS symbols_before,
                   lead(name) OVER by_name IS NOT NULL AS has_next
              FROM ingestion_target WHERE %(after)s::text IS NULL OR name > %(after)s
            WINDOW by_name AS (ORDER BY name)) AS following
     WHERE symbols_before < %(most_symbols)s
     ORDER BY name LIMIT %(limit)s
""").format()
# What was checked together is stored together, or not at all. By the primary key.
_UPDATE: Final = """
    UPDATE ingestion_target
       SET symbols = %(symbols)s, timeframes = %(timeframes)s, providers = %(providers)s,
           history_start = %(history_start)s
     WHERE target_id = %(target_id)s
       AND symbols = %(seen_symbols)s AND timeframes = %(seen_timeframes)s
       AND providers = %(seen_providers)s
       AND history_start IS NOT DISTINCT FROM %(seen_history_start)s
"""
_DELETE: Final = "DELETE FROM ingestion_target WHERE name = %(name)s"


@dataclass(frozen=True, slots=True)
class TargetPage:
    """Targets by name, and whether there are more behind them."""

    targets: tuple[IngestionTarget, ...]
    has_more: bool


class TargetStore:
    """Keeps targets.

    Parameters
    ----------
    pools : Pools
        Where transactions run.
    """

    def __init__(self, pools: Pools) -> None:
        self._pools = pools

    async def create(self, target: NewIngestionTarget) -> IngestionTarget:
        """Store a target; return it as stored.

        Raises
        ------
        TargetAlreadyExistsError
            There is one of that name, which stays as it is.
        TooManyTargetsError
            There are as many as there can be.
        """
        async with self._pools.query() as connection, connection.transaction():
            await connection.execute(_LOCK)
            cursor = await connection.execute(_INSERT, _parameters(target))
            found = await _read(connection, target.name)
        if cursor.rowcount and found is not None:
            return found
        if found is not None:
            raise TargetAlreadyExistsError(
                f"there is a target {target.name} already; choose another name, or delete that one",
                metadata={"name": target.name},
            )
        raise TooManyTargetsError(
            f"there are {MOST_TARGETS:,} targets, which is the most; delete one, or put the symbols "
            "into one of them",
            metadata={"limit": str(MOST_TARGETS)},
        )

    async def list_page(self, after: str | None, limit: int) -> TargetPage:
        """List targets by name, from behind `after` on; None is the beginning.

        Parameters
        ----------
        limit : int
            Most targets; there are fewer where their symbols are many.
        """
        parameters = {"after": after, "limit": limit, "most_symbols": _MOST_SYMBOLS_A_PAGE}
        async with self._pools.query() as connection:
            rows = await fetch_rows(connection, _PAGE, parameters)
        return TargetPage(tuple(map(_to_target, rows)), has_more=bool(rows) and rows[-1]["has_next"])

    async def list_all(self) -> list[IngestionTarget]:
        """List all targets, by name."""
        async with self._pools.query() as connection:
            return [_to_target(row) for row in await fetch_rows(connection, _ALL, {})]

    async def get(self, name: str) -> IngestionTarget:
        """Get a target.

        Raises
        ------
        TargetNotFoundError
            There is none of that name.
        """
        async with self._pools.query() as connection:
            found = await _read(connection, name)
        if found is None:
            raise _not_found(name)
        return found

    async def update(self, seen: IngestionTarget, changed: NewIngestionTarget) -> IngestionTarget:
        """Change a target that is still as it was seen; return it as stored.

        Parameters
        ----------
        seen : IngestionTarget
            As `get` gave it.
        changed : NewIngestionTarget
            What it is to be, under the same name.

        Raises
        ------
        TargetNotFoundError
            It was deleted meanwhile.
        WriteConflictError
            Somebody else changed it meanwhile.
        """
        before = {f"seen_{name}": value for name, value in _parameters(seen).items()}
        parameters = {**_parameters(changed), **before, "target_id": seen.target_id}
        async with self._pools.query() as connection, connection.transaction():
            cursor = await connection.execute(_UPDATE, parameters)
            found = await _read(connection, seen.name)
        if found is None:
            raise _not_found(seen.name)
        if not cursor.rowcount:
            raise WriteConflictError(
                f"target {seen.name} was changed by somebody else meanwhile; look at it, and send the "
                "change again"
            )
        return found

    async def delete(self, name: str) -> None:
        """Delete a target; what was fetched for it stays.

        Raises
        ------
        TargetNotFoundError
            There is none of that name.
        """
        async with self._pools.query() as connection:
            cursor = await connection.execute(_DELETE, {"name": name})
        if not cursor.rowcount:
            raise _not_found(name)


def _not_found(name: str) -> TargetNotFoundError:
    return TargetNotFoundError(
        f"there is no target {name}; ListIngestionTargets lists them", metadata={"name": name}
    )


async def _read(connection: Connection, name: str) -> IngestionTarget | None:
    rows = await fetch_rows(connection, _BY_NAME, {"name": name})
    return _to_target(rows[0]) if rows else None


def _parameters(target: NewIngestionTarget) -> dict[str, Any]:
    return {
        "name": target.name,
        "symbols": list(target.symbols),
        "timeframes": [timeframe.value for timeframe in target.timeframes],
        "providers": list(target.providers),
        "history_start": target.history_start,
        "most": MOST_TARGETS,
    }


def _to_target(row: Mapping[str, Any]) -> IngestionTarget:
    return IngestionTarget(
        name=row["name"],
        symbols=tuple(row["symbols"]),
        timeframes=tuple(Timeframe(label) for label in row["timeframes"]),
        providers=tuple(row["providers"]),
        history_start=row["history_start"],
        target_id=row["target_id"],
        created_us=to_unix_us(row["created_at"]),
    )
