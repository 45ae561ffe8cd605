"""How a secret is named wherever one can be, and what is said when it cannot be read. What reads it is an adapter."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from fermata.domain.reasons import Reason

HOW = "env:NAME, file:PATH, credential:NAME, command:NAME or vault:MOUNT/PATH#KEY"
KEPT, KEPT_MAX = timedelta(minutes=1), timedelta(hours=1)
ANSWER_SECONDS, ANSWER_SECONDS_MAX = 10, 60
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}")
_PATH = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}(/[A-Za-z0-9_-][A-Za-z0-9_. -]{0,199}){1,20}")


class SecretKind(StrEnum):
    """Where a secret is."""

    ENV = "env"
    FILE = "file"
    CREDENTIAL = "credential"  # a file of the folder that systemd made for the service
    COMMAND = "command"
    VAULT = "vault"  # of HashiCorp or OpenBao: a key/value store, version 2

    @property
    def is_kept(self) -> bool:
        """Whether asking takes so long that an answer is kept for a while."""
        return self in (SecretKind.COMMAND, SecretKind.VAULT)


@dataclass(frozen=True, slots=True)
class SecretRef:
    """The name of a secret, never the secret. `place`: what stands behind the colon; a file's is a whole path."""

    kind: SecretKind
    place: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.place}"

    @property
    def path_and_key(self) -> tuple[str, str, str]:
        """Of one in a vault: the mount, the path below it, and the key there."""
        whole, _, key = self.place.partition("#")
        mount, _, path = whole.partition("/")
        return mount, path, key


def parse_ref(text: str, folder: Path | None = None) -> SecretRef:
    """The name as it is written. A relative path is one below `folder`. Raises ValueError, which repeats nothing of a
    text that is no name of a secret: it may be the secret itself.
    """
    kind, colon, place = text.partition(":")
    if not colon or kind not in [known.value for known in SecretKind]:
        raise ValueError(f"a secret is named, never written down: {HOW}")
    ref = SecretRef(SecretKind(kind), place)
    if not _is_place(ref):
        raise ValueError(f"{kind}: names no place; a secret is named by {HOW}")
    if ref.kind is SecretKind.FILE and folder is not None:
        return SecretRef(SecretKind.FILE, str(folder / place))
    return ref


def is_ref(text: str) -> bool:
    """True for a text that names a secret rather than a file."""
    try:
        parse_ref(text)
    except ValueError:
        return False
    return True


def ref_of_file(path: Path | str) -> SecretRef:
    """For settings that name a file alone."""
    return SecretRef(SecretKind.FILE, str(path))


def ref_of_variable(name: str) -> SecretRef:
    """For settings that name a variable of the environment alone."""
    return SecretRef(SecretKind.ENV, name)


def _is_place(ref: SecretRef) -> bool:
    match ref.kind:
        case SecretKind.ENV:
            return _VARIABLE.fullmatch(ref.place) is not None
        case SecretKind.FILE:
            return bool(ref.place) and ref.place.isprintable()
        case SecretKind.VAULT:
            path, sharp, key = ref.place.partition("#")
            return bool(sharp) and _PATH.fullmatch(path) is not None and bool(key) and key.isprintable()
        case _:
            return _WORD.fullmatch(ref.place) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A secret that cannot be read. `is_away`: whoever has it gives no answer, and may do so later."""

    reason: Reason
    is_away: bool = False


class SecretSource(Protocol):
    """What knows where secrets are. Nothing that it says has one in it."""

    def look(self, ref: SecretRef) -> str | Missing:
        """What stands there now, at most as old as was said to keep it; its lines without the last line's end."""
        ...

    def forget(self, ref: SecretRef) -> None:
        """Whoever was told the secret did not take it: it is read anew the next time."""
        ...


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret by its name, with whom to ask for it: what is in it is nowhere but where it is used."""

    ref: SecretRef
    source: SecretSource = field(repr=False, compare=False)

    def __str__(self) -> str:
        return str(self.ref)

    def look(self) -> str | Missing:
        """See SecretSource."""
        return self.source.look(self.ref)

    def forget(self) -> None:
        """See SecretSource."""
        self.source.forget(self.ref)


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretCommand:
    """A program that prints a secret. `words`: it and its arguments, no shell between. `key`: the way into the JSON
    that it prints, word by word; empty: what it prints is the secret. `passed`: variables that it gets beside PATH.
    """

    words: tuple[str, ...]
    key: tuple[str, ...] = ()
    seconds: float = ANSWER_SECONDS
    passed: tuple[str, ...] = ()


class LoginKind(StrEnum):
    """How a vault knows us."""

    TOKEN = "token"
    APPROLE = "approle"
    KUBERNETES = "kubernetes"


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultTerms:
    """A server of secrets. `credential`: the token itself, the secret id of a role, or the workload's token. `role`:
    the role id, or the name of a role; `mount`: where that way to log in is.
    """

    url: str
    login: LoginKind
    credential: SecretRef
    role: str = ""
    mount: str = ""
    namespace: str = ""
    ca_file: Path | None = None
    seconds: float = ANSWER_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretBook:
    """What the file of secrets says. `channels`: by host, and by the name that a subscription has for it."""

    file: str = "the file that FERMATA_SECRETS names"
    commands: Mapping[str, SecretCommand] = field(default_factory=dict)
    vault: VaultTerms | None = None
    channels: Mapping[tuple[str, str], SecretRef] = field(default_factory=dict)
    kept: timedelta = KEPT


NO_SECRETS = SecretBook()
