"""What of the library an answer may see while it is graded."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from zipimport import zipimporter

import pytest

from classroom.grade.stage import stage_examiner, stage_library
from mixlab.checks.exercise import files
from tests.grade.conftest import ROOT

TALK = {"channel.py", "derivatives.py", "scans.py", "wire.py"}
WHOLE = ROOT / "lib" / "mixlab" / "checks"


def _names(folder):
    return {path.name for path in folder.iterdir() if path.suffix == ".py"}


def _staged(target, topic=None):
    stage_library(ROOT / "lib", target, ("vllm",), topic)
    assert "answer uses vllm" in (target / "vllm" / "__init__.py").read_text()
    return target / "mixlab"


def test_an_answer_sees_no_checks_and_no_exercise(tmp_path):
    """Only how to talk with an examiner; what exercises hand out answers other exercises."""
    mixlab = _staged(tmp_path)
    assert _names(mixlab / "checks") == {"__init__.py", "messages.py", "ready_made.py"}
    assert _names(mixlab / "examination") == {"__init__.py", "candidate.py", *TALK}
    seen = [p for p in mixlab.rglob("*.py") if "Taken away" not in p.read_text(encoding="utf-8")]
    assert {path.parent.name for path in seen} == {"checks", "examination", "traces"}
    assert [path.name for path in seen if path.parent.name == "traces"] == ["costs.py"]


def test_only_the_chapters_own_exercises_are_there_to_teach(tmp_path):
    """A stack of windowed layers, handed out by chapter 03, holds the masks that 02 asks for."""
    mixlab = _staged(tmp_path, "rolling_cache")
    seen = {p.parent for p in mixlab.rglob("*.py") if "Taken away" not in p.read_text("utf-8")}
    parts = {"checks", "examination", "traces", "chapters/rolling_cache/exercises"}
    assert seen == {mixlab / part for part in parts}
    assert _names(mixlab / "checks") == _names(WHOLE)
    assert _names(mixlab / "examination") == {"__init__.py", *TALK}


@pytest.fixture(scope="module")
def examiners_zip(tmp_path_factory):
    """The zip with every exercise in it."""
    target = tmp_path_factory.mktemp("examiner") / "examiner.zip"
    examined = {ident: (name, 7) for ident, name in files().items()}
    stage_examiner(ROOT / "lib", target, examined, b"key")
    return target


def test_an_examiner_has_what_it_needs_to_ask_and_read(examiners_zip):
    with zipfile.ZipFile(examiners_zip) as file:
        names = {Path(name) for name in file.namelist()}
        facts = json.loads(file.read("examined.json"))
    assert facts == {
        "key": b"key".hex(),
        "examined": {ident: [name, 7] for ident, name in files().items()},
    }
    parts = {
        part: {p.stem for p in names if p.parent == Path("mixlab", part)}
        for part in ("checks", "examination", "traces")
    }
    assert parts == {
        "checks": {"__init__", "exercise", "messages", "readers"},
        "examination": {"__init__", "examiner", "results", *(name[:-3] for name in TALK)},
        "traces": {"__init__", "costs"},
    }


@pytest.mark.parametrize("exercise", files())
def test_of_an_exercise_an_examiner_has_the_half_above_the_cut_and_nothing_else(
    exercise, examiners_zip
):
    name = files()[exercise]
    folder, _, stem = name.rpartition(".")
    staged = zipimporter(f"{examiners_zip}/{folder.replace('.', '/')}").get_code(stem)
    text = (ROOT / "lib" / f"{name.replace('.', '/')}.py").read_text(encoding="utf-8")
    above, _, below = text.partition("# --- kept back while grading ---")
    assert "KNOWN" in below
    assert staged.co_names == compile(above, staged.co_filename, "exec").co_names
    assert "ASKED" in staged.co_names
    assert "KNOWN" not in staged.co_names


def test_an_examiner_draws_every_exercises_inputs_from_what_it_has(examiners_zip):
    """A half above a cut that leans on one below would be found out while a class is graded."""
    code = (
        "import importlib, json, sys\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "for name in json.loads(sys.argv[2]):\n"
        "    module = importlib.import_module(name)\n"
        "    assert module.__file__.startswith(sys.argv[1]), module.__file__\n"
        "    assert len(module.ASKED.inputs(5)) > len(module.ASKED.examples) > 0\n"
    )
    names = json.dumps(list(files().values()))
    done = subprocess.run(
        [sys.executable, "-c", code, str(examiners_zip), names], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


USES = [
    "from mixlab.transformer.window import window_mask\nwindow_mask(5, 3)",
    "import mixlab.ssm.scan\nmixlab.ssm.scan.recurrence(1)",
    "import mixlab\nmixlab.load(1)",
    "import importlib\nimportlib.import_module('mixlab.kernels.selective_scan').selective_scan()",
    "from mixlab.chapters.sliding_window import figures\nfigures.anything()",
    "import vllm",
]
NO_USE = [
    "from mixlab.checks import check, hint, CheckFailed",
    "from mixlab import checks, generate",
    "import mixlab.transformer.window as theirs",
    "from mixlab.transformer import window, no_such_name",
]


@pytest.mark.parametrize("topic", [None, "rolling_cache"])
def test_any_use_of_the_library_is_found_and_to_import_it_is_none(topic, tmp_path):
    _staged(tmp_path, topic)
    code = (
        "import json, sys\nsys.path.insert(0, sys.argv[1])\n"
        "for text in json.loads(sys.argv[2]):\n"
        "    try: exec(text, {})\n"
        "    except AssertionError as error: print(str(error).startswith('library: the answer'))\n"
        "    else: print(None)\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), json.dumps([*USES, *NO_USE])],
        capture_output=True,
        text=True,
    )
    assert told.stdout.split() == ["True"] * len(USES) + ["None"] * len(NO_USE), told.stderr
