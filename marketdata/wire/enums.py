"""Enums of the contract and of the domain, both directions."""

from typing import Final

from bifrost.marketdata.v1 import (
    bar_pb2,
    bars_service_pb2,
    corporate_action_pb2,
    symbol_pb2,
    symbol_service_pb2,
    timeframe_pb2,
)

from marketdata.domain.adjustment import Adjustment
from marketdata.domain.bars import BarColumn
from marketdata.domain.calendar import SessionHours
from marketdata.domain.corporate_action import CorporateActionKind
from marketdata.domain.gaps import GapReason
from marketdata.domain.symbol import AssetClass, SymbolStatus
from marketdata.domain.symbol_query import MatchKind, SymbolValidity
from marketdata.domain.timeframe import Timeframe

TIMEFRAME_TO_PROTO: Final = {
    Timeframe.MINUTE_1: timeframe_pb2.TIMEFRAME_1_MINUTE,
    Timeframe.MINUTES_5: timeframe_pb2.TIMEFRAME_5_MINUTES,
    Timeframe.MINUTES_15: timeframe_pb2.TIMEFRAME_15_MINUTES,
    Timeframe.HOUR_1: timeframe_pb2.TIMEFRAME_1_HOUR,
    Timeframe.DAY_1: timeframe_pb2.TIMEFRAME_1_DAY,
}
TIMEFRAME_FROM_PROTO: Final = {proto: domain for domain, proto in TIMEFRAME_TO_PROTO.items()}

SESSION_TO_PROTO: Final = {
    SessionHours.REGULAR: bar_pb2.SESSION_REGULAR,
    SessionHours.EXTENDED: bar_pb2.SESSION_EXTENDED,
    SessionHours.ALL: bar_pb2.SESSION_ALL,
}
SESSION_FROM_PROTO: Final = {
    bar_pb2.SESSION_UNSPECIFIED: SessionHours.REGULAR,
    **{proto: domain for domain, proto in SESSION_TO_PROTO.items()},
}

# Which way (descending), and whether times come first.
ORDER_FROM_PROTO: Final = {
    bar_pb2.BAR_ORDER_UNSPECIFIED: (False, False),
    bar_pb2.BAR_ORDER_SYMBOL_TIME: (False, False),
    bar_pb2.BAR_ORDER_SYMBOL_TIME_DESCENDING: (True, False),
    bar_pb2.BAR_ORDER_TIME_SYMBOL: (False, True),
    bar_pb2.BAR_ORDER_TIME_SYMBOL_DESCENDING: (True, True),
}
ORDER_TO_PROTO: Final = {
    (False, False): bar_pb2.BAR_ORDER_SYMBOL_TIME,
    (True, False): bar_pb2.BAR_ORDER_SYMBOL_TIME_DESCENDING,
    (False, True): bar_pb2.BAR_ORDER_TIME_SYMBOL,
    (True, True): bar_pb2.BAR_ORDER_TIME_SYMBOL_DESCENDING,
}

ADJUSTMENT_TO_PROTO: Final = {
    Adjustment.RAW: bar_pb2.ADJUSTMENT_RAW,
    Adjustment.SPLIT: bar_pb2.ADJUSTMENT_SPLIT,
    Adjustment.DIVIDEND: bar_pb2.ADJUSTMENT_DIVIDEND,
    Adjustment.ALL: bar_pb2.ADJUSTMENT_ALL,
}
ADJUSTMENT_FROM_PROTO: Final = {
    bar_pb2.ADJUSTMENT_UNSPECIFIED: Adjustment.RAW,
    **{proto: domain for domain, proto in ADJUSTMENT_TO_PROTO.items()},
}

