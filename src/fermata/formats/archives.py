"""Archives of the journal as files: gzip over JSON lines. The first says what it is, then come lines of the journal,
oldest first, then notices that went with them, and last how many of each there are.
"""

import gzip
import hashlib
import json
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from fermata.domain.archives import SCHEMA, Head
from fermata.domain.checkpoints import Checkpoint

SUFFIX = ".journal.gz"
LINE_BYTES_MAX = 16 << 20  # unpacked: longer ones are no lines of ours, and would be read into memory whole


class BadArchive(Exception):
    """The file is none, or is damaged; says how."""


def write_archive(file: Path, head: Head, lines: Iterable[Mapping[str, Any]], notices: Iterable[Any]) -> str:
    """A new file, on the disk when this returns: the SHA-256 of its bytes (hex). Raises FileExistsError."""
    counts = [0, 0]
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        with gzip.GzipFile(filename="", mode="wb", fileobj=out, mtime=0) as packed:
            packed.write(orjson.dumps(_write_head(head), option=orjson.OPT_APPEND_NEWLINE))
            for at, (kind, rows) in enumerate((("line", lines), ("notice", notices))):
                for row in rows:
                    packed.write(orjson.dumps({kind: row}, option=orjson.OPT_APPEND_NEWLINE))
                    counts[at] += 1
            end = {"end": {"lines": counts[0], "notices": counts[1]}}
            packed.write(orjson.dumps(end, option=orjson.OPT_APPEND_NEWLINE))
        out.flush()
        os.fsync(out.fileno())
    return digest_of(file)


def digest_of(file: Path) -> str:
    """The SHA-256 of a file's bytes (hex). Raises OSError."""
    with file.open("rb") as read:
        return hashlib.file_digest(read, "sha256").hexdigest()


def read_head(file: Path) -> Head:
    """What an archive says of itself. Raises BadArchive."""
    told = next(_rows(file), {})
    try:
        if told["schema"] != SCHEMA:
            raise ValueError(f"it is no {SCHEMA}")
        at = datetime.fromisoformat(told["at"])
        point = Checkpoint(seq=int(told["last"]), head=str(told["head"]), at=at)
        bytes.fromhex(point.head), bytes.fromhex(told["previous"])
        return Head(
            first=int(told["first"]), previous=str(told["previous"]), point=point, signature=str(told["signature"])
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadArchive(f"its first line is not that of an archive: {error}") from error


def read_lines(file: Path) -> Iterator[dict[str, Any]]:
    """Lines of the journal as they were written. Raises BadArchive, also where its end is gone."""
    lines, said = 0, None
    rows = _rows(file)
    next(rows, None)
    for told in rows:
        if said is not None:
            raise BadArchive("something stands after its end")
        if "line" in told:
            lines += 1
            yield told["line"]
        said = told.get("end")
    if not isinstance(said, dict):
        raise BadArchive("its end is gone")
    if said.get("lines") != lines:
        raise BadArchive(f"it holds {lines:,} lines, and says that it holds {said.get('lines')}")


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    try:
        with gzip.open(file, "rb") as packed:
            while text := packed.readline(LINE_BYTES_MAX):
                if not text.endswith(b"\n"):
                    raise BadArchive("a line of it is cut, or longer than any of ours")
                told = orjson.loads(text)
                if not isinstance(told, dict):
                    raise BadArchive("a line of it is no object")
                yield told
    except OSError as error:
        raise BadArchive(error.strerror or str(error)) from error
    except (EOFError, zlib.error, json.JSONDecodeError, RecursionError) as error:
        raise BadArchive(str(error)) from error


def _write_head(head: Head) -> dict[str, object]:
    return {
        "schema": SCHEMA,
        "first": head.first,
        "last": head.point.seq,
        "previous": head.previous,
        "head": head.point.head,
        "at": head.point.at.astimezone(UTC).isoformat(),
        "signature": head.signature,
    }
