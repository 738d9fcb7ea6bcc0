"""How stored raw prices are adjusted for corporate actions on read."""

from enum import Enum


class Adjustment(Enum):
    """Which corporate actions a read takes out of the prices."""

    RAW = "raw"
    SPLIT = "split"
    DIVIDEND = "dividend"
    ALL = "all"
