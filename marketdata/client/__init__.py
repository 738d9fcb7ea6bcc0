"""Client: what other services install to call this one.

`MarketDataClient` is for asyncio, `SyncMarketDataClient` for everything else. The base install brings
what they need; the extras ``pandas`` and ``arrow`` bring what `Bars.to_pandas` and `Bars.to_arrow` do.
"""

from marketdata.client.answers import (
    ActionsCreated,
    AppliedRead,
    Bar,
    BarPage,
    BarsCreated,
    BarsDeleted,
    BarVersion,
    LatestBar,
    TimeframeStatistics,
    UnadjustedAction,
)
from marketdata.client.bar_stream import BarStream
from marketdata.client.bar_subscription import (
    BarSubscription,
    SubscriptionState,
    SubscriptionUpdate,
)
from marketdata.client.bars import Bars
from marketdata.client.channels import DEFAULT_ADDRESS
from marketdata.client.company_calls import CompanyField
from marketdata.client.coverage_answers import Coverage, CoverageGap
from marketdata.client.ingestion_answers import RunStatus, RunTrouble
from marketdata.client.ingestion_target_calls import TargetField
from marketdata.client.live_feed_calls import LiveFeed
from marketdata.client.quarantine_answers import (
    BarsDropped,
    BarsReleased,
    QuarantinedBar,
    RefusedDecision,
)
from marketdata.client.retry import RetryPolicy
from marketdata.client.service import DEFAULT_TIMEOUT_SECONDS, MarketDataClient
from marketdata.client.symbol_calls import SymbolField
from marketdata.client.sync import SyncBarStream, SyncBarSubscription, SyncMarketDataClient
from marketdata.client.upload import RejectedBars, UploadResult
from marketdata.domain.adjustment import Adjustment
from marketdata.domain.bar_order import BarOrder
from marketdata.domain.bars import BarColumn, BarFlag, BarFrame
from marketdata.domain.calendar import SessionHours
from marketdata.domain.company import Company, CompanyFacts
from marketdata.domain.corporate_action import CorporateAction, CorporateActionKind
from marketdata.domain.coverage import SessionCounts
from marketdata.domain.gaps import GapReason
from marketdata.domain.ingestion_run import IngestionMode, ProviderWait, RunCounts, RunState
from marketdata.domain.ingestion_target import IngestionTarget, NewIngestionTarget
from marketdata.domain.live_feed import FeedState
from marketdata.domain.provider import ProviderDescription
from marketdata.domain.quality.rules import QualityRule, Severity
from marketdata.domain.quarantine import QuarantineFilter, QuarantineState
from marketdata.domain.subscription import (
    ActionsChange,
    BarsChange,
    CaughtUp,
    Heartbeat,
    RangeChange,
    RangeReason,
    SlowReaderPolicy,
    Subscribed,
    SymbolsChange,
)
from marketdata.domain.symbol import AssetClass, NewSymbol, Symbol, SymbolStatus
from marketdata.domain.symbol_query import (
    MatchKind,
    SymbolMatch,
    SymbolOrder,
    SymbolValidity,
    SymbolVerdict,
)
from marketdata.domain.timeframe import Timeframe

__all__ = [
    "DEFAULT_ADDRESS",
    "DEFAULT_TIMEOUT_SECONDS",
    "ActionsChange",
    "ActionsCreated",
    "Adjustment",
    "AppliedRead",
    "AssetClass",
    "Bar",
    "BarColumn",
    "BarFlag",
    "BarFrame",
    "BarOrder",
    "BarPage",
    "BarStream",
    "BarSubscription",
    "BarVersion",
    "Bars",
    "BarsChange",
    "BarsCreated",
    "BarsDeleted",
    "BarsDropped",
    "BarsReleased",
    "CaughtUp",
    "Company",
    "CompanyFacts",
    "CompanyField",
    "CorporateAction",
    "CorporateActionKind",
    "Coverage",
    "CoverageGap",
    "FeedState",
    "GapReason",
    "Heartbeat",
    "IngestionMode",
    "IngestionTarget",
    "LatestBar",
    "LiveFeed",
    "MarketDataClient",
    "MatchKind",
    "NewIngestionTarget",
    "NewSymbol",
    "ProviderDescription",
    "ProviderWait",
    "QualityRule",
    "QuarantineFilter",
    "QuarantineState",
    "QuarantinedBar",
    "RangeChange",
    "RangeReason",
    "RefusedDecision",
    "RejectedBars",
    "RetryPolicy",
    "RunCounts",
    "RunState",
    "RunStatus",
    "RunTrouble",
    "SessionCounts",
    "SessionHours",
    "Severity",
    "SlowReaderPolicy",
    "Subscribed",
    "SubscriptionState",
    "SubscriptionUpdate",
    "Symbol",
    "SymbolField",
    "SymbolMatch",
    "SymbolOrder",
    "SymbolStatus",
    "SymbolValidity",
    "SymbolVerdict",
    "SymbolsChange",
    "SyncBarStream",
    "SyncBarSubscription",
    "SyncMarketDataClient",
    "TargetField",
    "Timeframe",
    "TimeframeStatistics",
    "UnadjustedAction",
    "UploadResult",
]
