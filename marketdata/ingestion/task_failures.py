"""Tasks of a run that fail: noted, counted, and when it is of no use to go on."""

import logging
from typing import Final

from marketdata.errors import (
    ProviderError,
    ProviderKeyError,
    ProviderLimitError,
    ProviderUnavailableError,
)
from marketdata.storage.ingestion.claims import Claim, RunClaims

log = logging.getLogger(__name__)

# So many tasks in a row that a provider failed: it is down, and the rest would only wait for it too.
_MOST_IN_A_ROW: Final = 10
# When asking a provider that is down again may succeed, where it does not say so itself.
_RETRY_SECONDS: Final = 900.0


class TaskFailures:
    """What failed of a run so far.

    Parameters
    ----------
    claims : RunClaims
        Notes tasks that fail.
    claim : Claim
        The run.

    Attributes
    ----------
    failed : int
        Tasks that failed.
    stopped_by : ProviderError or None
        Why no further task is begun; None while they are.
    """

    def __init__(self, claims: RunClaims, claim: Claim) -> None:
        self.failed = 0
        self.stopped_by: ProviderError | None = None
        self._in_a_row = 0
        self._claims = claims
        self._claim = claim

    def note_success(self) -> None:
        """Note that a task went well."""
        self._in_a_row = 0

    async def note(self, task: int, error: ProviderError, **about: str) -> None:
        """Note that a task failed; `about` says what it was about, for the log."""
        facts = {"run": self._claim.run_id, **about, "error": error.message}
        log.warning("ingestion_task_failed", extra=facts)
        if isinstance(error, (ProviderLimitError, ProviderKeyError)):
            # The next task would hear the same; this one stays as it is, to be gone on with.
            self.stopped_by = error
            return
        self.failed += 1
        is_down = isinstance(error, ProviderUnavailableError)
        retry_seconds = error.retry_after_seconds
        if retry_seconds is None and is_down:
            retry_seconds = _RETRY_SECONDS
        await self._claims.fail_task(self._claim, task, error.message, retry_seconds)
        self._in_a_row += is_down
        if self._in_a_row >= _MOST_IN_A_ROW:
            self.stopped_by = error
