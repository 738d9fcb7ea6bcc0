"""Arrow Flight over bars in memory: DoGet answers with record batches that stand ready.

python -m tests.benchmarks.peers.flight_server BARS
"""

import signal
import sys
from typing import Any

import pyarrow as pa
from pyarrow import flight

from marketdata.domain.bars import BarColumn, BarFrame
from tests.benchmarks.processes import LISTENING
from tests.benchmarks.synthetic import blocks_of, minute_bars, repeated


def record_batch(frame: BarFrame) -> Any:
    """Look at all columns of a frame as a record batch, without copying them."""
    names = [column.value for column in BarColumn]
    return pa.record_batch([pa.array(frame.column(column)) for column in BarColumn], names=names)


class BarsFlight(flight.FlightServerBase):  # type: ignore[misc]
    """Answers every ticket with the same bars."""

    def __init__(self, frame: BarFrame) -> None:
        super().__init__("grpc://127.0.0.1:0")
        self._batches = [record_batch(block) for block in blocks_of(frame)]

    def do_get(self, _context: Any, _ticket: Any) -> Any:
        """Stream the batches; Flight writes them from where they stand, outside of the GIL."""
        reader = pa.RecordBatchReader.from_batches(self._batches[0].schema, self._batches)
        return flight.RecordBatchStream(reader)


def main(bars: int) -> None:
    """Serve until SIGTERM."""
    server = BarsFlight(repeated(minute_bars("S000"), bars))
    signal.signal(signal.SIGTERM, lambda *_: server.shutdown())
    print(f"{LISTENING}127.0.0.1:{server.port}", flush=True)  # noqa: T201
    server.serve()


if __name__ == "__main__":
    main(int(sys.argv[1]))
