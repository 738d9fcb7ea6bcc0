"""The call of BarsService that subscribes to bars."""

from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

import grpc
from bifrost.marketdata.v1 import bar_subscription_pb2 as messages

from marketdata.domain.log_position import LogPosition
from marketdata.domain.subscription import (
    BarsChange,
    ResumePoint,
    SubscriptionEvent,
    SubscriptionFilter,
)
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import SlowConsumerError
from marketdata.servicers.token_signers import TokenSigners
from marketdata.streaming.hub import Subscription, SubscriptionHub
from marketdata.wire.bar_subscription import (
    SubscribeRequest,
    encode_ack,
    encode_event,
    parse_subscribe_bars,
)
from marketdata.wire.resume_token import TokenSigner

Context = grpc.aio.ServicerContext[Any, Any]


class SubscriptionCalls:
    """Serves subscriptions.

    Parameters
    ----------
    hub : SubscriptionHub
        Begins them.
    signers : TokenSigners
        Give what signs their tokens.
    """

    def __init__(self, hub: SubscriptionHub, signers: TokenSigners) -> None:
        self._hub = hub
        self._signers = signers

    async def SubscribeBars(  # noqa: N802
        self, request: messages.SubscribeBarsRequest, context: Context
    ) -> None:
        """Tell what changes; see the contract."""
        signer = await self._signers.get()
        asked = parse_subscribe_bars(request, signer)
        async with self._hub.begin(asked.wanted, asked.resume) as subscription:
            await _serve(asked, subscription, _Teller(asked.wanted, signer, subscription, context))

    async def _resume_token(self, symbols: Sequence[str], timeframe: Timeframe, seq: int) -> str:
        """Make the token of a subscription that goes on behind a snapshot; empty where it cannot."""
        if not timeframe.is_stored:
            return ""
        signer = await self._signers.get()
        wanted = SubscriptionFilter(tuple(symbols), frozenset({timeframe}))
        position = LogPosition(await self._hub.generation(), seq)
        return signer.sign(wanted, ResumePoint(position))


class _Teller:
    """Writes the events of one subscription, and knows the last token."""

    def __init__(
        self,
        wanted: SubscriptionFilter,
        signer: TokenSigner,
        subscription: Subscription,
        context: Context,
    ) -> None:
        self._wanted = wanted
        self._signer = signer
        self._subscription = subscription
        self._context = context
        self._told: ResumePoint | None = None

    @property
    def token(self) -> str:
        """Resumes behind what was told; empty before anything was."""
        return self._token(self._told)

    async def begin(self, asked: SubscribeRequest) -> None:
        """Acknowledge the subscription, and tell what is stored where that is asked for."""
        start = self._subscription.start
        seq = start.position.seq
        token = self._token(start if asked.start_us is None else None)
        await self._context.write(encode_ack(asked, self._subscription.known, seq, token))
        if asked.start_us is not None:

            def encode(change: BarsChange) -> bytes:
                return encode_event(SubscriptionEvent(change, seq, None), "")

            async with aclosing(self._subscription.stored(asked.start_us, encode)) as blocks:
                async for block in blocks:
                    await self._context.write(block)
        self._told = start

    async def write(self, event: SubscriptionEvent) -> None:
        """Tell an event."""
        await self._context.write(self._subscription.encoded(event, self._encode))
        self._told = event.resume or self._told

    def _encode(self, event: SubscriptionEvent) -> bytes:
        return encode_event(event, self._token(event.resume))

    def _token(self, point: ResumePoint | None) -> str:
        return "" if point is None else self._signer.sign(self._wanted, point)


async def _serve(asked: SubscribeRequest, subscription: Subscription, teller: _Teller) -> None:
    await teller.begin(asked)
    try:
        await subscription.run(asked.policy, asked.heartbeat_seconds, teller.write)
    except SlowConsumerError as error:
        error.metadata["resume_token"] = teller.token
        raise
