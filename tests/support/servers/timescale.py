"""TimescaleDB under its community licence: PostgreSQL in WebAssembly, from ``tests/timescale``.

Each of its databases is an engine with one session. Connections take turns on it, a transaction at a
time; one that waits for longer than ten seconds is refused with ``lock_not_available``.
"""

import json
import os
import subprocess
from dataclasses import dataclass
from typing import Final

from marketdata.storage.embedded import ServerAddress
from tests.support.servers.provision import REPOSITORY, provisioned

_NPM: Final = REPOSITORY / "scripts" / "npm"
_STOP_SECONDS: Final = 10


@dataclass(frozen=True, slots=True)
class TrustedAddress(ServerAddress):
    """The address of a server that asks for no password, and has one session: its owner's."""

    def for_service(self) -> ServerAddress:
        """Return the owner's address: the server takes everybody for its owner."""
        return self

    def connection_parameters(self) -> dict[str, str | int]:
        """Keyword arguments for ``psycopg.connect``, without the demand to prove a password."""
        # Not super(): a dataclass with slots is another class than the one that super() means.
        parameters = ServerAddress.connection_parameters(self)
        parameters.pop("require_auth", None)
        return parameters


class TimescaleServer:
    """A server for tests, with what they use of ``EmbeddedPostgres``.

    Parameters
    ----------
    patience_seconds : float
        How long a connection waits for its turn.

    Raises
    ------
    NotProvisionedError
        The machine cannot have one.
    """

    def __init__(self, patience_seconds: float = 10.0) -> None:
        self._folder = provisioned("timescale")
        self._patience_seconds = patience_seconds
        self._process: subprocess.Popen[str] | None = None
        self._address: ServerAddress | None = None

    @property
    def address(self) -> ServerAddress | None:
        """Where it is reached; None before `start` and after `stop`."""
        return self._address

    def start(self) -> ServerAddress:
        """Start it on a free port; return the address of an empty database."""
        # It ends with its standard input, which is this process's: a killed run leaves nothing.
        self._process = subprocess.Popen(
            [_NPM, "--prefix", self._folder, "--silent", "run", "serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PATIENCE_MS": str(int(self._patience_seconds * 1000))},
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the server did not start; it ended with {self._process.wait(_STOP_SECONDS)}"
        port = json.loads(line)["port"]
        self._address = TrustedAddress(
            "127.0.0.1", port, "postgres", "nobody asks for it", "marketdata"
        )
        return self._address

    def stop(self) -> None:
        """End it; nothing of it is left."""
        process, self._process, self._address = self._process, None, None
        if process is None:
            return
        process.communicate(timeout=_STOP_SECONDS)
