"""What `fermata doctor` looks at on the machine: disks, clocks, files and who answers. Every look is short and changes
nothing; what cannot be known is None.
"""

import ctypes
import os
import smtplib
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from fermata.domain.doctor_facts import Disk, Kept, Reached, SecretFile

ANSWER_SECONDS = 5.0
MOUNTS = Path("/proc/self/mountinfo")
_TIME_ERROR = 5  # adjtimex(2): nobody keeps this clock
_TIMEX_BYTES = 512  # more than `struct timex` has anywhere
SECRETS_MAX = 1_000  # files of a folder that are looked at


def look_at_disk(folder: Path) -> Disk:
    """Where a folder lies, and how much room is left there for us. Raises OSError."""
    found = os.statvfs(folder)
    total, free = found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize
    return Disk(folder=str(folder), kind=_kind_of(folder.resolve()), free_bytes=free, total_bytes=total)


def _kind_of(folder: Path) -> str:
    """The file system of the innermost mount above; a later mount hides an earlier one of the same place."""
    best, kind = -1, ""
    try:
        lines = MOUNTS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    for line in lines:
        mount, _, about = line.partition(" - ")
        place = Path(mount.split()[4].encode().decode("unicode_escape"))
        if folder.is_relative_to(place) and len(place.parts) >= best:
            best, kind = len(place.parts), about.split()[0]
    return kind


def is_clock_kept() -> bool | None:
    """Whether the kernel knows of somebody who keeps its clock; None where it does not tell."""
    try:
        answer = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))  # asks, with no mode set
    except (OSError, AttributeError):
        return None
    return None if answer < 0 else answer != _TIME_ERROR


def look_at_secret(what: str, path: Path, least_bytes: int = 0) -> SecretFile:
    """Who may read a file, and how long it is without blanks at its ends."""
    try:
        mode, size = path.stat().st_mode, len(path.read_bytes().strip())
    except OSError as error:
        return SecretFile(what=what, path=str(path), why=str(error.strerror))
    return SecretFile(what=what, path=str(path), mode=mode & 0o777, size_bytes=size, least_bytes=least_bytes)


def look_at_secrets(what: str, folder: Path) -> Iterator[SecretFile]:
    """Those of a folder, each in the folder of its host."""
    if not folder.is_dir():
        yield SecretFile(what=what, path=str(folder), why="there is no such folder")
        return
    files = (path for path in sorted(folder.glob("*/*")) if path.is_file())
    for path, _ in zip(files, range(SECRETS_MAX), strict=False):
        yield look_at_secret(what, path)


def ask_url(url: str) -> Reached:
    """Whether somebody listens there, by https with a certificate that this machine trusts. Nothing more is asked."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        return Reached(place=url, why=str(error))
    if not host:
        return Reached(place=url, why="it names no host")
    try:
        with socket.create_connection((host, port), timeout=ANSWER_SECONDS) as plain:
            if parts.scheme == "https":
                with ssl.create_default_context().wrap_socket(plain, server_hostname=host):
                    pass
    except ssl.SSLCertVerificationError as error:
        return Reached(place=url, why=f"its certificate is not trusted here: {error.verify_message}")
    except OSError as error:
        return Reached(place=url, why=_say(error))
    return Reached(place=url)


def ask_mail(host: str, port: int) -> Reached:
    """Whether a mail server greets there."""
    place = f"{host}:{port}"
    try:
        with smtplib.SMTP(host, port, timeout=ANSWER_SECONDS):
            return Reached(place=place)
    except (OSError, smtplib.SMTPException) as error:
        return Reached(place=place, why=_say(error))


def find_newest(folder: Path, pattern: str, allowed: timedelta) -> Kept:
    """The newest of the files of a folder, by when they were written."""
    written = [path.stat().st_mtime for path in folder.glob(pattern) if path.is_file()]
    newest = datetime.fromtimestamp(max(written), UTC) if written else None
    return Kept(folder=str(folder), newest=newest, allowed=allowed)


def _say(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"nothing within {ANSWER_SECONDS:g} s"
    return str(getattr(error, "strerror", None) or str(error) or type(error).__name__)
