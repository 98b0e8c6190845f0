"""Right and wrong answers to every exercise, one module a chapter.

`RIGHT[exercise]` lists answers that must pass; `WRONG[exercise]` lists pairs of an answer that
must fail and a fragment of the message that names its mistake.
"""
