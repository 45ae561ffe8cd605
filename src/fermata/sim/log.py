"""The simulated world's memory: an append-only file, one JSON line a call. A torn last line never happened."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson


class CommandLog:
    """`path` None keeps nothing. A line is with the kernel before the call is answered, so kill -9 loses no command."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: int | None = None

    def replay(self) -> Iterator[dict[str, Any]]:
        """Every whole line, oldest first; a torn one at the end is cut off the file."""
        if self._path is None or not self._path.exists():
            return
        content = self._path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.truncate(self._path, whole)
        for line in content[:whole].splitlines():
            yield orjson.loads(line)

    def append(self, entry: dict[str, Any]) -> None:
        """Adds one line. Raises OSError when the disk is full; nothing was done then."""
        if self._path is None:
            return
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        line = orjson.dumps(entry) + b"\n"
        written = os.write(self._file, line)
        if written != len(line):
            os.ftruncate(self._file, os.fstat(self._file).st_size - written)
            raise OSError(f"{self._path} took {written} of {len(line)} bytes: is the disk full?")

    def close(self) -> None:
        """Closes the file; the next append opens it again."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
