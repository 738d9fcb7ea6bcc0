"""The quarantine: rows that break a rule are put into it and listed."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from psycopg import sql

from marketdata.domain.bars import BarFrame
from marketdata.domain.quality.report import JudgedBars
from marketdata.domain.quality.rules import QualityRule, Severity, rules_of
from marketdata.domain.quarantine import QuarantinedBar, QuarantineFilter, QuarantineState
from marketdata.domain.time_range import to_unix_us
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.parameters import number_array, text_array, time_array
from marketdata.storage.pools import Connection, Pools
from marketdata.storage.symbol_rows import fetch_rows

_GRAVEST_FIRST: Final = (Severity.INVALID, Severity.REJECT, Severity.FLAG)

# By the unique index. A row that waits is brought up to date: beside other neighbours the same values
# can break other rules. One that was decided stays as it is. A row that is given twice is taken once,
# since no statement may insert a row and update it.
_APPEND: Final = """
    INSERT INTO bar_quarantine AS known
           (run_id, provider, feed, symbol, timeframe, time, open, high, low, close, volume, vwap,
            trade_count, flags, rules, severity, detail)
    SELECT DISTINCT ON (symbol, time, feed, open, high, low, close, volume, vwap, trade_count)
           %(run_id)s, %(provider)s, feed, symbol, %(timeframe)s, time, open, high, low, close, volume,
           vwap, trade_count, flags, string_to_array(rules, ','), severity, detail
      FROM unnest(%(feed)s, %(symbol)s, %(time)s, %(open)s, %(high)s, %(low)s, %(close)s, %(volume)s,
                  %(vwap)s, %(trade_count)s, %(flags)s, %(rules)s, %(severity)s, %(detail)s)
           AS given (feed, symbol, time, open, high, low, close, volume, vwap, trade_count, flags,
                     rules, severity, detail)
     ORDER BY symbol, time, feed, open, high, low, close, volume, vwap, trade_count
    ON CONFLICT (symbol, timeframe, time, feed, open, high, low, close, volume, vwap, trade_count)
    DO UPDATE SET rules = excluded.rules, severity = excluded.severity, detail = excluded.detail
     WHERE known.state = 'open' AND known.rules <> excluded.rules
"""
COLUMNS: Final = sql.SQL("""
    quarantine_id, run_id, provider, feed, symbol, timeframe, time, open, high, low, close, volume,
    vwap, trade_count, flags, rules, severity, detail, state, reason, quarantined_at, decided_at
""")
# What a filter that is NULL leaves out of the plan, since plans are made for the values of each call.
MATCHES: Final = sql.SQL("""
    (%(symbol)s::text IS NULL OR symbol = %(symbol)s::text COLLATE "C")
    AND (%(timeframe)s::text IS NULL OR timeframe = %(timeframe)s)
    AND (%(rule)s::text IS NULL OR %(rule)s = ANY (rules))
    AND (%(run_id)s::bigint IS NULL OR run_id = %(run_id)s)
    AND (%(state)s::text IS NULL OR state = %(state)s)
    AND (%(severity)s::text IS NULL OR severity = %(severity)s)
""")
# Backwards along the primary key or bar_quarantine_open; of a symbol by the unique index, of a run by
# bar_quarantine_run.
_PAGE: Final = sql.SQL("""
    SELECT {columns} FROM bar_quarantine
     WHERE (%(before)s::bigint IS NULL OR quarantine_id < %(before)s) AND {matches}
     ORDER BY quarantine_id DESC LIMIT %(limit)s
