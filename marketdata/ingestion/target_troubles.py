"""What keeps targets from being current, said once and not at every look."""

import logging
from collections.abc import Iterable

from marketdata.domain.ingestion_target import IngestionTarget

log = logging.getLogger(__name__)


class TargetTroubles:
    """Remembers what was said of each target already, by what it is about."""

    def __init__(self) -> None:
        self._said: dict[int, dict[str, str]] = {}

    def report(self, target: IngestionTarget, about: str, text: str) -> None:
        """Say what keeps a target from being current, unless it was said last."""
        if self.is_news(target, about, text):
            facts = {"target": target.name, "about": about, "error": text}
            log.warning("schedule_target_in_trouble", extra=facts)

    def is_news(self, target: IngestionTarget, about: str, text: str) -> bool:
        """Tell whether something else was said of it last, and remember this."""
        said = self._said.setdefault(target.target_id, {})
        is_news = said.get(about) != text
        said[about] = text
        return is_news

    def mended(self, target: IngestionTarget, about: str) -> None:
        """Forget what was said: it is over, and would be news again."""
        self._said.get(target.target_id, {}).pop(about, None)

    def forget_others(self, target_ids: Iterable[int]) -> None:
        """Forget all targets but these."""
        kept = set(target_ids)
        self._said = {number: said for number, said in self._said.items() if number in kept}
