"""Settings: from the environment, typed, all problems at once."""

from datetime import time
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import (
    AliasChoices,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from marketdata.domain.schedule import ScheduleTimes
from marketdata.errors import ConfigurationError
from marketdata.providers.http.address import address_problem
from marketdata.providers.options import (
    ALPACA_ADDRESS,
    ALPACA_STREAM_ADDRESS,
    ALPHA_VANTAGE_ADDRESS,
    TIINGO_ADDRESS,
    ProviderOptions,
)
from marketdata.wire.resume_token import LEAST_KEY_CHARACTERS

DEFAULT_PORT: Final = 8001

# The schedule finds the runs of its slots up to 14 days back (ingestion/scheduler.py).
_LEAST_RUNS_KEEP_DAYS: Final = 15

_MICROSECONDS_PER_SECOND: Final = 1_000_000

Port = Annotated[int, Field(ge=0, le=65_535)]


class Settings(BaseSettings):
    """What an operator can set; ``.env.example`` lists everything with its default.

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
    live_feed: Literal["", "alpaca"] = Field(
        "",
        validation_alias="MARKETDATA_LIVE_FEED",
        description="Whose minutes are followed live, for targets that name it; empty: nobody's",
    )
    files_dir: Path | None = Field(
        None,
        validation_alias="MARKETDATA_FILES_DIR",
        description="Folder of files of bars; empty: the provider files cannot be used",
    )
    log_format: Literal["text", "json"] = Field(
        "text", validation_alias="MARKETDATA_LOG_FORMAT", description="text for people, json else"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", validation_alias="MARKETDATA_LOG_LEVEL", description="Least severity that is logged"
    )

    alpha_vantage_api_key: SecretStr = Field(
        SecretStr(""),
        validation_alias="MARKETDATA_ALPHA_VANTAGE_API_KEY",
        description="Key of Alpha Vantage; empty: that provider cannot be used",
    )
    alpha_vantage_calls_a_day: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        25,
        validation_alias="MARKETDATA_ALPHA_VANTAGE_CALLS_A_DAY",
        description="Its calls a day; 0: no limit, which is a premium plan",
    )
    alpha_vantage_calls_a_minute: Annotated[int, Field(ge=1, le=100_000)] = Field(
        5,
        validation_alias="MARKETDATA_ALPHA_VANTAGE_CALLS_A_MINUTE",
        description="Its calls a minute, as the plan has it",
    )
    alpha_vantage_url: str = Field(
        ALPHA_VANTAGE_ADDRESS,
        validation_alias="MARKETDATA_ALPHA_VANTAGE_URL",
        description="Where it is; https, or http on loopback",
    )
    alpaca_key_id: SecretStr = Field(
        SecretStr(""),
        validation_alias="MARKETDATA_ALPACA_KEY_ID",
        description="Key id of an Alpaca account; empty: that provider cannot be used",
    )
    alpaca_secret_key: SecretStr = Field(
        SecretStr(""), validation_alias="MARKETDATA_ALPACA_SECRET_KEY", description="Its secret"
    )
    alpaca_calls_a_minute: Annotated[int, Field(ge=1, le=100_000)] = Field(
        200,
        validation_alias="MARKETDATA_ALPACA_CALLS_A_MINUTE",
        description="Its calls a minute, as the plan has it",
    )
    alpaca_url: str = Field(
        ALPACA_ADDRESS,
        validation_alias="MARKETDATA_ALPACA_URL",
        description="Where its market data are; https, or http on loopback",
    )
    alpaca_stream_url: str = Field(
        ALPACA_STREAM_ADDRESS,
        validation_alias="MARKETDATA_ALPACA_STREAM_URL",
        description="Where its stream is",
    )
    tiingo_token: SecretStr = Field(
        SecretStr(""),
        validation_alias="MARKETDATA_TIINGO_TOKEN",
        description="Token of a Tiingo account; empty: that provider cannot be used",
    )
    tiingo_url: str = Field(
        TIINGO_ADDRESS,
        validation_alias="MARKETDATA_TIINGO_URL",
        description="Where it is; https, or http on loopback",
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

    @field_validator("alpha_vantage_url", "alpaca_url", "alpaca_stream_url", "tiingo_url")
    @classmethod
    def _keep_keys_private(cls, value: str) -> str:
        problem = address_problem(value)
        if problem:
            raise ValueError(problem)
        return value

    @property
    def provider_options(self) -> ProviderOptions:
        """What is set of providers, as plain values."""
        return ProviderOptions(
            alpha_vantage_api_key=self.alpha_vantage_api_key.get_secret_value(),
            alpha_vantage_calls_a_day=self.alpha_vantage_calls_a_day,
            alpha_vantage_calls_a_minute=self.alpha_vantage_calls_a_minute,
            alpha_vantage_url=self.alpha_vantage_url,
            alpaca_key_id=self.alpaca_key_id.get_secret_value(),
            alpaca_secret_key=self.alpaca_secret_key.get_secret_value(),
            alpaca_calls_a_minute=self.alpaca_calls_a_minute,
            alpaca_url=self.alpaca_url,
            alpaca_stream_url=self.alpaca_stream_url,
            tiingo_token=self.tiingo_token.get_secret_value(),
            tiingo_url=self.tiingo_url,
            files_dir=str(self.files_dir or ""),
        )

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


def load_settings() -> Settings:
    """Read the settings from the environment, then from ``.env`` in the working folder.

    Raises
    ------
    ConfigurationError
        Lists every setting that is wrong; values are never shown, since they can be secrets.
    """
    try:
        return Settings()
    except ValidationError as error:
        problems = [_describe(dict(problem)) for problem in error.errors(include_input=False)]
        lines = "\n".join(f"  {problem}" for problem in problems)
        raise ConfigurationError(
            f"settings are wrong; mend them in the environment or in .env:\n{lines}"
        ) from None


def variable_names() -> list[str]:
    """List the environment variables of all settings, in their order."""
    return [_variable(name) for name in Settings.model_fields]


def _variable(field_name: str) -> str:
    alias = Settings.model_fields[field_name].validation_alias
    if isinstance(alias, AliasChoices):
        raise TypeError("a setting has one name")
    return str(alias or field_name.upper())


def _describe(problem: dict[str, object]) -> str:
    location = problem["loc"]
    name = str(location[0]) if isinstance(location, tuple) and location else ""
    text = str(problem["msg"]).removeprefix("Value error, ")
    return f"{name.upper()}: {text}" if name else text
