"""Calls whose failures come back as the error tree's exceptions."""

from collections.abc import Iterator
from contextlib import contextmanager

import grpc

from marketdata.wire.errors import STATUS_DETAILS_KEY, from_status


@contextmanager
def translated() -> Iterator[None]:
    """Raise the service's own error for a gRPC status.

    Raises
    ------
    ServiceError
        The class that the service raised, or the one that stands for the status.
    """
    try:
        yield
    except grpc.aio.AioRpcError as error:
        metadata = dict(error.trailing_metadata() or ())
        details = metadata.get(STATUS_DETAILS_KEY)
        raise from_status(
            error.code(), error.details() or "", details if isinstance(details, bytes) else None
        ) from error
