"""Keys of a terminal, one at a time, without waiting for Enter."""

import os
import select
import sys
import termios
import tty
from types import TracebackType
from typing import Any, Self

SEQUENCES = {
    b"\x1b[A": "up", b"\x1b[B": "down", b"\x1bOA": "up", b"\x1bOB": "down", b"\x1b[5~": "page up",
    b"\x1b[6~": "page down", b"\x1b[H": "top", b"\x1b[F": "bottom", b"k": "up", b"j": "down", b" ": "page down",
    b"b": "page up", b"g": "top", b"G": "bottom", b"q": "quit", b"Q": "quit", b"\x1b": "quit", b"\x04": "quit",
}  # fmt: skip
BYTES_MAX = 16  # of one key


class Keys:
    """Reads single keys inside a `with` block; afterwards the terminal is as it was. Standard input that is no terminal
    has no keys.
    """

    def __init__(self) -> None:
        self._fd = sys.stdin.fileno() if sys.stdin.isatty() else None
        self._before: list[Any] | None = None

    def __enter__(self) -> Self:
        if self._fd is not None:
            self._before = termios.tcgetattr(self._fd)
            tty.setcbreak(self._fd)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._fd is not None and self._before is not None:
            termios.tcsetattr(self._fd, termios.TCSADRAIN, self._before)

    def wait(self, seconds: float) -> str | None:
        """The next key by its meaning, None when none of ours comes within `seconds`."""
        if self._fd is None:
            select.select([], [], [], seconds)
            return None
        if not select.select([self._fd], [], [], seconds)[0]:
            return None
        read = os.read(self._fd, BYTES_MAX)
        return (
            SEQUENCES.get(read, SEQUENCES.get(read[:1]) if not read.startswith(b"\x1b") else None) if read else "quit"
        )
