"""Answers that are right, however they are written or saved, score in full."""

import ast
import copy
import json
import re
import zipfile
from pathlib import Path

import pytest

from classroom.given import answer_id
from classroom.grade.plan import Plan
from classroom.work import pristine_exercises
from mixlab.checks.exercise import find
from tests.grade.conftest import EXERCISES, ROOT, filled, grade, right_answers, write
from tests.thorough import THOROUGH

# Each differs from the solution in a way that must not matter.
VARIETY: dict[str, tuple[str, str]] = {
    "other_names": (
        "02.1",
        "def window_mask(n, w):\n"
        "    rows, columns = torch.arange(n).unsqueeze(1), torch.arange(n)\n"
        "    return (columns <= rows) & (columns > rows - w)",
    ),
    "extra_imports": (
        "02.1",
        "import numpy as np\nimport itertools\nfrom einops import rearrange\n"
        "def window_mask(seq, window):\n"
        "    i = rearrange(torch.arange(seq), 'i -> i 1'); j = np.arange(seq)\n"
        "    return (i.numpy() >= j) & (i.numpy() - j < window)",
    ),
    "loops": (
        "02.1",
        "def window_mask(seq, window):\n"
        "    return [[0 <= i - j < window for j in range(seq)] for i in range(seq)]",
    ),
    "integer_mask": (
        "02.2",
        "def chunk_mask(n_queries, past, window):\n"
        "    i = torch.arange(past, past + n_queries)[:, None]\n"
        "    j = torch.arange(past + n_queries)[None]\n"
        "    return ((i - j >= 0) * (i - j < window)).int()",
    ),
    "printed_debugging": (
        "02.3",
        "def n_scores(seq, window):\n"
        "    print('called with', seq, window)\n"
        "    w = min(window, seq)\n"
        "    print('no newline at the end', end='')\n"
        "    print()\n"
        "    return w * (w + 1) // 2 + (seq - w) * w\n"
        "print(n_scores(5, 3))",
    ),
    "warnings": (
        "02.3",
        "import warnings, sys, logging\n"
        "def n_scores(seq, window):\n"
        "    warnings.warn('deprecated')\n"
        "    print('to stderr', file=sys.stderr)\n"
        "    logging.warning('logged')\n"
        "    return sum(min(i + 1, window) for i in range(seq))",
    ),
    "shell_lines": (
        "02.3",
        "!ls\n%pip install numpy\n"
        "files = !ls\nprint(len(files), _exit_code)\n"
        "def n_scores(s, w):\n    !echo $s\n    return sum(min(i + 1, w) for i in range(s))",
    ),
    "float_result": (
        "02.3",
        "def n_scores(s, w):\n    w = min(w, s)\n    return w * (2*s - w + 1) / 2",
    ),
    "plots": (
        "02.2",
        "import matplotlib.pyplot as plt\n"
        "def chunk_mask(n_queries, past, window):\n"
        "    ones = torch.ones(n_queries, past + n_queries)\n"
        "    return (ones.tril(past) - ones.tril(past - window)).bool()\n"
        "plt.imshow(chunk_mask(4, 2, 3))\nplt.show()",
    ),
    "float64": (
        "02.4",
        "def banded(q, k, v, window):\n"
        "    q, k, v = q.double(), k.double(), v.double()\n"
        "    out = torch.empty_like(v)\n"
        "    for i in range(len(q)):\n"
        "        s = slice(max(0, i + 1 - window), i + 1)\n"
        "        out[i] = torch.softmax(q[i] @ k[s].T / q.shape[-1] ** .5, -1) @ v[s]\n"
        "    return out",
    ),
    "vectorised_float32": (
        "02.4",
        "def banded(q, k, v, window):\n"
        "    n, d = q.shape\n"
        "    pad = torch.zeros(window - 1, d)\n"
        "    ks = torch.cat([pad, k]).unfold(0, window, 1)\n"
        "    vs = torch.cat([pad, v]).unfold(0, window, 1)\n"
        "    scores = torch.einsum('nd,ndw->nw', q, ks) / d ** 0.5\n"
        "    age = torch.arange(window - 1, -1, -1)\n"
        "    scores = scores.masked_fill(age > torch.arange(n)[:, None], float('-inf'))\n"
        "    return torch.einsum('nw,ndw->nd', scores.softmax(-1), vs)",
    ),
    "numpy": (
        "02.4",
        "import numpy as np\n"
        "def banded(q, k, v, window):\n"
        "    q, k, v = (x.numpy() for x in (q, k, v))\n"
        "    rows = []\n"
        "    for i, query in enumerate(q):\n"
        "        keys = k[max(0, i - window + 1): i + 1]\n"
        "        e = np.exp(keys @ query / np.sqrt(q.shape[1]))\n"
        "        rows.append((e / e.sum()) @ v[max(0, i - window + 1): i + 1])\n"
        "    return np.stack(rows)",
    ),
    "pair_by_pair": (
        "02.4",
        "import math\n"
        "def banded(q, k, v, window):\n"
        "    rows = []\n"
        "    for i in range(len(q)):\n"
        "        near = [j for j in range(len(q)) if 0 <= i - j < window]\n"
        "        e = [math.exp(float(q[i] @ k[j]) / q.shape[1] ** 0.5) for j in near]\n"
        "        rows.append(sum(w * v[j] for w, j in zip(e, near)) / sum(e))\n"
        "    return torch.stack(rows)",
    ),
    "rows_and_a_plot": (
        "02.4",
        "import matplotlib.pyplot as plt\n"
        "def banded(q, k, v, window):\n"
        "    rows = []\n"
        "    for i in range(len(q)):\n"
        "        seen = slice(max(0, i - window + 1), i + 1)\n"
        "        scores = k[seen] @ q[i] / q.shape[1] ** 0.5\n"
        "        rows.append(scores.softmax(0) @ v[seen])\n"
        "    return torch.stack(rows)\n"
        "plt.imshow(banded(*torch.randn(3, 300, 4), 5)); plt.show()",
    ),
    "tensor_compare": (
        "02.5",
        "def is_window_mask(make_mask):\n"
        "    def right(s, w):\n"
        "        d = torch.arange(s)[:, None] - torch.arange(s)\n"
        "        return (d >= 0) & (d < w)\n"
        "    return all(torch.equal(make_mask(s, w), right(s, w))\n"
        "               for s in range(1, 12) for w in range(1, 14))",
    ),
}


