"""Looking at runs."""

from descend.insight.report import report
from descend.insight.sheet import sheet

__all__ = ["report", "sheet"]
