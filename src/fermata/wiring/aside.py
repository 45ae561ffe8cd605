"""Work in a process of its own, `python -m fermata.wiring.aside`: who conducts goes on, and so does who serves beside.

The work comes by the child's standard input, as a pickle that only its parent can write, and its answer goes back by
standard output. The child stands back behind whatever else the machine has to do, and ends with its parent.
"""

import contextlib
import logging
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from fermata.services.aside import AsideFailed

T = TypeVar("T")
NICENESS = 10
COMMAND = (sys.executable, "-P", "-m", "fermata.wiring.aside")
_log = logging.getLogger("fermata.aside")


class _Failed:
    """In the place of an answer."""


class ChildAside(Generic[T]):
    """`services.aside.Aside`, each piece of work in a child; one after the other, so that they take one core."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._begun: set[str] = set()
        self._done: dict[str, T | _Failed] = {}

    def is_under_way(self, key: str) -> bool:
        """As in `Aside`."""
        with self._lock:
            return key in self._begun

    def begin(self, key: str, work: Callable[[], T]) -> None:
        """As in `Aside`."""
        with self._lock:
            if key in self._begun:
                return
            self._begun.add(key)
        threading.Thread(target=self._do, args=(key, work), name="fermata-aside", daemon=True).start()

    def take(self, key: str) -> T | None:
        """As in `Aside`."""
        with self._lock:
            found = self._done.pop(key, None)
        if isinstance(found, _Failed):
            sentence = f"{key}: the process that worked it out ended without an answer"
            raise AsideFailed(sentence)
        return found

    def _do(self, key: str, work: Callable[[], T]) -> None:
        found: T | _Failed = _Failed()
        try:
            with self._turn:
                found = _ask_child(work)
        except (OSError, EOFError, pickle.PickleError, AsideFailed):
            _log.warning("%s was not worked out: its process ended without an answer", key, exc_info=True)
        finally:
            with self._lock:
                self._begun.discard(key)
                self._done[key] = found


def _ask_child(work: Callable[[], T]) -> T:
    modules = os.pathsep.join(str(Path(place).resolve()) for place in sys.path)
    seen = {**os.environ, "PYTHONPATH": modules}  # what the work names is found as it is here
    with subprocess.Popen(
        COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, env=seen
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            pickle.dump(work, child.stdin, pickle.HIGHEST_PROTOCOL)
            child.stdin.flush()  # and stays open: its end would tell the child that nobody waits any more
            answer: T = pickle.load(child.stdout)  # noqa: S301 - written by our own child, and by nobody else
        finally:
            child.kill()
    return answer


def main() -> None:
    """Does the one thing that it is told, and tells what came of it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asked
    os.nice(NICENESS)
    work = pickle.load(sys.stdin.buffer)  # noqa: S301 - written by the process that started this one
    threading.Thread(target=_end_with_parent, daemon=True).start()
    answers, sys.stdout = sys.stdout.buffer, sys.stderr  # whatever is printed meanwhile is no answer
    answer = work()
    with contextlib.suppress(BrokenPipeError):
        pickle.dump(answer, answers, pickle.HIGHEST_PROTOCOL)
        answers.flush()


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    main()
