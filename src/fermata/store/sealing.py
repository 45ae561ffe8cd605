"""What of a store is secret, sealed before it is written: addresses that let in whoever knows them.

AES-SIV: the same text of the same owner is sealed to the same, so that two can be compared; what was moved to another
owner, or changed, does not open. The key stands in a file outside of the store.
"""

import base64
import binascii
import hmac
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from sqlalchemy import Connection

from fermata.domain.secrets import Missing, Secret

SEALED = "sealed:"
OPTION = "fermata_seal_key"
SUFFIX = ".seal"
KEY_BYTES = 64
_SECRET_NAMES = frozenset({"url", "endpointUrl"})


SealKey = Path | Secret  # a file, or what a secret's name stands for


class CannotSeal(Exception):
    """There is no key, or none that can be used; says which file, never what is in it."""


def key_beside(url: str) -> Path | None:
    """Where the key of a store is that is a file: beside it. None for others, whose key has to be named."""
    path = url.removeprefix("sqlite:///").partition("?")[0]
    return Path(f"{path}{SUFFIX}") if url.startswith("sqlite:///") and path not in ("", ":memory:") else None


def is_secret(text: str, *, is_chat: bool) -> bool:
    """True of an address whose text alone lets somebody in: a chat's, and one with something behind a question mark."""
    return bool(text) and not text.startswith(SEALED) and (is_chat or "?" in text)


def seal_in(conn: Connection, body: Any, owner: str, *, is_chat: bool = False) -> Any:
    """The same body with its secrets sealed. Raises CannotSeal when there are some and no key."""
    return _change(body, lambda text: _seal(conn, text, owner) if is_secret(text, is_chat=is_chat) else text)


def unseal_in(conn: Connection, body: Any, owner: str) -> Any:
    """The same body with its secrets open; what does not open with any of our keys stays sealed."""
    return _change(body, lambda text: _unseal(conn, text, owner) if text.startswith(SEALED) else text)


def derive(conn: Connection, purpose: bytes, text: str, *, make: bool) -> Sequence[bytes]:
    """32 bytes for each of our keys, the one that seals first: HMAC-SHA256 of the text, by a key that is derived from
    ours for that purpose alone. `make`: a file that is not there yet is made. Raises CannotSeal.
    """
    if conn.get_execution_options().get(OPTION) is None:
        raise CannotSeal("the store has no key to derive it from: name its file in FERMATA_SEAL_KEY")
    own = (hmac.digest(key, purpose, "sha256") for key in _keys(conn, make=make))
    return tuple(hmac.digest(key, text.encode(), "sha256") for key in own)


def _change(value: Any, by: Any, name: str = "") -> Any:
    if isinstance(value, Mapping):
        return {key: _change(inner, by, key) for key, inner in value.items()}
    return by(value) if isinstance(value, str) and name in _SECRET_NAMES else value


def _seal(conn: Connection, text: str, owner: str) -> str:
    key = _keys(conn, make=True)[0]
    return SEALED + base64.b64encode(AESSIV(key).encrypt(text.encode(), [owner.encode()])).decode()


def _unseal(conn: Connection, text: str, owner: str) -> str:
    try:
        keys, data = _keys(conn, make=False), base64.b64decode(text.removeprefix(SEALED), validate=True)
    except (CannotSeal, binascii.Error):
        return text
    for key in keys:
        try:
            return AESSIV(key).decrypt(data, [owner.encode()]).decode()
        except (InvalidTag, ValueError):
            continue
    return text


def _keys(conn: Connection, *, make: bool) -> Sequence[bytes]:
    """A line each, the one that seals first; the others only open what was sealed before."""
    path: SealKey | None = conn.get_execution_options().get(OPTION)
    if path is None:
        raise CannotSeal("there is no key to keep its address secret with: name its file in FERMATA_SEAL_KEY")
    if make and isinstance(path, Path):
        _make(path)
    try:
        text = path.read_text(encoding="ascii") if isinstance(path, Path) else _ask(path)
        keys = [base64.b64decode(line, validate=True) for line in text.split()]
    except (OSError, ValueError) as error:
        raise CannotSeal(f"the key in {path} cannot be read ({type(error).__name__})") from None
    if not keys or any(len(key) != KEY_BYTES for key in keys):
        raise CannotSeal(f"{path} holds no key: each line is base64 of {KEY_BYTES} random bytes")
    return keys


def _ask(secret: Secret) -> str:
    found = secret.look()
    if isinstance(found, Missing):
        raise CannotSeal(str(found.reason))
    return found


def _make(path: Path) -> None:
    """A new key where there is none, for its owner alone; whole or not at all."""
    if path.exists():
        return
    fresh = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(base64.b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(fresh, path)
    except FileExistsError:
        pass  # somebody else was first
    except OSError as error:
        raise CannotSeal(f"no key can be written to {path} ({type(error).__name__})") from None
    finally:
        fresh.unlink(missing_ok=True)
