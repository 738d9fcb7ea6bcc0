"""Columns of texts that repeat: symbols and feeds as dictionaries."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from marketdata.domain.bars import Int32Array
from marketdata.providers.files.cells import as_text


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """A column of texts that repeat.

    Attributes
    ----------
    texts : tuple of str
        Each text once, ascending.
    index : int32[n]
        Each row's text.
    """

    texts: tuple[str, ...]
    index: Int32Array

    @classmethod
    def of_one(cls, text: str, n: int) -> "Labels":
        """Make `n` rows of the same text."""
        return cls((text,), np.zeros(n, np.int32))


def read_labels(column: pa.Array) -> Labels:
    """Read a column of texts; what is no UTF-8 is shown as such, and nothing is an empty text."""
    encoded = pc.fill_null(as_text(column), "").dictionary_encode()
    cells = encoded.dictionary.cast(pa.binary()).to_pylist()
    texts = [cell.decode("utf-8", "replace") for cell in cells]
    # Two cells that are no UTF-8 can look the same.
    places = {text: place for place, text in enumerate(sorted(set(texts)))}
    lookup = np.array([places[text] for text in texts], np.int32)
    return Labels(tuple(places), lookup[encoded.indices.to_numpy()])
