"""A lesson and its deck run in one process, or the lesson would run twice."""

import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

TESTS = """import os, pytest, time
CHAPTERS = pytest.mark.parametrize("stem", ["01_a", "02_b", "03_c", "04_d"])

def note(stem):
    time.sleep(0.1)
    with open("ran", "a") as file:
        print(stem, os.environ["PYTEST_XDIST_WORKER"], file=file)

@CHAPTERS
def test_a_lesson(stem): note(stem)

@CHAPTERS
def test_its_deck(stem): note(stem)
"""


def test_a_chapters_tests_run_in_one_process_and_both_processes_have_some(tmp_path):
    (tmp_path / "test_lessons.py").write_text(TESTS)
    command = "-m pytest -q -p tests.handing_out -n 2 --dist loadgroup --no-loadscope-reorder"
    done = subprocess.run(
        [sys.executable, *command.split(), "-p", "no:cacheprovider", "--rootdir", tmp_path],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1]), "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    workers = defaultdict(list)
    for line in (tmp_path / "ran").read_text().splitlines():
        stem, worker = line.split()
        workers[stem].append(worker)
    assert {stem: len(set(where)) for stem, where in workers.items()} == dict.fromkeys(workers, 1)
    assert sum(map(len, workers.values())) == 8
    assert len({worker for where in workers.values() for worker in where}) == 2
