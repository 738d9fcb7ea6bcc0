"""The catalog: providers by name, and what those lack that cannot be used."""

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from marketdata.client.ingestion_messages import from_provider
from marketdata.clock import ManualClock
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import ConfigurationError, InvalidRequestError, ProviderNotReadyError
from marketdata.providers.options import ProviderOptions
from marketdata.providers.registry import ProviderCatalog, build_providers
from marketdata.wire.ingestion_runs import to_proto_provider
from tests.support.providers.adapters import NotedQuota, NotedWaits
from tests.support.providers.truth import NOW_US

ALPACA = {"alpaca_key_id": "canary-id", "alpaca_secret_key": "canary-secret"}
TIINGO = {"tiingo_token": "canary-token"}


def catalog(**options: str | int) -> ProviderCatalog:
    """Make the catalog of some options."""
    made = ProviderOptions(**options)  # type: ignore[arg-type]
    return build_providers(made, NotedQuota(), NotedWaits(), ManualClock(NOW_US))


def test_get_given_missing_keys_names_the_variables() -> None:
    """Every variable that has to be set, and only these."""
    providers = catalog(alpaca_key_id="canary-id")
    for name, variable in (
        ("alpha_vantage", "MARKETDATA_ALPHA_VANTAGE_API_KEY"),
        ("alpaca", "MARKETDATA_ALPACA_SECRET_KEY"),
        ("tiingo", "MARKETDATA_TIINGO_TOKEN"),
    ):
        with pytest.raises(ProviderNotReadyError) as caught:
            providers.get(name)
        assert variable in caught.value.message
        assert "MARKETDATA_ALPACA_KEY_ID" not in caught.value.message
        assert "canary" not in caught.value.message


def test_get_given_unknown_name_lists_the_known_ones() -> None:
    """A typing error is told from a missing key."""
    with pytest.raises(InvalidRequestError, match="alpaca, alpha_vantage, files, iex, ") as caught:
        catalog().get("alpacca")
    assert [violation.field for violation in caught.value.violations] == ["provider"]


@pytest.mark.parametrize(
    ("options", "name"),
    [(ALPACA, "alpaca"), (TIINGO, "tiingo"), ({**ALPACA, **TIINGO}, "alpaca")],
)
async def test_get_given_iex_is_whoever_has_keys(options: dict[str, str], name: str) -> None:
    """Rule 27: Alpaca before Tiingo; without either, what to set for Alpaca."""
    providers = catalog(**options)
    assert providers.get("iex").capabilities.name == name
    assert providers.get("iex") is providers.get(name)
    await providers.aclose()
    with pytest.raises(ProviderNotReadyError, match="MARKETDATA_ALPACA_KEY_ID"):
        catalog().get("iex")


async def test_get_given_providers_without_keys_are_ready_or_say_what_they_need(tmp_path: Path) -> None:
    """Yahoo needs nothing; files need their folder."""
    with pytest.raises(ProviderNotReadyError, match="MARKETDATA_FILES_DIR"):
        catalog().get("files")
    providers = catalog(files_dir=str(tmp_path))
    assert {providers.get(name).capabilities.name for name in ("yahoo", "files")} == {"yahoo", "files"}
    await providers.aclose()


def test_catalog_given_start_imports_neither_yfinance_nor_pyarrow() -> None:
    """They take seconds: a service that fetches nothing from there starts without them."""
    code = (
        "import sys, marketdata.providers.registry;"
        "assert not {'yfinance', 'pandas', 'pyarrow', 'curl_cffi'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_describe_given_catalog_lists_all_with_problems() -> None:
    """Also those that cannot be used, by name, with what they could do."""
    found = {provider.name: provider for provider in catalog(**TIINGO).describe()}
    assert list(found) == sorted(found)
    assert {"alpaca", "alpha_vantage", "files", "tiingo", "yahoo"} == found.keys()
    assert not found["tiingo"].problem
    assert "MARKETDATA_ALPACA_KEY_ID and MARKETDATA_ALPACA_SECRET_KEY" in found["alpaca"].problem
    assert all(provider.feeds and provider.terms for provider in found.values())
    assert [name for name, provider in found.items() if provider.has_listings] == ["alpha_vantage"]
    for provider in found.values():
        assert from_provider(to_proto_provider(provider)) == provider


def test_describe_given_plan_tells_what_its_key_can_do() -> None:
    """A key without a daily limit is a premium one: it alone has dividends and splits."""
    timeframe = Timeframe.DAY_1
    (free,) = (p for p in catalog().describe() if p.name == "alpha_vantage")
    assert (free.calls_a_day, free.has_actions) == (25, False)
    assert free.history[timeframe] == timedelta(days=130)
    premium = catalog(alpha_vantage_calls_a_day=0, alpha_vantage_calls_a_minute=75)
    (paid,) = (p for p in premium.describe() if p.name == "alpha_vantage")
    assert paid.history[timeframe] is None
    assert (paid.calls_a_day, paid.calls_a_minute, paid.has_actions) == (None, 75, True)


def test_get_given_address_without_https_is_refused() -> None:
    """Whoever builds the catalog past the settings cannot send a key in the clear either."""
    with pytest.raises(ConfigurationError):
        catalog(**TIINGO, tiingo_url="http://tiingo.example").get("tiingo")


def test_options_given_keys_show_none() -> None:
    """Options are plain values, and are logged by nobody's mistake."""
    assert "canary" not in repr(ProviderOptions(alpha_vantage_api_key="canary", **ALPACA, **TIINGO))
