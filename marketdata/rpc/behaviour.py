"""What all interceptors share: a call is wrapped, whatever its kind, and its handler rebuilt."""

from __future__ import annotations  # gRPC's handler class is generic for type checkers only

import inspect
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc

Context = grpc.aio.ServicerContext[Any, Any]
Behaviour = Callable[[Any, Context], Any]
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Continuation: TypeAlias = "Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]]"


@dataclass(frozen=True, slots=True)
class Call:
    """A call under way.

    Attributes
    ----------
    method : str
        ``/package.Service/Method``.
    is_stream : bool
        Whether it answers with a stream.
    """

    method: str
    is_stream: bool


class CallInterceptor(grpc.aio.ServerInterceptor, ABC):
    """An interceptor that does something around every call."""

    @abstractmethod
    def around(self, call: Call, request: Any, context: Context) -> AbstractAsyncContextManager[Any]:
        """Make the context that the call runs in."""

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> Handler | None:
        """Wrap the handler that the rest of the chain found; an unknown method has none."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return handler
        call = Call(handler_call_details.method, bool(handler.response_streaming))
        inner = behaviour_of(handler)
        if inspect.isasyncgenfunction(inner):
            return handler  # gRPC's own reflection: it reads no data of ours and has no limits

        async def behaviour(request: Any, context: Context) -> Any:
            async with self.around(call, request, context):
                return await inner(request, context)

        return rebuild(handler, behaviour)


def behaviour_of(handler: Handler) -> Behaviour:
    """Return the function that a handler calls, of whichever kind it is."""
    for kind in ("unary_unary", "unary_stream", "stream_unary", "stream_stream"):
        behaviour: Behaviour | None = getattr(handler, kind)
        if behaviour is not None:
            return behaviour
    raise TypeError("a handler without a behaviour")


def rebuild(
    handler: Handler,
    behaviour: Behaviour,
    *,
    request_deserializer: Callable[[bytes], Any] | None = None,
    response_serializer: Callable[[Any], bytes] | None = None,
) -> Handler:
    """Make a handler of the same kind with other parts; what is not given stays."""
    make = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }[bool(handler.request_streaming), bool(handler.response_streaming)]
    return make(
        behaviour,
        request_deserializer or handler.request_deserializer,
        response_serializer or handler.response_serializer,
    )
