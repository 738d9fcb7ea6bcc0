"""TimescaleDB under its Apache licence: Debian's own build, a native server of many connections."""

import functools
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from marketdata.storage.embedded import EmbeddedPostgres
from tests.support.servers.provision import provisioned

_SETTINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "shared_preload_libraries": "timescaledb",
        "timescaledb.license": "apache",
        # Nothing of a test leaves the machine.
        "timescaledb.telemetry_level": "off",
        # Under this licence there are no jobs. Their scheduler would keep every database in use, so
        # that none could be copied.
        "timescaledb.max_background_workers": "0",
    }
)


@functools.cache
def apache_programs() -> Path:
    """Give the folder with ``postgres``, ``psql``, ``pg_dump`` and the other programs.

    Raises
    ------
    NotProvisionedError
        The machine cannot have them.
    """
    return provisioned("apache")


def apache_server(folder: Path) -> EmbeddedPostgres:
    """Make a server on a data folder; it is still to be started.

    The launcher is the service's own, so ports, the password, the account and what a killed run left
    behind are dealt with as they are in plain mode.

    Raises
    ------
    NotProvisionedError
        The machine cannot have one.
    """
    return EmbeddedPostgres(folder, bindir=apache_programs(), extra_settings=_SETTINGS)
