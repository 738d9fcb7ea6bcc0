"""The archive's file of corporate actions: parsing is pure, reading blocks."""

import csv
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Final

from marketdata.domain.corporate_action import CorporateAction, CorporateActionKind
from marketdata.errors import ProviderAnswerError
from marketdata.providers.files.archive import ArchivedFile

COLUMNS: Final = ("symbol", "kind", "ex_date", "split_ratio", "cash_amount", "currency")
_SOURCE: Final = "file actions.csv"
# Of all symbols for decades; it is read as a whole.
_MOST_BYTES: Final = 32 * 1024 * 1024


def read_actions(file: ArchivedFile) -> list[tuple[str, CorporateAction]]:
    """Read all corporate actions of the file, each with its symbol.

    Raises
    ------
    ProviderAnswerError
        The file is too large, no text, or a line of it is wrong.
    ProviderUnavailableError
        It is being written.
    """
    if file.state.size > _MOST_BYTES:
        raise ProviderAnswerError(
            f"{file.shown} is larger than {_MOST_BYTES} bytes; keep what is yours"
        )
    try:
        text = file.path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ProviderAnswerError(
            f"{file.shown} cannot be read ({type(error).__name__}); save it as text in UTF-8"
        ) from None
    file.check_unchanged()
    return parse_actions(text.splitlines(), file.shown)


def parse_actions(lines: Iterable[str], shown: str) -> list[tuple[str, CorporateAction]]:
    """Parse lines of CSV with the header of `COLUMNS`; `currency` may be left out.

    Parameters
    ----------
    lines : iterable of str
        The header first.
    shown : str
        Name of the file, for messages.

    Raises
    ------
    ProviderAnswerError
        A column is missing or a line is wrong; says which.
    """
    rows = csv.DictReader(lines)
    missing = [name for name in COLUMNS[:-1] if name not in (rows.fieldnames or ())]
    if missing:
        raise ProviderAnswerError(
            f"{shown} has no column {', '.join(missing)}; its first line is {','.join(COLUMNS)}"
        )
    return [_parse_row(row, f"{shown}, line {rows.line_num}") for row in rows]


def _parse_row(row: Mapping[str, str | None], where: str) -> tuple[str, CorporateAction]:
    cells = {name: (row.get(name) or "").strip() for name in COLUMNS}
    try:
        kind = CorporateActionKind(cells["kind"])
        ex_date = date.fromisoformat(cells["ex_date"])
        is_split = kind is CorporateActionKind.SPLIT
        size = float(cells["split_ratio" if is_split else "cash_amount"])
    except ValueError:
        raise ProviderAnswerError(
            f"{where}: {','.join(cells.values())[:120]!r} is no corporate action; write"
            " AAPL,split,2020-08-31,4,, or AAPL,cash_dividend,2020-08-07,,0.82,USD"
        ) from None
    action = CorporateAction(
        kind,
        ex_date,
        split_ratio=size if is_split else None,
        cash_amount=None if is_split else size,
        currency=cells["currency"] or "USD",
        source=_SOURCE,
    )
    return cells["symbol"], action
