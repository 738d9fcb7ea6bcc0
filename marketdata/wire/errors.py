"""The error table: between the error tree and gRPC statuses with `google.rpc` details, both ways."""

from collections.abc import Iterator
from typing import Final

import grpc
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from marketdata import errors as tree

ERROR_DOMAIN: Final = "marketdata.bifrost"
STATUS_DETAILS_KEY: Final = "grpc-status-details-bin"
# Statuses travel as HTTP/2 headers, of which gRPC clients take 8 KiB by default: the message once in
# percent-encoding, and once more in the details, which come in base64.
MOST_VIOLATIONS_BYTES: Final = 3_072
MOST_MESSAGE_BYTES: Final = 1_024
# What a client sent can be quoted in a description; it must not crowd out its own violation.
MOST_DESCRIPTION_BYTES: Final = 512

# The order matters to `from_status`: the first class of a code stands for it where no reason came.
ERROR_TABLE: Final[dict[type[tree.ServiceError], grpc.StatusCode]] = {
    tree.InvalidRequestError: grpc.StatusCode.INVALID_ARGUMENT,
    tree.NotSupportedError: grpc.StatusCode.INVALID_ARGUMENT,
    tree.UndecodableRequestError: grpc.StatusCode.INVALID_ARGUMENT,
    tree.MessageTooLargeError: grpc.StatusCode.INVALID_ARGUMENT,
    tree.InvalidLogPositionError: grpc.StatusCode.INVALID_ARGUMENT,
    tree.SymbolNotFoundError: grpc.StatusCode.NOT_FOUND,
    tree.CompanyNotFoundError: grpc.StatusCode.NOT_FOUND,
    tree.BarNotFoundError: grpc.StatusCode.NOT_FOUND,
    tree.RunNotFoundError: grpc.StatusCode.NOT_FOUND,
    tree.TargetNotFoundError: grpc.StatusCode.NOT_FOUND,
    tree.SymbolAlreadyExistsError: grpc.StatusCode.ALREADY_EXISTS,
    tree.RequestIdReusedError: grpc.StatusCode.ALREADY_EXISTS,
    tree.TargetAlreadyExistsError: grpc.StatusCode.ALREADY_EXISTS,
    tree.ProviderNotReadyError: grpc.StatusCode.FAILED_PRECONDITION,
    tree.SymbolHasBarsError: grpc.StatusCode.FAILED_PRECONDITION,
    tree.RenameRefusedError: grpc.StatusCode.FAILED_PRECONDITION,
    tree.AsOfAheadError: grpc.StatusCode.FAILED_PRECONDITION,
    tree.AsOfTooEarlyError: grpc.StatusCode.OUT_OF_RANGE,
    tree.BarsDroppedError: grpc.StatusCode.OUT_OF_RANGE,
    tree.LogGenerationError: grpc.StatusCode.FAILED_PRECONDITION,
    tree.LogAheadError: grpc.StatusCode.FAILED_PRECONDITION,
    tree.LogTrimmedError: grpc.StatusCode.OUT_OF_RANGE,
    tree.ResourceExhaustedError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    tree.StreamStalledError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    tree.SlowConsumerError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    tree.TooManyTargetsError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    tree.StorageFullError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    tree.ServiceUnavailableError: grpc.StatusCode.UNAVAILABLE,
    tree.DatabaseUnavailableError: grpc.StatusCode.UNAVAILABLE,
    tree.ServerDrainingError: grpc.StatusCode.UNAVAILABLE,
    tree.DeadlineExceededError: grpc.StatusCode.DEADLINE_EXCEEDED,
    tree.QueryTimeoutError: grpc.StatusCode.DEADLINE_EXCEEDED,
    tree.CallCancelledError: grpc.StatusCode.CANCELLED,
    tree.WriteConflictError: grpc.StatusCode.ABORTED,
    tree.InternalError: grpc.StatusCode.INTERNAL,
    tree.UnexpectedStatusError: grpc.StatusCode.UNKNOWN,
}
# Codes that have one meaning among many here: without a reason nobody knows which.
_NEEDS_REASON: Final = frozenset(
    {
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.OUT_OF_RANGE,
    }
)
_BY_REASON: Final = {error.reason: error for error in ERROR_TABLE}


