"""Log lines: for people, or as JSON."""

import logging
import sys
from typing import Any, Final

from pythonjsonlogger.json import JsonFormatter

# What every record has; the rest came with the event.
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class TextFormatter(logging.Formatter):
    """One line a record: time, level, event, then what came with it."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 -- logging's name
        """Append the event's fields as ``key=value``."""
        fields = "".join(f" {k}={v}" for k, v in vars(record).items() if k not in _STANDARD)
        return super().formatMessage(record) + fields


def configure_logging(level: str, log_format: str) -> None:
    """Send log lines of `level` and above to standard error, as ``text`` or ``json``."""
    formatter: Any = TextFormatter()
    if log_format == "json":
        formatter = JsonFormatter(
            "{asctime}{levelname}{name}{message}", style="{", rename_fields={"levelname": "level"}
        )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # A pool that cannot connect says so at every attempt; health says it once.
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
    # The schedule's timer tells of every wake-up; what comes of one, the schedule says itself.
    logging.getLogger("apscheduler").setLevel(logging.WARNING)
