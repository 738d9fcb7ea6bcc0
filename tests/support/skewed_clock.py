"""Clocks of other processes, set by a test: libfaketime between a program and its C library."""

import time
from pathlib import Path
from typing import Final

from tests.support.servers.provision import NotProvisionedError, provisioned, skip_or_fail

_LIBRARY: Final = "libfaketimeMT.so.1"


class SkewedClock:
    """The clock of one process: it runs as the machine's does, so much ahead or behind.

    Timers are not changed: they go by the monotonic clock, which is left alone. Only `time.sleep` does
    not work under it; what waits in an event loop, or for a lock, does.

    Parameters
    ----------
    file : Path
        Where the difference stands, for libfaketime; made here.
    skew_seconds : float
        How much it is ahead of what it is set to; negative: behind.
    """

    def __init__(self, file: Path, skew_seconds: float) -> None:
        self._file = file
        self._skew_seconds = skew_seconds

    def variables(self) -> dict[str, str | int]:
        """Give what a process gets into its environment to go by this clock.

        Where libfaketime cannot be had the test is skipped, in CI it fails.
        """
        try:
            library = provisioned("faketime") / _LIBRARY
        except NotProvisionedError as error:
            skip_or_fail(error)
        return {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            # Read at each look at the clock: it is set while the process runs.
            "FAKETIME_NO_CACHE": 1,
            "FAKETIME_DONT_FAKE_MONOTONIC": 1,
            # Made for C libraries of long ago. With today's, threads that wait for Python's interpreter
            # lock would do so in a loop without a pause.
            "FAKETIME_FORCE_MONOTONIC_FIX": 0,
            "NO_FAKE_STAT": 1,
        }

    def set(self, now_us: int) -> None:
        """Set it, less its skew, Unix microseconds; from then on it runs."""
        ahead_seconds = now_us / 1e6 + self._skew_seconds - time.time()
        # Renamed: a reader never meets half of it.
        made = self._file.with_suffix(".made")
        made.write_text(f"{ahead_seconds:+.3f}\n")
        made.replace(self._file)
