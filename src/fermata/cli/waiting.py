"""Waits for long work so that Ctrl-C ends the command at once, also while a library computes and listens to nobody."""

import atexit
import os
import sys
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import TypeVar

from fermata.cli import output

Result = TypeVar("Result")


def wait_for(work: Callable[[], Result]) -> Result:
    """What `work` returns, or raises. An interrupt cuts it off anywhere: what it changes must be whole or not be."""
    done: SimpleQueue[Result | BaseException] = SimpleQueue()

    def run() -> None:
        try:
            done.put(work())
        except BaseException as error:  # noqa: BLE001  # handed over, not swallowed: the caller raises it
            done.put(error)

    Thread(target=run, daemon=True).start()
    try:
        outcome = done.get()
    except KeyboardInterrupt:
        atexit.register(_leave)
        raise
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


def _leave() -> None:
    """Ends the process without the interpreter's own farewell, which aborts while a library's thread computes."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(output.INTERRUPTED)
