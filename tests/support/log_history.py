"""Histories of the change log's readers, held against it: ordered, unique, complete."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from marketdata.storage.log_entries import LogEntry
from tests.support.rows import fetch
from tests.support.storage import Storage

# An entry as (seq, part): unique in a log.
Key = tuple[int, int]


@dataclass
class History:
    """What one reader got, from a position on.

    Attributes
    ----------
    after_seq : int
        Where it began.
    keys : list of (int, int)
        The entries in the order in which it got them.
    """

    after_seq: int
    keys: list[Key] = field(default_factory=list)

    def record(self, entries: Sequence[LogEntry]) -> None:
        """Note what `read` returned."""
        self.keys.extend((entry.seq, entry.part) for entry in entries)

    @property
    def last_seq(self) -> int:
        """The last seq that it got; where it began before the first."""
        return self.keys[-1][0] if self.keys else self.after_seq


def problems(history: History, committed: Sequence[Key]) -> list[str]:
    """Say what is wrong with a history, by what was committed; nothing where it is right.

    Parameters
    ----------
    committed : sequence of (int, int)
        All entries of the log in its order, up to where the reader is to have come.
    """
    found = []
    if sorted(history.keys) != history.keys:
        found.append("out of order")
    if len(set(history.keys)) != len(history.keys):
        found.append("an entry twice")
    expected = {key for key in committed if key[0] > history.after_seq}
    if missing := sorted(expected - set(history.keys)):
        found.append(f"missing {missing}")
    if invented := sorted(set(history.keys) - expected):
        found.append(f"never committed, or from before its position: {invented}")
    return found


async def committed_entries(storage: Storage) -> list[Key]:
    """List the entries of the log as the database tells them, in the order of commits."""
    query = "SELECT seq, part::int FROM bar_change JOIN bar_write USING (write_id) ORDER BY seq, part"
    return [(seq, part) for seq, part in await fetch(storage, query)]
