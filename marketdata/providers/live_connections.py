"""A live feed's connections, one after the other: breaks are told, and the next one waited for."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Final

from marketdata.domain.reconnect import Reconnect
from marketdata.errors import ProviderError, ProviderKeyError
from marketdata.providers.live import FeedBars, FeedDown, FeedEvent

#: Before a feed is tried again: soon, and then as seldom as does no harm to who is overloaded.
FEED_RECONNECT: Final = Reconnect(0.5, 30.0)


async def follow_connections(
    connect: Callable[[], AsyncGenerator[FeedEvent, None]],
    reconnect: Reconnect,
    redact: Callable[[str], str],
) -> AsyncGenerator[FeedEvent, None]:
    """Follow a feed until cancelled; see `LiveFeed.events`.

    Parameters
    ----------
    connect : callable
        Follows one connection to its end, which is a `ProviderError`.
    reconnect : Reconnect
        How long to wait before the next one.
    redact : callable
        Takes keys out of what is told.

    Raises
    ------
    ProviderKeyError
        The key is refused: only an operator can mend that.
    """
    failures = 0
    while True:
        try:
            async with aclosing(connect()) as events:
                async for event in events:
                    # Not by its greeting: one that greets and hangs up is no better.
                    failures = 0 if isinstance(event, FeedBars) else failures
                    yield event
        except ProviderKeyError as error:
            refused = redact(error.message)
        except ProviderError as error:
            failures += 1
            down = FeedDown(redact(error.message), reconnect.seconds(failures))
            yield down
            await asyncio.sleep(down.retry_seconds)
            continue
        # Outside of the except clause: no traceback leads back to what was sent.
        raise ProviderKeyError(refused)
