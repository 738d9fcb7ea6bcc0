"""The quality of bars from a provider: which are stored, and which wait for a person, and why."""

from marketdata.domain.quality.check import check_quality
from marketdata.domain.quality.report import JudgedBars, QualityContext, QualityReport
from marketdata.domain.quality.rules import QualityRule, Severity

__all__ = [
    "JudgedBars",
    "QualityContext",
    "QualityReport",
    "QualityRule",
    "Severity",
    "check_quality",
]
