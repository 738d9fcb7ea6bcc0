"""What the client makes of the contract: every method, its surface, what gRPC retries."""

import inspect
import json
from collections.abc import Callable
from typing import Any, Final, get_type_hints

import grpc
import pytest
from bifrost.marketdata.v1 import bars_service_pb2, ingestion_service_pb2, symbol_service_pb2

from marketdata import client
from marketdata.client import MarketDataClient, SyncMarketDataClient
from marketdata.client.channels import channel_options, service_config
from marketdata.client.methods import METHODS, STREAM_BARS, UPLOAD_BARS

SERVICES: Final = [
    module.DESCRIPTOR.services_by_name[name]
    for module, name in (
        (symbol_service_pb2, "SymbolService"),
        (bars_service_pb2, "BarsService"),
        (ingestion_service_pb2, "IngestionService"),
    )
]
# The method of the client for each of the contract.
CALLS: Final = {
    "GetSymbol": "get_symbol",
    "ListSymbols": "list_symbols",
    "CreateSymbol": "create_symbol",
    "UpdateSymbol": "update_symbol",
    "DeleteSymbol": "delete_symbol",
    "SearchSymbols": "search_symbols",
    "ValidateSymbols": "validate_symbols",
    "ListCorporateActions": "list_corporate_actions",
    "CreateCorporateActions": "create_corporate_actions",
    "GetCompany": "get_company",
    "UpdateCompany": "update_company",
    "GetLatestBar": "get_latest_bar",
    "BatchGetLatestBars": "get_latest_bars",
    "ListBars": "list_bars",
    "StreamBars": "stream_bars",
    "SubscribeBars": "subscribe",
    "CreateBars": "create_bars",
    "UploadBars": "upload_bars",
    "DeleteBars": "delete_bars",
    "GetBarCoverage": "get_bar_coverage",
    "ListBarRevisions": "list_bar_revisions",
    "GetBarStatistics": "get_bar_statistics",
    "ListProviders": "list_providers",
    "ListLiveFeeds": "list_live_feeds",
    "StartIngestion": "start_ingestion",
    "GetIngestionRun": "get_ingestion_run",
    "ListIngestionRuns": "list_ingestion_runs",
    "WatchIngestionRun": "watch_ingestion_run",
    "CancelIngestionRun": "cancel_ingestion_run",
    "ListQuarantinedBars": "list_quarantined_bars",
    "ReleaseQuarantinedBars": "release_quarantined_bars",
    "DropQuarantinedBars": "drop_quarantined_bars",
    "ListIngestionTargets": "list_ingestion_targets",
    "CreateIngestionTarget": "create_ingestion_target",
    "UpdateIngestionTarget": "update_ingestion_target",
    "DeleteIngestionTarget": "delete_ingestion_target",
}
# Sent twice, they would report a failure of what was done, or hide what the first one did.
NOT_RETRIED: Final = {
    "CreateSymbol", "UpdateSymbol", "DeleteSymbol", "DeleteBars",
    "ReleaseQuarantinedBars", "DropQuarantinedBars",
    "CreateIngestionTarget", "DeleteIngestionTarget",
}  # fmt: skip


def public(kind: type) -> set[str]:
    """List the public methods of a class."""
    return {name for name in dir(kind) if not name.startswith("_") and callable(getattr(kind, name))}


def test_methods_given_contract_are_all_of_it() -> None:
    """Each method of the contract is there, and decodes what that method answers."""
    paths = {
        f"/{service.full_name}/{method.name}": method
        for service in SERVICES
        for method in service.methods
    }
    assert {method.path for method in METHODS} == set(paths)
    for method in METHODS:
        decode: Callable[[bytes], Any] | None = method.decode
        assert decode is None or paths[method.path].output_type == decode(b"").DESCRIPTOR
    assert STREAM_BARS.decode is None


def test_clients_given_contract_have_a_call_for_each_method() -> None:
    """Both faces have them under the same names, beside what opens and closes them."""
    methods = {method.name for service in SERVICES for method in service.methods}
    assert set(CALLS) == methods
    assert public(MarketDataClient) == {*CALLS.values(), "bars", "close", "over"}
    assert public(SyncMarketDataClient) == public(MarketDataClient) - {"over"}


