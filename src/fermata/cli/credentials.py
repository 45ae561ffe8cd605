"""What a command shows a server to be let in: a token of the environment, or what `fermata sign-in` kept.

What was kept is for the server that it was got for, and goes nowhere else. Over plain http nothing leaves this machine.
"""

import os
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import orjson

from fermata import client
from fermata.domain.identity_codes import IdentityCode
from fermata.domain.reasons import reason
from fermata.services.errors import Refusal
from fermata.settings import is_loopback

if TYPE_CHECKING:
    from fermata.client.server import ServerVerbs
    from fermata.client.signing_in import Granted

TOKEN, TOKEN_FILE, AUTHORITIES, KEPT = "FERMATA_TOKEN", "FERMATA_TOKEN_FILE", "FERMATA_CA_FILE", "FERMATA_CREDENTIALS"
EARLY = timedelta(seconds=30)  # before its end a token is renewed: the request takes a moment, and clocks differ


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What a provider gave for a server. `ends_at`: as it said, in ISO 8601."""

    access_token: str
    refresh_token: str
    ends_at: str
    client_id: str
    token_endpoint: str

    def is_over(self, now: datetime) -> bool:
        """Whether it has to be renewed first."""
        return now >= datetime.fromisoformat(self.ends_at) - EARLY


def connect(server: str) -> AbstractContextManager["ServerVerbs"]:
    """The verbs of a server, as whoever the environment or a sign-in says. Raises Refusal."""
    return client.connect(server, token=find_token(server), ca_file=find_authorities())


def find_token(server: str) -> str:
    """What goes with requests to that server, "" for nothing. Raises Refusal for what must not, or cannot, be sent."""
    token = os.environ.get(TOKEN, "").strip() or _from_file() or _kept_token(server)
    parts = urlsplit(server)
    if token and parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise _failed(f"{server} is not encrypted, and whoever listens would have your token")
    return token


def find_authorities() -> str | None:
    """The file of authorities whose certificates are believed, None for the usual ones."""
    return os.environ.get(AUTHORITIES) or None


def read_kept() -> dict[str, Kept]:
    """By server. Raises Refusal for a file that others may read."""
    path = _path()
    try:
        mode, text = path.stat().st_mode, path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise _failed(f"{path}: {error.strerror}") from error
    if mode & 0o077:
        raise _failed(f"{path} may be read by others: run chmod 600 on it")
    try:
        return {server: Kept(**kept) for server, kept in orjson.loads(text).items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise _failed(f"{path} cannot be understood: delete it") from error


def keep(server: str, kept: Kept | None) -> None:
    """Writes it for nobody else to read; None forgets it."""
    found = {**read_kept()}
    found.pop(server, None)
    if kept is not None:
        found[server] = kept
    path = _path()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(orjson.dumps({name: asdict(each) for name, each in found.items()}))
    beside.replace(path)


def _kept_token(server: str) -> str:
    kept = read_kept().get(server)
    if kept is None:
        return ""
    if kept.is_over(datetime.now(UTC)):
        from fermata.client.signing_in import NotSignedIn, renew  # noqa: PLC0415 - loads what most commands never need

        try:
            answer = renew(kept.token_endpoint, kept.client_id, kept.refresh_token, ca_file=find_authorities())
        except NotSignedIn as why:
            raise _failed(str(why)) from why
        kept = kept_from(answer, kept)
        keep(server, kept)
    return kept.access_token


def kept_from(answer: "Granted", before: Kept) -> Kept:
    """With what the provider gave now; a provider that gives no other refresh token leaves the one before good."""
    return Kept(
        access_token=answer.access_token,
        refresh_token=answer.refresh_token or before.refresh_token,
        ends_at=(datetime.now(UTC) + timedelta(seconds=answer.seconds)).isoformat(),
        client_id=before.client_id,
        token_endpoint=before.token_endpoint,
    )


def _from_file() -> str:
    name = os.environ.get(TOKEN_FILE, "")
    if not name:
        return ""
    try:
        return Path(name).read_text().strip()
    except OSError as error:
        raise _failed(f"{name}: {error.strerror}") from error


def _path() -> Path:
    named = os.environ.get(KEPT)
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "fermata" / "credentials.json"


def _failed(why: str) -> Refusal:
    return Refusal(reason(IdentityCode.SIGN_IN_FAILED, why=why))
