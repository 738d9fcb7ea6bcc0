"""Taking samples of several sides in turn, and what is said of them.

Absolute times of a shared machine mean little: a neighbour's load changes them by half. Samples of
both sides are therefore taken side by side in rounds, and the figure is the median over the rounds of
each round's own ratio. The order within a round is drawn anew: two sides in turn stay in step with
what repeats in the server (every second commit of 8 MB of WAL meets the end of a segment of 16 MB).
"""

import gc
import random
import statistics
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

Sampler = Callable[[int], Awaitable[float]]


@dataclass(frozen=True, slots=True)
class Bound:
    """What the figure must reach: at least `value`, or at most where `is_limit`."""

    value: float
    is_limit: bool = False

    def holds(self, figure: float) -> bool:
        """Whether `figure` keeps the bound."""
        return figure <= self.value if self.is_limit else figure >= self.value


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the report.

    Attributes
    ----------
    benchmark, case : str
        What was measured.
    unit : str
        Of `ours` and `peer`.
    ours, peer : float, float or None
        Medians; None where there is no other side.
    ratio : float or None
        Median of the rounds' ratios; more than 1 means that the service is faster.
    quartiles : (float, float)
        Of the ratio, or of `ours` where there is no peer.
    bound : Bound or None
        On the ratio, or on `ours` where there is no peer.
    samples : mapping of str to sequence of float
        What the figures were made from, seconds unless the unit says otherwise.
    """

    benchmark: str
    case: str
    unit: str
    ours: float
    peer: float | None
    ratio: float | None
    quartiles: tuple[float, float]
    bound: Bound | None
    samples: Mapping[str, Sequence[float]]

    @property
    def is_kept(self) -> bool | None:
        """Whether the bound holds; None where there is none."""
        if self.bound is None:
            return None
        return self.bound.holds(self.ours if self.ratio is None else self.ratio)


async def take_turns(rounds: int, sides: Mapping[str, Sampler]) -> dict[str, list[float]]:
    """Sample every side once a round, after a round that does not count.

    Parameters
    ----------
    rounds : int
        How many count.
    sides : mapping of str to callable
        Each takes the number of the round and returns what it measured, usually seconds.

    Returns
    -------
    dict of str to list of float
        The samples of each side, by round.
    """
    samples: dict[str, list[float]] = {name: [] for name in sides}
    shuffle = random.Random(rounds).shuffle  # noqa: S311 -- the same order in every run
    for number in range(rounds + 1):
        names = list(sides)
        shuffle(names)
        for name in names:
            gc.collect()
            sample = await sides[name](number)
            if number > 0:
                samples[name].append(sample)
    return samples


def rate_line(
    benchmark: str,
    case: str,
    unit: str,
    amount: float,
    ours: Sequence[float],
    peer: Sequence[float],
    floor: float | None = None,
) -> Line:
    """Report two rates of `amount` a sample; the samples are seconds."""
    ratios = [theirs / own for own, theirs in zip(ours, peer, strict=True)]
    return Line(
        benchmark=benchmark,
        case=case,
        unit=unit,
        ours=amount / statistics.median(ours),
        peer=amount / statistics.median(peer),
        ratio=statistics.median(ratios),
        quartiles=quartiles(ratios),
        bound=None if floor is None else Bound(floor),
        samples={"ours": ours, "peer": peer},
    )


def value_line(
    benchmark: str, case: str, unit: str, values: Sequence[float], limit: float | None = None
) -> Line:
    """Report the median of values that have no other side."""
    return Line(
        benchmark=benchmark,
        case=case,
        unit=unit,
        ours=statistics.median(values),
        peer=None,
        ratio=None,
        quartiles=quartiles(values),
        bound=None if limit is None else Bound(limit, is_limit=True),
        samples={"ours": values},
    )


def quartiles(values: Sequence[float]) -> tuple[float, float]:
    """First and third quartile."""
    if len(values) == 1:
        return values[0], values[0]
    first, _, third = statistics.quantiles(values, n=4, method="inclusive")
    return first, third
