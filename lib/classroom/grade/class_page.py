"""The numbers behind the class page's plots, chapter by chapter."""

from collections import Counter

from classroom.grade.grading import Grade

# How a grade is drawn: what its answer came to, from best to worst.
OUTCOMES = {
    "passed": "right",
    "by hand": "right",
    "wrong": "wrong",
    "not answered": "empty",
    "missing": "empty",
}
BINS = 10  # of the points' histogram, at most


def class_facts(grades: list[Grade], titles: dict[str, str]) -> list[dict]:
    """A chapter each: exercises, misconceptions by count, times, and how the points spread.

    Everything is counted among those who handed the chapter in.
    """
    chapters = []
    for number, title in titles.items():
        own = [grade for grade in grades if grade.chapter == number]
        handed_in = [grade for grade in own if grade.handed_in]
        students = {grade.student for grade in handed_in}
        chapters.append(
            {
                "number": number,
                "title": title,
                "students": len(students),
                "of": len({grade.student for grade in own}),
                "exercises": _exercises(handed_in),
                "misconceptions": _misconceptions(handed_in),
                "points": _points(handed_in),
            }
        )
        rows = chapters[-1]["exercises"]
        chapters[-1]["slowest"] = max((row["late"] for row in rows), default=0.0)
        chapters[-1]["outcomes"] = [
            kind
            for kind in ("right", "wrong", "refused", "empty")
            if any(row["counts"][kind] for row in rows)
        ]
    return chapters


def _exercises(grades: list[Grade]) -> list[dict]:
    """A row an exercise: how its answers came out, and the time they took."""
    rows = []
    for ident in dict.fromkeys(grade.exercise for grade in grades):
        own = [grade for grade in grades if grade.exercise == ident]
        counts = Counter({"right": 0, "wrong": 0, "refused": 0, "empty": 0})
        counts.update(OUTCOMES.get(grade.status, "refused") for grade in own)
        times = sorted(grade.seconds for grade in own if grade.seconds)
        others = Counter(grade.status for grade in own if grade.status not in OUTCOMES)
        rows.append(
            {
                "ident": ident,
                "title": own[0].title,
                "counts": counts,
                "of": len(own),
                "share": round(100 * counts["right"] / len(own)),
                "refused": ", ".join(f"{n} {status}" for status, n in others.most_common()),
                "early": _quantile(times, 0.1),
                "median": _quantile(times, 0.5),
                "late": _quantile(times, 0.9),
            }
        )
    return rows


def _quantile(ordered: list[float], share: float) -> float:
    """The value below which this share lies; 0 for nothing.

    >>> _quantile([1.0, 2.0, 3.0], 0.5), _quantile([], 0.9)
    (2.0, 0.0)
    """
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def _misconceptions(grades: list[Grade]) -> list[dict]:
    """The ten most frequent, each with its share of the wrong answers to its exercise."""
    wrong = Counter(grade.exercise for grade in grades if grade.status == "wrong")
    found = Counter(
        (grade.exercise, grade.misconception) for grade in grades if grade.misconception
    )
    return [
        {"ident": ident, "says": says, "count": count, "of": wrong[ident]}
        for (ident, says), count in found.most_common(10)
    ]


def _points(grades: list[Grade]) -> list[dict]:
    """A bar for each number of points, or range of them: how many students have it."""
    totals: Counter[str] = Counter()
    for grade in grades:
        totals[grade.student] += grade.points
    if not totals:
        return []
    some = next(iter(totals))
    most = sum(grade.out_of for grade in grades if grade.student == some)
    width = most // BINS + 1
    bars = [
        {
            "label": f"{low}–{high}" if (high := min(low + width - 1, most)) > low else str(low),
            "count": sum(low <= points < low + width for points in totals.values()),
        }
        for low in range(0, most + 1, width)
    ]
    tallest = max(bar["count"] for bar in bars)
    return [bar | {"height": round(100 * bar["count"] / max(tallest, 1))} for bar in bars]