COLUMN_FROM_PROTO: Final = {
    bar_pb2.BAR_COLUMN_OPEN: BarColumn.OPEN,
    bar_pb2.BAR_COLUMN_HIGH: BarColumn.HIGH,
    bar_pb2.BAR_COLUMN_LOW: BarColumn.LOW,
    bar_pb2.BAR_COLUMN_CLOSE: BarColumn.CLOSE,
    bar_pb2.BAR_COLUMN_VOLUME: BarColumn.VOLUME,
    bar_pb2.BAR_COLUMN_VWAP: BarColumn.VWAP,
    bar_pb2.BAR_COLUMN_TRADE_COUNT: BarColumn.TRADE_COUNT,
    bar_pb2.BAR_COLUMN_FLAGS: BarColumn.FLAGS,
    bar_pb2.BAR_COLUMN_REVISION: BarColumn.REVISION,
    bar_pb2.BAR_COLUMN_FEED: BarColumn.FEED,
}
COLUMN_TO_PROTO: Final = {domain: proto for proto, domain in COLUMN_FROM_PROTO.items()}

ASSET_CLASS_TO_PROTO: Final = {
    AssetClass.EQUITY: symbol_pb2.ASSET_CLASS_EQUITY,
    AssetClass.ETF: symbol_pb2.ASSET_CLASS_ETF,
    AssetClass.INDEX: symbol_pb2.ASSET_CLASS_INDEX,
    AssetClass.FUTURE: symbol_pb2.ASSET_CLASS_FUTURE,
    AssetClass.FX: symbol_pb2.ASSET_CLASS_FX,
    AssetClass.CRYPTO: symbol_pb2.ASSET_CLASS_CRYPTO,
}
ASSET_CLASS_FROM_PROTO: Final = {
    symbol_pb2.ASSET_CLASS_UNSPECIFIED: AssetClass.EQUITY,
    **{proto: domain for domain, proto in ASSET_CLASS_TO_PROTO.items()},
}

STATUS_TO_PROTO: Final = {
    SymbolStatus.ACTIVE: symbol_pb2.SYMBOL_STATUS_ACTIVE,
    SymbolStatus.DELISTED: symbol_pb2.SYMBOL_STATUS_DELISTED,
}
STATUS_FROM_PROTO: Final = {
    symbol_pb2.SYMBOL_STATUS_UNSPECIFIED: SymbolStatus.ACTIVE,
    **{proto: domain for domain, proto in STATUS_TO_PROTO.items()},
}

MATCH_KIND_TO_PROTO: Final = {
    MatchKind.EXACT: symbol_service_pb2.MATCH_KIND_EXACT,
    MatchKind.PREFIX: symbol_service_pb2.MATCH_KIND_PREFIX,
    MatchKind.FUZZY: symbol_service_pb2.MATCH_KIND_FUZZY,
}

SYMBOL_VALIDITY_TO_PROTO: Final = {
    SymbolValidity.KNOWN_ACTIVE: symbol_service_pb2.SYMBOL_VALIDITY_KNOWN_ACTIVE,
    SymbolValidity.KNOWN_DELISTED: symbol_service_pb2.SYMBOL_VALIDITY_KNOWN_DELISTED,
    SymbolValidity.RENAMED: symbol_service_pb2.SYMBOL_VALIDITY_RENAMED,
    SymbolValidity.UNKNOWN: symbol_service_pb2.SYMBOL_VALIDITY_UNKNOWN,
    SymbolValidity.MALFORMED: symbol_service_pb2.SYMBOL_VALIDITY_MALFORMED,
}

ACTION_KIND_TO_PROTO: Final = {
    CorporateActionKind.SPLIT: corporate_action_pb2.CORPORATE_ACTION_KIND_SPLIT,
    CorporateActionKind.CASH_DIVIDEND: corporate_action_pb2.CORPORATE_ACTION_KIND_CASH_DIVIDEND,
}
ACTION_KIND_FROM_PROTO: Final = {proto: domain for domain, proto in ACTION_KIND_TO_PROTO.items()}

GAP_REASON_TO_PROTO: Final = {
    GapReason.MISSING: bars_service_pb2.GAP_REASON_MISSING,
    GapReason.FAILED: bars_service_pb2.GAP_REASON_FAILED,
    GapReason.NO_TRADES: bars_service_pb2.GAP_REASON_NO_TRADES,
    GapReason.PROVIDER_HAS_NONE: bars_service_pb2.GAP_REASON_PROVIDER_HAS_NONE,
    GapReason.BEYOND_HISTORY: bars_service_pb2.GAP_REASON_BEYOND_HISTORY,
    GapReason.QUARANTINED: bars_service_pb2.GAP_REASON_QUARANTINED,
}
