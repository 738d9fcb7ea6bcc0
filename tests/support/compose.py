"""compose.yaml, read as Compose reads it: as far as the tests rely on it."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field
from ruamel.yaml import YAML

from tests.support.servers.provision import REPOSITORY

COMPOSE: Final = REPOSITORY / "compose.yaml"
# ${NAME:?what is wrong}: Compose refuses to start without it.
_DEMANDED: Final = re.compile(r"\$\{(\w+):\?[^}]+\}")
# ${NAME:-}: empty where nobody says it.
_OFFERED: Final = re.compile(r"\$\{(\w+):-\}")
_SECRET: Final = re.compile("PASSWORD|KEY|TOKEN")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class HealthCheck(_Part):
    """When a container counts as healthy."""

    test: list[str]
    interval: str
    timeout: str
    retries: int
    start_period: str


class ComposeService(_Part):
    """A container, with the keys of Compose that are used here, and no other."""

    image: str
    build: str | None = None
    command: list[str]
    environment: dict[str, str]
    user: str | None = None
    read_only: bool = False
    tmpfs: list[str] = []
    cap_drop: list[str] = []
    security_opt: list[str]
    init: bool = False
    volumes: list[str] = []
    ports: list[str] = []
    networks: list[str]
    shm_size: str | None = None
    healthcheck: HealthCheck | None = None
    depends_on: dict[str, dict[str, str]] = {}
    stop_grace_period: str | None = None
    restart: str

    def variables(self, given: Mapping[str, str]) -> dict[str, str]:
        """Give its environment with what an operator's .env says."""
        return {
            name: _OFFERED.sub(
                lambda found: given.get(found[1], ""),
                _DEMANDED.sub(lambda found: given[found[1]], value),
            )
            for name, value in self.environment.items()
        }

    def secrets(self) -> dict[str, str]:
        """Give the variables that hold a password or a provider's key, as they stand in the file."""
        return {name: value for name, value in self.environment.items() if _SECRET.search(name)}


class Compose(_Part):
    """The whole file."""

    name: str
    confined: Annotated[dict[str, Any], Field(alias="x-confined")]
    services: dict[str, ComposeService]
    networks: dict[str, dict[str, bool]]
    volumes: dict[str, None]


def read_compose() -> Compose:
    """Read the file."""
    return Compose.model_validate(YAML(typ="safe").load(COMPOSE.read_text()))


def is_demanded(value: str) -> bool:
    """Tell whether a value is asked of the operator, and nothing of it stands in the file."""
    return _DEMANDED.fullmatch(value) is not None


def is_offered(value: str) -> bool:
    """Tell whether an operator may give a value, which is empty else."""
    return _OFFERED.fullmatch(value) is not None
