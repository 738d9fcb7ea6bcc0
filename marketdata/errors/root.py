"""What all errors have in common, and what is wrong with a field of a request."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One thing that is wrong with one field of a request.

    Attributes
    ----------
    field : str
        Path of the field in the request, as proto names: ``batch.open[3]``.
    reason : str
        UPPER_SNAKE, stable, for programs: ``NOT_POSITIVE``.
    description : str
        For people: what is wrong and what to send instead.
    """

    field: str
    reason: str
    description: str


class MarketDataError(Exception):
    """Root of the tree: catch it to catch everything that this package raises on purpose."""
