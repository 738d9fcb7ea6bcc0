"""Log lines: one a record, for people or for machines, without secrets and without loss."""

import json
import logging
from collections.abc import Iterator
from contextlib import suppress

import pytest

from marketdata.cli.logs import configure_logging

LOG = logging.getLogger("marketdata.tests.logs")


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """Give the root logger back its handlers and levels afterwards."""
    logger, pool = logging.getLogger(), logging.getLogger("psycopg.pool")
    before = (list(logger.handlers), logger.level, pool.level)
    logger.handlers = []
    yield logger
    logger.handlers, _, pool.level = before
    logger.setLevel(before[1])


@pytest.mark.usefixtures("root")
def test_configure_logging_given_text_writes_the_event_and_its_fields(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A line for people has time, level, logger, event and what came with it, on standard error."""
    configure_logging("INFO", "text")
    LOG.info("call", extra={"method": "/a/B", "duration_ms": 1.5})
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert line.endswith("INFO    marketdata.tests.logs call method=/a/B duration_ms=1.5")


@pytest.mark.usefixtures("root")
def test_configure_logging_given_json_writes_one_object_a_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A line for machines is JSON with the same fields, a line break in a value included."""
    configure_logging("INFO", "json")
    LOG.warning("call_failed", extra={"error_id": "abc", "text": "two\nlines"})
    (line,) = capsys.readouterr().err.splitlines()
    found = json.loads(line)
    assert (found["level"], found["name"]) == ("WARNING", "marketdata.tests.logs")
    assert (found["message"], found["error_id"]) == ("call_failed", "abc")
    assert found["text"] == "two\nlines"
    assert found["asctime"]


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize("log_format", ["text", "json"])
def test_configure_logging_given_exception_writes_its_trace(
    capsys: pytest.CaptureFixture[str], log_format: str
) -> None:
    """The details of a failure are in the log, wherever they are not in the status."""
    configure_logging("INFO", log_format)
    with suppress(ZeroDivisionError):
        try:
            _ = 1 // 0
        except ZeroDivisionError:
            LOG.exception("call_failed")
            raise
    assert "ZeroDivisionError: integer division" in capsys.readouterr().err


@pytest.mark.usefixtures("root")
def test_configure_logging_given_level_leaves_out_what_is_below(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What is below the level is not written; a pool's own lines only as errors."""
    configure_logging("WARNING", "text")
    LOG.info("quiet")
    logging.getLogger("psycopg.pool").warning("error connecting in 'queries'")
    LOG.error("loud")
    assert [line.split()[-1] for line in capsys.readouterr().err.splitlines()] == ["loud"]