def to_status(error: tree.ServiceError) -> tuple[grpc.StatusCode, Status]:
    """Turn an error of the tree into a gRPC status.

    Returns
    -------
    (grpc.StatusCode, google.rpc.Status)
        The status has exactly one ErrorInfo; BadRequest where there are violations; RetryInfo where
        a retry helps.
    """
    code = ERROR_TABLE[type(error)]
    status = Status(code=code.value[0], message=_cut(error.message, MOST_MESSAGE_BYTES))
    info = ErrorInfo(reason=error.reason, domain=ERROR_DOMAIN, metadata=error.metadata)
    status.details.add().Pack(info)
    if isinstance(error, tree.InvalidRequestError) and error.violations:
        status.details.add().Pack(BadRequest(field_violations=_violations(error.violations)))
    if error.retry_after_seconds is not None:
        retry = RetryInfo()
        retry.retry_delay.FromMicroseconds(round(error.retry_after_seconds * 1_000_000))
        status.details.add().Pack(retry)
    return code, status


def from_status(code: grpc.StatusCode, message: str, status_details: bytes | None) -> tree.ServiceError:
    """Turn a gRPC status back into the error of the tree that it was made from.

    Parameters
    ----------
    code : grpc.StatusCode
        The call's.
    message : str
        The status message.
    status_details : bytes or None
        Value of the trailing metadata `grpc-status-details-bin`; None where there was none: the
        status comes from gRPC itself, or from something between.
    """
    info, violations, retry_after_seconds = ErrorInfo(), [], None
    for detail in _details(status_details):
        if isinstance(detail, ErrorInfo):
            info = detail
        elif isinstance(detail, BadRequest):
            violations = [
                tree.FieldViolation(v.field, v.reason, v.description) for v in detail.field_violations
            ]
        else:
            retry_after_seconds = detail.retry_delay.ToMicroseconds() / 1_000_000
    error = _BY_REASON.get(info.reason) or _class_of(code)
    metadata = dict(info.metadata)
    if issubclass(error, tree.InvalidRequestError):
        return error(
            message,
            violations=violations,
            metadata=metadata,
            retry_after_seconds=retry_after_seconds,
        )
    if error is tree.UnexpectedStatusError:
        metadata["code"] = code.name
    return error(message, metadata=metadata, retry_after_seconds=retry_after_seconds)


def _violations(violations: tuple[tree.FieldViolation, ...]) -> Iterator[BadRequest.FieldViolation]:
    size = 0
    for position, violation in enumerate(violations):
        entry = BadRequest.FieldViolation(
            field=violation.field,
            reason=violation.reason,
            description=_cut(violation.description, MOST_DESCRIPTION_BYTES),
        )
        size += entry.ByteSize()
        if size > MOST_VIOLATIONS_BYTES:
            rest = len(violations) - position
            yield BadRequest.FieldViolation(
                field=violation.field,
                reason="MORE_VIOLATIONS",
                description=f"{rest} more violations, from this field on, are not listed",
            )
            return
        yield entry


def _cut(text: str, most_bytes: int) -> str:
    size = 0
    for position, character in enumerate(text):
        is_plain = " " <= character <= "~" and character != "%"
        size += 1 if is_plain else 3 * len(character.encode())
        if size > most_bytes:
            return text[:position]
    return text


def _details(status_details: bytes | None) -> Iterator[ErrorInfo | BadRequest | RetryInfo]:
    try:
        status = Status.FromString(status_details or b"")
        for packed in status.details:
            for kind in (ErrorInfo, BadRequest, RetryInfo):
                if packed.Is(kind.DESCRIPTOR):
                    yield kind.FromString(packed.value)
    except DecodeError:
        return  # not ours: the code and the message still say enough


def _class_of(code: grpc.StatusCode) -> type[tree.ServiceError]:
    """Choose the class of a status without a reason: another service's, or a proxy's on the way."""
    if code in _NEEDS_REASON:
        return tree.UnexpectedStatusError
    for error, its_code in ERROR_TABLE.items():
        if its_code is code:
            return error
    return tree.UnexpectedStatusError
