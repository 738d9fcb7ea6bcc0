"""The pure parts of the embedded PostgreSQL's launcher."""

import os
import secrets
from pathlib import Path

import pytest

from marketdata.errors import DatabaseSetupError
from marketdata.storage.embedded import EmbeddedPostgres, ServerAddress
from marketdata.storage.embedded.binaries import major_of, parse_version
from marketdata.storage.embedded.folder import STATE_FOLDER, default_data_folder
from marketdata.storage.embedded.pidfile import PidFile, parse_pidfile
from marketdata.storage.embedded.settings import cluster_name, server_arguments

_READY = "4711\n/data/pg\n1700000000\n5433\n\n127.0.0.1\n  1515907        12\nready   \n"


def test_parse_pidfile_given_a_ready_server_reads_pid_port_and_status() -> None:
    """The file of a server that takes connections is read as such."""
    found = parse_pidfile(_READY)
    assert found == PidFile(pid=4711, port=5433, status="ready")
    assert found is not None
    assert found.is_ready


@pytest.mark.parametrize("lines", range(1, 8))
def test_parse_pidfile_given_a_file_in_the_making_is_not_ready(lines: int) -> None:
    """A file that is still being written never passes for a ready server."""
    found = parse_pidfile("\n".join(_READY.splitlines()[:lines]))
    assert found is not None
    assert not found.is_ready


@pytest.mark.parametrize("text", ["", "\n", "no pid\n", "-4711\n/data/pg\n", "0\n"])
def test_parse_pidfile_given_no_postmaster_is_none(text: str) -> None:
    """Neither garbage nor a standalone backend's file names a postmaster."""
    assert parse_pidfile(text) is None


@pytest.mark.parametrize(
    ("text", "version", "major"),
    [
        ("postgres (PostgreSQL) 18.6\n", "18.6", 18),
        ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n", "15.18", 15),
        ("postgres (PostgreSQL) 19beta1\n", "19beta1", 19),
    ],
)
def test_parse_version_given_a_server_reads_version_and_major(
    text: str, version: str, major: int
) -> None:
    """Distributions and pre-releases write their versions differently."""
    assert parse_version(text) == version
    assert major_of(version) == major


def test_parse_version_given_another_program_is_none() -> None:
    """A program that is no PostgreSQL has no version."""
    assert parse_version("bash 5.2\n") is None


def test_address_given_any_rendering_hides_the_passwords() -> None:
    """No text of an address can put a password into a log."""
    password, service_password = secrets.token_urlsafe(), secrets.token_urlsafe()
    address = ServerAddress("127.0.0.1", 1, "postgres", password, "marketdata", service_password)
    service = address.for_service()
    shown = f"{address} {address!r} {address.for_maintenance()!r} {service} {service!r}"
    assert password not in shown
    assert service_password not in shown
    assert address.connection_parameters()["password"] == password
    assert service.connection_parameters()["password"] == service_password


def test_arguments_given_extra_settings_take_them_over_the_tuned_ones() -> None:
    """What the operator sets wins over tuning, and durability stays."""
    arguments = server_arguments(Path("/b/postgres"), Path("/d/pg"), 1, {"shared_buffers": "1GB"})
    assert "shared_buffers=1GB" in arguments
    assert "shared_buffers=256MB" not in arguments
    assert {"fsync=on", "full_page_writes=on", "synchronous_commit=on"} <= set(arguments)


@pytest.mark.parametrize("name", ["fsync", "Synchronous_Commit", "listen_addresses", "port"])
def test_server_given_a_fixed_setting_is_refused(name: str) -> None:
    """Durability and the loopback address cannot be configured away."""
    with pytest.raises(DatabaseSetupError, match=name):
        EmbeddedPostgres(Path("/data"), extra_settings={name: "off"})


def test_cluster_name_given_two_folders_tells_them_apart() -> None:
    """Process titles name one folder only, within PostgreSQL's 63 bytes."""
    one, other = cluster_name(Path("/one/pg")), cluster_name(Path("/other/pg"))
    assert one != other
    assert len(one) < 63


def test_default_data_folder_given_the_account_is_where_it_can_write(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Root keeps data below /var/lib, since `nobody` cannot enter /root; users keep it at home."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert default_data_folder() == STATE_FOLDER / "data"
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_DATA_HOME", "/home/somebody/share")
    assert default_data_folder() == Path("/home/somebody/share/bifrost-marketdata/data")
