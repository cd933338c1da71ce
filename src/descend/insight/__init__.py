"""Looking at runs."""

from descend.insight.judge import judge
from descend.insight.looks import looks
from descend.insight.matched import matched
from descend.insight.report import report
from descend.insight.samples import Samples, samples
from descend.insight.sheet import sheet
from descend.insight.ways import ways

__all__ = ["Samples", "judge", "looks", "matched", "report", "samples", "sheet", "ways"]
