"""The brake's file: where it is, the brake is on. One per machine, written and removed in one step, whatever the store
does. A file that cannot be read is there, so the brake is on.
"""

import hashlib
import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from fermata.domain.intents import EVERYWHERE, Intent, ScopeKind
from fermata.domain.run_states import Desired

SUFFIX = ".brake"
SQLITE = "sqlite:///"
UNREADABLE = "the brake's file cannot be read"


@dataclass(frozen=True, slots=True)
class BrakeFile:
    """The file of one machine. Raises OSError where the folder cannot be written."""

    path: Path

    def is_on(self) -> bool:
        """True when the file is there, or when that cannot be told. As cheap as a call of the system."""
        try:
            self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True
        return True

    def read(self) -> Intent | None:
        """Who pulled the brake, when and why; None when it is not on."""
        if not self.is_on():
            return None
        try:
            told = json.loads(self.path.read_text(encoding="utf-8"))
            at = datetime.fromisoformat(told["at"]).astimezone(UTC)
            return _word(str(told["actor"]), str(told["why"]), at)
        except FileNotFoundError:
            return None  # released since
        except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
            return _word("somebody", f"{UNREADABLE}: {self.path}", datetime.fromtimestamp(0, UTC))

    def pull(self, actor: str, why: str, at: datetime) -> Intent:
        """The brake is on from now on; who pulled it first is named until it is released."""
        found = self.read()
        if found is not None:
            return found
        text = json.dumps({"schema": "fermata.brake/1", "actor": actor, "why": why, "at": at.isoformat()})
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_name(f"{self.path.name}.{os.getpid()}.new")
        with fresh.open("w", encoding="utf-8") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.path)
        return _word(actor, why, at)

    def release(self) -> None:
        """It is off from now on."""
        self.path.unlink(missing_ok=True)


def _word(actor: str, why: str, at: datetime) -> Intent:
    return Intent(kind=ScopeKind.BRAKE, scope=EVERYWHERE, desired=Desired.PAUSE, actor=actor, why=why, at=at)


def brake_file(store_url: str, named: Path | None = None) -> BrakeFile:
    """The brake of a store on this machine: the file that settings name, else beside a store that is a file, else in
    the user's state folder under a name that follows from the store's address.
    """
    if named is not None:
        return BrakeFile(named)
    path = store_url.removeprefix(SQLITE).partition("?")[0]
    if store_url.startswith(SQLITE) and path not in ("", ":memory:"):
        return BrakeFile(Path(path).absolute().with_name(Path(path).name + SUFFIX))
    folder = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    digest = hashlib.sha256(store_url.encode()).hexdigest()[:16]
    return BrakeFile(folder / "fermata" / f"{digest}{SUFFIX}")
