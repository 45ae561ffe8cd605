"""The simulated world's memory: an append-only file, one JSON line a call. A torn last line never happened.

Several processes may share one file: each takes its turn, and reads what the others wrote before it does anything.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

READ_BYTES = 1 << 20


class CommandLog:
    """`path` None keeps nothing. A line is with the kernel before the call is answered, so kill -9 loses no command."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: int | None = None
        self._read_to = 0  # bytes of whole lines that this process has read or written

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Within it no other process reads or writes; the kernel ends the turn of one that is killed."""
        if self._path is None:
            yield
            return
        file = self._open()
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)

    def news(self) -> Iterator[dict[str, Any]]:
        """Every whole line that was not read yet, oldest first; a torn one at the end is cut off. Only in a turn."""
        if self._path is None:
            return
        file = self._open()
        size = os.fstat(file).st_size
        while self._read_to < size:
            content = self._read_whole(file, size)
            if not content:
                os.ftruncate(file, self._read_to)
                return
            self._read_to += len(content)
            for line in content.splitlines():
                yield orjson.loads(line)

    def append(self, entry: dict[str, Any]) -> None:
        """Adds one line, when all others are read. Raises OSError when the disk is full; nothing was done then."""
        if self._path is None:
            return
        file = self._open()
        line = orjson.dumps(entry) + b"\n"
        written = os.write(file, line)
        if written != len(line):
            os.ftruncate(file, os.fstat(file).st_size - written)
            raise OSError(f"{self._path} took {written} of {len(line)} bytes: is the disk full?")
        self._read_to += written

    def close(self) -> None:
        """Closes the file; the next turn opens it again."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _read_whole(self, file: int, size: int) -> bytes:
        """Whole lines from where reading stopped, some of them at least; empty when there is only a torn one."""
        content = b""
        while b"\n" not in content and self._read_to + len(content) < size:
            content += os.pread(file, READ_BYTES, self._read_to + len(content))
        return content[: content.rfind(b"\n") + 1]

    def _open(self) -> int:
        if self._file is None:
            assert self._path is not None
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        return self._file
