"""Pages are found, listed, shown and copied without being run."""

import ast
import json

import pytest

from descend.cli import pages
from descend.cli.main import main
from descend.cli.wrong import Wrong

PAGE = '''raise SystemExit("a page is never run to be listed")
@recipe
def one():
    """First.

    descend train mine.py:one
    """
@engine.recipe
def two(): ...
@recipe()
def three(): "Third."
def helper(): ...
'''


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(PAGE)
    return path


def test_every_page_of_the_house_has_one_recipe_of_its_own_name_with_a_summary_and_a_command():
    assert pages.house()
    for path in pages.HOUSE.glob("[!_]*.py"):
        (page,) = pages.pages(path)
        assert page.name == path.stem
        assert page.summary.endswith(".")
        assert f"descend train {page.name}" in page.doc


def test_pages_are_read_from_the_syntax(mine):
    assert [(page.name, page.summary) for page in pages.pages(mine)] == [
        ("one", "First."),
        ("two", ""),
        ("three", "Third."),
    ]


def test_a_recipe_among_several(mine):
    assert pages.find(f"{mine}:two").name == "two"
    with pytest.raises(Wrong, match=r"several recipes: say which, .*mine.py:one or .*mine.py:two"):
        pages.find(str(mine))
    with pytest.raises(Wrong, match="no recipe 'thre': did you mean 'three'"):
        pages.find(f"{mine}:thre")


def test_typos_are_answered(tmp_path):
    with pytest.raises(Wrong, match="there is no recipe 'digts': did you mean 'digits'"):
        pages.find("digts")
    with pytest.raises(Wrong, match=r"there is no file .*nowhere.py; `descend new RECIPE .*nowhere.py` makes one"):
        pages.find(str(tmp_path / "nowhere.py"))
    (tmp_path / "bad.py").write_text("def (")
    with pytest.raises(Wrong, match="is not Python"):
        pages.find(str(tmp_path / "bad.py"))
    (tmp_path / "empty.py").write_text("x = 1")
    with pytest.raises(Wrong, match="no function under @recipe"):
        pages.find(str(tmp_path / "empty.py"))


def test_list(capsys):
    assert main(["list"]) == 0
    said = capsys.readouterr().out
    assert any(line.startswith("digits ") for line in said.splitlines())
    assert main(["list", "--json"]) == 0
    assert {row["name"] for row in json.loads(capsys.readouterr().out)} == set(pages.house())


def test_show_prints_the_page_itself(capsys):
    assert main(["show", "digits"]) == 0
    assert capsys.readouterr().out == (pages.HOUSE / "digits.py").read_text("utf-8")


def test_new_copies_and_never_writes_over(tmp_path, capsys):
    copy = tmp_path / "mine.py"
    assert main(["new", "digits", str(copy)]) == 0
    assert f"descend train {copy}" in capsys.readouterr().out
    assert ast.dump(ast.parse(copy.read_text())) == ast.dump(ast.parse((pages.HOUSE / "digits.py").read_text()))
    copy.write_text("precious")
    assert main(["new", "digits", str(copy)]) == 2
    assert "is not written over" in capsys.readouterr().err
    assert copy.read_text() == "precious"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["new", "digits", "mine"], "type `descend new digits mine.py`"),
        (["new", "digits", "no/where.py"], "there is no folder no"),
        (["new", "digits"], "needs FILE"),
        (["show"], "needs RECIPE"),
        (["list", "x"], "does not take the word(s) x"),
        (["list", "--jsn"], "takes no --jsn: did you mean '--json'?"),
    ],
)
def test_wrong_words(words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
