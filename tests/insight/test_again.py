"""The line that repeats a run is that run's."""

from descend.insight.again import command
from tests.insight.runs import description


def test_a_page_of_ones_own_is_repeated_by_its_file():
    run = description()
    run["recipe"]["source"] = "/home/me/mine.py"
    assert command(run).startswith("descend train /home/me/mine.py --hidden")
