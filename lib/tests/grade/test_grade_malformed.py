"""Whatever is handed in, the readable part is taken, the rest is named, and nothing is run or hurt.

These read submissions only; no kernel starts.
"""

import gc
import io
import json
import os
import struct
import subprocess
import time
import zipfile
import zlib

import pytest

from classroom.answers import MAX_ANSWER, Answer, take_answers
from classroom.cells import parse_notebook
from classroom.grade import submission
from classroom.grade.collect import read_submission
from classroom.grade.entries import Place, find_entries, not_looked_at
from classroom.grade.grading import _not_run
from classroom.grade.handed_in import answers_of
from classroom.grade.run import grade_command
from classroom.known import known_answers
from classroom.solution_region import stub
from tests.grade.conftest import ROOT, filled, right_answers, write

KNOWN = known_answers(ROOT)
GOOD = json.dumps(filled({"02.3": "def n_scores(s, w): return 1"})).encode()
BAD_BYTES = {
    "empty": b"",
    "no JSON": b"hello",
    "binary": bytes(range(256)) * 10,
    "cut off": GOOD[:-200],
    "a list": b"[]",
    "a number": b"3",
    "too deep": b"[" * 100_000,
    "too deep inside": b'{"nbformat": 4, "cells": ' + b"[" * 100_000,
    "format 2": b'{"nbformat": 2, "worksheets": []}',
    "format 99": b'{"nbformat": 99, "cells": []}',
    "format as text": b'{"nbformat": "4", "cells": []}',
    "no cells": b'{"nbformat": 4}',
    "cells are a text": b'{"nbformat": 4, "cells": "x"}',
    "a huge number": b'{"nbformat": 4, "cells": [], "x": ' + b"9" * 5000 + b"}",
}


def taken(notebook):
    """The answers of a notebook."""
    return take_answers(parse_notebook(json.dumps(notebook).encode()), KNOWN)


@pytest.mark.parametrize("name", BAD_BYTES)
def test_what_is_no_notebook_is_named(name):
    with pytest.raises(ValueError, match="notebook"):
        parse_notebook(BAD_BYTES[name])


@pytest.mark.parametrize(
    "cell",
    [
        None,
        3,
        [],
        {},
        {"cell_type": "code"},
        {"cell_type": "code", "metadata": None, "source": None},
        {"cell_type": "code", "metadata": [], "source": [1, None, "x"]},
        {"cell_type": "code", "metadata": {"nbgrader": 3, "classroom": []}, "id": 7, "source": {}},
        {"cell_type": "code", "metadata": {"nbgrader": {"grade_id": ["ex-02-1-answer"]}}},
    ],
)
def test_a_strange_cell_costs_only_itself(cell):
    notebook = json.loads(GOOD)
    notebook["cells"].insert(0, cell)
    assert taken(notebook)["02.3"].code == "def n_scores(s, w): return 1"


def test_missing_and_unfit_answers_are_not_run():
    def status(code):
        return (_not_run({"02.1": code and Answer.of(code)}, "02.1") or ["run"])[0]

    assert _not_run({}, "02.1")[0] == "missing"
    assert status(None) == "not answered"
    assert status("x" * (MAX_ANSWER + 1)) == "too long"
    assert status("x = '\ud800'") == "not text"
    # Who leaves the line behind their own return has answered.
    assert status(f"def f():\n    return 1\n    {stub('02.1')}") == "run"


def _submission(folder):
    (entry,) = find_entries(folder)
    return read_submission(entry)


def test_cells_deleted_or_reordered():
    right = right_answers()
    notebook = filled(right)
    notebook["cells"] = list(reversed(notebook["cells"]))
    assert {ident: answer.code for ident, answer in taken(notebook).items()} == right
    notebook["cells"] = [c for c in notebook["cells"] if "n_scores" not in c["source"]]
    assert "02.3" not in taken(notebook)


def test_the_newest_of_two_answers_counts_and_says_so(tmp_path):
    folder = tmp_path / "in" / "ann"

    def answers():
        found, problems = answers_of(_submission(tmp_path / "in"), KNOWN)
        return found["02.3"].code[-1], problems

    for name in ("a", "a copy"):
        write(folder, name, json.loads(GOOD))
    write(folder, "as handed out", filled({}))
    assert answers() == ("1", [])
    os.utime(write(folder, "b", filled({"02.3": "def n_scores(s, w): return 2"})), (1, 1))
    assert answers()[0] == "1"
    os.utime(folder / "b.ipynb", (2**31, 2**31))
    told = "Several answers to 02.3: the newest counts, b.ipynb; not a.ipynb, a copy.ipynb."
    assert answers() == ("2", [told])


