"""The commands, run as their entry point runs them."""

import asyncio
from dataclasses import dataclass

import pytest

from marketdata.cli.main import main
from marketdata.storage.embedded import ServerAddress


@dataclass(frozen=True)
class Outcome:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    def table(self) -> list[list[str]]:
        """Give the words of every line of its table, without the headings."""
        return [line.split() for line in self.out.splitlines()[2:]]


class Commands:
    """Runs ``marketdata`` in this process with an environment of its own."""

    def __init__(self, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]) -> None:
        self._patch = patch
        self._capture = capture

    def use(self, **variables: str | int) -> None:
        """Set variables of the environment."""
        for name, value in variables.items():
            self._patch.setenv(name, str(value))

    def use_database(self, database: ServerAddress) -> None:
        """Give the commands a database, as an operator does."""
        self.use(
            DB_HOST=database.host,
            DB_PORT=database.port,
            DB_NAME=database.database,
            DB_USERNAME=database.user,
            DB_PASSWORD=database.password,
        )

    def use_service(self, address: str) -> None:
        """Let the commands look for the service at an address."""
        host, port = address.split(":")
        self.use(MARKETDATA_HOST=host, MARKETDATA_PORT=port)

    async def run(self, *arguments: str) -> Outcome:
        """Run a command in a thread: it has an event loop of its own."""
        self._patch.setattr("sys.argv", ["marketdata", *arguments])
        self._capture.readouterr()
        code = await asyncio.to_thread(_exit_code)
        printed = self._capture.readouterr()
        return Outcome(code, printed.out, printed.err)


def _exit_code() -> int:
    try:
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0
