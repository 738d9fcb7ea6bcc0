"""The client for code without an event loop.

Nothing of it is written twice: each method is the asyncio client's own coroutine, run over gRPC's
synchronous channel, where it never has to wait for an event loop (see `marketdata.client.transport`).
"""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import wraps
from typing import Any, Concatenate, Final, ParamSpec, Self, TypeVar

import grpc

from marketdata.client.answers import AppliedRead
from marketdata.client.bar_stream import BarStream
from marketdata.client.bar_subscription import BarSubscription, SubscriptionUpdate
from marketdata.client.blocking_transport import BlockingTransport
from marketdata.client.channels import DEFAULT_ADDRESS, channel_options
from marketdata.client.driving import next_of, run
from marketdata.client.retry import DEFAULT_RETRIES, RetryPolicy
from marketdata.client.service import DEFAULT_TIMEOUT_SECONDS, MarketDataClient
from marketdata.domain.bars import BarFrame

P = ParamSpec("P")
T = TypeVar("T")
Own = Callable[Concatenate["SyncMarketDataClient", P], T]


def _blocking(
    method: Callable[Concatenate[MarketDataClient, P], Coroutine[Any, Any, T]],
) -> Own[P, T]:
    @wraps(method)
    def call(self: "SyncMarketDataClient", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return run(method(self._client, *args, **kwargs))

    return call


def _iterating(
    method: Callable[Concatenate[MarketDataClient, P], AsyncIterator[T]],
) -> Own[P, Iterator[T]]:
    @wraps(method)
    def call(self: "SyncMarketDataClient", /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        items = method(self._client, *args, **kwargs)
        while True:
            try:
                item = next_of(items)
            except StopAsyncIteration:
                return
            yield item

    return call


def _streaming(
    method: Callable[Concatenate[MarketDataClient, P], BarStream],
) -> Own[P, "SyncBarStream"]:
    @wraps(method)
    def call(self: "SyncMarketDataClient", /, *args: P.args, **kwargs: P.kwargs) -> SyncBarStream:
        return SyncBarStream(method(self._client, *args, **kwargs))

    return call


def _subscribing(
    method: Callable[Concatenate[MarketDataClient, P], BarSubscription],
) -> Own[P, "SyncBarSubscription"]:
    @wraps(method)
    def call(self: "SyncMarketDataClient", /, *args: P.args, **kwargs: P.kwargs) -> SyncBarSubscription:
        return SyncBarSubscription(method(self._client, *args, **kwargs))

    return call


class SyncBarStream:
    """Bars as they arrive: ``for frame in stream``; see `BarStream`.

    It belongs to one thread at a time. A stream that is left before its end is ended by ``close``, or
    by ``with``.
    """

    def __init__(self, stream: BarStream) -> None:
        self._stream = stream

    @property
    def applied(self) -> AppliedRead | None:
        """What the service applied; None until the first answer has arrived."""
        return self._stream.applied

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> BarFrame:
        try:
            return next_of(self._stream)
        except StopAsyncIteration:
            raise StopIteration from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """End the stream, whatever has not arrived; the service stops reading at once."""
        run(self._stream.aclose())


class SyncBarSubscription:
    """Updates as they come: ``for update in subscription``; see `BarSubscription`.

    It belongs to one thread at a time, which it blocks while nothing changes. It is ended by ``close``,
    or by ``with``.
    """

    def __init__(self, subscription: BarSubscription) -> None:
        self._subscription = subscription

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> SubscriptionUpdate:
        try:
            return next_of(self._subscription)
        except StopAsyncIteration:
            raise StopIteration from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """End the subscription."""
        run(self._subscription.aclose())


class SyncMarketDataClient:
    """Calls the service and waits for its answers; a context manager that closes its connection.

    Methods, arguments and errors are those of `MarketDataClient`. Iterables that are uploaded are read,
    and progress is told, in the thread of the call.

    Any number of threads may share it. It has no event loop and starts none, so it can be used where
    one runs already (a notebook) and then blocks it while it waits, as any function would. After a fork
    the child makes its own; processes are better spawned, since gRPC's threads do not survive a fork.

    Parameters
    ----------
    address, credentials, timeout_seconds, retries
        As `MarketDataClient`.
    channel : grpc.Channel, optional
        Called instead of one to `address`: one with interceptors, or a test's.

    Raises
    ------
    ServiceError
        From every method: the class of the error tree that the service raised.
    RuntimeError
        From every method: the client is closed, or was made before a fork.
    """

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        *,
        credentials: grpc.ChannelCredentials | None = None,
        channel: grpc.Channel | None = None,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
        retries: RetryPolicy = DEFAULT_RETRIES,
    ) -> None:
        transport = BlockingTransport(channel or _make_channel(address, credentials))
        self._client: Final = MarketDataClient.over(
            transport, timeout_seconds=timeout_seconds, retries=retries
        )

    def __enter__(self) -> Self:
        """Return the client; it connects at the first call."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close the connection."""
        self.close()

    close = _blocking(MarketDataClient.close)

    get_symbol = _blocking(MarketDataClient.get_symbol)
    list_symbols = _iterating(MarketDataClient.list_symbols)
    create_symbol = _blocking(MarketDataClient.create_symbol)
    update_symbol = _blocking(MarketDataClient.update_symbol)
    delete_symbol = _blocking(MarketDataClient.delete_symbol)
    search_symbols = _blocking(MarketDataClient.search_symbols)
    validate_symbols = _blocking(MarketDataClient.validate_symbols)
    list_corporate_actions = _iterating(MarketDataClient.list_corporate_actions)
    create_corporate_actions = _blocking(MarketDataClient.create_corporate_actions)

    get_company = _blocking(MarketDataClient.get_company)
    update_company = _blocking(MarketDataClient.update_company)

    bars = _blocking(MarketDataClient.bars)
    stream_bars = _streaming(MarketDataClient.stream_bars)
    subscribe = _subscribing(MarketDataClient.subscribe)
    get_latest_bar = _blocking(MarketDataClient.get_latest_bar)
    get_latest_bars = _blocking(MarketDataClient.get_latest_bars)
    list_bars = _blocking(MarketDataClient.list_bars)
    create_bars = _blocking(MarketDataClient.create_bars)
    upload_bars = _blocking(MarketDataClient.upload_bars)
    delete_bars = _blocking(MarketDataClient.delete_bars)
    get_bar_coverage = _blocking(MarketDataClient.get_bar_coverage)
    list_bar_revisions = _iterating(MarketDataClient.list_bar_revisions)
    get_bar_statistics = _blocking(MarketDataClient.get_bar_statistics)

    list_providers = _blocking(MarketDataClient.list_providers)
    list_live_feeds = _blocking(MarketDataClient.list_live_feeds)
    start_ingestion = _blocking(MarketDataClient.start_ingestion)
    get_ingestion_run = _blocking(MarketDataClient.get_ingestion_run)
    list_ingestion_runs = _iterating(MarketDataClient.list_ingestion_runs)
    watch_ingestion_run = _iterating(MarketDataClient.watch_ingestion_run)
    cancel_ingestion_run = _blocking(MarketDataClient.cancel_ingestion_run)

    list_quarantined_bars = _iterating(MarketDataClient.list_quarantined_bars)
    release_quarantined_bars = _blocking(MarketDataClient.release_quarantined_bars)
    drop_quarantined_bars = _blocking(MarketDataClient.drop_quarantined_bars)

    list_ingestion_targets = _iterating(MarketDataClient.list_ingestion_targets)
    create_ingestion_target = _blocking(MarketDataClient.create_ingestion_target)
    update_ingestion_target = _blocking(MarketDataClient.update_ingestion_target)
    delete_ingestion_target = _blocking(MarketDataClient.delete_ingestion_target)


def _make_channel(address: str, credentials: grpc.ChannelCredentials | None) -> grpc.Channel:
    if credentials is None:
        return grpc.insecure_channel(address, options=channel_options())
    return grpc.secure_channel(address, credentials, options=channel_options())
