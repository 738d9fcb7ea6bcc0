"""Calls whose failures come back as the error tree's exceptions."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

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
    except grpc.RpcError as error:
        # Both of gRPC's faces raise objects with these methods; only asyncio's has a type for them.
        status: Any = error
        metadata = dict(status.trailing_metadata() or ())
        details = metadata.get(STATUS_DETAILS_KEY)
        raise from_status(
            status.code(), status.details() or "", details if isinstance(details, bytes) else None
        ) from error
