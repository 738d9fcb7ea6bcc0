"""What all interceptors share: a method's handler is wrapped once, whatever its kind, and kept."""

from __future__ import annotations  # gRPC's handler class is generic for type checkers only

import inspect
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc

Context = grpc.aio.ServicerContext[Any, Any]
Behaviour = Callable[[Any, Context], Awaitable[Any]]
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Continuation: TypeAlias = "Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]]"


@dataclass(frozen=True, slots=True)
class Method:
    """What is called.

    Attributes
    ----------
    name : str
        ``/package.Service/Method``.
    is_stream : bool
        Whether it answers with a stream.
    """

    name: str
    is_stream: bool


class CallInterceptor(ABC):
    """Does something around every call of a method."""

    @abstractmethod
    def wrap(self, method: Method, inner: Behaviour) -> Behaviour:
        """Make the behaviour that stands around `inner`; asked once a method, not once a call."""


class InterceptorChain(grpc.aio.ServerInterceptor):
    """All that stands around the handlers, as the one interceptor that gRPC knows.

    gRPC asks its interceptors anew at every call, although what they make depends on the method only.

    Parameters
    ----------
    interceptors : sequence of CallInterceptor
        From the outside.
    adapt : callable
        Makes the innermost handler from a method's own; it may replace the (de)serializers.
    """

    def __init__(
        self,
        interceptors: Sequence[CallInterceptor],
        adapt: Callable[[str, Handler], Handler],
    ) -> None:
        self._interceptors = tuple(interceptors)
        self._adapt = adapt
        self._wrapped: dict[str, Handler] = {}

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> Handler | None:
        """Return the method's wrapped handler; an unknown method has none."""
        name = handler_call_details.method
        wrapped = self._wrapped.get(name)
        if wrapped is None:
            handler = await continuation(handler_call_details)
            if handler is None:
                return None  # not kept: clients may invent names for ever
            wrapped = self._wrapped[name] = self._wrap(name, handler)
        return wrapped

    def _wrap(self, name: str, handler: Handler) -> Handler:
        if inspect.isasyncgenfunction(behaviour_of(handler)):
            return handler  # gRPC's own reflection: it reads no data of ours and has no limits
        method = Method(name, bool(handler.response_streaming))
        handler = self._adapt(name, handler)
        behaviour = behaviour_of(handler)
        for interceptor in reversed(self._interceptors):
            behaviour = interceptor.wrap(method, behaviour)
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
    make: Callable[..., Handler] = {
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
