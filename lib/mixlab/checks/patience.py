"""An answer that takes long says where it is, and one that never ends is told so."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from mixlab.checks.messages import CheckFailed, wrapped

SPEAK, END = 20.0, 120.0  # seconds of one call


@contextmanager
def patience(exercise: str, call: str) -> Iterator[None]:
    """Watch one call of an answer, where Python can be interrupted: in a notebook, not on Windows.

    Raises:
        CheckFailed: when it takes too long.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or not hasattr(signal, "setitimer"):
        yield
        return
    spoken = False

    def ring(*_) -> None:
        nonlocal spoken
        if spoken:
            raise CheckFailed(
                f"{exercise}: {call} has run for {END:g} seconds and was stopped.\n"
                "  Probably: a loop of the answer never ends. Does what its condition asks for "
                "change in every round?"
            )
        spoken = True
        print(wrapped(f"{exercise}: still at {call}, for {SPEAK:g} seconds now."), flush=True)
        signal.setitimer(signal.ITIMER_REAL, END - SPEAK)

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, SPEAK)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
