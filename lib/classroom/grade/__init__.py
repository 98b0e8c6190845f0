"""Grading a class: `python -m classroom grade SUBMISSIONS`.

A submission is never run as it is. `collect` finds the notebooks and `cells` reads them; `plan`
chooses the chapters, and asks `reference`, a process of its own, for fresh seeds and what the
solution prints on them. `stage` lays out the little of the library that an answer may see, `box`
starts a sandbox in which `inside` forks one kernel an exercise, each held by `seccomp` and
`landlock`, and `referee` is nbval outside of it, comparing what those kernels print. `judge` reads
its verdicts and `feedback` words them. `grading` puts that together for one submission, `run` for
a class, and keeps every finished result; `reports` and `class_page` tell.

Known and not prevented: an answer shares its process with the cases that call it. What it returns
is compared outside with what no box holds, so a forger must know the result. But where an exercise
also asks how a result came about, that is watched inside, and whoever takes the watch apart fools
it: experts called once (07.2), joins counted (17.2, 17.3), no autograd (17.6). So may whoever tells
the suspects of 04.6, 06.6 and 19.6 apart by looking into them rather than by testing. What 02.4
may hold in memory is measured from outside the process.
"""
