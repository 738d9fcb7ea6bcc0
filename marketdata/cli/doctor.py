"""``marketdata doctor``: what is configured, what answers, and what is wrong."""

import asyncio

import grpc
import typer
from grpc_health.v1 import health_pb2, health_pb2_grpc
from rich.text import Text

from marketdata import app
from marketdata.cli.output import print_table
from marketdata.config import Settings, load_settings
from marketdata.errors import MarketDataError
from marketdata.storage.embedded import attach, default_data_folder

_OK, _PROBLEM = Text("ok"), Text("problem", style="bold red")
_CALL_SECONDS = 3.0

Finding = tuple[str, Text, str]


def doctor() -> None:
    """Say what is configured, what answers, and what is wrong. Exits with 1 where something is."""
    settings = load_settings()
    findings = asyncio.run(_examine(settings))
    print_table(["what", "state", "details"], findings, wide="details", numbers_from=3)
    if any(state == _PROBLEM for _, state, _ in findings):
        raise typer.Exit(1)


async def _examine(settings: Settings) -> list[Finding]:
    return [
        ("settings", _OK, _describe(settings)),
        await _examine_database(settings),
        await _examine_service(f"{settings.host}:{settings.port}"),
    ]


def _describe(settings: Settings) -> str:
    if not settings.is_embedded:
        return f"database {settings.db_name} on {settings.db_host}:{settings.db_port}"
    return f"embedded database in {settings.data_dir or default_data_folder()}"


async def _examine_database(settings: Settings) -> Finding:
    try:
        if settings.is_embedded:
            folder = settings.data_dir or default_data_folder()
            if await asyncio.to_thread(attach, folder) is None:
                return ("database", _PROBLEM, "not running; scripts/serve starts it with the service")
        async with app.open_database(settings, "doctor") as address:
            report = await app.examine_database(address, settings)
    except MarketDataError as error:
        return ("database", _PROBLEM, str(error))
    details = f"PostgreSQL {report.facts.postgres_version}, storage mode {report.facts.mode.value}"
    if report.pending:
        return ("database", _PROBLEM, f"{details}; schema is behind: run marketdata migrate")
    if not report.facts.is_durable:
        problem = "fsync, full_page_writes or synchronous_commit is off: acknowledged bars can be lost"
        return ("database", _PROBLEM, f"{details}; {problem}")
    return ("database", _OK, details)


async def _examine_service(target: str) -> Finding:
    async with grpc.aio.insecure_channel(target) as channel:
        request = health_pb2.HealthCheckRequest()
        try:
            answer = await health_pb2_grpc.HealthStub(channel).Check(request, timeout=_CALL_SECONDS)
        except grpc.aio.AioRpcError as error:
            return ("service", _PROBLEM, f"nothing answers on {target} ({error.code().name})")
    status = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
    return ("service", _OK if status == "SERVING" else _PROBLEM, f"{target} says {status}")
