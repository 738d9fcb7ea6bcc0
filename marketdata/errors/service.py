"""What a caller of an RPC can get; `wire/errors.py` maps each class to a gRPC status and back."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from marketdata.errors.root import FieldViolation, MarketDataError


class ServiceError(MarketDataError):
    """A failure that a caller of an RPC can get.

    Parameters
    ----------
    message : str
        What is wrong and what to do, for people.
    metadata : mapping of str to str, optional
        Stable facts for programs (the symbol, the limit), sent in ErrorInfo.
    retry_after_seconds : float, optional
        When a retry of the same call may succeed; sent as RetryInfo.

    Attributes
    ----------
    reason : str
        UPPER_SNAKE and unique to the class; programs switch on it.
    """

    reason: ClassVar[str] = "UNSPECIFIED"

    def __init__(
        self,
        message: str,
        *,
        metadata: Mapping[str, str] | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.metadata = dict(metadata or {})
        self.retry_after_seconds = retry_after_seconds


class InvalidRequestError(ServiceError):
    """The request itself is wrong, whatever the state of the service: every violation at once."""

    reason = "INVALID_REQUEST"

    def __init__(
        self,
        message: str = "",
        *,
        violations: Sequence[FieldViolation] = (),
        metadata: Mapping[str, str] | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        text = message or "; ".join(f"{v.field}: {v.description}" for v in violations[:5])
        super().__init__(text, metadata=metadata, retry_after_seconds=retry_after_seconds)
        self.violations = tuple(violations)


class NotSupportedError(InvalidRequestError):
    """The request asks for something that the contract names and this release does not serve."""

    reason = "NOT_SUPPORTED"


class UndecodableRequestError(InvalidRequestError):
    """The bytes of the request are not the message that the method takes."""

    reason = "UNDECODABLE_REQUEST"


class MessageTooLargeError(InvalidRequestError):
    """The request is larger than the service takes in one message."""

    reason = "MESSAGE_TOO_LARGE"


class InvalidLogPositionError(InvalidRequestError):
    """A position in the change log cannot be read."""

    reason = "INVALID_LOG_POSITION"


class SymbolNotFoundError(ServiceError):
    """No symbol of that name is known."""

    reason = "SYMBOL_NOT_FOUND"


class CompanyNotFoundError(ServiceError):
    """The symbol is known, and nothing is known of its company."""

    reason = "COMPANY_NOT_FOUND"


class BarNotFoundError(ServiceError):
    """The symbol is known but has no bar of what was asked."""

    reason = "BAR_NOT_FOUND"


class SymbolAlreadyExistsError(ServiceError):
    """An active symbol of that name exists."""

    reason = "SYMBOL_ALREADY_EXISTS"


class SymbolHasBarsError(ServiceError):
    """A symbol is to be deleted and has bars."""

    reason = "SYMBOL_HAS_BARS"


class RenameRefusedError(ServiceError):
    """A symbol cannot take another ticker from that date on, by what is stored of it."""

    reason = "RENAME_REFUSED"


class AsOfTooEarlyError(ServiceError):
    """What was known at a point in time is not kept any more, or was not kept yet."""

    reason = "AS_OF_TOO_EARLY"


class BarsDroppedError(ServiceError):
    """Bars that were known at a point in time were dropped by retention."""

    reason = "BARS_DROPPED"


class AsOfAheadError(ServiceError):
    """The change log has not reached a point in time."""

    reason = "AS_OF_AHEAD"


class LogTrimmedError(ServiceError):
    """Entries behind a position in the change log were trimmed; the metadata say the oldest."""

    reason = "LOG_TRIMMED"


class LogGenerationError(ServiceError):
    """A position is of another history of the change log: the database was restored or replaced."""

    reason = "OTHER_LOG_GENERATION"


class LogAheadError(ServiceError):
    """A position is behind the last entry of the change log, which it cannot have come from."""

    reason = "AHEAD_OF_LOG"


class RunNotFoundError(ServiceError):
    """There is no such ingestion run."""

    reason = "RUN_NOT_FOUND"


class RequestIdReusedError(ServiceError):
    """Another request had the same request_id; nothing was started."""

    reason = "REQUEST_ID_REUSED"


class TargetNotFoundError(ServiceError):
    """There is no target of that name."""

    reason = "TARGET_NOT_FOUND"


class TargetAlreadyExistsError(ServiceError):
    """There is a target of that name."""

    reason = "TARGET_ALREADY_EXISTS"


class ProviderNotReadyError(ServiceError):
    """The provider lacks a setting that it cannot work without."""

    reason = "PROVIDER_NOT_READY"


class ResourceExhaustedError(ServiceError):
    """A limit of the service is reached now; the same call can succeed later."""

    reason = "RESOURCE_EXHAUSTED"


class ServiceUnavailableError(ServiceError):
    """The service cannot answer at the moment; the same call can succeed later."""

    reason = "UNAVAILABLE"


class StreamStalledError(ResourceExhaustedError):
    """A stream was taken so slowly that its snapshot grew too old; the metadata say where to go on."""

    reason = "STREAM_STALLED"


class SlowConsumerError(ResourceExhaustedError):
    """A reader of the change log fell behind what waits for it; the metadata say where to go on."""

    reason = "SLOW_CONSUMER"


class TooManyTargetsError(ResourceExhaustedError):
    """There are as many targets as there can be; one has to go first."""

    reason = "TOO_MANY_TARGETS"


class DatabaseUnavailableError(ServiceUnavailableError):
    """The database cannot be reached or is restarting; nothing was acknowledged."""

    reason = "DATABASE_UNAVAILABLE"


class ServerDrainingError(ServiceUnavailableError):
    """The server is shutting down; another one, or the same one restarted, can answer."""

    reason = "SERVER_DRAINING"


class DeadlineExceededError(ServiceError):
    """The call did not end within the time that its caller gave it."""

    reason = "DEADLINE_EXCEEDED"


class CallCancelledError(ServiceError):
    """The call was cancelled before it ended."""

    reason = "CANCELLED"


class QueryTimeoutError(DeadlineExceededError):
    """The database did not finish within the time that the call allows."""

    reason = "QUERY_TIMEOUT"


class WriteConflictError(ServiceError):
    """Concurrent writers kept colliding; nothing was written, the same call can be sent again."""

    reason = "WRITE_CONFLICT"


class StorageFullError(ServiceError):
    """The database has no space left; nothing was acknowledged."""

    reason = "STORAGE_FULL"


class UnexpectedStatusError(ServiceError):
    """The service, or something between, answered with a status that this release does not know."""

    reason = "UNEXPECTED_STATUS"


class InternalError(ServiceError):
    """A defect of the service. The message has an id; the details are in the service's log."""

    reason = "INTERNAL"
