"""A server that people sign in to, over loopback, and its provider of identities."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.conftest import copy_sqlite
from tests.server import world
from tests.server.conftest import QUICK, HandClock
from tests.server.identity.issuer import AUDIENCE, CLIENT, SECRET, Issuer

from fermata.adapters.secrets import PLAIN
from fermata.domain.access import AccessBook, GranteeKind, GrantLine, OidcTerms
from fermata.domain.identity import Grant, GrantLevel, Role
from fermata.domain.secrets import ref_of_file
from fermata.server.app import create_app
from fermata.server.callers import NO_NODES, NodeAccess
from fermata.server.demo import DemoInfo
from fermata.server.identity.admission import LOOPBACK_NAMES, Admission
from fermata.server.limits.bounds import BOUNDS, Bounds
from fermata.server.serving import BackgroundServer, bind_socket, url_of
from fermata.store.database import Database

PERSON, GROUP, PROGRAM = "ada@example.com", "acme-leads", "inventory-bot"
LEAD = Grant(role=Role.APPROVER, level=GrantLevel.CUSTOMER, name="acme")
LIVELY = replace(QUICK, heartbeat=0.5)  # streams are looked at with each sign of life
ALL = frozenset(Grant(role=role, level=GrantLevel.EVERYTHING) for role in Role)


@dataclass
class RealClock:
    """Real time, which a test can set forward."""

    ahead: timedelta = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass(kw_only=True)
class Served:
    """A server with its store. `clock` is by what sessions and tokens go, `campaign` by what all else does."""

    url: str
    db: Database
    clock: RealClock
    campaign: HandClock = field(default_factory=lambda: HandClock(world.NOW))


Serve = Callable[..., Served]


def ask(method: str, url: str, **more: Any) -> httpx.Response:
    """One request by itself, with patience for a busy machine."""
    return httpx.request(method, url, timeout=30, **more)


def get(url: str, **more: Any) -> httpx.Response:
    return ask("GET", url, **more)


def browser_of(url: str) -> httpx.Client:
    """What of a browser matters here: cookies, redirects, and what it says of itself."""
    headers = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "none"}
    return httpx.Client(base_url=url, headers=headers, follow_redirects=True, timeout=30)


_numbers = count(1)


def new_id(prefix: str) -> str:
    return f"{prefix}_{next(_numbers)}"


@contextmanager
def listening(app: object) -> Iterator[str]:
    listener = bind_socket("127.0.0.1", 0)
    server = BackgroundServer(app, listener)  # type: ignore[arg-type]
    server.start()
    try:
        yield url_of(listener)
    finally:
        server.stop()


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Database]:
    path = tmp_path_factory.mktemp("identity") / "board.sqlite"
    copy_sqlite(sqlite_template, path)
    opened = Database(f"sqlite:///{path}")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def standing() -> Iterator[Issuer]:
    found = Issuer()
    with listening(found.app()) as url:
        found.url = url
        yield found


@pytest.fixture
def issuer(standing: Issuer) -> Issuer:
    """Honest again, whatever the test before had it say."""
    fresh = Issuer(url=standing.url)
    for each in fields(Issuer):
        setattr(standing, each.name, getattr(fresh, each.name))
    return standing


@pytest.fixture(scope="module")
def book(standing: Issuer, tmp_path_factory: pytest.TempPathFactory) -> AccessBook:
    """A group of approvers, one program."""
    secret = tmp_path_factory.mktemp("secret") / "secret"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    look = Grant(role=Role.AUTOMATION, level=GrantLevel.EVERYTHING)
    everything = [GrantLine(kind=GranteeKind.GROUP, name=GROUP, grant=grant) for grant in sorted(ALL)]
    return AccessBook(
        oidc=OidcTerms(issuer=standing.url, client_id=CLIENT, secret=ref_of_file(secret), audience=AUDIENCE),
        lines=(
            *everything,
            GrantLine(kind=GranteeKind.GROUP, name=GROUP, grant=LEAD),
            GrantLine(kind=GranteeKind.CLIENT, name=PROGRAM, grant=look),
        ),
    )


@pytest.fixture(scope="module")
def serve(db: Database) -> Iterator[Serve]:
    """Serves a book of access; None serves this machine alone."""
    with ExitStack() as stack:

        def start(
            book: AccessBook | None,
            *,
            nodes: NodeAccess = NO_NODES,
            demo: DemoInfo | None = None,
            bounds: Bounds = BOUNDS,
        ) -> Served:
            clock, by_hand = RealClock(), HandClock(world.NOW)
            access = Admission(book=book, names=LOOPBACK_NAMES | {"fermata.example"}, now=clock.now, secrets=PLAIN)
            app = create_app(
                db, by_hand, new_id=new_id, demo=demo, timing=LIVELY, access=access, nodes=nodes, bounds=bounds
            )
            return Served(url=stack.enter_context(listening(app)), db=db, clock=clock, campaign=by_hand)

        yield start


@pytest.fixture(scope="module")
def standing_server(serve: Serve, book: AccessBook) -> Served:
    return serve(book)


@pytest.fixture
def served(standing_server: Served, issuer: Issuer) -> Served:
    standing_server.clock.ahead = timedelta(0)
    return standing_server


@pytest.fixture
def browser(served: Served) -> Iterator[httpx.Client]:
    with browser_of(served.url) as opened:
        yield opened


@pytest.fixture
def signed_in(browser: httpx.Client) -> httpx.Client:
    """Whoever the provider says."""
    answer = browser.get("/sign-in/start")
    assert answer.status_code == 200, answer.text
    return browser


def without(book: AccessBook, kind: GranteeKind) -> AccessBook:
    return replace(book, lines=tuple(line for line in book.lines if line.kind is not kind))