@pytest.mark.parametrize("name", sorted({*CALLS.values(), "bars"}))
def test_sync_client_given_call_takes_what_the_other_takes(name: str) -> None:
    """One implementation: the same arguments, defaults and words."""
    own, other = getattr(SyncMarketDataClient, name), getattr(MarketDataClient, name)
    assert inspect.signature(own).parameters == inspect.signature(other).parameters
    assert own.__doc__ == other.__doc__
    assert own.__doc__


@pytest.mark.parametrize("name", sorted({*CALLS.values(), "bars"}))
def test_client_given_call_has_no_protobuf_in_its_signature(name: str) -> None:
    """Domain types go in and come out."""
    hints = get_type_hints(getattr(MarketDataClient, name))
    assert "return" in hints
    assert not [hint for hint in hints.values() if "_pb2" in str(hint) or "google" in str(hint)]


@pytest.mark.parametrize("name", sorted({*CALLS.values(), "bars"}))
def test_client_given_call_takes_a_deadline(name: str) -> None:
    """Each call can have its own."""
    parameters = inspect.signature(getattr(MarketDataClient, name)).parameters
    assert parameters["timeout_seconds"].kind is inspect.Parameter.KEYWORD_ONLY


def test_service_config_given_methods_retries_the_repeatable_ones() -> None:
    """Unavailability only, bounded and throttled; streams are resumed by the client instead."""
    config = json.loads(service_config())
    (retried,) = config["methodConfig"]
    names = {entry["method"] for entry in retried["name"]}
    streams = {"StreamBars", "SubscribeBars", "UploadBars", "WatchIngestionRun"}
    assert names == set(CALLS) - NOT_RETRIED - streams
    assert retried["retryPolicy"]["retryableStatusCodes"] == ["UNAVAILABLE"]
    assert retried["retryPolicy"]["maxAttempts"] <= 5
    assert config["retryThrottling"]["maxTokens"] > 0
    assert not STREAM_BARS.is_repeatable
    assert not UPLOAD_BARS.is_repeatable
    assert "waitForReady" not in retried


def test_channel_options_given_grpc_are_taken() -> None:
    """A channel opens with them; keepalive is no more often than the service allows."""
    options = dict(channel_options())
    assert options["grpc.keepalive_time_ms"] >= 20_000
    with grpc.insecure_channel("127.0.0.1:1", options=channel_options()):
        pass


def test_public_names_given_package_are_these() -> None:
    """What other services may import; a removal breaks them."""
    assert sorted(client.__all__) == sorted(
        {
            "DEFAULT_ADDRESS", "DEFAULT_TIMEOUT_SECONDS",
            "ActionsChange", "BarSubscription", "BarsChange", "CaughtUp", "Heartbeat", "RangeChange",
            "RangeReason", "SlowReaderPolicy", "Subscribed", "SubscriptionState", "SubscriptionUpdate",
            "SymbolsChange", "SyncBarSubscription",
            "ActionsCreated", "Adjustment", "AppliedRead", "AssetClass", "Bar", "BarColumn", "BarFlag",
            "BarFrame", "BarOrder", "BarPage", "BarStream", "BarVersion", "Bars",
            "BarsCreated", "BarsDeleted", "BarsDropped", "BarsReleased",
            "QualityRule", "QuarantineFilter", "QuarantineState", "QuarantinedBar", "RefusedDecision",
            "Severity",
            "Company", "CompanyFacts", "CompanyField",
            "CorporateAction", "CorporateActionKind", "Coverage", "CoverageGap", "GapReason",
            "FeedState", "IngestionMode", "IngestionTarget", "LatestBar", "LiveFeed",
            "MarketDataClient", "MatchKind",
            "NewIngestionTarget", "NewSymbol",
            "ProviderDescription", "ProviderWait", "RejectedBars", "RetryPolicy", "RunCounts",
            "RunState", "RunStatus", "RunTrouble",
            "SessionCounts", "SessionHours", "Symbol", "SymbolField", "SymbolMatch", "SymbolOrder",
            "SymbolStatus", "SymbolValidity", "SymbolVerdict", "SyncBarStream", "SyncMarketDataClient",
            "TargetField", "Timeframe", "TimeframeStatistics", "UnadjustedAction", "UploadResult",
        }
    )  # fmt: skip
    assert all(hasattr(client, name) for name in client.__all__)
