"""One log line a call."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

import grpc

from marketdata.rpc.behaviour import Call, CallInterceptor, Context

log = logging.getLogger(__name__)

_CODE_NAMES: Final = {code.value[0]: code.name for code in grpc.StatusCode}


class AccessLogInterceptor(CallInterceptor):
    """Logs method, code and duration of every call when it has ended."""

    def around(self, call: Call, request: Any, context: Context) -> AbstractAsyncContextManager[Any]:  # noqa: ARG002
        """Measure the call."""
        return _logged(call, context)


@asynccontextmanager
async def _logged(call: Call, context: Context) -> AsyncIterator[None]:
    started = time.perf_counter()
    code = grpc.StatusCode.OK.name
    try:
        yield
    except asyncio.CancelledError:
        code = grpc.StatusCode.CANCELLED.name
        raise
    except grpc.aio.AbortError:
        code = _code_name(context)
        raise
    finally:
        log.info(
            "call",
            extra={
                "method": call.method,
                "code": code,
                "duration_ms": round((time.perf_counter() - started) * 1_000, 3),
                "peer": context.peer(),
            },
        )


def _code_name(context: Context) -> str:
    # gRPC's asyncio server tells the number where its sync one tells the enum.
    code: Any = context.code()
    return code.name if isinstance(code, grpc.StatusCode) else _CODE_NAMES.get(code, "UNKNOWN")
