"""The error table: complete, unambiguous, the same on both ends, and small enough to travel."""

import base64
import string
from collections.abc import Iterator, Mapping
from typing import Any, Final

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, DebugInfo, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from hypothesis import given
from hypothesis import strategies as st

from marketdata import errors as tree
from marketdata.wire.errors import ERROR_DOMAIN, ERROR_TABLE, from_status, to_status

# What gRPC clients take of headers by default, less what a trailer has besides ours.
MOST_HEADER_BYTES: Final = 8_192 - 256

# The contract of every class: its status and reason. A new class has to be added here on purpose.
EXPECTED: Final[Mapping[type[tree.ServiceError], tuple[grpc.StatusCode, str]]] = {
    tree.InvalidRequestError: (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST"),
    tree.NotSupportedError: (grpc.StatusCode.INVALID_ARGUMENT, "NOT_SUPPORTED"),
    tree.UndecodableRequestError: (grpc.StatusCode.INVALID_ARGUMENT, "UNDECODABLE_REQUEST"),
    tree.MessageTooLargeError: (grpc.StatusCode.INVALID_ARGUMENT, "MESSAGE_TOO_LARGE"),
    tree.InvalidLogPositionError: (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_LOG_POSITION"),
    tree.SymbolNotFoundError: (grpc.StatusCode.NOT_FOUND, "SYMBOL_NOT_FOUND"),
    tree.CompanyNotFoundError: (grpc.StatusCode.NOT_FOUND, "COMPANY_NOT_FOUND"),
    tree.BarNotFoundError: (grpc.StatusCode.NOT_FOUND, "BAR_NOT_FOUND"),
    tree.RunNotFoundError: (grpc.StatusCode.NOT_FOUND, "RUN_NOT_FOUND"),
    tree.TargetNotFoundError: (grpc.StatusCode.NOT_FOUND, "TARGET_NOT_FOUND"),
    tree.TargetAlreadyExistsError: (grpc.StatusCode.ALREADY_EXISTS, "TARGET_ALREADY_EXISTS"),
    tree.TooManyTargetsError: (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_TARGETS"),
    tree.RequestIdReusedError: (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED"),
    tree.ProviderNotReadyError: (grpc.StatusCode.FAILED_PRECONDITION, "PROVIDER_NOT_READY"),
    tree.SymbolAlreadyExistsError: (grpc.StatusCode.ALREADY_EXISTS, "SYMBOL_ALREADY_EXISTS"),
    tree.SymbolHasBarsError: (grpc.StatusCode.FAILED_PRECONDITION, "SYMBOL_HAS_BARS"),
    tree.RenameRefusedError: (grpc.StatusCode.FAILED_PRECONDITION, "RENAME_REFUSED"),
    tree.LogGenerationError: (grpc.StatusCode.FAILED_PRECONDITION, "OTHER_LOG_GENERATION"),
    tree.LogAheadError: (grpc.StatusCode.FAILED_PRECONDITION, "AHEAD_OF_LOG"),
    tree.LogTrimmedError: (grpc.StatusCode.OUT_OF_RANGE, "LOG_TRIMMED"),
    tree.AsOfAheadError: (grpc.StatusCode.FAILED_PRECONDITION, "AS_OF_AHEAD"),
    tree.AsOfTooEarlyError: (grpc.StatusCode.OUT_OF_RANGE, "AS_OF_TOO_EARLY"),
    tree.BarsDroppedError: (grpc.StatusCode.OUT_OF_RANGE, "BARS_DROPPED"),
    tree.ResourceExhaustedError: (grpc.StatusCode.RESOURCE_EXHAUSTED, "RESOURCE_EXHAUSTED"),
    tree.StreamStalledError: (grpc.StatusCode.RESOURCE_EXHAUSTED, "STREAM_STALLED"),
    tree.SlowConsumerError: (grpc.StatusCode.RESOURCE_EXHAUSTED, "SLOW_CONSUMER"),
    tree.StorageFullError: (grpc.StatusCode.RESOURCE_EXHAUSTED, "STORAGE_FULL"),
    tree.ServiceUnavailableError: (grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE"),
    tree.DatabaseUnavailableError: (grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE"),
    tree.ServerDrainingError: (grpc.StatusCode.UNAVAILABLE, "SERVER_DRAINING"),
    tree.DeadlineExceededError: (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED"),
    tree.QueryTimeoutError: (grpc.StatusCode.DEADLINE_EXCEEDED, "QUERY_TIMEOUT"),
    tree.CallCancelledError: (grpc.StatusCode.CANCELLED, "CANCELLED"),
    tree.WriteConflictError: (grpc.StatusCode.ABORTED, "WRITE_CONFLICT"),
    tree.InternalError: (grpc.StatusCode.INTERNAL, "INTERNAL"),
    tree.UnexpectedStatusError: (grpc.StatusCode.UNKNOWN, "UNEXPECTED_STATUS"),
}
TEXT: Final = st.text(st.characters(codec="utf-8"), max_size=60)
VIOLATIONS: Final = st.lists(st.builds(tree.FieldViolation, TEXT, TEXT, TEXT), max_size=4)


def classes_below(base: type[Any]) -> Iterator[type[Any]]:
    """Walk the classes below `base`, however deep."""
    for child in base.__subclasses__():
        yield child
        yield from classes_below(child)


def make(
    error: type[tree.ServiceError],
    message: str,
    violations: list[tree.FieldViolation],
    **rest: Any,
) -> tree.ServiceError:
    """Make an error of a class; only some take violations."""
    if issubclass(error, tree.InvalidRequestError):
        return error(message, violations=violations, **rest)
    return error(message, **rest)


def travelled(error: tree.ServiceError) -> tree.ServiceError:
    """Send an error through its status, as bytes, and make one of it again."""
    code, status = to_status(error)
    return from_status(code, status.message, status.SerializeToString())


def header_bytes(status: Status) -> int:
    """Count what a status takes in HTTP/2 headers: percent-encoded message, base64 details."""
    plain = set(string.printable) - set(string.whitespace) - {"%"} | {" "}
    message = sum(1 if c in plain else 3 * len(c.encode()) for c in status.message)
    return message + len(base64.b64encode(status.SerializeToString()))


def test_error_table_given_tree_has_every_class_and_no_other() -> None:
    """Every error that a caller can get has a status; none of the operator's has."""
    assert set(ERROR_TABLE) == set(classes_below(tree.ServiceError)) == set(EXPECTED)
    assert not set(ERROR_TABLE) & set(classes_below(tree.SetupError))
    assert not {tree.SetupError, tree.ServiceError} & {*ERROR_TABLE}


@pytest.mark.parametrize("error", EXPECTED)
def test_to_status_given_class_has_its_code_and_one_error_info(error: type[tree.ServiceError]) -> None:
    """Each class travels under its own status and reason, in exactly one ErrorInfo."""
    code, status = to_status(error("what is wrong"))
    infos = [ErrorInfo.FromString(d.value) for d in status.details if d.Is(ErrorInfo.DESCRIPTOR)]
    assert (code, infos[0].reason) == EXPECTED[error]
    assert status.code == code.value[0]
    assert [info.domain for info in infos] == [ERROR_DOMAIN]


def test_reasons_given_tree_are_unique_and_upper_snake() -> None:
    """Programs switch on reasons: two classes never share one."""
    reasons = [error.reason for error in classes_below(tree.ServiceError)]
    assert len(set(reasons)) == len(reasons)
    assert all(set(reason) <= set(string.ascii_uppercase + "_") for reason in reasons)


@pytest.mark.parametrize("error", EXPECTED)
@given(
    message=TEXT,
    violations=VIOLATIONS,
    metadata=st.dictionaries(TEXT, TEXT, max_size=3),
    retry_us=st.none() | st.integers(0, 10**9),
)
def test_from_status_given_own_status_gives_the_error_back(
    error: type[tree.ServiceError],
    message: str,
    violations: list[tree.FieldViolation],
    metadata: dict[str, str],
    retry_us: int | None,
) -> None:
    """A client gets the class, message, metadata, violations and retry that the service raised."""
    retry = None if retry_us is None else retry_us / 1_000_000
    sent = make(error, message or "x", violations, metadata=metadata, retry_after_seconds=retry)
    got = travelled(sent)
    assert type(got) is type(sent)
    assert got.message == sent.message
    # Which code it came as is added where the class does not say it.
    assert got.metadata == metadata | (
        {"code": "UNKNOWN"} if error is tree.UnexpectedStatusError else {}
    )
    assert got.retry_after_seconds == sent.retry_after_seconds
    assert getattr(got, "violations", ()) == getattr(sent, "violations", ())


@pytest.mark.parametrize("description", ["is no price", "é" * 40, "💥" * 2_000, "%" * 5_000])
@pytest.mark.parametrize("count", [1, 3, 1_000])
def test_to_status_given_many_violations_stays_below_the_header_limit(
    count: int, description: str
) -> None:
    """However many and long the violations are, the status travels; the rest is counted."""
    violations = [
        tree.FieldViolation(f"batch.open[{n}]", "NOT_FINITE", description) for n in range(count)
    ]
    error = tree.InvalidRequestError(violations=violations, metadata={"symbol": "X" * 20})
    _, status = to_status(error)
    assert header_bytes(status) < MOST_HEADER_BYTES
    got = travelled(error)
    assert isinstance(got, tree.InvalidRequestError)
    assert got.violations[0].reason == "NOT_FINITE"
    if count == 1_000:
        listed, last = got.violations[:-1], got.violations[-1]
        assert [v.field for v in listed] == [f"batch.open[{n}]" for n in range(len(listed))]
        assert last.reason == "MORE_VIOLATIONS"
        assert last.description.startswith(f"{count - len(listed)} more violations")


@pytest.mark.parametrize("character", ["x", "é", "\n", "%", "💥"])
def test_to_status_given_long_message_cuts_it_between_characters(character: str) -> None:
    """A message that would not travel loses its end, and stays text."""
    _, status = to_status(tree.InternalError(character * 20_000))
    assert set(status.message) == {character}
    assert header_bytes(status) < MOST_HEADER_BYTES


def test_invalid_request_given_violations_says_the_first_ones() -> None:
    """Without a message of its own the error tells fields and remedies, never nothing."""
    violations = [tree.FieldViolation(f"f{n}", "R", f"is wrong {n}") for n in range(7)]
    assert str(tree.InvalidRequestError(violations=violations)) == "; ".join(
        f"f{n}: is wrong {n}" for n in range(5)
    )


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, tree.InvalidRequestError),
        (grpc.StatusCode.NOT_FOUND, tree.UnexpectedStatusError),
        (grpc.StatusCode.ALREADY_EXISTS, tree.UnexpectedStatusError),
        (grpc.StatusCode.FAILED_PRECONDITION, tree.UnexpectedStatusError),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, tree.ResourceExhaustedError),
        (grpc.StatusCode.UNAVAILABLE, tree.ServiceUnavailableError),
        (grpc.StatusCode.DEADLINE_EXCEEDED, tree.DeadlineExceededError),
        (grpc.StatusCode.CANCELLED, tree.CallCancelledError),
        (grpc.StatusCode.ABORTED, tree.WriteConflictError),
        (grpc.StatusCode.INTERNAL, tree.InternalError),
        (grpc.StatusCode.UNKNOWN, tree.UnexpectedStatusError),
        (grpc.StatusCode.UNIMPLEMENTED, tree.UnexpectedStatusError),
        (grpc.StatusCode.PERMISSION_DENIED, tree.UnexpectedStatusError),
        (grpc.StatusCode.UNAUTHENTICATED, tree.UnexpectedStatusError),
        (grpc.StatusCode.OUT_OF_RANGE, tree.UnexpectedStatusError),
        (grpc.StatusCode.DATA_LOSS, tree.UnexpectedStatusError),
    ],
)
@pytest.mark.parametrize("details", [None, b"", b"\xff\xff", Status(code=3).SerializeToString()])
def test_from_status_given_foreign_status_goes_by_its_code(
    code: grpc.StatusCode, expected: type[tree.ServiceError], details: bytes | None
) -> None:
    """A status of gRPC itself, or of a proxy, becomes the class that its code alone stands for."""
    error = from_status(code, "what a proxy says", details)
    assert type(error) is expected
    assert error.message == "what a proxy says"
    assert (error.metadata.get("code") == code.name) == (expected is tree.UnexpectedStatusError)


def test_from_status_given_reason_of_later_release_goes_by_its_code() -> None:
    """A reason that this release does not know falls back to the code; its facts are kept."""
    status = Status(code=5, message="gone")
    status.details.add().Pack(ErrorInfo(reason="SNAPSHOT_NOT_FOUND", metadata={"symbol": "X"}))
    error = from_status(grpc.StatusCode.NOT_FOUND, "gone", status.SerializeToString())
    assert type(error) is tree.UnexpectedStatusError
    assert error.metadata == {"symbol": "X", "code": "NOT_FOUND"}


def test_from_status_given_details_it_does_not_know_passes_over_them() -> None:
    """Other services' details beside ours do no harm."""
    status = Status(code=14, message="down")
    status.details.add().Pack(DebugInfo(detail="x"))
    status.details.add().Pack(ErrorInfo(reason="DATABASE_UNAVAILABLE"))
    retry = RetryInfo()
    retry.retry_delay.FromMilliseconds(1_500)
    status.details.add().Pack(retry)
    status.details.add().Pack(BadRequest())
    error = from_status(grpc.StatusCode.UNAVAILABLE, "down", status.SerializeToString())
    assert type(error) is tree.DatabaseUnavailableError
    assert error.retry_after_seconds == 1.5
