"""All subscriptions of a process: what they share."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from marketdata.domain.subscription import (
    BarsChange,
    ResumePoint,
    SlowReaderPolicy,
    SubscriptionEvent,
    SubscriptionFilter,
)
from marketdata.storage.bar_reader import BarReader
from marketdata.storage.log_reader import LogReader
from marketdata.storage.pools import Pools
from marketdata.storage.symbols import SymbolStore
from marketdata.streaming.consumer import MOST_WAITING_BYTES, LogConsumer
from marketdata.streaming.encoded_events import EncodedEvents
from marketdata.streaming.lookups import Lookups
from marketdata.streaming.mailbox import MOST_MAILBOX_BYTES
from marketdata.streaming.routes import Routes
from marketdata.streaming.selection import Selection
from marketdata.streaming.stored_bars import StoredBars
from marketdata.streaming.subscriber import MOST_STALLED_SECONDS, Subscriber, Write
from marketdata.streaming.tailer import LogTailer


@dataclass(frozen=True, slots=True)
class SubscriptionLimits:
    """What a subscriber may let wait.

    Attributes
    ----------
    log_bytes : int
        Of the change log, once he has caught up.
    mailbox_bytes : int
        Of what is ready for him; conflated beyond, where he wants that.
    stalled_seconds : float
        How long one message.
    """

    log_bytes: int = MOST_WAITING_BYTES
    mailbox_bytes: int = MOST_MAILBOX_BYTES
    stalled_seconds: float = MOST_STALLED_SECONDS


SUBSCRIPTION_LIMITS: Final = SubscriptionLimits()


class Subscription:
    """One subscription, begun; made by `SubscriptionHub.begin`.

    Attributes
    ----------
    start : ResumePoint
        Behind it, changes are told.
    known : list of (str, bool)
        The symbols asked for, each with whether it names something.
    """

    def __init__(
        self, hub: "SubscriptionHub", consumer: LogConsumer, selection: Selection, routes: Routes
    ) -> None:
        self._hub = hub
        self._consumer = consumer
        self._selection = selection
        self.start: Final = selection.resume
        self.known: Final = [(symbol, routes.is_known(symbol)) for symbol in selection.wanted.symbols]

    def stored(
        self, start_us: int, encode: Callable[[BarsChange], bytes]
    ) -> AsyncGenerator[bytes, None]:
        """Yield the bars that were stored when the subscription began; see `StoredBars.blocks`."""
        wanted, seq = self._selection.wanted, self.start.position.seq
        return self._hub.stored.blocks(wanted, start_us, seq, encode)

    async def run(self, policy: SlowReaderPolicy, heartbeat_seconds: float, write: Write) -> None:
        """Tell what changes, until somebody ends it; see `Subscriber.run`."""
        limits = self._hub.limits
        subscriber = Subscriber(
            self._consumer,
            self._selection,
            policy,
            heartbeat_seconds,
            limits.mailbox_bytes,
            limits.stalled_seconds,
        )
        await subscriber.run(write)

    def encoded(self, event: SubscriptionEvent, encode: Callable[[SubscriptionEvent], bytes]) -> bytes:
        """Encode an event, once for all who are told the same."""
        return self._hub.encoded_events.encoded(event, encode)


class SubscriptionHub:
    """Begins subscriptions over the one tailer of the process.

    Parameters
    ----------
    tailer : LogTailer
        Hands out the log.
    log : LogReader
        Tells its generation while the tailer does not know it.
    lookups : Lookups
        Finds out what entries do not say.
    stored : StoredBars
        Reads what subscriptions with a start begin with.
    limits : SubscriptionLimits
        Of each subscriber.
    """

    def __init__(
        self,
        tailer: LogTailer,
        log: LogReader,
        lookups: Lookups,
        stored: StoredBars,
        limits: SubscriptionLimits = SUBSCRIPTION_LIMITS,
    ) -> None:
        self._tailer = tailer
        self._log = log
        self._lookups = lookups
        self.stored: Final = stored
        self.limits = limits
        self.encoded_events: Final = EncodedEvents()

    @asynccontextmanager
    async def begin(
        self, wanted: SubscriptionFilter, resume: ResumePoint | None
    ) -> AsyncIterator[Subscription]:
        """Begin a subscription.

        Parameters
        ----------
        wanted : SubscriptionFilter
            What it is about.
        resume : ResumePoint or None
            Behind what it goes on; None: behind everything that is committed now.

        Raises
        ------
        LogGenerationError, LogAheadError, LogTrimmedError, ServerDrainingError
            See `LogTailer.attach`.
        DatabaseUnavailableError, QueryTimeoutError
            The database cannot be asked.
        """
        position = resume.position if resume else None
        async with await self._tailer.attach(position, self.limits.log_bytes) as consumer:
            # Behind the position: what changes of the symbols meanwhile comes as an entry.
            routes = await self._lookups.routes(wanted)
            start = resume or ResumePoint(consumer.position)
            yield Subscription(self, consumer, Selection(wanted, routes, start, self._lookups), routes)

    async def generation(self) -> str:
        """Tell of which history the log is; after a restore the one before until the tailer notices.

        Raises
        ------
        DatabaseUnavailableError, QueryTimeoutError
            The tailer has not found the log yet, and it cannot be asked.
        """
        position = self._tailer.position
        return position.generation if position else (await self._log.bounds()).generation


def build_hub(
    tailer: LogTailer,
    pools: Pools,
    symbols: SymbolStore,
    reader: BarReader,
    limits: SubscriptionLimits = SUBSCRIPTION_LIMITS,
) -> SubscriptionHub:
    """Put the hub of a process together."""
    return SubscriptionHub(
        tailer, LogReader(pools), Lookups(pools, symbols), StoredBars(reader), limits
    )
