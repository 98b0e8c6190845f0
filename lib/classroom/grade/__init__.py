"""Grading a class: `python -m classroom grade SUBMISSIONS`.

A submission is never run as it is. `collect` finds the notebooks and `cells` reads them; `plan`
chooses the chapters, and asks `reference`, a process of its own, for fresh seeds and what the
solution prints on them. `stage` lays out the little of the library that an answer may see, `box`
starts a sandbox in which `inside` forks one kernel an exercise, each held by `seccomp` and
`landlock`, and `referee` is nbval outside of it, comparing what those kernels print. `judge` reads
its verdicts and `feedback` words them. `grading` puts that together for one submission, `run` for
a class, and keeps every finished result; `reports` and `class_page` tell.
"""
