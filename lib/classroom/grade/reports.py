"""What comes out: grades.csv, junit.xml, a feedback page a student and a page of the class."""

import re
import unicodedata
import xml.etree.ElementTree as ElementTree
from hashlib import sha256
from pathlib import Path

from jinja2 import Environment, PackageLoader, select_autoescape
from markupsafe import Markup, escape

from classroom.grade.class_page import class_facts
from classroom.grade.grading import AS_SOLVED, Grade
from classroom.grade.reference import Reference
from classroom.grade.tables import table, uncomputed
from classroom.layout import write_atomically

COLUMNS = (
    *("student", "chapter", "exercise", "title", "points", "out_of"),
    *("status", "reason", "note", "comment"),
)
DONE = ("passed", "by hand")


def write_reports(
    out: Path,
    grades: list[Grade],
    problems: dict[str, list[str]],
    references: dict[str, Reference],
    danger: str = "",
) -> None:
    """Write all four to `out`, each whole or not at all; `danger` is what was not protected."""
    write_atomically(out / "grades.csv", grades_csv(grades))
    write_atomically(out / "junit.xml", junit_xml(grades))
    pages = Environment(
        loader=PackageLoader("classroom.grade", "pages"), autoescape=select_autoescape(default=True)
    )
    pages.filters["code"] = code_marked
    hints = {
        ident: exercise.hints
        for reference in references.values()
        for ident, exercise in reference.exercises.items()
    }
    titles = {number: reference.title for number, reference in references.items()}
    by_student: dict[str, list[Grade]] = {student: [] for student in problems}
    for grade in grades:
        by_student[grade.student].append(grade)
    kept = set()
    for student, found in problems.items():
        page = pages.get_template("feedback.html").render(
            student=student,
            chapters=by_chapter(by_student[student], titles),
            problems=found,
            hints=hints,
        )
        file = out / "feedback" / page_name(student)
        kept.add(file.name)
        write_atomically(file, page)
    for file in (out / "feedback").glob("*.html"):
        if file.name not in kept:  # of a student who is no longer among the submissions
            file.unlink()
    students = [
        {
            "name": student,
            "page": f"feedback/{page_name(student)}",
            "chapters": by_chapter(by_student[student], titles),
            "problems": len(problems[student]),
            "as_solved": [one.exercise for one in by_student[student] if one.note == AS_SOLVED],
        }
        for student in problems
    ]
    page = pages.get_template("class.html").render(
        chapters=class_facts(grades, titles), students=students, danger=danger
    )
    write_atomically(out / "class.html", page)


def code_marked(text: str) -> Markup:
    """Words with `code` in backticks, as HTML.

    >>> print(code_marked("Write `a < b`, <not> this."))
    Write <code>a &lt; b</code>, &lt;not&gt; this.
    """
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def by_chapter(grades: list[Grade], titles: dict[str, str]) -> list[dict]:
    """A student's grades chapter by chapter, with the points of each."""
    return [
        {
            "number": number,
            "title": title,
            "grades": own,
            "handed_in": any(grade.handed_in for grade in own),
            "points": sum(grade.points for grade in own),
            "of": sum(grade.out_of for grade in own),
        }
        for number, title in titles.items()
        if (own := [grade for grade in grades if grade.chapter == number])
    ]


def page_name(student: str) -> str:
    """A file name that every system takes, and no two students share.

    >>> page_name("Zoë")[:4], page_name("Zoë") == page_name("Zoe")
    ('Zoe-', False)
    """
    plain = unicodedata.normalize("NFKD", student).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^A-Za-z0-9]+", "-", plain).strip("-")[:40] or "student"
    return f"{plain}-{sha256(student.encode()).hexdigest()[:8]}.html"


def grades_csv(grades: list[Grade]) -> str:
    """One line an exercise of a student; what a spreadsheet would compute is quoted."""
    return table(
        COLUMNS,
        [
            [
                *(uncomputed(grade.student), grade.chapter, grade.exercise, grade.title),
                *(grade.points, grade.out_of, grade.status, uncomputed(grade.message), grade.note),
                uncomputed(grade.comment),
            ]
            for grade in grades
        ],
    )


def junit_xml(grades: list[Grade]) -> str:
    """One suite, one case an exercise of a student; whatever did not pass is a failure."""
    failures = sum(grade.status not in DONE for grade in grades)
    suite = ElementTree.Element(
        "testsuite", name="grades", tests=str(len(grades)), failures=str(failures)
    )
    for grade in grades:
        case = ElementTree.SubElement(
            suite,
            "testcase",
            classname=f"{grade.student}.{grade.chapter}",
            name=grade.exercise,
            time=f"{grade.seconds:.1f}",
        )
        if grade.status not in DONE:
            failure = ElementTree.SubElement(case, "failure", message=grade.status)
            failure.text = grade.message
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"
