"""Bytes of a text file made UTF-8."""

import codecs
from typing import Any

# The longest beginning of a character that a block can end with.
_MOST_KEPT_BYTES = 3


class Utf8Stream:
    """A file for pyarrow that reads another one and puts ``?`` for each byte that is no UTF-8.

    pyarrow ends the reading of a CSV file at a malformed row with such a byte, and files in Latin-1
    with a company's name in them are common. Only cells that no bar is made of can be affected.

    Parameters
    ----------
    source : file
        Open for reading bytes; it stays the caller's.
    """

    closed = False

    def __init__(self, source: Any) -> None:
        self._source = source
        # Bytes that are no UTF-8 become surrogates, which cannot be encoded and so become "?".
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")

    def read(self, most_bytes: int) -> bytes:
        """Read up to so many bytes; none at the end."""
        while True:
            data: bytes = self._source.read(max(1, most_bytes - _MOST_KEPT_BYTES))
            if data.isascii() and not self._decoder.getstate()[0]:
                return data
            text = self._decoder.decode(data, final=not data)
            if text or not data:
                return text.encode("utf-8", "replace")

    def close(self) -> None:
        """Do nothing: the source is closed by its owner."""
