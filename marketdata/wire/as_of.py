"""Points in time of requests."""

from bifrost.marketdata.v1 import as_of_pb2

from marketdata.domain.as_of import AsOf
from marketdata.wire.times import parse_time
from marketdata.wire.violations import Violations


def parse_as_of(request_field: as_of_pb2.AsOf, now_us: int, violations: Violations) -> AsOf | None:
    """Read the field ``as_of`` of a request; None where it is not set.

    Parameters
    ----------
    now_us : int
        Unix microseconds: nobody knows what will be known later.
    """
    point = request_field.WhichOneof("point")
    if point == "seq":
        if request_field.seq < 0:
            problem = "is negative; send a seq that an answer reported, or leave as_of out"
            violations.add("as_of.seq", "NEGATIVE", problem)
        return AsOf(seq=request_field.seq)
    if point == "time":
        time_us = parse_time("as_of.time", request_field.time, violations)
        if time_us is not None and time_us > now_us:
            problem = "is in the future, whose knowledge nobody has; leave as_of out for now"
            violations.add("as_of.time", "IN_FUTURE", problem)
        return AsOf(time_us=time_us)
    return None
