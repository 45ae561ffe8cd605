"""A file's bytes to text: UTF-8 with or without a byte order mark, of a bounded size, without NUL bytes."""

import codecs
from pathlib import Path

from fermata.formats.faults import FaultLog, Place

FILE_BYTES_MAX = 256 * 2**20  # a fleet of a million nodes has about 200 MiB
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_text(path: Path, log: FaultLog, *, bytes_max: int = FILE_BYTES_MAX) -> str | None:
    """The text without its byte order mark; None when it cannot be read, with the faults in `log`."""
    data = _read_bytes(path, log, bytes_max)
    if data is None:
        return None
    if not data.removeprefix(codecs.BOM_UTF8).strip():
        log.add("The file is empty.")
        return None
    if data.startswith(_UTF16):
        log.add("The file is UTF-16: save it as UTF-8.", Place(line=1, column=1))
        return None
    if b"\0" in data:
        _log_nul(data, log)
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        _log_undecodable(data, log)
        return None


def _read_bytes(path: Path, log: FaultLog, bytes_max: int) -> bytes | None:
    try:
        size = path.stat().st_size
        if size > bytes_max:
            log.add(f"The file has {size:,} bytes, more than the {bytes_max:,} that are read.")
            return None
        return path.read_bytes()
    except FileNotFoundError:
        log.add("The file does not exist.")
    except IsADirectoryError:
        log.add("This is a folder, not a file.")
    except (OSError, ValueError) as error:
        log.add(f"The file cannot be read: {error}.")
    return None


def _log_nul(data: bytes, log: FaultLog) -> None:
    for number, line in enumerate(data.split(b"\n"), start=1):
        if b"\0" in line:
            column = len(line[: line.index(b"\0")].decode("utf-8", "replace")) + 1
            log.add("A NUL byte: this is not a text file, or it is damaged.", Place(line=number, column=column))


def _log_undecodable(data: bytes, log: FaultLog) -> None:
    for number, line in enumerate(data.removeprefix(codecs.BOM_UTF8).split(b"\n"), start=1):
        try:
            line.decode()
        except UnicodeDecodeError as error:
            column = len(line[: error.start].decode()) + 1
            log.add(
                f"Byte 0x{line[error.start]:02x} is not UTF-8: save the file as UTF-8.",
                Place(line=number, column=column),
            )
