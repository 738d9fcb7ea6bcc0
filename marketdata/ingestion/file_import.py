"""Bars of a file brought into the database, in bounded batches, with an account of every row."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from marketdata.domain.symbol import NewSymbol
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import BarFileError, SymbolAlreadyExistsError
from marketdata.ingestion.read_ahead import read_ahead
from marketdata.providers.files.blocks import BarBlock
from marketdata.providers.files.rejections import RejectedRow, RejectedRows, first_rows
from marketdata.storage.commit import CommitResult
from marketdata.storage.feeds import read_catalog
from marketdata.storage.intake import BarIntake
from marketdata.storage.pools import Pools
from marketdata.storage.symbols import SymbolStore

# As many as a direct COPY has under one savepoint; a transaction of them takes some 200 ms, and that
# is what an interruption can cost.
MOST_BARS_A_BATCH: Final = 50_000
# Rejected rows that are kept to be shown; all of them are counted, and told to whoever wants them.
_MOST_SAMPLES: Final = 20


@dataclass(slots=True)
class FileImport:
    """What became of a file so far; at the end every row is counted once.

    Kept current while the import runs, so that an interrupted one can say what it did.

    Attributes
    ----------
    rows : int
        Rows of the file, without blank ones.
    duplicates : int
        Left out because another row near them says exactly the same.
    rejected : int
        Left out because they break a rule; `rules` counts them by rule, and `samples` has the first
        of them. A row that breaks several rules is in each.
    ready : int
        Good bars that a dry run did not store.
    accepted, revised, unchanged, outranked : int
        Bars committed, as `CommitResult` counts them.
    created : list of str
        Symbols that were created; in a dry run those that would be.
    position : int
        How far the file is taken in, in the unit of its size.
    """

    rows: int = 0
    duplicates: int = 0
    rejected: int = 0
    ready: int = 0
    accepted: int = 0
    revised: int = 0
    unchanged: int = 0
    outranked: int = 0
    position: int = 0
    created: list[str] = field(default_factory=list)
    rules: Counter[str] = field(default_factory=Counter)
    samples: list[RejectedRow] = field(default_factory=list)

    @property
    def committed(self) -> int:
        """How many bars the database has seen."""
        return self.accepted + self.revised + self.unchanged + self.outranked

    @property
    def good(self) -> int:
        """How many bars there were to store, each once."""
        return self.committed + self.ready

    def add(self, result: CommitResult) -> None:
        """Count a commit."""
        self.accepted += result.accepted
        self.revised += result.revised
        self.unchanged += result.unchanged
        self.outranked += result.outranked

    def reject(self, groups: Sequence[RejectedRows], rows: int) -> None:
        """Count `rows` rejected rows, which stand in `groups`."""
        self.rejected += rows
        for group in groups:
            self.rules[group.rule] += len(group.lines)
        wanted = _MOST_SAMPLES - len(self.samples)
        if wanted > 0:
            self.samples += first_rows(groups, wanted)


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """What to do with the bars of a file.

    Attributes
    ----------
    timeframe : Timeframe
        What each bar covers; one that is stored.
    feed : str or None
        Feed of all bars where it was given, to be refused before anything is read.
    creates_symbols : bool
        Whether unknown symbols are created; their bars are rejected otherwise.
    is_dry_run : bool
        Whether nothing is stored.
    """

    timeframe: Timeframe
    feed: str | None = None
    creates_symbols: bool = False
    is_dry_run: bool = False


class FileImporter:
    """Imports the blocks of one file.

    Parameters
    ----------
    pools : Pools
        Where feeds are looked up.
    symbols : SymbolStore
        Where symbols are looked up and created.
    intake : BarIntake
        Where bars go.
    request : ImportRequest
        What to do.
    outcome : FileImport
        Where to count what becomes of the file.
    on_progress : callable
        Told after every batch, which is committed then.
    on_rejected : callable
        Told of all rejected rows.
    """

    def __init__(
        self,
        pools: Pools,
        symbols: SymbolStore,
        intake: BarIntake,
        request: ImportRequest,
        outcome: FileImport,
        *,
        on_progress: Callable[[], None],
        on_rejected: Callable[[Sequence[RejectedRows]], None],
    ) -> None:
        self._outcome = outcome
        self._pools = pools
        self._symbols = symbols
        self._intake = intake
        self._request = request
        self._on_progress = on_progress
        self._on_rejected = on_rejected
        self._known_symbols: dict[str, bool] = {}

    async def run(self, blocks: Iterator[BarBlock]) -> None:
        """Import all blocks, each batch in a transaction of its own.

        Whatever ends it early, the batches that were reported are stored, and running it again is
        safe: what is stored already is unchanged then.

        Parameters
        ----------
        blocks : iterator of BarBlock
            Read in a thread, one ahead.

        Raises
        ------
        BarFileError
            The feed is not known, or the rest of the file cannot be read.
        DatabaseUnavailableError, QueryTimeoutError, StorageFullError, WriteConflictError
            See `BarWriter.commit_bars`.
        """
        feeds = await self._known_feeds()
        async with aclosing(read_ahead(blocks)) as ahead:
            async for block in ahead:
                await self._take_in(block, feeds)

    async def _known_feeds(self) -> frozenset[str]:
        async with self._pools.query() as connection:
            names = (await read_catalog(connection)).known_names()
        if self._request.feed is not None and self._request.feed not in names:
            raise BarFileError(
                f"feed {self._request.feed} is not known; the feeds are {', '.join(names)}"
            )
        return frozenset(names)

    async def _take_in(self, block: BarBlock, feeds: frozenset[str]) -> None:
        await self._look_up(block.frame.symbols)
        unknown_symbols = frozenset(s for s, known in self._known_symbols.items() if not known)
        block = _without_symbols(block, unknown_symbols)
        block = _without_feeds(block, frozenset(block.frame.feeds.values()) - feeds, feeds)
        self._outcome.rows += block.rows
        self._outcome.duplicates += block.duplicates
        self._reject(block.rejected, block.rejected_rows)
        for part in _parts(block):
            await self._store(part)
            self._on_progress()
        self._outcome.position = block.position
        self._on_progress()

    async def _look_up(self, symbols: Sequence[str]) -> None:
        new = [symbol for symbol in symbols if symbol not in self._known_symbols]
        found = await self._symbols.resolve(new, self._request.timeframe) if new else {}
        for symbol in new:
            if symbol not in found and self._request.creates_symbols:
                await self._create(symbol)
            self._known_symbols[symbol] = symbol in found or self._request.creates_symbols

    async def _create(self, symbol: str) -> None:
        if not self._request.is_dry_run:
            try:
                await self._symbols.create(NewSymbol(symbol))
            except SymbolAlreadyExistsError:
                return  # by another import, since it was looked up
        self._outcome.created.append(symbol)

    async def _store(self, part: BarBlock) -> None:
        if self._request.is_dry_run:
            self._outcome.ready += len(part.frame)
            return
        result = await self._intake.store(part.frame, self._request.timeframe)
        self._outcome.add(result.committed)
        if result.rejected:
            # Deleted since they were looked up.
            self._known_symbols |= dict.fromkeys(result.rejected, False)
            rest = _without_symbols(part, frozenset(result.rejected))
            self._reject(rest.rejected, sum(result.rejected.values()))

    def _reject(self, groups: Sequence[RejectedRows], rows: int) -> None:
        if groups:
            self._outcome.reject(groups, rows)
            self._on_rejected(groups)


def _without_symbols(block: BarBlock, unknown: frozenset[str]) -> BarBlock:
    description = "is not known; create it first, or let --create-symbols do it"
    names = dict(enumerate(block.frame.symbols))
    return _without(block, "symbol", "UNKNOWN_SYMBOL", description, names, unknown)


def _without_feeds(block: BarBlock, unknown: frozenset[str], known: frozenset[str]) -> BarBlock:
    description = f"is not known; the feeds are {', '.join(sorted(known))}; --feed sets one for all"
    names = block.frame.feeds
    block = _without(block, "feed", "UNKNOWN_FEED", description, names, unknown)
    feeds = {key: name for key, name in names.items() if name not in unknown}
    return replace(block, frame=replace(block.frame, feeds=feeds))


def _without(
    block: BarBlock,
    column: str,
    rule: str,
    description: str,
    names: Mapping[int, str],
    unknown: frozenset[str],
) -> BarBlock:
    keys = [key for key, name in names.items() if name in unknown]
    frame = block.frame
    index = frame.row_symbol_index() if column == "symbol" else frame.feed
    bad = np.isin(index, keys)
    if not bad.any():
        return block
    values = [names[key] for key in index[bad].tolist()]
    group = RejectedRows(rule, column, description, block.lines[bad], values)
    return replace(
        block, frame=frame.take(~bad), lines=block.lines[~bad], rejected=[*block.rejected, group]
    )


def _parts(block: BarBlock) -> Iterator[BarBlock]:
    """Cut a block into batches of much the same size."""
    n = len(block.frame)
    batches = -(-n // MOST_BARS_A_BATCH)
    for batch in range(batches):
        rows = np.arange(n * batch // batches, n * (batch + 1) // batches)
        frame = block.frame.take(rows).with_used_symbols()
        yield replace(block, frame=frame, lines=block.lines[rows], rejected=())
