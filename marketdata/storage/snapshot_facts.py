"""What a read must know before its first bar, all of one snapshot."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from marketdata.domain.adjustment import Adjustment
from marketdata.domain.bar_query import BarQuery
from marketdata.domain.calendar import SessionCalendar
from marketdata.domain.feed import FeedCatalog
from marketdata.domain.symbol import ResolvedSymbol
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.adjustments import Adjustments, read_adjustments
from marketdata.storage.calendars import load_calendars
from marketdata.storage.change_log import head
from marketdata.storage.feeds import read_catalog
from marketdata.storage.pools import Connection
from marketdata.storage.symbols import resolve

# Whether there is anything to derive from; by the primary key of bar_latest.
_HAVE_MINUTES = """
    SELECT symbol FROM bar_latest WHERE timeframe = '1m' AND symbol = ANY (%s)
"""


@dataclass(frozen=True, slots=True)
class SnapshotFacts:
    """What a snapshot holds besides bars.

    Attributes
    ----------
    seq : int
        Every change of the log up to it is in the answer, and none after.
    resolved : tuple of ResolvedSymbol
        The known symbols of the query, in its order.
    feeds : FeedCatalog
        All feeds.
    calendars : mapping of str to SessionCalendar
        By symbol; empty where the read needs none.
    adjustments : Adjustments
        Empty for raw prices.
    have_minutes : frozenset of str
        Tickers with minutes, from which coarser bars can be derived.
    """

    seq: int
    resolved: tuple[ResolvedSymbol, ...]
    feeds: FeedCatalog
    calendars: Mapping[str, SessionCalendar] = field(default_factory=dict)
    adjustments: Adjustments = field(default_factory=lambda: Adjustments({}, ()))
    have_minutes: frozenset[str] = frozenset()


async def read_facts(connection: Connection, query: BarQuery) -> SnapshotFacts:
    """Read the facts of a query in the snapshot of the caller's connection."""
    async with connection.pipeline():
        seq, _ = await head(connection)
        found = await resolve(connection, query.symbols, query.timeframe)
        feeds = await read_catalog(connection)
    resolved = tuple(found.values())
    have_minutes: frozenset[str] = frozenset()
    if query.timeframe is not Timeframe.MINUTE_1 and not query.stored_only:
        tickers = [segment.ticker for symbol in resolved for segment in symbol.segments]
        cursor = await connection.execute(_HAVE_MINUTES, [tickers])
        have_minutes = frozenset(ticker for (ticker,) in await cursor.fetchall())
    calendars: dict[str, SessionCalendar] = {}
    if have_minutes or query.adjustment is not Adjustment.RAW:
        by_name = await load_calendars(symbol.calendar for symbol in resolved)
        calendars = {symbol.symbol: by_name[symbol.calendar] for symbol in resolved}
    adjustments = Adjustments({}, ())
    if query.adjustment is not Adjustment.RAW:
        adjustments = await read_adjustments(connection, query, resolved, calendars)
    return SnapshotFacts(seq, resolved, feeds, calendars, adjustments, have_minutes)
