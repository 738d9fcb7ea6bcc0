"""What the write path promises, bar by bar in plain Python: slow, and easy to see that it is right."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from marketdata.storage.commit import CommitResult
from tests.support.bars import Bar


@dataclass(frozen=True)
class ExpectedCommit:
    """What a commit must answer, and the bars that it must write, by (symbol, time)."""

    accepted: int
    revised: int
    unchanged: int
    outranked: int
    changed: list[Bar]

    def counts_fit(self, result: CommitResult) -> bool:
        """Whether `result` counts the same, and has a seq exactly where something changed."""
        counts = (result.accepted, result.revised, result.unchanged, result.outranked)
        wanted = (self.accepted, self.revised, self.unchanged, self.outranked)
        return counts == wanted and (result.seq > 0) == bool(self.changed)


class BarOracle:
    """One timeframe's table.

    Parameters
    ----------
    ranks : mapping of int to int
        Rank of each feed by its id.

    Attributes
    ----------
    bars : dict
        What is stored, by (symbol, time).
    """

    def __init__(self, ranks: Mapping[int, int]) -> None:
        self._ranks = ranks
        self.bars: dict[tuple[str, int], Bar] = {}

    def commit(self, batch: Iterable[Bar]) -> ExpectedCommit:
        """Store `batch` as the write path must."""
        counts = dict.fromkeys(("accepted", "revised", "unchanged", "outranked"), 0)
        changed = []
        for bar in batch:
            outcome = self._outcome(bar)
            counts[outcome] += 1
            if outcome in ("accepted", "revised"):
                stored = self.bars.get(bar.key)
                bar = bar._replace(revision=stored.revision + 1 if stored else 0)  # noqa: PLW2901
                self.bars[bar.key] = bar
                changed.append(bar)
        return ExpectedCommit(**counts, changed=sorted(changed, key=lambda bar: bar.key))

    def stored(self) -> list[Bar]:
        """List all bars by (symbol, time)."""
        return [self.bars[key] for key in sorted(self.bars)]

    def newest(self) -> list[Bar]:
        """List the newest bar of each symbol, by symbol."""
        newest = {bar.symbol: bar for bar in self.stored()}
        return [newest[symbol] for symbol in sorted(newest)]

    def select(
        self, symbol: str, start_us: int, end_us: int, *, limit: int | None, descending: bool
    ) -> list[Bar]:
        """List a symbol's last `limit` bars of the half-open range."""
        found: Sequence[Bar] = [
            bar for bar in self.stored() if bar.symbol == symbol and start_us <= bar.time_us < end_us
        ]
        found = found[max(0, len(found) - limit) :] if limit is not None else found
        return list(reversed(found)) if descending else list(found)

    def _outcome(self, bar: Bar) -> str:
        stored = self.bars.get(bar.key)
        if stored is None:
            return "accepted"
        if stored._replace(revision=0) == bar._replace(revision=0):
            return "unchanged"
        return "outranked" if self._ranks[stored.feed] > self._ranks[bar.feed] else "revised"
