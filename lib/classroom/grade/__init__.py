"""Grading a class: `python -m classroom grade SUBMISSIONS`.

A submission is never run as it is. `entries` finds who handed in, `collect` reads it, out of an
`archive` too, as far as a `submission` has room, and `handed_in` takes the answers that are a
student's, not the course's; `plan` chooses the chapters, and asks `reference`, a process of its
own, for fresh seeds and what the solution prints on them. `stage` lays out the little of the
library that an answer may see, `box` starts a sandbox in which `inside` forks a kernel and an
examiner for each exercise, both held by `seccomp`, `landlock` and `watch`, and `boxed_referee` is
nbval outside of it, opening (`sealed`) and comparing what those kernels print. `workshop` keeps
both from one submission to the next, `judge` runs them, `verdicts` reads what nbval said and
`feedback` words it. `grading` puts that together for one submission, `everybody` for a class,
keeping every finished result, and `run` begins and ends it; `reports`, `totals` and `class_page`
tell, in `tables` that no spreadsheet computes.

No box holds an expected value, and an answer's own process holds neither inputs nor seeds: beside
each kernel runs an examiner, which draws the inputs, hands them over one call at a time, and keeps
what is to be called or judged (experts, operators, suspects) to itself. So how a result came about
is watched where no answer reaches. What 02.4 may hold in memory is measured from outside its
process; its finer watch, on tensors that stay below that, an answer can switch off.
"""
