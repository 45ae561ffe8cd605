"""Finds out who sent a request: by token, by session, or because only this machine can reach the server."""

import base64
import binascii
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

from starlette.types import Scope

from fermata.domain.access import AccessBook, emergencies_of_user, grants_of_user
from fermata.domain.identity import LOCAL, Grant, GrantLevel, Principal, PrincipalKind, Role
from fermata.domain.sessions import TOKEN_PREFIX, ApiToken
from fermata.server.callers import BadToken, NodeKeys
from fermata.server.identity import cookies, paths
from fermata.server.identity.admission import Admission
from fermata.server.identity.demo_users import DemoUser, demo_users, find_user
from fermata.server.identity.keyring import NotProven, ProviderSilent
from fermata.server.identity.nodes import NodeCallers
from fermata.server.identity.provider import Provider
from fermata.server.identity.proxies import how_it_came, is_loopback
from fermata.server.identity.viewer import NOBODY, Viewer
from fermata.services import identity
from fermata.services.board import Database
from fermata.services.emergencies import add_emergencies

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
SCRAPER = Principal(
    name="metrics",
    kind=PrincipalKind.SERVICE,
    grants=frozenset({Grant(role=Role.VIEWER, level=GrantLevel.EVERYTHING)}),
    via="loopback",
)
BROUGHT = "A proxy brought this to a server without sign-in: everybody behind it would be trusted. See docs/access.md."
_log = logging.getLogger("fermata.identity")


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Somebody. `session` is the secret that a browser showed, "" for everybody else."""

    principal: Principal
    viewer: Viewer = NOBODY
    session: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """Nobody, and why not. `wants_sign_in`: a browser may be sent to sign in."""

    status: HTTPStatus = HTTPStatus.UNAUTHORIZED
    code: str = "CALLER_UNKNOWN"
    sentence: str = paths.UNKNOWN
    wants_sign_in: bool = True


@dataclass(kw_only=True)
class Identity:
    """How callers are known here. `book` None: nobody signs in, this machine alone is served. `now` is real time,
    `keys_now` that of the campaign, by which tokens are made for nodes, and the glass is broken.
    """

    db: Database
    now: Callable[[], datetime]
    nodes: NodeCallers
    book: AccessBook | None = None
    is_demo: bool = False
    provider: Provider | None = None
    keys_now: Callable[[], datetime]
    _users: Sequence[DemoUser] = ()

    def find_at_once(self, scope: Scope) -> Known | Unknown | None:
        """Who sent it, where nothing has to be read for that; None elsewhere."""
        if self.book is not None:
            is_scrape = paths.is_metrics(scope) and is_direct(scope) and _credentials(scope) is None
            return Known(principal=SCRAPER) if is_scrape else None
        if not is_direct(scope):
            return Unknown(sentence=BROUGHT, wants_sign_in=False)
        shows_users = self.is_demo and (paths.is_page(scope) or cookies.read(cookies.DEMO, scope))
        return None if shows_users else Known(principal=LOCAL)

    def find(self, scope: Scope, *, again: bool = False) -> Known | Unknown:
        """Who sent it, of whom `find_at_once` does not know. Blocks: it reads the store, and may ask the provider for
        its keys. `again`: the answer goes on, nobody has done anything anew.
        """
        if self.book is None:
            return self._find_shown(scope)
        shown = _credentials(scope)
        if shown is not None:
            return self._find_bearer(shown)
        secret = cookies.read(cookies.SESSION, scope)
        return self._find_session(secret, seen=not again and _is_of_a_person(scope)) if secret else Unknown()

    def still_sees(self, scope: Scope, given: Principal) -> bool:
        """Whether who sent it is known by that as before, and sees all that `given` saw, for whom its answer began:
        tokens end and are revoked, sessions end, and so do roles that were taken for a while. Blocks.
        """
        found = self.find_at_once(scope) or self.find(scope, again=True)
        if isinstance(found, Unknown):
            return False
        principal = found.principal
        if principal.emergencies:
            principal = add_emergencies(self.db, principal, self.keys_now())
        return principal.sees.shows_all_of(given.sees)

    def users(self) -> Sequence[DemoUser]:
        """The people of the demo. The approver is found in the store, which is empty at first."""
        if not self._users:
            approver = identity.first_approver(self.db)
            if approver is None:
                return demo_users(None)
            self._users = demo_users(approver)
        return self._users

    def _find_shown(self, scope: Scope) -> Known:
        """Whom the demo shows."""
        users = self.users()
        user = find_user(users, cookies.read(cookies.DEMO, scope))
        others = tuple((each.key, each.name) for each in users)
        speaks = user.principal.name if user.principal.kind is PrincipalKind.PERSON else ""
        viewer = Viewer(name=user.key, speaks=speaks, is_demo=True, others=others)
        return Known(principal=user.principal, viewer=viewer)

    def _find_bearer(self, shown: str) -> Known | Unknown:
        node = self._node_of(shown)
        if node:
            return Known(principal=Principal(name=node, kind=PrincipalKind.NODE, grants=frozenset()))
        if shown.startswith(TOKEN_PREFIX):
            token = identity.find_token(self.db, shown, now=self.now())
            if token is None:
                return _refused("This token is unknown, over or revoked.")
            return known_by(token)
        if self.provider is None:
            return _refused("This is no token of this server.")
        try:
            found = self.provider.principal(shown, now=self.now())
        except NotProven as why:
            _log.info("identity.token_refused why=%s", why)
            return _refused(f"This token proves nothing: {why}.")
        except ProviderSilent as silent:
            _log.warning("identity.provider_silent why=%s", silent)
            sentence = "The provider of identities does not answer: nothing that it signed can be checked now."
            return Unknown(
                status=HTTPStatus.SERVICE_UNAVAILABLE,
                code="PROVIDER_SILENT",
                sentence=sentence,
                wants_sign_in=False,
            )
        return Known(principal=found) if found.grants else _without_grant(found.name)

    def _node_of(self, shown: str) -> str:
        """The node to which we gave that token at its door, for the doors that know what to do with it."""
        try:
            claims = self.nodes.keys.read(shown, self.keys_now())
        except BadToken:
            return ""
        return str(claims["sub"]) if claims else ""

    def _find_session(self, secret: str, *, seen: bool) -> Known | Unknown:
        assert self.book is not None, "sessions begin where people sign in"
        terms, now = self.book.session, self.now()
        found = identity.find_session(self.db, secret, terms=terms, now=now, seen=seen)
        if found is None:
            return Unknown(code="SIGNED_OUT", sentence="You are signed out: sign in again.")
        grants = grants_of_user(self.book, found.name, found.groups)
        if not grants:
            return _without_grant(found.name)
        via = f"{identity.BY_SESSION}{found.id[:16]}"
        may_take = emergencies_of_user(self.book, found.name, found.groups)
        principal = Principal(name=found.name, kind=PrincipalKind.PERSON, grants=grants, emergencies=may_take, via=via)
        viewer = Viewer(name=found.name, speaks=found.name, csrf=cookies.csrf_of(secret), can_leave=True)
        return Known(principal=principal, viewer=viewer, session=secret)


def identity_of(
    db: Database, access: Admission, keys: NodeKeys, now: Callable[[], datetime], *, is_demo: bool
) -> Identity:
    """How callers are known by a server of that access."""
    book = access.book
    return Identity(
        db=db,
        now=access.now or now,
        nodes=NodeCallers(
            keys=keys,
            certificates=book.certificates if book else None,
            workloads=book.workloads if book else None,
        ),
        book=book,
        is_demo=is_demo and book is None,
        provider=Provider(terms=book.oidc, book=book, secrets=access.secrets) if book and book.oidc else None,
        keys_now=now,
    )


def known_by(token: ApiToken) -> Known | Unknown:
    """Who comes with that token, which is good."""
    via = f"{identity.BY_TOKEN}{token.id}"
    found = Principal(name=token.owner, kind=PrincipalKind.SERVICE, grants=token.grants, via=via)
    return Known(principal=found) if found.grants else _without_grant(found.name)


def is_direct(scope: Scope) -> bool:
    """Whether it comes from this machine, and nobody brought it from elsewhere."""
    came = how_it_came(scope)
    return is_loopback(scope) and not came.brought and not came.believed


def _is_of_a_person(scope: Scope) -> bool:
    """Pages ask for news by themselves as long as they are open: that keeps nobody signed in."""
    headers: dict[bytes, bytes] = dict(scope["headers"])
    return scope["method"] not in SAFE_METHODS or headers.get(b"sec-fetch-mode", b"navigate") == b"navigate"


def _credentials(scope: Scope) -> str | None:
    """What stands in Authorization: after Bearer, or as the password of Basic, for clients that know nothing else."""
    headers: dict[bytes, bytes] = dict(scope["headers"])
    scheme, _, rest = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    match scheme.lower():
        case "":
            return None
        case "bearer":
            return rest.strip()
        case "basic":
            try:
                return base64.b64decode(rest, validate=True).decode().partition(":")[2]
            except (binascii.Error, ValueError):
                return ""
        case _:
            return ""


def _refused(sentence: str) -> Unknown:
    return Unknown(sentence=sentence, wants_sign_in=False)


def _without_grant(name: str) -> Unknown:
    sentence = f"{name} is known, and was granted nothing here: whoever keeps access.yaml can change that."
    return Unknown(status=HTTPStatus.FORBIDDEN, code="NO_GRANT", sentence=sentence)
