"""Signed tokens of somebody else (JWT): the keys of their issuer, and what a token says once it is proven.

Only signatures by a private key count: an issuer's public keys are public, so a token "signed" with one of them as a
shared secret, or not at all, is anybody's.
"""

import logging
import threading
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

import orjson
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import Key, KeySet, import_key

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519", "EdDSA")
KINDS = frozenset({"RSA", "EC", "OKP"})
LEEWAY_SECONDS = 60  # by which clocks may differ
KEEP_SECONDS = 3600.0  # after which keys are read again, so that one that was withdrawn is not good for ever
SILENT_SECONDS = 5.0  # for which an issuer that gave nothing yet is not asked again
WAIT_SECONDS = 2.0  # for what another thread reads: who waits longer holds a place that others need
AGAIN_SECONDS = 30.0  # at least between two reads: an unknown key's name costs whoever invents it nothing
TOKEN_LENGTH_MAX = 16_384
LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
LOGOUT_SECONDS_MAX = 300  # old: who signed in again meanwhile is not to be thrown out by what was said before
ID_LENGTH_MAX = 1_000
T = TypeVar("T")
Claims = Mapping[str, Any]
_log = logging.getLogger("fermata.identity")


class NotProven(Exception):
    """A token that proves nothing; says why, for the log and for who sent it."""


class ProviderSilent(Exception):
    """Whoever issues tokens does not answer, or not as it should; says why."""


@dataclass(kw_only=True)
class Kept(Generic[T]):
    """What an issuer says, by `read`. One at a time calls that; who has something older does not wait. That an issuer
    is silent is remembered for some seconds: what hangs is not asked by every worker thread, one after the other.
    """

    read: Callable[[], T]
    monotonic: Callable[[], float] = time.monotonic
    wait_seconds: float = WAIT_SECONDS
    _found: T | None = None
    _read_at: float = float("-inf")
    _silent: str = ""
    _silent_at: float = float("-inf")
    _is_read: bool = False
    _turn: threading.Condition = field(default_factory=threading.Condition)

    def look(self, *, older_than: float) -> tuple[T, bool]:
        """It, and whether it was read just now. What cannot be read again stays good meanwhile.

        Raises ProviderSilent.
        """
        with self._turn:
            known = self._known(older_than)
            if known is not None:
                return known
            self._is_read = True
        try:
            found = self.read()
            with self._turn:
                self._found, self._read_at, self._silent_at = found, self.monotonic(), float("-inf")
            return found, True
        except ProviderSilent as silent:
            return self._go_on_without(silent), False
        finally:
            with self._turn:
                self._is_read = False
                self._turn.notify_all()

    def _known(self, older_than: float) -> tuple[T, bool] | None:
        """None: whoever asks is to read it."""
        waited = False
        while True:
            now, found = self.monotonic(), self._found
            if found is not None and now - self._read_at < older_than:
                return found, waited
            if now - self._silent_at < (SILENT_SECONDS if found is None else AGAIN_SECONDS):
                if found is None:
                    raise ProviderSilent(self._silent)
                return found, False
            if not self._is_read:
                return None
            if found is not None:
                return found, False
            if not self._turn.wait(self.wait_seconds):  # nobody else waits as long for the same
                self._silent, self._silent_at = "it was asked and has not answered yet", self.monotonic()
                raise ProviderSilent(self._silent)
            waited = True

    def _go_on_without(self, silent: ProviderSilent) -> T:
        with self._turn:
            self._silent, self._silent_at = str(silent), self.monotonic()
            if self._found is None:
                raise silent
            _log.warning("identity.issuer_not_read why=%s", silent)
            return self._found


@dataclass(kw_only=True)
class KeyRing:
    """The keys of one issuer, read by `fetch` when they are needed: again for a key's name that nobody knows."""

    fetch: Callable[[], Mapping[str, Any]]
    monotonic: Callable[[], float] = time.monotonic
    _keys: Kept[KeySet] = field(init=False)

    def __post_init__(self) -> None:
        self._keys = Kept(read=lambda: _import(self.fetch()), monotonic=self.monotonic)

    def prove(self, token: str) -> Claims:
        """What it says, if one of the keys signed it. Raises NotProven and ProviderSilent."""
        if len(token) > TOKEN_LENGTH_MAX:
            raise NotProven("it is longer than any token")
        if token.count(".") != 2:  # before anybody is asked for keys
            raise NotProven("it has not the three parts of a signed token")
        keys, fresh = self._keys.look(older_than=KEEP_SECONDS)
        try:
            return _decode(token, keys)
        except InvalidKeyIdError as unknown:
            again, fresh_now = self._keys.look(older_than=AGAIN_SECONDS) if not fresh else (keys, False)
            if not fresh_now:
                raise NotProven("no key of its issuer has its key's name") from unknown
            return _decode_or_refuse(token, again)
        except (JoseError, ValueError) as error:
            raise NotProven(_say(error)) from error