def test_of_copies_as_old_as_each_other_the_last_counts(tmp_path):
    for number, name in enumerate(("x", "x-Copy1", "x-Copy10", "x (2)")):
        code = f"def n_scores(s, w): return {number}"
        os.utime(write(tmp_path / "in" / "ann", name, filled({"02.3": code})), (5, 5))
    found, problems = answers_of(_submission(tmp_path / "in"), KNOWN)
    assert found["02.3"].code[-1] == "2"
    assert problems[0].endswith("x-Copy10.ipynb; not x.ipynb, x-Copy1.ipynb, x (2).ipynb.")


def test_links_are_not_followed(tmp_path):
    secret = tmp_path / "secret"
    write(secret, "solution", json.loads(GOOD))
    folder = tmp_path / "in" / "eve"
    folder.mkdir(parents=True)
    (folder / "link.ipynb").symlink_to(secret / "solution.ipynb")
    (folder / "folder").symlink_to(secret)
    found = _submission(tmp_path / "in")
    assert found.notebooks == []
    assert "links are not followed" in found.problems[0]
    (tmp_path / "in" / "mallory").symlink_to(secret)
    entries = {entry.student: read_submission(entry) for entry in find_entries(tmp_path / "in")}
    assert entries["mallory"].notebooks == []


def test_pipes_and_unreadable_names_are_passed_over(tmp_path):
    folder = tmp_path / "in" / "eve"
    write(folder, "good", json.loads(GOOD))
    os.mkfifo(folder / "pipe.ipynb")
    os.makedirs(os.fsencode(folder) + b"/\xff\xfe")
    (folder / "\x1b[31m\n.ipynb").write_bytes(GOOD)
    found = _submission(tmp_path / "in")
    assert len(found.notebooks) == 2
    assert all(file.label.isprintable() for file in found.notebooks)
    assert len(found.digest) == 64


def _zip(folder, name, members, **options):
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in members.items():
            archive.writestr(member, content, **options)


