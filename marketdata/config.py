"""Settings: from the environment, typed, all problems at once."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator

from marketdata.errors import ConfigurationError
from marketdata.providers.http.address import address_problem
from marketdata.providers.options import (
    ALPACA_ADDRESS,
    ALPACA_STREAM_ADDRESS,
    ALPHA_VANTAGE_ADDRESS,
    TIINGO_ADDRESS,
    YAHOO_STREAM_ADDRESS,
    ProviderOptions,
)
from marketdata.service_settings import ServiceSettings


class Settings(ServiceSettings):
    """What an operator can set; ``.env.example`` lists everything with its default."""

    live_feed: Literal["", "alpaca", "yahoo"] = Field(
        "",
        validation_alias="MARKETDATA_LIVE_FEED",
        description="Whose minutes are followed live, for targets that name it; empty: nobody's",
    )
    files_dir: Path | None = Field(
        None,
        validation_alias="MARKETDATA_FILES_DIR",
        description="Folder of files of bars; empty: the provider files cannot be used",
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

    yahoo_stream_url: str = Field(
        YAHOO_STREAM_ADDRESS,
        validation_alias="MARKETDATA_YAHOO_STREAM_URL",
        description="Where Yahoo's stream is; https, or http on loopback",
    )

    @field_validator(
        "alpha_vantage_url", "alpaca_url", "alpaca_stream_url", "tiingo_url", "yahoo_stream_url"
    )
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
            yahoo_stream_url=self.yahoo_stream_url,
            files_dir=str(self.files_dir or ""),
        )


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
