"""All rejected rows of an import as a CSV file."""

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from marketdata.errors import BarFileError
from marketdata.providers.files.rejections import RejectedRows

_HEADER: Final = ("line", "rule", "field", "value", "description")


class RejectFile:
    """Writes rejected rows as they come: also an interrupted import leaves what it had found.

    Parameters
    ----------
    stream : file
        Open for writing text.
    """

    def __init__(self, stream: Any) -> None:
        self._writer = csv.writer(stream)
        self._writer.writerow(_HEADER)

    def write(self, groups: Sequence[RejectedRows]) -> None:
        """Write the rows of `groups`, a row for each rule that it breaks."""
        for group in groups:
            self._writer.writerows(
                (line, group.rule, group.field, value, group.description)
                for line, value in zip(group.lines.tolist(), group.values, strict=True)
            )


@contextmanager
def open_reject_file(path: Path) -> Iterator[RejectFile]:
    """Open the file for the time of the context; what it held before is lost.

    Raises
    ------
    BarFileError
        It cannot be written.
    """
    try:
        with path.open("w", encoding="utf-8", newline="") as stream:
            yield RejectFile(stream)
    except OSError as error:
        raise BarFileError(f"{path} cannot be written: {error.strerror or error}") from error
