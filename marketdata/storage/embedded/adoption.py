"""A PostgreSQL that already runs on a folder: left by a killed service, or owned by another one."""

from dataclasses import dataclass
from pathlib import Path

from marketdata.errors import DatabaseSetupError
from marketdata.storage.embedded.address import DATABASE, LOOPBACK, SUPERUSER, ServerAddress
from marketdata.storage.embedded.deadline import Deadline
from marketdata.storage.embedded.folder import DataFolder
from marketdata.storage.embedded.launch import wait_until_ready
from marketdata.storage.embedded.lock import find_serving_owner
from marketdata.storage.embedded.pidfile import read_pidfile
from marketdata.storage.embedded.postmaster import Postmaster, find_postmaster
from marketdata.storage.embedded.sql import serves

_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A postmaster that was proven to work on the folder.

    Attributes
    ----------
    postmaster : Postmaster
        Its process.
    port : int
        Where it listens.
    """

    postmaster: Postmaster
    port: int


def database_address(port: int, password: str, service_password: str = "") -> ServerAddress:
    """Return the owner's address of the service's database on an embedded server."""
    return ServerAddress(LOOPBACK, port, SUPERUSER, password, DATABASE, service_password)


def find_running(folder: DataFolder, password: str, deadline: Deadline) -> RunningServer | None:
    """Return the server that runs on `folder`, once it is ready; None when none does.

    postmaster.pid is only followed: the process must be a postmaster on this folder, and the port
    must answer to the folder's password and from its database.

    Raises
    ------
    DatabaseSetupError
        When a postmaster runs there that does not prove itself, or does not get ready in time.
    AbandonedError
        When stopping was asked for.
    """
    pidfile = read_pidfile(folder.pgdata)
    postmaster = find_postmaster(pidfile.pid, folder.pgdata) if pidfile else None
    if postmaster is None:
        return None
    ready = wait_until_ready(postmaster, folder, deadline)
    if ready is None or ready.port is None:
        return None
    # Not the service's own database: a killed first start may not have made it.
    address = database_address(ready.port, password).for_maintenance()
    if serves(address, folder.pgdata):
        return RunningServer(postmaster, ready.port)
    after = read_pidfile(folder.pgdata)
    if not (postmaster.is_alive() and after is not None and after.is_ready):
        # It began to shut down in this moment.
        return find_running(folder, password, deadline)
    message = (
        f"A PostgreSQL (pid {postmaster.pid}) runs on {folder.path}, but it does not answer on "
        f"{LOOPBACK}:{ready.port} to the password in {folder.password_file}. If it was started by "
        f"hand, stop it (kill -INT {postmaster.pid}) and start again; if the file was changed, "
        f"restore it."
    )
    raise DatabaseSetupError(message)


def attach(folder: Path, *, wait_seconds: float = 0.0) -> ServerAddress | None:
    """Return the address of the embedded server that a running service keeps on `folder`.

    For commands that use the database beside the service. The server is proven to be the folder's
    own before its address is returned.

    Parameters
    ----------
    folder : Path
        The data folder.
    wait_seconds : float, optional
        How long to wait for a service that is just starting, or restarting its database.

    Returns
    -------
    ServerAddress or None
        None when no service owns the folder (then start an own server), or its database did not
        answer in time.

    Raises
    ------
    DatabaseSetupError
        When the folder's files cannot be read by this account, or its service is of an earlier release.
    """
    place = DataFolder(folder.expanduser().resolve())
    deadline = Deadline(wait_seconds)
    try:
        while find_serving_owner(place.lock_file) is not None:
            address = _answering_address(place)
            if address is not None or deadline.expired:
                return address
            deadline.pause(_POLL_SECONDS)
    except OSError as error:
        message = (
            f"The service's data folder {place.path} cannot be read ({error.strerror}). Run the "
            f"command as the user that runs the service, or as root."
        )
        raise DatabaseSetupError(message) from error
    return None


def _answering_address(folder: DataFolder) -> ServerAddress | None:
    password = folder.read_password()
    pidfile = read_pidfile(folder.pgdata)
    if password is None or pidfile is None or pidfile.port is None or not pidfile.is_ready:
        return None
    service_password = folder.read_service_password()
    if service_password is None:
        message = (
            f"The service that runs on {folder.path} is of an earlier release, which knows one role "
            f"only: start it again with this release first."
        )
        raise DatabaseSetupError(message)
    address = database_address(pidfile.port, password, service_password)
    return address if serves(address, folder.pgdata) else None
