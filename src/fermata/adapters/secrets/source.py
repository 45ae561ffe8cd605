"""One place that reads secrets by their names: each kind from where it is, what takes long kept for a while."""

import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fermata.adapters.secrets.commands import run_command
from fermata.adapters.secrets.key_values import KeyValues
from fermata.domain.reasons import SecretCode, reason
from fermata.domain.secrets import NO_SECRETS, Missing, SecretBook, SecretKind, SecretRef

BYTES_MAX = 64 * 1024  # a chain of certificates is shorter, a token far shorter
KEPT_MAX = 256  # secrets that are kept at once; the oldest go first
FAILED_SECONDS = 5.0  # a failure is told again for so long, and what was just read is not read anew: no storm of calls
FOLDER_OF_SYSTEMD = "CREDENTIALS_DIRECTORY"


@dataclass(frozen=True, slots=True)
class _Kept:
    found: str | Missing
    at: float


class Secrets:
    """Implements SecretSource. Variables and files are read each time; what a command or a vault said is kept for as
    long as the book says, in memory alone. What is over and cannot be read anew is not used.
    """

    def __init__(
        self,
        book: SecretBook = NO_SECRETS,
        *,
        environment: Mapping[str, str] = os.environ,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self.book, self._environment, self._seconds = book, environment, seconds
        self._kept: dict[SecretRef, _Kept] = {}
        self._lock, self._asking = threading.Lock(), threading.Lock()
        self._key_values = KeyValues(book.vault, book.file, self._find, seconds) if book.vault is not None else None

    def look(self, ref: SecretRef) -> str | Missing:
        """See SecretSource."""
        if not ref.kind.is_kept:
            return self._find(ref)
        known = self._known(ref)
        if known is not None:
            return known
        with self._asking:  # one at a time: many units that need the same secret make one call
            known = self._known(ref)
            return known if known is not None else self._keep(ref, self._find(ref))

    def forget(self, ref: SecretRef) -> None:
        """See SecretSource. What was read just now stays: it is not the secret that is wrong then."""
        with self._lock:
            known = self._kept.get(ref)
            if known is not None and self._seconds() - known.at >= FAILED_SECONDS:
                del self._kept[ref]

    def close(self) -> None:
        """Forgets everything, and lets go of connections."""
        with self._lock:
            self._kept.clear()
        if self._key_values is not None:
            self._key_values.close()

    def _known(self, ref: SecretRef) -> str | Missing | None:
        with self._lock:
            known = self._kept.get(ref)
            if known is None:
                return None
            limit = FAILED_SECONDS if isinstance(known.found, Missing) else self.book.kept.total_seconds()
            return known.found if self._seconds() - known.at < limit else None

    def _keep(self, ref: SecretRef, found: str | Missing) -> str | Missing:
        with self._lock:
            self._kept.pop(ref, None)
            while len(self._kept) >= KEPT_MAX:
                self._kept.pop(next(iter(self._kept)))
            self._kept[ref] = _Kept(found, self._seconds())
        return found

    def _find(self, ref: SecretRef) -> str | Missing:
        match ref.kind:
            case SecretKind.ENV:
                value = self._environment.get(ref.place)
                where = f"the variable {ref.place} of the environment"
                return _absent(ref, where, "is not set") if value is None else judge(ref, where, value)
            case SecretKind.FILE:
                return _read_file(ref, Path(ref.place))
            case SecretKind.CREDENTIAL:
                return self._find_credential(ref)
            case SecretKind.COMMAND:
                return self._run(ref)
            case SecretKind.VAULT:
                if self._key_values is None:
                    return self._undescribed(ref, "vault")
                found = self._key_values.find(ref)
                return found if isinstance(found, Missing) else judge(ref, "the vault", found)

    def _find_credential(self, ref: SecretRef) -> str | Missing:
        folder = self._environment.get(FOLDER_OF_SYSTEMD)
        if folder is not None:
            return _read_file(ref, Path(folder) / ref.place)
        why = f"is not set: the service is not one of systemd's, or has no LoadCredential={ref.place}:..."
        return _absent(ref, f"the variable {FOLDER_OF_SYSTEMD} of the environment", why)

    def _run(self, ref: SecretRef) -> str | Missing:
        command = self.book.commands.get(ref.place)
        if command is None:
            return self._undescribed(ref, f"command {ref.place}")
        found = run_command(ref, command, self._environment)
        return found if isinstance(found, Missing) else judge(ref, f"what {command.words[0]} prints", found)

    def _undescribed(self, ref: SecretRef, what: str) -> Missing:
        return Missing(reason=reason(SecretCode.SECRET_UNDESCRIBED, secret=ref, where=self.book.file, what=what))


def judge(ref: SecretRef, where: str, text: str) -> str | Missing:
    """The text without the end of its last line, if it can be a secret."""
    found = text.removesuffix("\n").removesuffix("\r")
    why = ""
    if not found.strip():
        why = "it is empty"
    elif len(found) > BYTES_MAX:
        why = f"it is longer than {BYTES_MAX:,} characters"
    elif not all(line.isprintable() for line in found.splitlines()):
        why = "it has control characters"
    return Missing(reason=reason(SecretCode.SECRET_UNFIT, secret=ref, where=where, why=why)) if why else found


def _read_file(ref: SecretRef, path: Path) -> str | Missing:
    where = f"the file {path}"
    try:
        with path.open("rb") as file:
            found = file.read(BYTES_MAX + 2)
        return judge(ref, where, found.decode())
    except OSError as error:
        return _absent(ref, where, f"cannot be opened ({error.strerror})")
    except UnicodeDecodeError:
        return Missing(reason=reason(SecretCode.SECRET_UNFIT, secret=ref, where=where, why="it is no text in UTF-8"))


def _absent(ref: SecretRef, where: str, why: str) -> Missing:
    return Missing(reason=reason(SecretCode.SECRET_ABSENT, secret=ref, where=where, why=why))
