"""Looking at runs."""

from descend.insight.report import report

__all__ = ["report"]
