"""Settings: typed, from the environment, wrong ones told all at once, secrets never."""

import os
from datetime import time
from pathlib import Path
from typing import Any, Final

import pytest
from pydantic import SecretStr

from marketdata.config import Settings, load_settings, variable_names
from marketdata.domain.schedule import ScheduleTimes
from marketdata.errors import ConfigurationError
from marketdata.providers.options import ProviderOptions

EXAMPLE: Final = Path(__file__).parents[2] / ".env.example"


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Let no test see the machine's settings; give the empty working folder."""
    for name in os.environ:
        if name.upper().startswith(("DB_", "MARKETDATA_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def as_text(default: Any) -> str:
    """Write a default as it stands in the example."""
    if default is None:
        return ""
    if isinstance(default, SecretStr):
        return default.get_secret_value()
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, time):
        return f"{default:%H:%M}"
    return f"{default:g}" if isinstance(default, float) else str(default)


def expected_example() -> list[tuple[str, str]]:
    """List what the example must have: each setting's description, then its line."""
    fields = Settings.model_fields.values()
    return [
        (f"# {field.description}", f"{name}={as_text(field.default)}")
        for name, field in zip(variable_names(), fields, strict=True)
    ]


def problems(caught: "pytest.ExceptionInfo[ConfigurationError]") -> set[str]:
    """Name the settings that a refusal lists."""
    return {line.split(":")[0].strip() for line in str(caught.value).splitlines()[1:]}


def test_env_example_given_settings_lists_each_with_default_and_description() -> None:
    """The example is in step with the settings: every one, in order, as it is."""
    lines = [line for line in EXAMPLE.read_text("utf-8").splitlines() if line]
    settings = lines[next(n for n, line in enumerate(lines) if "=" in line) - 1 :]
    assert list(zip(settings[::2], settings[1::2], strict=True)) == expected_example()


def test_env_example_given_as_env_file_changes_nothing(bare: Path) -> None:
    """Copied as it is, it is the defaults."""
    (bare / ".env").write_text(EXAMPLE.read_text("utf-8"), "utf-8")
    assert load_settings() == Settings(_env_file=None)


def test_env_example_given_secrets_has_none() -> None:
    """What is a secret is empty in a file that is checked in."""
    secret = {
        name
        for name, field in zip(variable_names(), Settings.model_fields.values(), strict=True)
        if field.annotation is SecretStr
    }
    lines = EXAMPLE.read_text("utf-8").splitlines()
    assert secret
    assert {f"{name}=" for name in secret} <= set(lines)


def test_settings_given_nothing_are_the_defaults_of_the_design() -> None:
    """Pool, port and mode are what the design fixes."""
    settings = load_settings()
    assert settings.is_embedded
    assert (settings.host, settings.port) == ("127.0.0.1", 8001)
    assert (settings.db_pool_size, settings.db_max_overflow) == (10, 20)
    assert (settings.db_pool_timeout, settings.db_pool_recycle) == (30, 3_600)


def test_variable_names_given_settings_are_unique_and_prefixed() -> None:
    """The database's names are those of its users; the rest has the service's prefix."""
    names = variable_names()
    assert len(set(names)) == len(names)
    assert all(name.startswith(("DB_", "MARKETDATA_")) for name in names)
    assert all(field.description for field in Settings.model_fields.values())


@pytest.mark.parametrize(
    ("variable", "text", "field", "value"),
    [
        ("DB_NAME", "bars", "db_name", "bars"),
        ("DB_PORT", "6543", "db_port", 6_543),
        ("DB_POOL_SIZE", "3", "db_pool_size", 3),
        ("DB_MAX_OVERFLOW", "0", "db_max_overflow", 0),
        ("DB_POOL_TIMEOUT", "0.5", "db_pool_timeout", 0.5),
        ("DB_POOL_RECYCLE", "60", "db_pool_recycle", 60),
        ("MARKETDATA_HOST", "0.0.0.0", "host", "0.0.0.0"),  # noqa: S104
        ("MARKETDATA_PORT", "0", "port", 0),
        ("MARKETDATA_DATA_DIR", "/srv/bars", "data_dir", Path("/srv/bars")),
        ("MARKETDATA_PG_BINDIR", "/opt/pg/bin", "pg_bindir", Path("/opt/pg/bin")),
        ("MARKETDATA_STREAM_POOL_SIZE", "4", "stream_pool_size", 4),
        ("MARKETDATA_MAX_CALLS", "9", "max_calls", 9),
        ("MARKETDATA_REFLECTION", "false", "reflection", False),
        ("MARKETDATA_DRAIN_SECONDS", "0", "drain_seconds", 0),
        ("MARKETDATA_LOG_FORMAT", "json", "log_format", "json"),
        ("MARKETDATA_ALPHA_VANTAGE_CALLS_A_DAY", "0", "alpha_vantage_calls_a_day", 0),
        ("MARKETDATA_ALPHA_VANTAGE_CALLS_A_MINUTE", "75", "alpha_vantage_calls_a_minute", 75),
        ("MARKETDATA_ALPACA_CALLS_A_MINUTE", "1000", "alpaca_calls_a_minute", 1_000),
        ("MARKETDATA_ALPACA_URL", "http://127.0.0.1:81", "alpaca_url", "http://127.0.0.1:81"),
        ("MARKETDATA_LOG_LEVEL", "DEBUG", "log_level", "DEBUG"),
        ("MARKETDATA_WORKER_PORT", "0", "worker_port", 0),
        ("MARKETDATA_SCHEDULE_DAILY_DELAY_SECONDS", "0", "schedule_daily_delay_seconds", 0),
        ("MARKETDATA_SCHEDULE_MINUTES_EVERY_SECONDS", "60", "schedule_minutes_every_seconds", 60),
        ("MARKETDATA_SCHEDULE_REPAIR_AT", "23:59", "schedule_repair_at", time(23, 59)),
        ("MARKETDATA_SCHEDULE_WAKE_SECONDS", "0.5", "schedule_wake_seconds", 0.5),
    ],
)
def test_settings_given_variable_take_it(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str, field: str, value: object
) -> None:
    """Each variable reaches its setting, in its type; an empty one is the default."""
    monkeypatch.setenv(variable, text)
    assert getattr(load_settings(), field) == value
    monkeypatch.setenv(variable, "")
    assert getattr(load_settings(), field) == getattr(Settings(_env_file=None), field)


def test_settings_given_host_use_it_and_hide_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """A given database is used; its password shows in no text of the settings."""
    for name, text in (("HOST", "db.example"), ("USERNAME", "bars"), ("PASSWORD", "canary")):
        monkeypatch.setenv(f"DB_{name}", text)
    settings = load_settings()
    assert not settings.is_embedded
    assert settings.db_password.get_secret_value() == "canary"
    assert "canary" not in f"{settings!r} {settings} {settings.model_dump_json()}"


def test_provider_options_given_keys_hold_them_and_show_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is handed down is plain values; neither they nor the settings show a key."""
    keys = ("ALPHA_VANTAGE_API_KEY", "ALPACA_KEY_ID", "ALPACA_SECRET_KEY", "TIINGO_TOKEN")
    for name in keys:
        monkeypatch.setenv(f"MARKETDATA_{name}", f"canary-{name}")
    settings = load_settings()
    options = settings.provider_options
    assert [getattr(options, name.lower()) for name in keys] == [f"canary-{name}" for name in keys]
    assert "canary" not in f"{settings!r} {settings.model_dump_json()} {options!r}"
    monkeypatch.undo()
    assert Settings(_env_file=None).provider_options == ProviderOptions()


def test_settings_given_env_file_take_it_below_the_environment(
    monkeypatch: pytest.MonkeyPatch, bare: Path
) -> None:
    """The working folder's .env is read, and the environment wins over it."""
    (bare / ".env").write_text("MARKETDATA_PORT=1234\nDB_NAME=from_file\n", "utf-8")
    monkeypatch.setenv("DB_NAME", "from_environment")
    settings = load_settings()
    assert (settings.port, settings.db_name) == (1_234, "from_environment")


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("DB_PORT", "0"),
        ("DB_PORT", "65536"),
        ("DB_PORT", "five"),
        ("DB_POOL_SIZE", "0"),
        ("DB_POOL_SIZE", "1.5"),
        ("DB_MAX_OVERFLOW", "-1"),
        ("DB_POOL_TIMEOUT", "0"),
        ("DB_POOL_TIMEOUT", "nan"),
        ("DB_POOL_RECYCLE", "0"),
        ("MARKETDATA_PORT", "-1"),
        ("MARKETDATA_PORT", "70000"),
        ("MARKETDATA_STREAM_POOL_SIZE", "0"),
        ("MARKETDATA_MAX_CALLS", "0"),
        ("MARKETDATA_REFLECTION", "perhaps"),
        ("MARKETDATA_DRAIN_SECONDS", "-1"),
        ("MARKETDATA_LOG_FORMAT", "xml"),
        ("MARKETDATA_ALPHA_VANTAGE_URL", "http://www.alphavantage.co"),
        ("MARKETDATA_ALPACA_URL", "data.alpaca.markets"),
        ("MARKETDATA_TIINGO_URL", "https://api.tiingo.com/?token=canary"),
        ("MARKETDATA_ALPHA_VANTAGE_CALLS_A_DAY", "-1"),
        ("MARKETDATA_ALPHA_VANTAGE_CALLS_A_MINUTE", "0"),
        ("MARKETDATA_LOG_LEVEL", "info"),
        ("MARKETDATA_INGESTION", "false"),  # nobody else could, without DB_HOST
        ("MARKETDATA_WORKER_PORT", "-1"),
        ("MARKETDATA_SCHEDULE_DAILY_DELAY_SECONDS", "86400"),
        ("MARKETDATA_SCHEDULE_DAILY_DELAY_SECONDS", "0.5"),
        ("MARKETDATA_SCHEDULE_MINUTES_EVERY_SECONDS", "59"),
        ("MARKETDATA_SCHEDULE_MINUTES_EVERY_SECONDS", "43201"),
        ("MARKETDATA_SCHEDULE_REPAIR_AT", "24:00"),
        ("MARKETDATA_SCHEDULE_REPAIR_AT", "05:00:01"),
        ("MARKETDATA_SCHEDULE_REPAIR_AT", "05:00+01:00"),
        ("MARKETDATA_SCHEDULE_WAKE_SECONDS", "0"),
        ("MARKETDATA_SCHEDULE_WAKE_SECONDS", "301"),
    ],
)
def test_settings_given_wrong_value_name_the_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str
) -> None:
    """What is out of bounds or of another type is refused under the name that the operator knows."""
    monkeypatch.setenv(variable, text)
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    assert problems(caught) == {variable}


