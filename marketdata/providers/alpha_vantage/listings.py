"""Alpha Vantage's lists of what is listed and what was delisted, turned into statements: pure."""

import csv
from collections.abc import Collection
from datetime import date
from typing import Final

from marketdata.domain.listing import Listing
from marketdata.errors import ProviderAnswerError
from marketdata.providers.alpha_vantage.messages import check_message
from marketdata.providers.http.answer import HttpAnswer
from marketdata.providers.http.caller import expect_ok

# As its documentation has it: https://www.alphavantage.co/documentation/#listing-status
_NAMES: Final = ("symbol", "name", "exchange", "assetType", "ipoDate", "delistingDate", "status")
_NONE: Final = "null"
_STATUSES: Final = {True: "active", False: "delisted"}


def parse_listings(answer: HttpAnswer, wanted: Collection[str], *, is_listed: bool) -> list[Listing]:
    """Turn an answer of LISTING_STATUS into statements about some symbols.

    Parameters
    ----------
    answer : HttpAnswer
        CSV of some ten thousand lines, or a message.
    wanted : collection of str
        Symbols in its spelling; the rest is left out.
    is_listed : bool
        Which of the two lists was asked for.

    Raises
    ------
    ProviderLimitError, ProviderKeyError
        As `check_message` says.
    ProviderAnswerError
        It is not the list that was asked for, or not whole.
    """
    text = expect_ok(answer).text()
    if text.lstrip().startswith(("{", "[")):
        check_message(answer.json(), "what is listed", answer.asked_us)
        raise ProviderAnswerError("the answer is an object, and was asked for a list of symbols")
    if not text.endswith("\n"):
        raise ProviderAnswerError("the answer is empty, or breaks off within a line")
    rows = list(csv.reader(text.splitlines()))
    if not rows or tuple(rows[0]) != _NAMES or any(len(row) != len(_NAMES) for row in rows):
        raise ProviderAnswerError("the answer is not the list of the documentation")
    if is_listed and len(rows) == 1:
        raise ProviderAnswerError("the answer says that nothing is listed at all")
    if any(row[6].lower() != _STATUSES[is_listed] for row in rows[1:]):
        raise ProviderAnswerError(f"the answer is not the list of what is {_STATUSES[is_listed]}")
    return [_listing(row, is_listed=is_listed) for row in rows[1:] if row[0] in wanted]


def _listing(row: list[str], *, is_listed: bool) -> Listing:
    symbol, name, exchange, _, listed_on, delisted_on, _ = row
    return Listing(
        symbol=symbol,
        name=name,
        exchange=exchange,
        is_listed=is_listed,
        listed_on=_date(listed_on),
        delisted_on=None if is_listed else _date(delisted_on),
    )


def _date(text: str) -> date | None:
    if text in {"", _NONE}:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        problem = ProviderAnswerError("a line of the answer has a date that is none")
    raise problem
