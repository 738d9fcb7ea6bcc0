"""The sample's corporate actions: known splits, and dividends inferred from the adjusted close.

The data set has no list of dividends, but its adjusted close carries them. Going back over an
ex-date, the source (Quandl WIKI Prices) multiplies all earlier prices by::

    factor = close(ex) / (close(ex) + D)          D: dividend a share, close: raw, on the ex-date

so the adjustment of a session, ``adjusted_close / close``, makes a step at every ex-date::

    factor = adjustment(ex - 1) / adjustment(ex) * split_ratio(ex)      (split_ratio 1 without one)
    D      = close(ex) * (1 / factor - 1)

That is not the factor by which this service adjusts, ``1 - D / close(ex - 1)``. Both put the same
amounts to use, but prices adjusted here differ from the data set's adjusted close: by 3e-5 for the
median dividend and 1.7e-3 for the largest (MSFT, 3.08 USD).

Precision: the adjusted close is printed with 14 significant digits, so a factor is known to 1e-13
and a dividend to 1e-11 USD (greatest residue of all 92 dividends: 9.3e-12). The smallest real step
is 1.1e-3 (IBM, 0.13 USD).
"""

from collections.abc import Mapping, Sequence
from datetime import date
from types import MappingProxyType
from typing import Final

import numpy as np

from marketdata.domain.bars import BarFrame, Float64Array
from marketdata.domain.corporate_action import CorporateAction, CorporateActionKind
from marketdata.domain.time_range import session_date, session_label_us

# Both bounds lie between the printed digits' noise (1e-13, 1e-11 USD) and the smallest dividend of
# the data set (1.1e-3, 0.08 USD): a step has to reach both to be one.
MIN_DIVIDEND: Final = 0.02
MIN_FACTOR_STEP: Final = 0.0006

# An amount this close to a whole cent is that cent: 100,000 times the noise, and 1,000 times less
# than the tenth of a cent in which some companies declare; such an amount stays as inferred.
CENT_TOLERANCE_USD: Final = 1e-6

_SPLIT_SOURCE: Final = "public record, confirmed by the sample's adjusted close"
_DIVIDEND_SOURCE: Final = "inferred from the sample's adjusted close"


def _split(ex_date: date, ratio: float) -> CorporateAction:
    return CorporateAction(CorporateActionKind.SPLIT, ex_date, split_ratio=ratio, source=_SPLIT_SOURCE)


SAMPLE_SPLITS: Final[Mapping[str, tuple[CorporateAction, ...]]] = MappingProxyType(
    {
        "AAPL": (_split(date(2000, 6, 21), 2.0), _split(date(2005, 2, 28), 2.0)),
        "MSFT": (_split(date(2003, 2, 18), 2.0),),
    }
)


def sample_actions(
    symbol: str, bars: BarFrame, adjusted_close: Float64Array
) -> tuple[CorporateAction, ...]:
    """List the corporate actions of one stock of the sample.

    Parameters
    ----------
    symbol : str
        Ticker; names the known splits.
    bars : BarFrame
        Raw daily bars of this stock, ascending by time.
    adjusted_close : float64[n]
        The data set's adjusted close of the same sessions, USD.

    Returns
    -------
    tuple of CorporateAction
        Ascending by ex-date; splits outside of the bars' sessions are left out.
    """
    splits = [
        split
        for split in SAMPLE_SPLITS.get(symbol, ())
        if np.any(bars.time_us == session_label_us(split.ex_date))
    ]
    dividends = infer_dividends(bars, adjusted_close, splits)
    return tuple(sorted([*splits, *dividends], key=lambda action: action.ex_date))


def infer_dividends(
    bars: BarFrame, adjusted_close: Float64Array, splits: Sequence[CorporateAction]
) -> list[CorporateAction]:
    """Infer cash dividends from the steps of the adjusted close; formula and precision above.

    Parameters
    ----------
    bars : BarFrame
        Raw daily bars of one stock, ascending by time.
    adjusted_close : float64[n]
        Adjusted close of the same sessions, USD. Actions after the last bar may be in it: they
        cancel out.
    splits : sequence of CorporateAction
        All splits whose ex-date is among the bars. One that is left out reads as a dividend.

    Returns
    -------
    list of CorporateAction
        Ascending by ex-date. `cash_amount` in USD a share as declared, whole cents where it lies
        within `CENT_TOLERANCE_USD` of them and as inferred otherwise. Nothing is inferred for the
        first session, nor below `MIN_DIVIDEND` or `MIN_FACTOR_STEP`.
    """
    ratio = np.ones(len(bars))
    for split in splits:
        ratio[bars.time_us == session_label_us(split.ex_date)] = split.split_ratio
    adjustment = adjusted_close / bars.close
    factor = adjustment[:-1] / adjustment[1:] * ratio[1:]
    amount = bars.close[1:] * (1 / factor - 1)
    kept = np.flatnonzero((amount > MIN_DIVIDEND) & (np.abs(factor - 1) > MIN_FACTOR_STEP))
    return [
        CorporateAction(
            CorporateActionKind.CASH_DIVIDEND,
            session_date(time_us),
            cash_amount=_whole_cents(cash),
            source=_DIVIDEND_SOURCE,
        )
        for time_us, cash in zip(bars.time_us[kept + 1].tolist(), amount[kept].tolist(), strict=True)
    ]


def _whole_cents(amount: float) -> float:
    cents = round(amount, 2)
    return cents if abs(amount - cents) <= CENT_TOLERANCE_USD else amount
