"""The example's answers turned into columns: pure. See docs/providers.md, "Adding a provider"."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from marketdata.domain.bars import BarColumn
from marketdata.domain.corporate_action import CorporateAction, CorporateActionKind
from marketdata.errors import ProviderAnswerError, ProviderLimitError, ProviderSymbolError
from marketdata.providers.http.answer import HttpAnswer
from marketdata.providers.http.caller import expect_ok

_NOT_FOUND: Final = 404
_NUMBERS: Final = (
    BarColumn.OPEN,
    BarColumn.HIGH,
    BarColumn.LOW,
    BarColumn.CLOSE,
    BarColumn.VOLUME,
)


@dataclass(frozen=True, slots=True, eq=False)
class ExamplePage:
    """A page of bars as it was answered.

    Attributes
    ----------
    columns : dict of BarColumn to array
        TIME, prices and volume, in the answer's order.
    token : str or None
        Of the next page.
    """

    columns: dict[BarColumn, npt.NDArray[Any]]
    token: str | None


def parse_bars(answer: HttpAnswer) -> ExamplePage:
    """Turn a page of bars into columns.

    Raises
    ------
    ProviderSymbolError, ProviderLimitError
        It says so.
    ProviderAnswerError
        It is not what the documentation says.
    """
    document = _document(answer)
    try:
        rows = document["rows"]
        times = np.array([row[0] for row in rows], "datetime64[us]").astype(np.int64)
        numbers = np.array([row[1:] for row in rows], np.float64).reshape(len(rows), len(_NUMBERS))
        token = document["next"]
    except (KeyError, ValueError, TypeError, IndexError):
        problem = ProviderAnswerError("the bars are not rows of a time and five numbers")
    else:
        columns: dict[BarColumn, npt.NDArray[Any]] = {BarColumn.TIME: times}
        columns |= {column: numbers[:, place].copy() for place, column in enumerate(_NUMBERS)}
        return ExamplePage(columns, token)
    raise problem


def parse_actions(answer: HttpAnswer) -> Sequence[CorporateAction]:
    """Turn the list of corporate actions into actions; raises as `parse_bars` does."""
    document = _document(answer)
    try:
        return [
            CorporateAction(
                CorporateActionKind(event["kind"]),
                date.fromisoformat(event["ex_date"]),
                split_ratio=event.get("ratio"),
                cash_amount=event.get("amount"),
                source="example",
            )
            for event in document["events"]
        ]
    except (KeyError, ValueError, TypeError):
        problem = ProviderAnswerError("the corporate actions are not those of the documentation")
    raise problem


def _document(answer: HttpAnswer) -> Any:
    if answer.status == _NOT_FOUND:
        raise ProviderSymbolError("example does not know the symbol; check its spelling there")
    document = expect_ok(answer).json()
    if isinstance(document, dict) and "limit" in document:
        raise ProviderLimitError(f"example says: {document['limit']}")
    return document
