"""compose.yaml and the Dockerfile: what is promised of them, where no engine runs them."""

import re
import tomllib

from marketdata.config import variable_names
from tests.support.compose import is_demanded, is_offered, read_compose
from tests.support.servers.provision import REPOSITORY

DOCKERFILE = (REPOSITORY / "Dockerfile").read_text()


def test_compose_given_its_images_pins_each() -> None:
    """The database's to a release, the service's to this one; nothing is whatever is newest."""
    images = {name: service.image for name, service in read_compose().services.items()}
    version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]
    own = f"bifrost-marketdata:{version}"
    assert re.fullmatch(r"timescale/timescaledb:2\.\d+\.\d+-pg17", images.pop("database"))
    assert images == {"migrate": own, "service": own}


def test_compose_given_its_secrets_holds_none_and_gives_each_to_whom_it_is_for() -> None:
    """All are the operator's; the service never learns the password of the schema's owner."""
    found = {name: service.secrets() for name, service in read_compose().services.items()}
    keys = {name: value for name, value in found["service"].items() if name != "DB_PASSWORD"}
    assert keys
    assert all(is_offered(value) for value in keys.values())
    passwords = [
        value for secrets in found.values() for name, value in secrets.items() if name not in keys
    ]
    assert all(map(is_demanded, passwords))
    assert set(found["migrate"]) == {"MARKETDATA_MIGRATOR_PASSWORD"}
    # Every key of a provider and that of tokens, and no other secret.
    secret = {name for name in variable_names() if "KEY" in name or "TOKEN" in name}
    assert set(keys) == secret


def test_compose_given_the_services_containers_confines_them() -> None:
    """Not root, nothing to write to but /tmp, no capability, and none to be had."""
    services = read_compose().services
    for confined in (services["migrate"], services["service"]):
        assert confined.user == "8001:8001"
        assert confined.read_only
        assert (confined.tmpfs, confined.cap_drop, confined.volumes) == (["/tmp"], ["ALL"], [])  # noqa: S108
    assert all("no-new-privileges:true" in service.security_opt for service in services.values())


def test_compose_given_its_networks_publishes_the_service_on_loopback_only() -> None:
    """The database is reached by these containers only, and reaches nothing itself."""
    compose = read_compose()
    assert compose.networks["storage"] == {"internal": True}
    assert {name: service.ports for name, service in compose.services.items()} == {
        "database": [],
        "migrate": [],
        "service": ["127.0.0.1:8001:8001"],
    }
    assert compose.services["database"].networks == ["storage"]


def test_compose_given_its_order_starts_each_when_what_it_needs_is_there() -> None:
    """A healthy database, then its schema, then the service; data outlive the containers."""
    services = read_compose().services
    healthy = {"condition": "service_healthy"}
    assert services["migrate"].depends_on == {"database": healthy}
    assert services["service"].depends_on == {
        "database": healthy,
        "migrate": {"condition": "service_completed_successfully"},
    }
    assert "database:/var/lib/postgresql/data" in services["database"].volumes
    mounted = [volume.split(":")[0] for volume in services["database"].volumes]
    assert [(REPOSITORY / path).is_file() for path in mounted if path.startswith(".")] == [True]


def test_dockerfile_given_its_user_is_the_one_that_compose_names() -> None:
    """By number, made in the image, and the last word on it."""
    users = re.findall(r"^USER (.+)$", DOCKERFILE, re.MULTILINE)
    assert users == [read_compose().services["service"].user]
    uid, gid = users[0].split(":")
    assert f"groupadd --system --gid {gid} " in DOCKERFILE
    assert f"--uid {uid} " in DOCKERFILE


def test_dockerfile_given_its_base_images_names_a_release_of_each() -> None:
    """Both stages are of the same one."""
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:3\.\d+-slim-\w+", bases[0])
