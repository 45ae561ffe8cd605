"""Who may do what on one controller: accounts with roles, sessions with tokens (DSP0266, security details)."""

import base64
import binascii
import hmac
import itertools
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from fermata.bmc.fleet import Profile
from fermata.bmc.messages import Complaint

LOGIN = "Login"
PRIVILEGES = {
    "Administrator": (LOGIN, "ConfigureManager", "ConfigureUsers", "ConfigureComponents", "ConfigureSelf"),
    "Operator": (LOGIN, "ConfigureComponents", "ConfigureSelf"),
    "ReadOnly": (LOGIN, "ConfigureSelf"),
}
ACCOUNTS_MAX = 16
PASSWORD_MIN = 8


@dataclass(slots=True)
class Account:
    """`revision` grows with each change, for its ETag."""

    id: str
    user: str
    password: str
    role: str
    is_enabled: bool = True
    must_change_password: bool = False
    revision: int = 1


@dataclass(slots=True)
class Session:
    """`ends_at` moves on with each use."""

    id: str
    token: str
    user: str
    began: datetime
    ends_at: datetime
    kind: str = "Redfish"


@dataclass(slots=True)
class Caller:
    """Who asks, and in which session, if it is one."""

    account: Account
    session: Session | None = None

    def may(self, privilege: str) -> bool:
        """By the role of the account."""
        return privilege in PRIVILEGES[self.account.role]


@dataclass(slots=True)
class _Numbers:
    sessions: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))
    accounts: "itertools.count[int]" = field(default_factory=lambda: itertools.count(2))


class Access:
    """The accounts and sessions of one controller."""

    def __init__(self, user: str, password: str, profile: Profile) -> None:
        self.accounts = {"1": Account("1", user, password, "Administrator")}
        self.sessions: dict[str, Session] = {}
        self._by_token: dict[str, Session] = {}
        self._profile = profile
        self._numbers = _Numbers()

    def caller(self, now: datetime, token: str | None, authorization: str | None) -> Caller | None:
        """Who that is; None where nobody says who they are. Raises Complaint for wrong credentials."""
        if token is not None:
            session = self._by_token.get(token)
            if session is None or session.ends_at <= now:
                raise Complaint("NoValidSession")
            account = self._find(session.user)
            if account is None:
                raise Complaint("NoValidSession")
            session.ends_at = now + timedelta(seconds=self._profile.session_seconds)
            return Caller(account, session)
        if authorization is not None:
            return Caller(self.sign_in(*_basic(authorization)))
        return None

    def sign_in(self, user: str, password: str) -> Account:
        """The account. Raises Complaint."""
        account = self._find(user)
        if account is None or not hmac.compare_digest(account.password.encode(), password.encode()):
            raise Complaint("ResourceAtUriUnauthorized", "this", "the credentials are wrong")
        return account

    def open_session(self, now: datetime, user: str, password: str) -> Session:
        """Raises Complaint for wrong credentials, and when there are as many sessions as there can be."""
        account = self.sign_in(user, password)
        for session in [found for found in self.sessions.values() if found.ends_at <= now]:
            self.end_session(session)
        if len(self.sessions) >= self._profile.sessions_max:
            raise Complaint("SessionLimitExceeded", retry_after_seconds=self._profile.retry_after_seconds)
        session = Session(
            id=str(next(self._numbers.sessions)),
            token=secrets.token_hex(16),
            user=account.user,
            began=now,
            ends_at=now + timedelta(seconds=self._profile.session_seconds),
        )
        self.sessions[session.id] = self._by_token[session.token] = session
        return session

    def end_session(self, session: Session) -> None:
        """Its token is worth nothing any more."""
        self.sessions.pop(session.id, None)
        self._by_token.pop(session.token, None)

    def forget_sessions(self) -> None:
        """As after a restart."""
        self.sessions.clear()
        self._by_token.clear()

    def add_account(self, user: str, password: str, role: str) -> Account:
        """Raises Complaint."""
        if self._find(user, enabled=False) is not None:
            raise Complaint("ResourceAlreadyExists", "ManagerAccount", "UserName", user)
        if len(self.accounts) >= ACCOUNTS_MAX:
            raise Complaint("OperationNotAllowed")
        account = Account(str(next(self._numbers.accounts)), user, check_password(password), check_role(role))
        self.accounts[account.id] = account
        return account

    def _find(self, user: str, *, enabled: bool = True) -> Account | None:
        found = (one for one in self.accounts.values() if one.user == user and (one.is_enabled or not enabled))
        return next(found, None)


def check_password(password: object) -> str:
    """Raises Complaint."""
    if not isinstance(password, str) or len(password) < PASSWORD_MIN:
        raise Complaint("PropertyValueTypeError", "******", "Password")
    return password


def check_role(role: object) -> str:
    """Raises Complaint."""
    if not isinstance(role, str) or role not in PRIVILEGES:
        raise Complaint("PropertyValueNotInList", str(role), "RoleId")
    return role


def _basic(authorization: str) -> tuple[str, str]:
    scheme, _, word = authorization.partition(" ")
    try:
        user, _, password = base64.b64decode(word, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise Complaint("ResourceAtUriUnauthorized", "this", "the header is not understood") from error
    if scheme.casefold() != "basic":
        raise Complaint("ResourceAtUriUnauthorized", "this", f"{scheme} is not supported")
    return user, password