def check_claims(claims: Claims, *, issuer: str, audience: str, now: datetime) -> None:
    """Whom it is from, whom it is for, and that it is neither over nor yet to come. Raises NotProven."""
    registry = jwt.JWTClaimsRegistry(
        now=int(now.timestamp()),
        leeway=LEEWAY_SECONDS,
        iss={"essential": True, "value": issuer},
        aud={"essential": True, "value": audience},
        exp={"essential": True},
        sub={"essential": True},
    )
    try:
        registry.validate(dict(claims))
    except (JoseError, ValueError) as error:
        raise NotProven(_say(error)) from error


def check_logout(claims: Claims, *, issuer: str, audience: str, now: datetime) -> None:
    """That it is a logout token for us, of now, as OpenID Connect Back-Channel Logout 1.0 has it in section 2.6. One
    without `exp`, as providers made them before the last draft, is good as long as any. Raises NotProven.
    """
    seconds = int(now.timestamp())
    registry = jwt.JWTClaimsRegistry(
        now=seconds,
        leeway=LEEWAY_SECONDS,
        iss={"essential": True, "value": issuer},
        aud={"essential": True, "value": audience},
        iat={"essential": True},
        jti={"essential": True},
    )
    try:
        registry.validate(dict(claims))
    except (JoseError, ValueError) as error:
        raise NotProven(_say(error)) from error
    events, made = claims.get("events"), claims["iat"]
    if "nonce" in claims:
        raise NotProven("it has a nonce: it is an ID token")
    if not isinstance(events, dict) or not isinstance(events.get(LOGOUT_EVENT), dict):
        raise NotProven("it names no logout (events)")
    if not isinstance(claims["jti"], str) or not 0 < len(claims["jti"]) <= ID_LENGTH_MAX:
        raise NotProven("it has no name of its own (jti)")
    if not any(isinstance(claims.get(name), str) and claims[name] for name in ("sub", "sid")):
        raise NotProven("it says neither who left nor which session (sub, sid)")
    if any(name in claims and not isinstance(claims[name], str) for name in ("sub", "sid")):
        raise NotProven("it does not say in a text who left (sub, sid)")
    if not isinstance(made, int | float) or seconds - made > LOGOUT_SECONDS_MAX + LEEWAY_SECONDS:
        raise NotProven("it is too old")


def unproven_issuer(token: str) -> str:
    """Whom a token says it is from, "" for none that is readable: for choosing who is to prove it, nothing else."""
    parts = token.split(".")
    if len(parts) != 3 or len(token) > TOKEN_LENGTH_MAX:
        return ""
    try:
        found = orjson.loads(urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return ""
    issuer = found.get("iss") if isinstance(found, dict) else None
    return issuer if isinstance(issuer, str) else ""


def _import(found: Mapping[str, Any]) -> KeySet:
    """A key of a curve that is not known here is left out: the provider has others for those who do not know it."""
    listed = found.get("keys")
    keys = listed if isinstance(listed, list) else []
    usable, unusable = list[Key](), ""
    for key in keys:
        if not isinstance(key, dict) or key.get("kty") not in KINDS or key.get("use") == "enc":
            continue
        try:
            usable.append(import_key(key))
        except (JoseError, ValueError, KeyError) as error:
            unusable = _say(error)
    if unusable and not usable:
        raise ProviderSilent(f"its keys cannot be used: {unusable}")
    return KeySet(usable)


def _decode(token: str, keys: KeySet) -> Claims:
    return jwt.decode(token, keys, algorithms=ALGORITHMS).claims


def _decode_or_refuse(token: str, keys: KeySet) -> Claims:
    try:
        return _decode(token, keys)
    except (JoseError, ValueError) as error:
        raise NotProven(_say(error)) from error


def _say(error: Exception) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
