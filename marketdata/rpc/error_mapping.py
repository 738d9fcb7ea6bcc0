"""Every failure of a call becomes one typed status; nothing internal ever reaches a client."""

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import grpc

from marketdata.errors import InternalError, ServerDrainingError, ServiceError
from marketdata.rpc.behaviour import Call, CallInterceptor, Context
from marketdata.wire.errors import STATUS_DETAILS_KEY, to_status

log = logging.getLogger(__name__)


class ErrorInterceptor(CallInterceptor):
    """Aborts a call with the status of the error that its handler raised."""

    def around(self, call: Call, request: Any, context: Context) -> AbstractAsyncContextManager[Any]:  # noqa: ARG002
        """Turn what is raised inside into a status."""
        return _statuses(call, context)


async def abort(context: Context, error: ServiceError) -> None:
    """End the call with the status of `error`; it raises, as gRPC's own abort does."""
    code, status = to_status(error)
    metadata = ((STATUS_DETAILS_KEY, status.SerializeToString()),)
    await context.abort(code, status.message, metadata)


@asynccontextmanager
async def _statuses(call: Call, context: Context) -> AsyncIterator[None]:
    try:
        yield
    except ServiceError as error:
        await abort(context, error)
    except grpc.aio.AbortError:
        raise  # aborted already
    except asyncio.CancelledError:
        if context.cancelled():
            raise
        # The server is stopping. Without a status the client would wait for its deadline.
        await abort(context, ServerDrainingError("the server is stopping; send the call again"))
    except Exception as error:
        error_id = uuid.uuid4().hex[:12]
        log.exception("call_failed", extra={"method": call.method, "error_id": error_id})
        unknown = InternalError(
            f"the service failed on its side; its log has the details under {error_id}",
            metadata={"error_id": error_id},
        )
        await abort(context, unknown)
        raise AssertionError("unreachable: abort raises") from error