def _packed() -> list[dict[str, str]]:
    """The variety as submissions: each takes one variant an exercise, the rest is the solution."""
    packs: list[dict[str, str]] = []
    for ident, code in VARIETY.values():
        pack = next((pack for pack in packs if ident not in pack), None)
        if pack is None:
            packs.append(pack := {})
        pack[ident] = code
    return packs


def _format_3(notebook: dict) -> dict:
    cells = []
    for cell in notebook["cells"]:
        old = {"cell_type": cell["cell_type"], "metadata": dict(cell["metadata"])}
        if cell["cell_type"] == "code":
            old |= {"input": cell["source"].splitlines(True), "outputs": [], "language": "python"}
        else:
            old["source"] = cell["source"].splitlines(True)
        cells.append(old)
    return {
        "nbformat": 3,
        "nbformat_minor": 0,
        "metadata": {"name": ""},
        "worksheets": [{"cells": cells}],
    }


def write_variety(folder) -> dict[str, list[str]]:
    """Hand in the variety; student -> exercises that must pass."""
    right = right_answers()
    handed: dict[str, list[str]] = {}
    for number, pack in enumerate(_packed()):
        write(folder, f"variant {number}", filled(pack))
        handed[f"variant {number}"] = list(pack)

    helper = (
        "from math import sqrt\ndef _reach(seq, window):\n    return min(window, seq)\n\nx = 1/1"
    )
    answer = (
        "def n_scores(seq, window):\n"
        "    r = _reach(seq, window)\n    return r * (r + 1) // 2 + (seq - r) * r"
    )
    write(folder, "helper cells", filled({"02.3": answer}, before={"02.3": helper}))
    handed["helper cells"] = ["02.3"]

    write(folder, "old format", _format_3(filled({"02.3": right["02.3"]})))
    handed["old format"] = ["02.3"]

    classic = copy.deepcopy(filled({"02.3": right["02.3"]}))  # 4.4: no cell ids
    classic["nbformat_minor"] = 4
    for cell in classic["cells"]:
        cell.pop("id", None)
        cell["metadata"] = {k: v for k, v in cell["metadata"].items() if k != "classroom"}
        cell["source"] = cell["source"].splitlines(True)
    write(folder, "other front end", classic)
    handed["other front end"] = ["02.3"]

    nested = folder / "Zoë Ångström 佐藤" / "my work" / "week 2"
    write(nested, "Übung (final) v2", filled({"02.3": right["02.3"]}))
    handed["Zoë Ångström 佐藤"] = ["02.3"]

    with zipfile.ZipFile(folder / "zipped.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a folder/ü.ipynb", json.dumps(filled({"02.3": right["02.3"]})))
        archive.writestr("__MACOSX/._ü.ipynb", b"\0\1")
        archive.writestr("a folder/.ipynb_checkpoints/ü.ipynb", EXERCISES.read_text())
    handed["zipped"] = ["02.3"]
    return handed


IMPORTS = (ast.Import, ast.ImportFrom)


class _AsOneFile(ast.NodeTransformer):
    """What a chapter's exercises share, as if it stood in the same file."""

    def visit_Attribute(self, node):
        if isinstance(node.value, ast.Name) and node.value.id == "shared":
            return ast.Name(node.attr, node.ctx)
        return self.generic_visit(node)


