"""The methods of the contract as the client calls them: path, and the messages they take and give."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from bifrost.marketdata.v1 import bar_subscription_pb2 as subscriptions
from bifrost.marketdata.v1 import bars_service_pb2 as bars
from bifrost.marketdata.v1 import ingestion_service_pb2 as ingestion
from bifrost.marketdata.v1 import ingestion_target_pb2 as targets
from bifrost.marketdata.v1 import live_feed_pb2 as live_feeds
from bifrost.marketdata.v1 import quarantine_pb2 as quarantine
from bifrost.marketdata.v1 import symbol_service_pb2 as symbols
from google.protobuf.message import Message

Request_contra = TypeVar("Request_contra", bound=Message | bytes, contravariant=True)
Response_co = TypeVar("Response_co", covariant=True)

_SYMBOLS: Final = "/bifrost.marketdata.v1.SymbolService/"
_BARS: Final = "/bifrost.marketdata.v1.BarsService/"
_INGESTION: Final = "/bifrost.marketdata.v1.IngestionService/"


@dataclass(frozen=True)
class Method(Generic[Request_contra, Response_co]):
    """A method of the contract.

    Attributes
    ----------
    path : str
        ``/package.Service/Method``.
    decode : callable or None
        Makes the response of its bytes; None where the caller reads the bytes itself.
    is_repeatable : bool
        Whether sending the same request again leaves the service as sending it once, and its answer
        still says what became of the request: such calls are retried.
    """

    path: str
    decode: Callable[[bytes], Response_co] | None
    is_repeatable: bool = False


def encode(request: Message | bytes) -> bytes:
    """Encode a request; bulk requests come encoded."""
    return request if isinstance(request, bytes) else request.SerializeToString()


GET_SYMBOL: Final = Method[symbols.GetSymbolRequest, symbols.GetSymbolResponse](
    f"{_SYMBOLS}GetSymbol", symbols.GetSymbolResponse.FromString, is_repeatable=True
)
LIST_SYMBOLS: Final = Method[symbols.ListSymbolsRequest, symbols.ListSymbolsResponse](
    f"{_SYMBOLS}ListSymbols", symbols.ListSymbolsResponse.FromString, is_repeatable=True
)
# A second CreateSymbol is ALREADY_EXISTS, a second rename finds another ticker, a second deletion is
# NOT_FOUND: a retry would report a failure of what was done.
CREATE_SYMBOL: Final = Method[symbols.CreateSymbolRequest, symbols.CreateSymbolResponse](
    f"{_SYMBOLS}CreateSymbol", symbols.CreateSymbolResponse.FromString
)
UPDATE_SYMBOL: Final = Method[symbols.UpdateSymbolRequest, symbols.UpdateSymbolResponse](
    f"{_SYMBOLS}UpdateSymbol", symbols.UpdateSymbolResponse.FromString
)
DELETE_SYMBOL: Final = Method[symbols.DeleteSymbolRequest, symbols.DeleteSymbolResponse](
    f"{_SYMBOLS}DeleteSymbol", symbols.DeleteSymbolResponse.FromString
)
SEARCH_SYMBOLS: Final = Method[symbols.SearchSymbolsRequest, symbols.SearchSymbolsResponse](
    f"{_SYMBOLS}SearchSymbols", symbols.SearchSymbolsResponse.FromString, is_repeatable=True
)
VALIDATE_SYMBOLS: Final = Method[symbols.ValidateSymbolsRequest, symbols.ValidateSymbolsResponse](
    f"{_SYMBOLS}ValidateSymbols", symbols.ValidateSymbolsResponse.FromString, is_repeatable=True
)
LIST_CORPORATE_ACTIONS: Final = Method[
    symbols.ListCorporateActionsRequest, symbols.ListCorporateActionsResponse
](
    f"{_SYMBOLS}ListCorporateActions",
    symbols.ListCorporateActionsResponse.FromString,
    is_repeatable=True,
)
# What is stored already counts as unchanged, so nothing is stored twice.
CREATE_CORPORATE_ACTIONS: Final = Method[
    symbols.CreateCorporateActionsRequest, symbols.CreateCorporateActionsResponse
](
    f"{_SYMBOLS}CreateCorporateActions",
    symbols.CreateCorporateActionsResponse.FromString,
    is_repeatable=True,
)
GET_COMPANY: Final = Method[symbols.GetCompanyRequest, symbols.GetCompanyResponse](
    f"{_SYMBOLS}GetCompany", symbols.GetCompanyResponse.FromString, is_repeatable=True
)
# Facts that are stored already change nothing, and a second answer says what the first one would have.
UPDATE_COMPANY: Final = Method[symbols.UpdateCompanyRequest, symbols.UpdateCompanyResponse](
    f"{_SYMBOLS}UpdateCompany", symbols.UpdateCompanyResponse.FromString, is_repeatable=True
)

GET_LATEST_BAR: Final = Method[bars.GetLatestBarRequest, bars.GetLatestBarResponse](
    f"{_BARS}GetLatestBar", bars.GetLatestBarResponse.FromString, is_repeatable=True
)
BATCH_GET_LATEST_BARS: Final = Method[bars.BatchGetLatestBarsRequest, bars.BatchGetLatestBarsResponse](
    f"{_BARS}BatchGetLatestBars", bars.BatchGetLatestBarsResponse.FromString, is_repeatable=True
)
LIST_BARS: Final = Method[bars.ListBarsRequest, bars.ListBarsResponse](
    f"{_BARS}ListBars", bars.ListBarsResponse.FromString, is_repeatable=True
)
# A bar that is stored already, as it is, changes nothing: a retry may count as unchanged what its
# first attempt stored, and stores nothing twice.
CREATE_BARS: Final = Method[bars.CreateBarsRequest, bars.CreateBarsResponse](
    f"{_BARS}CreateBars", bars.CreateBarsResponse.FromString, is_repeatable=True
)
# A second deletion finds nothing and would answer 0.
DELETE_BARS: Final = Method[bars.DeleteBarsRequest, bars.DeleteBarsResponse](
    f"{_BARS}DeleteBars", bars.DeleteBarsResponse.FromString
)
GET_BAR_COVERAGE: Final = Method[bars.GetBarCoverageRequest, bars.GetBarCoverageResponse](
    f"{_BARS}GetBarCoverage", bars.GetBarCoverageResponse.FromString, is_repeatable=True
)
LIST_BAR_REVISIONS: Final = Method[bars.ListBarRevisionsRequest, bars.ListBarRevisionsResponse](
    f"{_BARS}ListBarRevisions", bars.ListBarRevisionsResponse.FromString, is_repeatable=True
)
GET_BAR_STATISTICS: Final = Method[bars.GetBarStatisticsRequest, bars.GetBarStatisticsResponse](
    f"{_BARS}GetBarStatistics", bars.GetBarStatisticsResponse.FromString, is_repeatable=True
)
# Streams are resumed by the client at their position, so gRPC's own retries stay away from them. The
# bytes come as they are: each column is then copied only once.
STREAM_BARS: Final = Method[bars.StreamBarsRequest, bytes](f"{_BARS}StreamBars", None)
SUBSCRIBE_BARS: Final = Method[subscriptions.SubscribeBarsRequest, bytes](f"{_BARS}SubscribeBars", None)
UPLOAD_BARS: Final = Method[bytes, bars.UploadBarsResponse](
    f"{_BARS}UploadBars", bars.UploadBarsResponse.FromString
)

LIST_PROVIDERS: Final = Method[ingestion.ListProvidersRequest, ingestion.ListProvidersResponse](
    f"{_INGESTION}ListProviders", ingestion.ListProvidersResponse.FromString, is_repeatable=True
)
LIST_LIVE_FEEDS: Final = Method[live_feeds.ListLiveFeedsRequest, live_feeds.ListLiveFeedsResponse](
    f"{_INGESTION}ListLiveFeeds", live_feeds.ListLiveFeedsResponse.FromString, is_repeatable=True
)
# The client gives every request an id, under which a second one finds the run of the first.
START_INGESTION: Final = Method[ingestion.StartIngestionRequest, ingestion.StartIngestionResponse](
    f"{_INGESTION}StartIngestion", ingestion.StartIngestionResponse.FromString, is_repeatable=True
)
GET_INGESTION_RUN: Final = Method[ingestion.GetIngestionRunRequest, ingestion.GetIngestionRunResponse](
    f"{_INGESTION}GetIngestionRun", ingestion.GetIngestionRunResponse.FromString, is_repeatable=True
)
LIST_INGESTION_RUNS: Final = Method[
    ingestion.ListIngestionRunsRequest, ingestion.ListIngestionRunsResponse
](f"{_INGESTION}ListIngestionRuns", ingestion.ListIngestionRunsResponse.FromString, is_repeatable=True)
# Whoever watches asks again himself: each answer is whole.
WATCH_INGESTION_RUN: Final = Method[
    ingestion.WatchIngestionRunRequest, ingestion.WatchIngestionRunResponse
](f"{_INGESTION}WatchIngestionRun", ingestion.WatchIngestionRunResponse.FromString)
CANCEL_INGESTION_RUN: Final = Method[
    ingestion.CancelIngestionRunRequest, ingestion.CancelIngestionRunResponse
](
    f"{_INGESTION}CancelIngestionRun",
    ingestion.CancelIngestionRunResponse.FromString,
    is_repeatable=True,
)
LIST_QUARANTINED_BARS: Final = Method[
    quarantine.ListQuarantinedBarsRequest, quarantine.ListQuarantinedBarsResponse
](
    f"{_INGESTION}ListQuarantinedBars",
    quarantine.ListQuarantinedBarsResponse.FromString,
    is_repeatable=True,
)
# Of a filter, a second one would decide of the next bars.
RELEASE_QUARANTINED_BARS: Final = Method[
    quarantine.ReleaseQuarantinedBarsRequest, quarantine.ReleaseQuarantinedBarsResponse
](f"{_INGESTION}ReleaseQuarantinedBars", quarantine.ReleaseQuarantinedBarsResponse.FromString)
DROP_QUARANTINED_BARS: Final = Method[
    quarantine.DropQuarantinedBarsRequest, quarantine.DropQuarantinedBarsResponse
](f"{_INGESTION}DropQuarantinedBars", quarantine.DropQuarantinedBarsResponse.FromString)
LIST_INGESTION_TARGETS: Final = Method[
    targets.ListIngestionTargetsRequest, targets.ListIngestionTargetsResponse
](
    f"{_INGESTION}ListIngestionTargets",
    targets.ListIngestionTargetsResponse.FromString,
    is_repeatable=True,
)
# As with symbols, a retry would report a failure of what was done.
CREATE_INGESTION_TARGET: Final = Method[
    targets.CreateIngestionTargetRequest, targets.CreateIngestionTargetResponse
](f"{_INGESTION}CreateIngestionTarget", targets.CreateIngestionTargetResponse.FromString)
# A target that is so already stays so, and a second answer says what the first one would have.
UPDATE_INGESTION_TARGET: Final = Method[
    targets.UpdateIngestionTargetRequest, targets.UpdateIngestionTargetResponse
](
    f"{_INGESTION}UpdateIngestionTarget",
    targets.UpdateIngestionTargetResponse.FromString,
    is_repeatable=True,
)
DELETE_INGESTION_TARGET: Final = Method[
    targets.DeleteIngestionTargetRequest, targets.DeleteIngestionTargetResponse
](f"{_INGESTION}DeleteIngestionTarget", targets.DeleteIngestionTargetResponse.FromString)

METHODS: Final = (
    GET_SYMBOL,
    LIST_SYMBOLS,
    CREATE_SYMBOL,
    UPDATE_SYMBOL,
    DELETE_SYMBOL,
    SEARCH_SYMBOLS,
    VALIDATE_SYMBOLS,
    LIST_CORPORATE_ACTIONS,
    CREATE_CORPORATE_ACTIONS,
    GET_COMPANY,
    UPDATE_COMPANY,
    GET_LATEST_BAR,
    BATCH_GET_LATEST_BARS,
    LIST_BARS,
    STREAM_BARS,
    SUBSCRIBE_BARS,
    CREATE_BARS,
    UPLOAD_BARS,
    DELETE_BARS,
    GET_BAR_COVERAGE,
    LIST_BAR_REVISIONS,
    GET_BAR_STATISTICS,
    LIST_PROVIDERS,
    LIST_LIVE_FEEDS,
    START_INGESTION,
    GET_INGESTION_RUN,
    LIST_INGESTION_RUNS,
    WATCH_INGESTION_RUN,
    CANCEL_INGESTION_RUN,
    LIST_QUARANTINED_BARS,
    RELEASE_QUARANTINED_BARS,
    DROP_QUARANTINED_BARS,
    LIST_INGESTION_TARGETS,
    CREATE_INGESTION_TARGET,
    UPDATE_INGESTION_TARGET,
    DELETE_INGESTION_TARGET,
)