""").format(columns=COLUMNS, matches=MATCHES)


async def append_quarantined(
    connection: Connection,
    judged: JudgedBars,
    timeframe: Timeframe,
    *,
    provider: str,
    run_id: int | None = None,
) -> None:
    """Put rows into the quarantine, within the transaction of the caller.

    The same row again, by symbol, timeframe, time, feed and values, is there once, and stays as it was
    decided.

    Parameters
    ----------
    judged : JudgedBars
        Rejected rows, or flagged ones; `feeds` of their frame names the feeds. None: nothing.
    timeframe : Timeframe
        One that is stored.
    provider : str
        Name of the provider that gave them.
    run_id : int, optional
        The run that fetched them.
    """
    if len(judged) == 0:
        return
    parameters = {
        "run_id": run_id,
        "provider": provider,
        "timeframe": timeframe.value,
        **_bar_parameters(judged.frame),
        **_rule_parameters(judged),
    }
    await connection.execute(_APPEND, parameters)


def _bar_parameters(frame: BarFrame) -> dict[str, Any]:
    keys = sorted(frame.feeds)
    names = ("open", "high", "low", "close", "volume", "vwap", "trade_count", "flags")
    parameters: dict[str, Any] = {name: number_array(getattr(frame, name)) for name in names}
    parameters["feed"] = text_array([frame.feeds[k] for k in keys], np.searchsorted(keys, frame.feed))
    parameters["symbol"] = text_array(frame.symbols, frame.row_symbol_index())
    # timestamptz ends long before int64 does; what the time was stands in the detail.
    bounds = (Timeframe.DAY_1.earliest_us, Timeframe.DAY_1.latest_us)
    parameters["time"] = time_array(np.clip(frame.time_us, *bounds))
    return parameters


def _rule_parameters(judged: JudgedBars) -> dict[str, Any]:
    combinations, index = np.unique(judged.broken, return_inverse=True)
    named = [rules_of(bits) for bits in combinations.tolist()]
    return {
        "rules": text_array([",".join(rule.name for rule in rules) for rules in named], index),
        "severity": text_array([gravest(rules).value for rules in named], index),
        "detail": text_array(judged.details, np.arange(len(judged))),
    }


def gravest(rules: Sequence[QualityRule]) -> Severity:
    """Tell the gravest severity among rules that quarantine; at least one."""
    return min((rule.severity for rule in rules), key=_GRAVEST_FIRST.index)


class QuarantineReader:
    """Lists what is in the quarantine.

    Parameters
    ----------
    pools : Pools
        Where queries run.
    """

    def __init__(self, pools: Pools) -> None:
        self._pools = pools

    async def list_page(
        self, wanted: QuarantineFilter, before: int | None, limit: int
    ) -> list[QuarantinedBar]:
        """List rows, the last found first, from those before `before` on; None is the beginning."""
        parameters = {**filter_parameters(wanted), "before": before, "limit": limit}
        async with self._pools.query() as connection:
            rows = await fetch_rows(connection, _PAGE, parameters)
        return [to_quarantined(row) for row in rows]


def filter_parameters(wanted: QuarantineFilter) -> dict[str, Any]:
    """Make the parameters of `MATCHES`."""
    return {
        "symbol": wanted.symbol,
        "timeframe": wanted.timeframe.value if wanted.timeframe else None,
        "rule": wanted.rule.name if wanted.rule else None,
        "run_id": wanted.run_id,
        "state": wanted.state.value if wanted.state else None,
        "severity": wanted.severity.value if wanted.severity else None,
    }


def to_quarantined(row: Mapping[str, Any]) -> QuarantinedBar:
    """Make a quarantined bar of a row of `COLUMNS`."""
    values = dict(row)
    decided_at = values.pop("decided_at")
    # A rule that a later release knows is left to that one: its severity stands in the row.
    rules = tuple(QualityRule[name] for name in values.pop("rules") if name in QualityRule.__members__)
    return QuarantinedBar(
        timeframe=Timeframe(values.pop("timeframe")),
        time_us=to_unix_us(values.pop("time")),
        rules=rules,
        severity=Severity(values.pop("severity")),
        state=QuarantineState(values.pop("state")),
        quarantined_us=to_unix_us(values.pop("quarantined_at")),
        decided_us=None if decided_at is None else to_unix_us(decided_at),
        **values,
    )
