"""``marketdata doctor``: what is configured, what answers, and what is wrong."""

import asyncio
from typing import TYPE_CHECKING, Annotated, Final

import grpc
import typer
from grpc_health.v1 import health_pb2, health_pb2_grpc
from rich.text import Text

from marketdata.cli.output import print_table
from marketdata.cli.rows import RowForm, RowWriter, piped
from marketdata.config import Settings, load_settings
from marketdata.errors import MarketDataError

if TYPE_CHECKING:
    from marketdata.database import DatabaseReport
    from marketdata.storage.log_facts import LogFacts

_OK, _PROBLEM = Text("ok"), Text("problem", style="bold red")
_CALL_SECONDS = 3.0
_FIELDS: Final = ("what", "state", "details")

Finding = tuple[str, Text, str]


def doctor(
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="For pipes: a JSON object a line with what, state, details")
    ] = False,
) -> None:
    """Say what is configured, what answers, and what is wrong.

    Looks at the settings, the database, the targets and the service, changes nothing and starts
    nothing. A target is stale where what was due hours ago (a day, of the repair of history, corporate
    actions and companies) has no run that succeeded. Exits with 1 where something is wrong. A state is
    ok or problem.

    Example: marketdata doctor

    Example: marketdata doctor --json | grep problem
    """
    settings = load_settings()
    findings = asyncio.run(_examine(settings))
    if as_json:
        with piped():
            rows = RowWriter(RowForm.JSON, _FIELDS)
            rows.write((what, state.plain, details) for what, state, details in findings)
    else:
        print_table(_FIELDS, findings, wide="details", numbers_from=3)
    if any(state == _PROBLEM for _, state, _ in findings):
        raise typer.Exit(1)


async def _examine(settings: Settings) -> list[Finding]:
    return [
        ("settings", _OK, _describe(settings)),
        *await _examine_database(settings),
        await _examine_service(f"{settings.host}:{settings.port}"),
    ]


def _describe(settings: Settings) -> str:
    if not settings.is_embedded:
        return f"database {settings.db_name} on {settings.db_host}:{settings.db_port}"
    from marketdata.storage.embedded import default_data_folder  # noqa: PLC0415 -- as above

    return f"embedded database in {settings.data_dir or default_data_folder()}"


async def _examine_database(settings: Settings) -> list[Finding]:
    from marketdata import database  # noqa: PLC0415 -- 0.3 s that commands which only ask a service need not wait for
    from marketdata.cli.doctor_targets import examine_targets  # noqa: PLC0415 -- the same
    from marketdata.storage.embedded import attach, default_data_folder  # noqa: PLC0415 -- the same

    try:
        if settings.is_embedded:
            folder = settings.data_dir or default_data_folder()
            if await asyncio.to_thread(attach, folder) is None:
                return [("database", _PROBLEM, "not running; scripts/serve starts it with the service")]
        async with database.open_database(settings, "doctor") as roles:
            report = await database.examine_database(roles, settings)
            found = [_judge(report)]
            if report.log is not None:  # the schema is of this release
                found.append(("log", _OK, _describe_log(report.log)))
                found += await examine_targets(roles, settings, _OK, _PROBLEM)
            return found
    except MarketDataError as error:
        return [("database", _PROBLEM, str(error))]


def _judge(report: "DatabaseReport") -> Finding:
    details = str(report.facts)
    if report.pending:
        return ("database", _PROBLEM, f"{details}; schema is behind: run marketdata migrate")
    if not report.facts.is_durable:
        problem = "fsync, full_page_writes or synchronous_commit is off: acknowledged bars can be lost"
        return ("database", _PROBLEM, f"{details}; {problem}")
    if report.is_owner:
        details += (
            "; the service may do more than it needs: let DB_USERNAME be market_data_service_user, "
            "and MARKETDATA_MIGRATOR_USERNAME its owner"
        )
    return ("database", _OK, details)


def _describe_log(log: "LogFacts") -> str:
    from marketdata.cli.keeping import size_text  # noqa: PLC0415 -- as above

    bounds = log.bounds
    held = (
        f"entries {bounds.oldest_seq:,} to {bounds.head_seq:,}" if bounds.head_seq else "no entry yet"
    )
    return f"{held}, {size_text(log.entries_bytes)}, generation {bounds.generation}"


async def _examine_service(target: str) -> Finding:
    async with grpc.aio.insecure_channel(target) as channel:
        request = health_pb2.HealthCheckRequest()
        try:
            answer = await health_pb2_grpc.HealthStub(channel).Check(request, timeout=_CALL_SECONDS)
        except grpc.aio.AioRpcError as error:
            return ("service", _PROBLEM, f"nothing answers on {target} ({error.code().name})")
    status = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
    return ("service", _OK if status == "SERVING" else _PROBLEM, f"{target} says {status}")
