"""The grader's side of an exercise: an answer here, its inputs elsewhere.

A student's process (`candidate`) lends the answer to an `examiner` in another process, which has
the half of the exercise's file above its cut, draws the inputs and calls the answer from there
(`channel`, `wire`, `derivatives`). What the student's process is handed of functions and objects is
a number and no more. What is right neither of them knows: `expected` asks the solution, elsewhere.
"""
