"""`fermata` and `python -m fermata`. Loading everything takes a second: an interrupt ends the command then, too."""

import os
import signal
from types import FrameType
from typing import NoReturn

INTERRUPTED = 130  # as `cli.output` has it, which is not loaded yet


def run() -> NoReturn:
    """Runs one command; see `cli.main`."""
    usual = signal.getsignal(signal.SIGINT)
    if usual is signal.default_int_handler:  # else whoever started us wants no interrupts
        signal.signal(signal.SIGINT, _leave)
    from fermata.cli.main import main  # noqa: PLC0415  # after the handler stands: that is the point

    signal.signal(signal.SIGINT, usual)
    main()


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    os._exit(INTERRUPTED)  # nothing is open or begun, and half-loaded libraries should not say goodbye


if __name__ == "__main__":
    run()
