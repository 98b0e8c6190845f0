"""How tests are handed out to two processes, so that both have work to the end."""

import re
from pathlib import Path

import pytest

# The longest first, or one process would wait for the other at the end.
LONGEST = (
    *("test_lessons", "test_grade_honest", "test_stage_pieces", "test_exercises"),
    *("test_classroom_slides_browser", "test_examiner", "test_grade_attacks"),
    *("test_grade_without_bubblewrap", "test_classroom_check", "test_stage_router"),
)
# Of these files each chapter is handed out for itself.
BY_CHAPTER = ("test_lessons", "test_exercises")


def pytest_collection_modifyitems(items):
    """The longest files first."""

    def place(item) -> int:
        stem = item.path.stem
        return LONGEST.index(stem) if stem in LONGEST else len(LONGEST)

    items.sort(key=place)


def group_of(nodeid: str) -> str:
    """What one process runs in one go: a file, whose fixtures and caches its tests share; of some
    files a chapter.

    >>> group_of("tests/chapters/test_lessons.py::test_a_lesson[04_rolling_cache]")
    'tests/chapters/test_lessons.py 04'
    >>> group_of("tests/ssm/test_scan.py::test_values[17-3]")
    'tests/ssm/test_scan.py'
    """
    file, _, test = nodeid.partition("::")
    chapter = re.search(r"\[(\d\d)[._]", test)
    return f"{file} {chapter[1]}" if chapter and Path(file).stem in BY_CHAPTER else file


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist, which an installation may lack
def pytest_xdist_make_scheduler(config, log):
    """pytest-xdist's own groups are told by marks in a test's id, which pytest 9.2 drops."""
    if config.getvalue("dist") != "loadgroup":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class ByGroup(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    return ByGroup(config, log)
