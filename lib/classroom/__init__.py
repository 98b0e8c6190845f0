"""The tools of a course: build it, check it, grade it, show it."""

import os
import sys

# `python -m` looks for modules first in the folder where it is run, which may be a student's, with
# a tqdm.py in it.
if sys.argv[0] == "-m" and sys.path[0] == os.getcwd() != os.path.dirname(__path__[0]):
    del sys.path[0]
