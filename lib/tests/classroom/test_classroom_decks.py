"""Decks from sources: in parallel, each on its own kernel, and no chapter costs another."""

from pathlib import Path

import pytest

from classroom import browser
from classroom.slides import build_all, main

LESSON = """# %% [markdown] slide="slide"
# # {number} · A chapter
#
# ![dot](dot.svg)

# %% slide="same"
print({body})
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A course of three chapters, the second of which fails."""
    folder = tmp_path / "course" / "source"
    folder.mkdir(parents=True)
    (tmp_path / "course" / "dot.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    for number, body in (("01", "6 * 7"), ("02", "1 / 0"), ("03", "'three'")):
        text = LESSON.format(number=number, body=body)
        (folder / f"{number}_topic.py").write_text(text)
    return tmp_path


def test_a_chapter_that_fails_costs_no_other_its_deck(root, capsys):
    assert main(root) == 1
    said = capsys.readouterr()
    assert "ZeroDivisionError" in said.err
    assert "02_topic" in said.err
    slides = root / "build" / "slides"
    assert sorted(path.name for path in slides.iterdir()) == [
        "01_topic.html",
        "03_topic.html",
        "index.html",
    ]
    assert "<code>42</code>" in (slides / "01_topic.html").read_text()
    index = (slides / "index.html").read_text()
    assert '<a href="01_topic.html">' in index
    assert "02_topic" not in index


def test_one_chapter_can_be_asked_for_and_an_unknown_one_is_an_error(root):
    out = root / "elsewhere"
    assert build_all(root, ["3"], out) == {"03_topic": out / "03_topic.html"}
    with pytest.raises(ValueError, match="no chapter '9'"):
        build_all(root, ["9"], out)


def test_without_a_browser_nothing_runs_before_printing_is_refused(root, monkeypatch):
    monkeypatch.setattr(browser, "find_browser", lambda: None)
    with pytest.raises(ValueError, match="to print decks takes"):
        main(root, on_paper=True)
    assert not (root / "build").exists()