def _zipped(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return buffer.getvalue()


def test_a_zip_is_read_and_never_unpacked(tmp_path):
    _zip(
        tmp_path / "in",
        "eve.zip",
        {"../../escaped.ipynb": GOOD, "/etc/absolute.ipynb": GOOD, "deep/er/ü.ipynb": GOOD},
    )
    before = sorted(tmp_path.rglob("*"))
    found = _submission(tmp_path / "in")
    assert len(found.notebooks) == 3
    assert sorted(tmp_path.rglob("*")) == before


def test_links_and_bombs_in_a_zip(tmp_path):
    link = zipfile.ZipInfo("link.ipynb")
    link.external_attr = 0o120777 << 16
    _zip(tmp_path / "in", "eve.zip", {link: "/etc/passwd", "bomb.ipynb": b" " * 300 * 2**20})
    found = _submission(tmp_path / "in")
    assert any("is a link" in problem for problem in found.problems)
    assert sum(len(file.content) for file in found.notebooks) < 120 * 2**20
    _, problems = answers_of(found, KNOWN)
    assert any("MB" in problem for problem in problems)


DEEP = {
    "a sum": "x = " + "+".join(["1"] * 600),
    "attributes": "x = a" + ".b" * 600,
    "signs": "x = " + "-" * 900 + "1",
    "lambdas": "x = " + "lambda: " * 600 + "1",
    "lists": "x = " + "[" * 150 + "]" * 150,
    "too deep for Python": "x = " + "-" * 90_000 + "1",
    "a huge number": "x = " + "9" * 90_000,
    "a zero byte": "x = '\0'",
    "half a program": "def x(:",
}


@pytest.mark.parametrize("name", DEEP)
def test_helpers_and_answers_too_deep_for_the_parser_cost_only_themselves(name):
    notebook = filled({"02.1": DEEP[name], "02.3": "def n_scores(s, w): return x"})
    cell = {"cell_type": "code", "metadata": {}, "source": DEEP[name]}
    notebook["cells"].insert(0, cell)
    assert taken(notebook)["02.1"].code == DEEP[name]
    assert taken(notebook)["02.3"].code == "def n_scores(s, w): return x"


def test_a_notebook_of_nothing_but_definitions_is_read_in_seconds():
    answer = {"cell_type": "code", "source": "def f(): return x1, x2"}
    cells = [
        {**answer, "metadata": {"nbgrader": {"grade_id": f"ex-{ident.replace('.', '-')}-answer"}}}
        for ident in KNOWN.untouched
    ]
    cells += [
        {"cell_type": "code", "metadata": {}, "source": f"x{n} = 1\n" * 1000} for n in range(999)
    ]
    started = time.process_time()
    assert taken({"nbformat": 4, "cells": cells}).keys() == KNOWN.untouched.keys()
    assert time.process_time() - started < 20


def test_folders_nested_too_deep_are_passed_over(tmp_path):
    write(tmp_path / "in" / "eve", "good", json.loads(GOOD))
    here = os.getcwd()
    try:
        os.chdir(tmp_path / "in" / "eve")
        for _ in range(1500):
            os.mkdir("d")
            os.chdir("d")
    finally:
        os.chdir(here)
    found = _submission(tmp_path / "in")
    assert len(found.notebooks) == 1
    assert "too many folders" in found.problems[0]
    subprocess.run(["rm", "-rf", str(tmp_path / "in")], check=True)


def test_names_that_look_alike_stay_two_students(tmp_path):
    folder = tmp_path / "in"
    write(folder, "ann", filled({"02.3": "def n_scores(s, w): return 1"}))
    for name in (" ann", "ann\u200b", "ann\n"):  # each looks like ann in a report
        write(folder, name, filled({"02.3": "def n_scores(s, w): return 2"}))
    entries = {entry.student: entry for entry in find_entries(folder)}
    assert sorted(entries) == ["ann", "ann (2)", "ann (3)", "ann (4)"]
    assert entries["ann"].places == (Place(folder / "ann.ipynb"),)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_rare_ways_to_pack_are_refused(tmp_path, method):
    (tmp_path / "in").mkdir()
    with zipfile.ZipFile(tmp_path / "in" / "eve.zip", "w", method) as archive:
        archive.writestr("a.ipynb", GOOD)
    found = _submission(tmp_path / "in")
    assert found.notebooks == []
    assert "not supported" in found.problems[0]


def test_a_whole_submission_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(submission, "MAX_BYTES", 3 * len(GOOD))
    for number in range(9):
        write(tmp_path / "in" / "eve", f"{number}", json.loads(GOOD))
    found = _submission(tmp_path / "in")
    assert len(found.notebooks) <= 4
    assert any("in all" in problem for problem in found.problems)


def test_a_zip_of_many_or_of_junk(tmp_path):
    _zip(tmp_path / "in", "many.zip", {f"{n}.txt": "" for n in range(6000)} | {"a.ipynb": GOOD})
    assert len(_submission(tmp_path / "in").notebooks) == 1
    (tmp_path / "in" / "many.zip").write_bytes(b"PK\x03\x04" + b"junk" * 100)
    assert "not a zip" in _submission(tmp_path / "in").problems[0]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.ipynb", GOOD)
    spoilt = bytearray(buffer.getvalue())
    spoilt[60:80] = b"\0" * 20
    (tmp_path / "in" / "many.zip").write_bytes(bytes(spoilt))
    found = _submission(tmp_path / "in")
    assert found.notebooks == []
    assert found.problems


def test_a_zip_with_a_huge_table_of_contents_costs_neither_time_nor_memory(tmp_path):
    """200 MB of entries, each without a file, would become four million objects."""
    (tmp_path / "in").mkdir()
    entry = b"PK\x01\x02" + struct.pack("<6H3I5H2I", *(20, 20), *[0] * 7, 1, *[0] * 6) + b"a"
    number = 1_000_000
    end = struct.pack("<4H2IH", 0, 0, number & 0xFFFF, number & 0xFFFF, len(entry) * number, 0, 0)
    with (tmp_path / "in" / "eve.zip").open("wb") as file:
        for _ in range(100):
            file.write(entry * (number // 100))
        file.write(b"PK\x05\x06" + end)
    started = time.process_time()
    found = _submission(tmp_path / "in")
    assert found.problems == ["eve.zip is not a zip that can be read."]
    assert time.process_time() - started < 4


def test_a_spoilt_file_in_a_zip_costs_only_itself(tmp_path):
    _zip(tmp_path / "in", "eve.zip", {"a.ipynb": GOOD, "b.ipynb": GOOD})
    path = tmp_path / "in" / "eve.zip"
    content = bytearray(path.read_bytes())
    content[60:90] = b"\0" * 30  # in the first file
    path.write_bytes(bytes(content))
    found = _submission(tmp_path / "in")
    assert [file.label for file in found.notebooks] == ["eve.zip: b.ipynb"]
    assert found.problems == ["eve.zip: a.ipynb can't be unpacked."]


def test_a_zip_of_files_that_break_off_costs_no_more_than_its_share(tmp_path):
    """Each of 3,000 files shares the same 20 KB, is 20 MB long, and fails at its end."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = packer.compress(bytes(20 * 2**20)) + packer.flush()
    sizes, name, number = (1, len(data), 20 * 2**20), b"x.ipynb", 3000  # 1: a wrong checksum
    local = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 8, 0, 0, *sizes, len(name), 0) + name + data
    entry = struct.pack("<4s6H3L", b"PK\1\2", 20, 20, 0, 8, 0, 0, *sizes)
    table = (entry + struct.pack("<5H2L", len(name), 0, 0, 0, 0, 0, 0) + name) * number
    end = (b"PK\5\6", 0, 0, number, number, len(table), len(local), 0)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "eve.zip").write_bytes(local + table + struct.pack("<4s4H2LH", *end))
    started = time.process_time()
    found = _submission(tmp_path / "in")
    assert found.notebooks == []
    assert any("in all" in problem for problem in found.problems)
    assert time.process_time() - started < 5


def test_zips_without_number_are_not_opened(tmp_path):
    for number in range(60):
        _zip(tmp_path / "in", f"{number}.zip", {"a.txt": ""})
    (tmp_path / "class").mkdir()
    (tmp_path / "in").rename(tmp_path / "class" / "eve")
    found = _submission(tmp_path / "class")
    assert "more than 50 zips" in found.problems[0]


@pytest.mark.parametrize("part", ["[[]],", "{},", '[{"a":{}}],'])
def test_a_notebook_of_too_many_parts_is_not_parsed(part):
    body = part * (19 * 2**20 // len(part))
    started = time.process_time()
    with pytest.raises(ValueError, match="too many parts"):
        parse_notebook(f'{{"nbformat":4,"cells":[],"x":[{body}0]}}'.encode())
    assert time.process_time() - started < 2
    assert gc.isenabled()


def test_what_is_no_notebook_is_told(tmp_path):
    _zip(tmp_path / "in", "ann.zip", {"1.zip": _zipped({"2.zip": _zipped({"3.ipynb": GOOD})})})
    _zip(tmp_path / "in", "bob.zip", {"essay.docx": b""})
    (tmp_path / "in" / "zoe").mkdir()
    (tmp_path / "in" / "zoe" / "essay.docx").write_bytes(b"")
    (tmp_path / "in" / "cem.rar").write_bytes(b"")
    (tmp_path / "in" / "class list.csv").write_text("")
    entries = {e.student: read_submission(e).problems for e in find_entries(tmp_path / "in")}
    assert entries == {
        "ann": [
            "ann.zip: 1.zip: 2.zip is a zip inside a zip inside a zip, which is not looked into."
        ],
        "bob": ["no notebook (.ipynb) in this submission: it holds bob.zip: essay.docx."],
        "cem": ["no notebook (.ipynb) in this submission: it holds cem.rar."],
        "zoe": ["no notebook (.ipynb) in this submission: it holds essay.docx."],
    }
    assert not_looked_at(tmp_path / "in") == "class list.csv"


def test_a_notebook_whose_marks_are_gone_is_known_by_its_names(tmp_path):
    notebook = filled(right_answers())
    bare = [{"cell_type": c["cell_type"], "source": c["source"]} for c in notebook["cells"]]
    write(tmp_path / "in", "ann", {"nbformat": 4, "cells": bare})
    found, problems = answers_of(_submission(tmp_path / "in"), KNOWN)
    assert {ident: answer.code for ident, answer in found.items()} == right_answers()
    assert problems == []


def test_reports_among_the_submissions_and_senseless_limits_are_refused(tmp_path):
    folder = tmp_path / "in"
    write(folder, "ann", json.loads(GOOD))
    for out in (folder, folder / "grades", folder / "a" / ".." / "grades"):
        with pytest.raises(ValueError, match="outside the submissions"):
            grade_command(ROOT, folder, out)
    assert [path.name for path in folder.iterdir()] == ["ann.ipynb"]
    for wrong in ({"cell_seconds": 0}, {"cell_seconds": -1}, {"workers": 0}):
        with pytest.raises(ValueError, match="above 0"):
            grade_command(ROOT, folder, tmp_path / "out", **wrong)


def test_a_folder_without_submissions_says_what_is_expected(tmp_path):
    with pytest.raises(ValueError, match="no such folder"):
        find_entries(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="no folder, notebook"):
        find_entries(tmp_path)
    (tmp_path / "ann.ipynb").write_bytes(GOOD)
    with pytest.raises(ValueError, match="put it into a folder"):
        find_entries(tmp_path / "ann.ipynb")
    (tmp_path / "ann.ipynb").unlink()
    (tmp_path / "empty").mkdir()
    assert "no notebook" in _submission(tmp_path).problems[0]
