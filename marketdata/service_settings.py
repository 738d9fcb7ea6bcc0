"""Settings of the service itself: its database, its server, its storage, its ingestion."""

from datetime import time
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from marketdata.domain.schedule import ScheduleTimes
from marketdata.wire.resume_token import LEAST_KEY_CHARACTERS

DEFAULT_PORT: Final = 8001

# The schedule finds the runs of its slots up to 14 days back (ingestion/scheduler.py).
_LEAST_RUNS_KEEP_DAYS: Final = 15

_MICROSECONDS_PER_SECOND: Final = 1_000_000

Port = Annotated[int, Field(ge=0, le=65_535)]


class ServiceSettings(BaseSettings):
    """What an operator can set of the service; `marketdata.config` adds what concerns providers.

    Without `DB_HOST` the service runs a PostgreSQL of its own in the data folder.
    """

    model_config = SettingsConfigDict(
        env_file=".env", extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
    )

    db_host: str | None = Field(None, description="Host of PostgreSQL; empty: run an embedded one")
    db_port: Annotated[int, Field(ge=1, le=65_535)] = Field(5432, description="Its port")
    db_name: str = Field("marketdata", description="Database")
    db_username: str | None = Field(
        None, validate_default=True, description="Role; needed with DB_HOST"
    )
    db_password: SecretStr = Field(SecretStr(""), description="Its password")
    db_pool_size: Annotated[int, Field(ge=1, le=1_000)] = Field(
        10, description="Connections that are always open"
    )
    db_max_overflow: Annotated[int, Field(ge=0, le=1_000)] = Field(
        20, description="How many more may be opened under load"
    )
    db_pool_timeout: Annotated[float, Field(gt=0, le=3_600)] = Field(
        30.0, description="Seconds a call waits for a free connection"
    )
    db_pool_recycle: Annotated[float, Field(ge=1)] = Field(
        3_600.0, description="Seconds after which a connection is replaced"
    )

    host: str = Field("127.0.0.1", validation_alias="MARKETDATA_HOST", description="Where to serve")
    port: Port = Field(
        DEFAULT_PORT,
        validation_alias="MARKETDATA_PORT",
        description="Its port; 0: any free one",
    )
    data_dir: Path | None = Field(
        None,
        validation_alias="MARKETDATA_DATA_DIR",
        description="Folder of the embedded PostgreSQL; empty: one a user",
    )
    pg_bindir: Path | None = Field(
        None,
        validation_alias="MARKETDATA_PG_BINDIR",
        description="Programs of another PostgreSQL >= 15 for the embedded server",
    )
    migrator_username: str | None = Field(
        None,
        validation_alias="MARKETDATA_MIGRATOR_USERNAME",
        description="Role that owns the schema and migrates it; empty: DB_USERNAME",
    )
    migrator_password: SecretStr = Field(
        SecretStr(""), validation_alias="MARKETDATA_MIGRATOR_PASSWORD", description="Its password"
    )
    storage_mode: Literal["plain", "apache", "timescale"] | None = Field(
        None,
        validation_alias="MARKETDATA_STORAGE_MODE",
        description="plain, apache or timescale; empty: what the database is",
    )
    stream_pool_size: Annotated[int, Field(ge=1, le=500)] = Field(
        40, validation_alias="MARKETDATA_STREAM_POOL_SIZE", description="Most bulk streams at a time"
    )
    max_calls: Annotated[int, Field(ge=1, le=100_000)] = Field(
        512, validation_alias="MARKETDATA_MAX_CALLS", description="Most other calls at a time"
    )
    max_subscriptions: Annotated[int, Field(ge=1, le=100_000)] = Field(
        1_000,
        validation_alias="MARKETDATA_MAX_SUBSCRIPTIONS",
        description="Most subscriptions at a time",
    )
    token_key: SecretStr = Field(
        SecretStr(""),
        validation_alias="MARKETDATA_TOKEN_KEY",
        description="Signs resume tokens, 16 characters or more; empty: a key that the database keeps",
    )
    reflection: bool = Field(
        True,  # noqa: FBT003 -- a default, not an argument
        validation_alias="MARKETDATA_REFLECTION",
        description="Whether grpcurl may ask what there is to call",
    )
    drain_seconds: Annotated[float, Field(ge=0, le=3_600)] = Field(
        10.0,
        validation_alias="MARKETDATA_DRAIN_SECONDS",
        description="How long running calls may go on after SIGTERM",
    )
    maintenance_seconds: Annotated[float, Field(ge=0, le=86_400)] = Field(
        60.0,
        validation_alias="MARKETDATA_MAINTENANCE_SECONDS",
        description="Between two runs of what tables need now and then; 0: another process does it",
    )
    log_keep_days: Annotated[float, Field(ge=0, le=3_650)] = Field(
        7.0,
        validation_alias="MARKETDATA_LOG_KEEP_DAYS",
        description="Age up to which the change log keeps its entries; 0: for ever",
    )
    revisions_keep_days: Annotated[float, Field(ge=0, le=36_500)] = Field(
        0.0,
        validation_alias="MARKETDATA_REVISIONS_KEEP_DAYS",
        description="How long superseded versions of bars stay, for reads as of then; 0: for ever",
    )
    runs_keep_days: Annotated[float, Field(ge=0, le=36_500)] = Field(
        30.0,
        validation_alias="MARKETDATA_RUNS_KEEP_DAYS",
        description="How long ingestion runs that are over stay, 15 or more; 0: for ever",
    )
    log_poll_seconds: Annotated[float, Field(gt=0, le=60)] = Field(
        1.0,
        validation_alias="MARKETDATA_LOG_POLL_SECONDS",
        description="How often to look for changes that nobody has told of",
    )
    ingestion_lease_seconds: Annotated[float, Field(ge=0.5, le=3_600)] = Field(
        15.0,
        validation_alias="MARKETDATA_INGESTION_LEASE_SECONDS",
        description="How long after its last sign of life another process takes over a service's runs",
    )
    ingestion: bool = Field(
        True,  # noqa: FBT003 -- a default, not an argument
        validation_alias="MARKETDATA_INGESTION",
        description="Whether serve executes runs and keeps targets current; false: workers do it",
    )
    worker_port: Port | None = Field(
        None,
        validation_alias="MARKETDATA_WORKER_PORT",
        description="Where a worker answers for its health; 0: any free port; empty: nowhere",
    )
    schedule: bool = Field(
        True,  # noqa: FBT003 -- a default, not an argument
        validation_alias="MARKETDATA_SCHEDULE",
        description="Whether to start runs that keep targets current; false: another process does it",
    )
    schedule_daily_delay_seconds: Annotated[int, Field(ge=0, le=86_399)] = Field(
        21_600,
        validation_alias="MARKETDATA_SCHEDULE_DAILY_DELAY_SECONDS",
        description="How long after a session's close its days and hours are fetched",
    )
    schedule_minutes_every_seconds: Annotated[int, Field(ge=60, le=43_200)] = Field(
        300,
        validation_alias="MARKETDATA_SCHEDULE_MINUTES_EVERY_SECONDS",
        description="Between two fetches of minutes in a session",
    )
    schedule_repair_at: time = Field(
        time(5),
        validation_alias="MARKETDATA_SCHEDULE_REPAIR_AT",
        description="Time of the UTC day when gaps of the history are filled",
    )
    schedule_wake_seconds: Annotated[float, Field(ge=0.1, le=300)] = Field(
        15.0,
        validation_alias="MARKETDATA_SCHEDULE_WAKE_SECONDS",
        description="How late what is due begins at most; may differ from process to process",
    )
    log_format: Literal["text", "json"] = Field(
        "text", validation_alias="MARKETDATA_LOG_FORMAT", description="text for people, json else"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", validation_alias="MARKETDATA_LOG_LEVEL", description="Least severity that is logged"
    )

    @field_validator("runs_keep_days")
    @classmethod
    def _keep_what_the_schedule_needs(cls, value: float) -> float:
        if 0 < value < _LEAST_RUNS_KEEP_DAYS:
            raise ValueError(
                f"is 0 or {_LEAST_RUNS_KEEP_DAYS} and more: the schedule looks back so far"
            )
        return value

    @field_validator("ingestion")
    @classmethod
    def _know_who_ingests(cls, value: bool, info: ValidationInfo) -> bool:  # noqa: FBT001 -- pydantic calls it
        if not value and not info.data.get("db_host"):
            raise ValueError("is true without DB_HOST: no worker shares an embedded database")
        return value

    @field_validator("schedule_repair_at")
    @classmethod
    def _name_slots_the_same(cls, value: time) -> time:
        if value.tzinfo is not None or value.second or value.microsecond:
            raise ValueError("is hours and minutes of the UTC day, as 05:00")
        return value

    @field_validator("db_username")
    @classmethod
    def _know_who_asks(cls, value: str | None, info: ValidationInfo) -> str | None:
        if info.data.get("db_host") and not value:
            raise ValueError("is needed with DB_HOST")
        return value

    @field_validator("token_key")
    @classmethod
    def _sign_with_enough(cls, value: SecretStr) -> SecretStr:
        if 0 < len(value.get_secret_value()) < LEAST_KEY_CHARACTERS:
            problem = f"has under {LEAST_KEY_CHARACTERS} characters"
            raise ValueError(f"{problem}; make a longer one, or leave it empty")
        return value

    @property
    def schedule_times(self) -> ScheduleTimes:
        """When jobs of the schedule are due."""
        at = self.schedule_repair_at
        return ScheduleTimes(
            daily_delay_us=self.schedule_daily_delay_seconds * _MICROSECONDS_PER_SECOND,
            minutes_every_us=self.schedule_minutes_every_seconds * _MICROSECONDS_PER_SECOND,
            repair_at_us=(at.hour * 60 + at.minute) * 60 * _MICROSECONDS_PER_SECOND,
        )

    @property
    def is_embedded(self) -> bool:
        """Whether the service runs a PostgreSQL of its own."""
        return not self.db_host
