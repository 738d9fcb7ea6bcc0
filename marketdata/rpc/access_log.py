"""One log line a call."""

import asyncio
import logging
import time
from typing import Any, Final

import grpc

from marketdata.rpc.behaviour import Behaviour, CallInterceptor, Context, Method

log = logging.getLogger(__name__)

_OK: Final = grpc.StatusCode.OK.name
_CANCELLED: Final = grpc.StatusCode.CANCELLED.name
_CODE_NAMES: Final = {code.value[0]: code.name for code in grpc.StatusCode}


class AccessLogInterceptor(CallInterceptor):
    """Logs method, code and duration of every call when it has ended."""

    def wrap(self, method: Method, inner: Behaviour) -> Behaviour:
        """Measure the calls."""

        async def logged(request: Any, context: Context) -> Any:
            started = time.perf_counter()
            code = _OK
            try:
                return await inner(request, context)
            except asyncio.CancelledError:
                code = _CANCELLED
                raise
            except grpc.aio.AbortError:
                code = _code_name(context)
                raise
            finally:
                log.info(
                    "call",
                    extra={
                        "method": method.name,
                        "code": code,
                        "duration_ms": round((time.perf_counter() - started) * 1_000, 3),
                        "peer": context.peer(),
                    },
                )

        return logged


def _code_name(context: Context) -> str:
    # gRPC's asyncio server tells the number where its sync one tells the enum.
    code: Any = context.code()
    return code.name if isinstance(code, grpc.StatusCode) else _CODE_NAMES.get(code, "UNKNOWN")
