"""Reads of bars from their tables: in bulk from one snapshot, and a page at a time."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from concurrent.futures import Executor
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from marketdata.domain.bar_query import BarQuery
from marketdata.domain.bars import BarColumn, BarFrame
from marketdata.domain.feed import FeedCatalog
from marketdata.domain.symbol import ResolvedSymbol
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.bar_rows import decode_frame
from marketdata.storage.change_log import head
from marketdata.storage.copy_out import CopyReader
from marketdata.storage.feeds import read_catalog
from marketdata.storage.pools import Connection, Pools
from marketdata.storage.read_sql import BarStatement, bar_statements
from marketdata.storage.symbols import resolve, unknown_symbol

Block = TypeVar("Block")


@dataclass(frozen=True, slots=True)
class BarPage:
    """Bars of one symbol, read at once.

    Attributes
    ----------
    frame : BarFrame
        In the order asked for.
    resolved : ResolvedSymbol
        The identity that they belong to.
    timeframe : Timeframe
        What each bar covers.
    """

    frame: BarFrame
    resolved: ResolvedSymbol
    timeframe: Timeframe


@dataclass(frozen=True, slots=True)
class BarSnapshot:
    """A bulk read that is about to start: all of it comes from one snapshot of the database.

    Attributes
    ----------
    seq : int
        Every change of the log up to it is in the answer, and none after.
    unresolved : tuple of str
        Symbols of the query that name nothing known.
    """

    seq: int
    unresolved: tuple[str, ...]
    _connection: Connection
    _executor: Executor
    _query: BarQuery
    _statements: Sequence[BarStatement]
    _feeds: FeedCatalog

    async def blocks(self, transform: Callable[[BarFrame], Block]) -> AsyncGenerator[Block]:
        """Yield the bars in blocks: a small one for latency, then of about 16,000.

        Parameters
        ----------
        transform : callable
            Runs in the reading thread, so that the event loop is left alone: encode there.

        Raises
        ------
        DatabaseUnavailableError, QueryTimeoutError
            The answer is incomplete.
        """
        decode = partial(self._decode, transform)
        reader = CopyReader(self._connection, self._executor, decode)
        texts = [statement.text.as_bytes(self._connection) for statement in self._statements]
        async with aclosing(reader.blocks(texts)) as blocks:
            async for block in blocks:
                yield block

    def _decode(self, transform: Callable[[BarFrame], Block], number: int, data: bytes) -> Block:
        return transform(_decode(data, self._query, self._statements[number], self._feeds))


class BarReader:
    """Reads bars.

    Parameters
    ----------
    pools : Pools
        Where queries and bulk reads run.
    executor : Executor
        As many threads as bulk reads at a time.
    """

    def __init__(self, pools: Pools, executor: Executor) -> None:
        self._pools = pools
        self._executor = executor

    @asynccontextmanager
    async def snapshot(self, query: BarQuery) -> AsyncIterator[BarSnapshot]:
        """Open a bulk read; the snapshot lives as long as the context.

        Raises
        ------
        DatabaseUnavailableError, QueryTimeoutError
            The database cannot answer now.
        """
        async with self._pools.stream() as connection, connection.transaction():
            async with connection.pipeline():
                seq, _ = await head(connection)
                resolved = await resolve(connection, query.symbols, query.timeframe)
                feeds = await read_catalog(connection)
            yield BarSnapshot(
                seq=seq,
                unresolved=tuple(symbol for symbol in query.symbols if symbol not in resolved),
                _connection=connection,
                _executor=self._executor,
                _query=query,
                _statements=bar_statements(query, list(resolved.values())),
                _feeds=feeds,
            )

    async def read_page(self, query: BarQuery, count: int) -> BarPage:
        """Read the first `count` bars of a query about one symbol, in the order it asks for.

        Raises
        ------
        SymbolNotFoundError
            The symbol is unknown.
        DatabaseUnavailableError, QueryTimeoutError
            The database cannot answer now.
        """
        async with self._pools.query() as connection:
            symbol = query.symbols[0]
            async with connection.pipeline():
                found = await resolve(connection, [symbol], query.timeframe)
                feeds = await read_catalog(connection)
            if symbol not in found:
                raise unknown_symbol(symbol)
            statements = bar_statements(query, [found[symbol]], count)
            frames = [await _copy(connection, query, s, feeds) for s in statements]
        frame = BarFrame.concatenate(frames) if frames else BarFrame.empty((symbol,))
        return BarPage(frame, found[symbol], query.timeframe)


async def _copy(
    connection: Connection, query: BarQuery, statement: BarStatement, feeds: FeedCatalog
) -> BarFrame:
    async with connection.cursor().copy(statement.text) as copy:
        data = b"".join([bytes(row) async for row in copy])
    return _decode(data, query, statement, feeds)


def _decode(data: bytes, query: BarQuery, statement: BarStatement, feeds: FeedCatalog) -> BarFrame:
    return decode_frame(
        data,
        query.columns | {BarColumn.TIME},
        statement.symbols,
        feeds.names,
        many=len(statement.symbols) > 1,
    )
