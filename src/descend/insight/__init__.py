"""Looking at runs."""

from descend.insight.looks import looks
from descend.insight.report import report
from descend.insight.sheet import sheet

__all__ = ["looks", "report", "sheet"]
