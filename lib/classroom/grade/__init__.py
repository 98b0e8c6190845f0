"""Grading a class: `python -m classroom grade SUBMISSIONS`.

A submission is never run as it is. `collect` finds the notebooks, `answers` takes the answer
cells, `reference` asks a process of its own for fresh seeds and what the solution prints on them,
`stage` lays out the little of the library that an answer may see, `box` starts a sandbox in which
`inside` forks one kernel an exercise, and `referee` is nbval outside of it, comparing what those
kernels print. `grading` puts that together, keeps every finished result, and `reports` tells.
"""
