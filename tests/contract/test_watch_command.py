"""``marketdata watch``: lines for pipes, in a process of its own, until it is interrupted."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.contract.commands import Commands
from tests.contract.requests import TUESDAY_US, add_bars, add_symbols
from tests.contract.service import Service
from tests.support.bars import days

_DEADLINE_SECONDS: Final = 60.0


@contextmanager
def watching(service: Service, folder: Path, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """Watch in a process of its own, in a folder without settings."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DB_", "MARKETDATA_"))}
    with subprocess.Popen(
        [
            Path(sys.executable).with_name("marketdata"),
            "watch",
            *arguments,
            "--address",
            service.address,
        ],
        env=kept,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


async def next_line(process: "subprocess.Popen[str]") -> str:
    """Wait for the next line."""
    assert process.stdout is not None
    async with asyncio.timeout(_DEADLINE_SECONDS):
        return await asyncio.to_thread(process.stdout.readline)


async def next_row(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """Wait for the next JSON line."""
    row: dict[str, Any] = json.loads(await next_line(process))
    return row


async def test_watch_given_json_writes_every_change_and_resumes(
    following: Service, tmp_path: Path
) -> None:
    """Stored bars, then changes, each event with a token that another process goes on behind."""
    await add_symbols(following, "AAPL")
    await add_bars(following, [TUESDAY_US])
    asked = ("AAPL", "--json", "--since", "2024-01-02")
    with watching(following, tmp_path, *asked) as process:
        stored = await next_row(process)
        assert (stored["event"], stored["time"], stored["stored"]) == (
            "bar",
            "2024-01-02T00:00:00Z",
            True,
        )
        live = await next_row(process)
        assert (live["event"], bool(live["resume_token"])) == ("caught_up", True)
        first = await add_bars(following, [TUESDAY_US], volume=[7.0])
        revised = await next_row(process)
        assert (revised["seq"], revised["volume"], revised["revision"]) == (first, 7.0, 1)
        process.send_signal(signal.SIGINT)
        out, err = await asyncio.to_thread(process.communicate, None, _DEADLINE_SECONDS)
    assert (process.returncode, out, err) == (130, "", "")
    second = await add_bars(following, [TUESDAY_US + days(1)])
    token = revised["resume_token"]
    with watching(following, tmp_path, "AAPL", "--json", "--resume-token", token) as process:
        rows = [await next_row(process), await next_row(process)]
    assert [row["seq"] for row in rows if row["event"] == "bar"] == [second]


async def test_watch_given_pipe_prints_a_line_a_change(following: Service, tmp_path: Path) -> None:
    """Without a terminal there is no table."""
    await add_symbols(following, "AAPL")
    with watching(following, tmp_path, "*", "--since", "2024-01-02") as process:
        out, err = await asyncio.to_thread(process.communicate, None, _DEADLINE_SECONDS)
    assert (process.returncode, out) == (1, "")
    assert "name the symbols" in err
    await add_bars(following, [TUESDAY_US])
    with watching(following, tmp_path, "AAPL", "--since", "2024-01-02") as process:
        assert (await next_line(process)).split()[1:] == ["AAPL", "1d", "2024-01-02", "11.00"]


async def test_watch_given_a_symbol_that_is_unknown_says_so_beside_the_lines(
    following: Service, tmp_path: Path
) -> None:
    """A spelling mistake is not taken for a quiet market; the others are told."""
    await add_symbols(following, "AAPL")
    with watching(following, tmp_path, "AAPL", "NOSUCH", "--json") as process:
        assert (await next_row(process))["event"] == "caught_up"
        process.send_signal(signal.SIGINT)
        _, err = await asyncio.to_thread(process.communicate, None, _DEADLINE_SECONDS)
    assert "NOSUCH: no such symbol is known" in err
    assert "AAPL" not in err


async def test_watch_given_wrong_token_says_what_to_do(following: Service, commands: Commands) -> None:
    """A line, and exit code 1."""
    found = await commands.run(
        "watch", "AAPL", "--json", "--resume-token", "CAFE", "--address", following.address
    )
    assert (found.code, found.out) == (1, "")
    assert "resume_token" in found.err
