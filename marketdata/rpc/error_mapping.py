"""Every failure of a call becomes one typed status; nothing internal ever reaches a client."""

import asyncio
import logging
import uuid
from typing import Any

import grpc

from marketdata.errors import InternalError, ServerDrainingError, ServiceError
from marketdata.rpc.behaviour import Behaviour, CallInterceptor, Context, Method
from marketdata.wire.errors import STATUS_DETAILS_KEY, to_status

log = logging.getLogger(__name__)


class ErrorInterceptor(CallInterceptor):
    """Aborts a call with the status of the error that its handler raised."""

    def wrap(self, method: Method, inner: Behaviour) -> Behaviour:
        """Turn what is raised inside into a status."""

        async def typed(request: Any, context: Context) -> Any:
            try:
                return await inner(request, context)
            except grpc.aio.AbortError:
                raise  # aborted already
            except asyncio.CancelledError:
                if context.cancelled():
                    raise
                # The server is stopping. Without a status the client would wait for its deadline.
                await abort(context, ServerDrainingError("the server is stopping; send the call again"))
            except ServiceError as error:
                await abort(context, error)
            except Exception as error:  # noqa: BLE001 -- whatever it is, nothing of it may leave
                await abort(context, _unknown(method, error))
            raise AssertionError("unreachable: abort raises")

        return typed


async def abort(context: Context, error: ServiceError) -> None:
    """End the call with the status of `error`; it raises, as gRPC's own abort does."""
    code, status = to_status(error)
    metadata = ((STATUS_DETAILS_KEY, status.SerializeToString()),)
    await context.abort(code, status.message, metadata)


def _unknown(method: Method, error: Exception) -> InternalError:
    error_id = uuid.uuid4().hex[:12]
    log.error("call_failed", exc_info=error, extra={"method": method.name, "error_id": error_id})
    return InternalError(
        f"the service failed on its side; its log has the details under {error_id}",
        metadata={"error_id": error_id},
    )
