"""What each bar of a batch is to the bars that are stored: new, different, the same, or outranked."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from marketdata.domain.bars import BarColumn, BarFrame, Int32Array, Int64Array

BoolArray = npt.NDArray[np.bool_]

# Bars of every timeframe start at whole minutes; a key of minutes leaves room for the symbol beside it.
_MINUTE_US: Final = 60_000_000
# Neither revision nor write says that a bar is another one.
_COMPARED: Final = frozenset(BarColumn) - {BarColumn.TIME, BarColumn.REVISION}


@dataclass(frozen=True, slots=True, eq=False)
class BarClasses:
    """The classes of a batch's rows, each row in exactly one.

    Attributes
    ----------
    new, different, same, outranked : bool[n]
        Nothing is stored at its symbol and time; something else is; the same is, whatever its revision;
        something else is, of a feed that outranks the row's.
    revision : int32[n]
        What a row that is written has: 0 where it is new, one more than the stored one's where it is
        different; 0 elsewhere.
    stored_row : int64[n]
        Where the bar of a row's symbol and time stands among the stored ones; -1 where it is new.
    """

    new: BoolArray
    different: BoolArray
    same: BoolArray
    outranked: BoolArray
    revision: Int32Array
    stored_row: Int64Array


def classify(batch: BarFrame, stored: BarFrame, ranks: Mapping[int, int]) -> BarClasses:
    """Compare a batch with what is stored.

    Parameters
    ----------
    batch : BarFrame
        All columns; rows without repeats, ordered by the dictionary's position and time.
    stored : BarFrame
        Bars of the same dictionary of symbols, in any order, those that the batch does not have too.
    ranks : mapping of int to int
        Rank of each feed of either; the greater outranks.

    Raises
    ------
    ValueError
        The batch's rows are not ordered.
    """
    n = len(batch)
    row = _stored_rows(batch, stored)
    is_stored = row >= 0
    found = stored.take(row[is_stored]) if len(stored) else stored
    is_same = np.zeros(n, np.bool_)
    is_same[is_stored] = _are_same(batch.take(is_stored), found)
    is_outranked = np.zeros(n, np.bool_)
    is_outranked[is_stored] = _rank(found.feed, ranks) > _rank(batch.feed[is_stored], ranks)
    is_outranked &= ~is_same
    is_different = is_stored & ~is_same & ~is_outranked
    revision = np.zeros(n, np.int32)
    revision[is_stored] = found.revision + 1
    revision[~is_different] = 0
    return BarClasses(~is_stored, is_different, is_same, is_outranked, revision, row)


def _stored_rows(batch: BarFrame, stored: BarFrame) -> Int64Array:
    """Tell for each row of the batch where it stands in `stored`; -1 where it does not."""
    first, last = batch.time_bounds()
    span = (last - first) // _MINUTE_US + 1
    keys = _keys(batch, first, span)
    if not (np.diff(keys) > 0).all():
        raise ValueError("the rows of a batch are to be ordered by symbol and time, without repeats")
    rows = np.full(len(batch), -1, np.int64)
    within = np.flatnonzero((stored.time_us >= first) & (stored.time_us <= last))
    stored_keys = _keys(stored.take(within), first, span)
    place = np.searchsorted(keys, stored_keys)
    place[place == len(keys)] = 0
    is_there = keys[place] == stored_keys
    rows[place[is_there]] = within[is_there]
    return rows


def _keys(frame: BarFrame, first_us: int, span: int) -> Int64Array:
    minutes = (frame.time_us - first_us) // _MINUTE_US
    keys: Int64Array = frame.row_symbol_index().astype(np.int64) * span + minutes
    return keys


def _are_same(one: BarFrame, other: BarFrame) -> BoolArray:
    same = np.ones(len(one), np.bool_)
    for column in _COMPARED:
        same &= _equal(one.column(column), other.column(column))
    return same


def _equal(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> BoolArray:
    equal: BoolArray = one == other
    if one.dtype.kind == "f":
        equal |= np.isnan(one) & np.isnan(other)  # missing is as missing
    return equal


def _rank(feed: npt.NDArray[np.int16], ranks: Mapping[int, int]) -> Int64Array:
    keys, position = np.unique(feed, return_inverse=True)
    return np.array([ranks[key] for key in keys.tolist()], np.int64)[position]
