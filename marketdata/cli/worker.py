"""``marketdata worker``."""

import asyncio
from typing import TYPE_CHECKING

from marketdata.cli.logs import configure_logging
from marketdata.cli.output import OUT
from marketdata.config import load_settings

if TYPE_CHECKING:
    from marketdata.worker import Working


def worker() -> None:
    """Keep targets current and execute runs, until Ctrl-C or SIGTERM; serve no calls.

    For a database of its own server (DB_HOST): marketdata serve does the same beside its calls, and
    leaves it to workers with MARKETDATA_INGESTION=false. Any number of workers and services may share
    a database: each slot of the schedule and each run is executed once, and when a process dies another
    goes on with its runs. All of them need the same keys of providers and the same MARKETDATA_SCHEDULE_
    settings. MARKETDATA_WORKER_PORT gives an orchestrator a grpc.health.v1 to ask.

    Example: DB_HOST=db DB_USERNAME=market_data_service_user marketdata worker

    Example: MARKETDATA_WORKER_PORT=8011 MARKETDATA_LOG_FORMAT=json marketdata worker
    """
    from marketdata.worker import work  # noqa: PLC0415 -- 0.3 s that commands which only ask a service need not wait for

    settings = load_settings()
    configure_logging(settings.log_level, settings.log_format)
    asyncio.run(work(settings, _say_working))


def _say_working(working: "Working") -> None:
    health = f" Its health: {working.health}." if working.health else ""
    OUT.print(f"Working on {working.facts}.{health} Ctrl-C stops.", soft_wrap=True)
