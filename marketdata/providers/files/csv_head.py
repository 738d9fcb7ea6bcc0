"""What the beginning of a CSV file tells: pure."""

from dataclasses import dataclass
from typing import Final

from marketdata.errors import BarFileError

HEAD_BYTES: Final = 64 * 1024

_UTF8_MARK: Final = b"\xef\xbb\xbf"
_DELIMITERS: Final = (",", ";", "\t", "|")


@dataclass(frozen=True, slots=True)
class CsvHead:
    """What was found.

    Attributes
    ----------
    blank_lines : int
        Empty lines before the first one that is not.
    delimiter : str
        What stands between the cells of that line.
    is_one_line : bool
        The file ends within it.
    """

    blank_lines: int
    delimiter: str
    is_one_line: bool


def read_head(head: bytes, decimal: str) -> CsvHead:
    """Look at the beginning of a CSV file.

    Parameters
    ----------
    head : bytes
        Up to `HEAD_BYTES`, all of a shorter file.
    decimal : str
        What parts fractions: it delimits no cells.

    Raises
    ------
    BarFileError
        The file is empty, or no text in an encoding that can be read.
    """
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise BarFileError("is UTF-16; make it UTF-8: iconv -f UTF-16 -t UTF-8 OLD > NEW")
    if b"\0" in head:
        raise BarFileError("is no text, so no CSV; Parquet files are imported with: import parquet")
    lines = head.removeprefix(_UTF8_MARK).splitlines(keepends=True)
    blank_lines = next((i for i, line in enumerate(lines) if line.strip()), None)
    if blank_lines is None:
        raise BarFileError("is empty; the first line names the columns")
    first = lines[blank_lines]
    is_one_line = len(head) < HEAD_BYTES and first.splitlines() == [first]
    return CsvHead(blank_lines, _delimiter(first, decimal), is_one_line)


def _delimiter(line: bytes, decimal: str) -> str:
    outside_quotes = b"".join(line.split(b'"')[::2])
    candidates = [delimiter for delimiter in _DELIMITERS if delimiter != decimal]
    # The first of equals, and so a comma where there is none at all.
    return max(candidates, key=lambda delimiter: outside_quotes.count(delimiter.encode()))
