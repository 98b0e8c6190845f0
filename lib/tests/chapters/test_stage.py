"""The stage's host: what a cell sends, and what every piece must keep to."""

import json
from base64 import b64decode
from pathlib import Path

import anywidget
import pytest

from classroom import outputs
from classroom.slides import output_blocks as slides
from mixlab.chapters.kit import theme
from mixlab.chapters.stage import host
from mixlab.chapters.stage.host import Piece, piece
from mixlab.small_mixtral import folder

FILES = Path(host.__file__).parent
# A file of JavaScript without a style is what pieces share, or what one of them computes with.
PIECES = sorted(path.stem for path in FILES.glob("*.css") if path.stem != "stage")
LINES = {"stage.js": 250, "js": 300, "css": 65}


@pytest.mark.parametrize("path", sorted([*FILES.glob("*.js"), *FILES.glob("*.css")]), ids=str)
def test_files_stay_small(path):
    limit = LINES.get(path.name, LINES[path.suffix[1:]])
    assert len(path.read_text().splitlines()) <= limit


@pytest.mark.parametrize("name", PIECES)
def test_a_cell_sends_a_page_s_part_that_marks_itself(name):
    sent = piece(name, "W < 5 & so on", window=4)._repr_mimebundle_()
    assert sent[outputs.PIECE] == {"title": "W < 5 & so on"}
    assert "W &lt; 5 &amp; so on" in sent["text/html"]
    assert sent["text/html"].count("</script") == sent["text/html"].count("</style") == 1
    assert "://" not in sent["text/html"].replace("http://www.w3.org/", "")


def test_decks_and_notebooks_know_the_mark():
    assert host.MIME == slides.PIECE == outputs.PIECE


@pytest.mark.parametrize("name", PIECES)
def test_a_module_has_the_form_of_anywidget(name):
    widget = type(name, (anywidget.AnyWidget,), {"_esm": host.module(name)})
    assert "export default { render" in widget._esm


def test_every_file_belongs_to_a_piece():
    texts = [path.read_text() for path in FILES.glob("*.js")]
    shared = {f"{name}.js" for text in texts for name in host.IMPORT.findall(text)}
    own = {f"{name}.js" for name in PIECES}
    assert {path.name for path in FILES.glob("*.js")} == {"stage.js"} | shared | own
    assert set(host.READS) <= set(PIECES)


def test_a_module_brings_what_its_piece_computes_with():
    text = host.module("router")
    files = json.loads(text.split("const FILES = ")[1].split(";\n")[0])
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        assert b64decode(files[name]) == (folder() / name).read_bytes()
    assert "const FILES" not in host.module("ring")


def test_a_style_brings_the_course_s_colours():
    assert f"--now: {theme.NOW}; --seen: {theme.SEEN}; --gone: {theme.GONE}" in host.style("ring")


def test_an_unknown_piece_is_named_with_those_there_are():
    with pytest.raises(ValueError, match=r"the stage has the pieces .*ring.*: got 'rong'"):
        piece("rong", "A claim")
    with pytest.raises(ValueError, match="got 'stage'"):
        host.module("stage")


def test_a_state_that_json_cannot_hold_is_refused():
    with pytest.raises(ValueError, match="not JSON compliant"):
        Piece("ring", "A claim", {"window": float("nan")}).html()