def _definitions(file: Path) -> dict[str, ast.stmt]:
    """The statement that gives each name of an exercise's file, save what it takes from ours."""
    found = {}
    for node in _AsOneFile().visit(ast.parse(file.read_text(encoding="utf-8"))).body:
        if isinstance(node, ast.Assign):
            names = [n.id for t in node.targets for n in ast.walk(t) if isinstance(n, ast.Name)]
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            names = [node.name]
        elif isinstance(node, IMPORTS):
            ours = "mixlab.chapters" in ast.unparse(node)
            names = [] if ours else [alias.asname or alias.name for alias in node.names]
            for alias in node.names if ours else ():
                if alias.asname not in (None, "shared"):
                    found[alias.asname] = ast.parse(f"{alias.asname} = {alias.name}").body[0]
        else:
            names = []
        found |= dict.fromkeys(names, node)
    return found


def written_out(exercise: str, turn: int) -> str:
    """A right answer of an exercise's file and all that it stands on there, as code of its own."""
    own = Path(find(exercise).__file__)
    beside = re.findall(r"\.exercises\.(\w+) import", own.read_text(encoding="utf-8"))
    shared = {}
    for name in ("__init__", *beside):
        shared |= _definitions(own.parent / f"{name}.py")
    mine = _definitions(own)
    known = {keyword.arg: keyword.value for keyword in mine["KNOWN"].value.keywords}
    right = known["right"].elts
    for number in range(turn, turn + len(right)):
        answer = right[number % len(right)]
        defined = {**shared, **mine}
        needed, names, wanted = [], set(), [answer]
        while wanted:
            for part in ast.walk(wanted.pop()):
                node = defined.get(part.id) if isinstance(part, ast.Name) else None
                if node is not None and node not in needed:
                    names.add(part.id)
                    needed.append(node)
                    wanted.append(node)
        own_names = {part.arg for node in needed for part in ast.walk(node) if hasattr(part, "arg")}
        own_names |= {name for name in mine if not isinstance(mine[name], IMPORTS)}
        taken = any("mixlab.checks.readers" in ast.unparse(node) for node in needed)
        if not taken and not names & shared.keys() & own_names:
            break  # no name stands for two things, and nothing is used that a box doesn't have
    order = [*shared.values(), *mine.values()]
    needed.sort(key=lambda node: (not isinstance(node, IMPORTS), order.index(node)))
    return "\n".join([*map(ast.unparse, needed), f"ANSWER = {ast.unparse(answer)}"])


def write_every_chapter(folder, turn: int) -> list[str]:
    """Hand in a notebook of each chapter, with the `turn`-th right answer to each exercise.

    Returns those handed in, all of which must pass.
    """
    handed = []
    for path in sorted((ROOT / "exercises").glob("*.ipynb")):
        pristine = pristine_exercises(ROOT, path.stem)
        stubs = {answer_id(cell): cell.source for cell in pristine.cells}
        chosen = {}
        for ident in filter(None, stubs):
            name = re.search(r"^(?:def|class) (\w+)", stubs[ident], re.MULTILINE)[1]
            chosen[ident] = written_out(ident, turn).replace("ANSWER", name)
        write(folder, path.stem, filled(chosen, exercises=path))
        handed += chosen
    return handed


SEEDS = range(1, 21) if THOROUGH else [1]


def _failures(rows: dict, handed: dict[str, list[str]]) -> dict:
    return {
        (student, ident): rows[student, ident]["status"] + ": " + rows[student, ident]["reason"]
        for student, passed in handed.items()
        for ident in passed
        if rows[student, ident]["status"] != "passed"
    }


@pytest.mark.parametrize("seed", SEEDS)
def test_the_honest_score_in_full(seed, tmp_path):
    """A thorough run tries twenty seeds."""
    handed = write_variety(tmp_path / "handed in")
    rows = grade(tmp_path / "handed in", tmp_path / "out", seed=seed)
    assert _failures(rows, handed) == {}
    others = {row["status"] for (s, i), row in rows.items() if i not in handed[s]}
    assert others == {"not answered"}


@pytest.mark.parametrize("seed", SEEDS)
def test_every_chapters_right_answers_score(seed, tmp_path, monkeypatch):
    """A thorough run tries twenty seeds, and so each right answer on four of them or more.

    It rehearses the solutions too; another has each exercise in the sandbox once.
    """
    if not THOROUGH:
        monkeypatch.setattr(Plan, "rehearse", lambda plan, course: {})
    handed = {"everything": write_every_chapter(tmp_path / "handed in" / "everything", seed)}
    rows = grade(tmp_path / "handed in", tmp_path / "out", seed=seed)
    assert len(rows) == len(handed["everything"])
    assert _failures(rows, handed) == {}
