"""What our own servers beside a benchmark share: the service's server around another servicer."""

import asyncio
import gc
import signal
import sys
from typing import Any

from grpc_health.v1 import health

from marketdata.cli.logs import configure_logging
from marketdata.clock import SystemClock
from marketdata.rpc.admission import AdmissionInterceptor, AdmissionLimits
from marketdata.rpc.server import Services, bind, build_server
from marketdata.servicers.bars import BarsServicer
from marketdata.servicers.ingestion import IngestionServicer
from marketdata.servicers.symbols import SymbolServicer
from marketdata.servicers.token_signers import TokenSigners
from tests.benchmarks.processes import LISTENING


async def serve_bars(bars: BarsServicer) -> None:
    """Serve a BarsService with the service's own interceptors, options and logging until SIGTERM."""
    sys.setswitchinterval(0.0005)  # as the service does
    configure_logging("INFO", "text")
    unused: Any = None
    services = Services(
        SymbolServicer(unused, unused, unused, unused),
        bars,
        IngestionServicer(*[unused] * 9),
        health.aio.HealthServicer(),
    )
    server = build_server(services, AdmissionInterceptor(AdmissionLimits()), with_reflection=False)
    port = bind(server, "127.0.0.1", 0)
    await server.start()
    gc.collect()
    gc.freeze()  # as the service does
    print(f"{LISTENING}127.0.0.1:{port}", flush=True)  # noqa: T201 -- how the benchmark learns of it
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    await server.stop(0)


class _NoLog:
    """Stands where the hub would: answers name the history that they continue."""

    async def generation(self) -> str:
        """Name one."""
        return "0" * 16


async def _key() -> bytes:
    return bytes(32)


def detached_servicer(reader: Any = None, servicer: type[BarsServicer] = BarsServicer) -> BarsServicer:
    """Make a servicer without a database; only what goes to `reader` can be served."""
    unused: Any = None
    return servicer(
        reader=reader,
        latest=unused,
        coverage=unused,
        revisions=unused,
        statistics=unused,
        intake=unused,
        deleter=unused,
        providers=unused,
        hub=_NoLog(),
        signers=TokenSigners(_key),
        clock=SystemClock(),
    )