def test_settings_given_several_wrong_values_list_all_without_values(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One start shows every problem, also what is missing; no value is repeated, nor the cause kept."""
    wrong = {
        "DB_HOST": "db.example",
        "DB_PORT": "canary1",
        "DB_POOL_SIZE": "canary2",
        "DB_PASSWORD": "canary3",
        "MARKETDATA_PORT": "canary4",
        "MARKETDATA_LOG_FORMAT": "canary5",
    }
    for name, text in wrong.items():
        monkeypatch.setenv(name, text)
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    assert problems(caught) == {
        "DB_PORT",
        "DB_USERNAME",
        "DB_POOL_SIZE",
        "MARKETDATA_PORT",
        "MARKETDATA_LOG_FORMAT",
    }
    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_settings_given_runs_kept_too_short_say_what_needs_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The schedule looks back two weeks; 0 is for ever."""
    monkeypatch.setenv("MARKETDATA_RUNS_KEEP_DAYS", "14")
    with pytest.raises(ConfigurationError, match="is 0 or 15 and more: the schedule looks back"):
        load_settings()
    for days in (0, 15):
        monkeypatch.setenv("MARKETDATA_RUNS_KEEP_DAYS", str(days))
        assert load_settings().runs_keep_days == days


def test_schedule_times_given_defaults_are_those_of_the_schedule(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody sets anything, and slots are named as everywhere; what is set reaches them."""
    assert load_settings().schedule_times == ScheduleTimes()
    monkeypatch.setenv("MARKETDATA_SCHEDULE_DAILY_DELAY_SECONDS", "7")
    monkeypatch.setenv("MARKETDATA_SCHEDULE_MINUTES_EVERY_SECONDS", "90")
    monkeypatch.setenv("MARKETDATA_SCHEDULE_REPAIR_AT", "01:02")
    times = load_settings().schedule_times
    assert (times.daily_delay_us, times.minutes_every_us) == (7_000_000, 90_000_000)
    assert times.repair_at_us == (60 + 2) * 60_000_000


def test_ingestion_given_a_database_that_is_shared_may_be_left_to_workers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With DB_HOST a service need not execute runs; without it nobody else could."""
    monkeypatch.setenv("MARKETDATA_INGESTION", "false")
    with pytest.raises(ConfigurationError, match="no worker shares an embedded database"):
        load_settings()
    monkeypatch.setenv("DB_HOST", "db.example")
    monkeypatch.setenv("DB_USERNAME", "bars")
    assert not load_settings().ingestion


def test_settings_given_host_without_role_say_which_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that is given needs somebody to ask as."""
    monkeypatch.setenv("DB_HOST", "db.example")
    with pytest.raises(ConfigurationError, match="DB_USERNAME: is needed with DB_HOST"):
        load_settings()
