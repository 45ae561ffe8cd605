"""A provider that hangs, or answers drop by drop, takes no more threads than the one that asks it, and not for long."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import pytest
from joserfc import jwt
from joserfc.jwk import OKPKey
from tests.server.identity.issuer import Issuer

from fermata.domain.access import AccessBook, OidcTerms
from fermata.server.identity import keyring
from fermata.server.identity.fetching import fetch_json
from fermata.server.identity.keyring import Kept, KeyRing, NotProven, ProviderSilent
from fermata.server.identity.provider import Provider

pytestmark = pytest.mark.timeout(60)
HEAD = b"HTTP/1.1 200 OK\r\nX-Slow: "


@dataclass
class Asked:
    """What an issuer says when it is asked; it may hang, or fail."""

    times: int = 0
    fails: bool = False
    hangs: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.hangs.set()

    def read(self) -> int:
        self.times += 1
        self.hangs.wait(30)
        if self.fails:
            raise ProviderSilent("it is away")
        return self.times


@pytest.fixture
def asked() -> Asked:
    return Asked()


def test_that_an_issuer_is_silent_is_remembered_for_some_seconds(asked: Asked) -> None:
    now, asked.fails = [0.0], True
    kept = Kept(read=asked.read, monotonic=lambda: now[0])
    for _ in range(3):
        with pytest.raises(ProviderSilent, match="it is away"):
            kept.look(older_than=60)
    assert asked.times == 1
    now[0] += keyring.SILENT_SECONDS
    asked.fails = False
    assert kept.look(older_than=60) == (2, True)


def test_what_was_read_before_is_good_while_its_issuer_is_silent(asked: Asked) -> None:
    now = [0.0]
    kept = Kept(read=asked.read, monotonic=lambda: now[0])
    assert kept.look(older_than=60) == (1, True)
    now[0], asked.fails = 100.0, True
    assert [kept.look(older_than=60) for _ in range(3)] == [(1, False)] * 3
    assert asked.times == 2
    now[0], asked.fails = 100.0 + keyring.AGAIN_SECONDS, False
    assert kept.look(older_than=60) == (3, True)


def test_while_one_asks_nobody_else_does_and_who_has_something_older_goes_on(asked: Asked) -> None:
    now = [0.0]
    kept = Kept(read=asked.read, monotonic=lambda: now[0], wait_seconds=0.2)
    with ThreadPoolExecutor(8) as pool:
        asked.hangs.clear()
        first = pool.submit(kept.look, older_than=60)
        wait(lambda: asked.times == 1)
        began = time.monotonic()
        others = [pool.submit(kept.look, older_than=60) for _ in range(7)]
        assert all(isinstance(each.exception(10), ProviderSilent) for each in others)
        assert time.monotonic() - began < 5
        asked.hangs.set()
        assert first.result(10) == (1, True)
        assert kept.look(older_than=60) == (1, False), "it answered after all"
        now[0] = 100.0
        asked.hangs.clear()
        again = pool.submit(kept.look, older_than=60)
        wait(lambda: asked.times == 2)
        assert kept.look(older_than=60) == (1, False)
        asked.hangs.set()
        assert again.result(10) == (2, True)


def test_who_waits_for_the_first_answer_gets_it_without_asking(asked: Asked) -> None:
    kept = Kept(read=asked.read, wait_seconds=20)
    asked.hangs.clear()
    with ThreadPoolExecutor(4) as pool:
        found = [pool.submit(kept.look, older_than=60) for _ in range(4)]
        wait(lambda: asked.times == 1)
        time.sleep(0.1)
        asked.hangs.set()
        assert [each.result(10)[0] for each in found] == [1] * 4
    assert asked.times == 1


def wait(is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not is_so() and time.monotonic() < until:
        time.sleep(0.01)
    assert is_so()


@pytest.mark.parametrize("token", ["", "word", "a.b", "a.b.c.d", "a.b.c.d.e"])
def test_for_what_is_no_signed_token_nobody_is_asked(token: str) -> None:
    def never() -> dict[str, object]:
        raise AssertionError("its issuer was asked")

    with pytest.raises(NotProven):
        KeyRing(fetch=never).prove(token)


def test_a_key_of_a_curve_that_nobody_knows_keeps_no_other_from_being_used() -> None:
    key = OKPKey.generate_key("Ed25519", {"kid": "a"})
    strange = {"kty": "OKP", "crv": "Ed26000", "x": "AAAA", "kid": "b"}
    token = jwt.encode({"alg": "Ed25519", "kid": "a"}, {"sub": "one"}, key, algorithms=["Ed25519"])
    assert KeyRing(fetch=lambda: {"keys": [strange, key.as_dict(private=False)]}).prove(token)["sub"] == "one"
    with pytest.raises(ProviderSilent, match="cannot be used"):
        KeyRing(fetch=lambda: {"keys": [strange]}).prove(token)


@contextmanager
def dripping(first: bytes, drop: bytes) -> Iterator[str]:
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            caller, _ = server.accept()
            with caller:
                caller.recv(4096)
                caller.sendall(first)
                while not over.wait(0.05):
                    try:
                        caller.sendall(drop)
                    except OSError:
                        return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        finally:
            over.set()
            thread.join()


@pytest.mark.parametrize(
    ("first", "drop"),
    [
        (HEAD, b"x"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\n\r\n", b" "),
        (b"", b""),
    ],
    ids=["head", "body", "body without a length", "nothing"],
)
def test_an_answer_that_comes_drop_by_drop_is_not_waited_for(first: bytes, drop: bytes) -> None:
    began = time.monotonic()
    with dripping(first, drop) as url, pytest.raises(ProviderSilent):
        fetch_json(url, None, {}, seconds=0.5)
    assert time.monotonic() - began < 5


VERIFIED = {
    "said so": (True, True),
    "as a text": ("true", True),
    "not": (False, False),
    "not, as a text": ("false", False),
}
VERIFIED |= {
    "nothing": (None, False),
    "a number": (1, False),
    "another text": ("yes", False),
    "a list": ([True], False),
}


@pytest.mark.parametrize("claim", VERIFIED)
def test_an_address_counts_where_the_provider_verified_it_or_never_says(claim: str) -> None:
    said, counts = VERIFIED[claim]
    terms = OidcTerms(issuer="https://id.example", client_id="fermata", name_claim="email")
    provider = Provider(terms=terms, book=AccessBook())
    claims = {"sub": "u", "email": "ada@example.com"}
    assert provider._person(claims).name == "ada@example.com"  # noqa: SLF001 - the claims of both kinds of token end there
    if counts:
        provider._person({**claims, "email_verified": said})  # noqa: SLF001
        return
    with pytest.raises(NotProven, match="verified"):
        provider._person({**claims, "email_verified": said})  # noqa: SLF001


def test_endpoints_that_were_read_are_good_while_the_provider_is_away(issuer: Issuer, book: AccessBook) -> None:
    assert book.oidc is not None
    provider = Provider(terms=book.oidc, book=book)
    known = provider.endpoints()
    provider.terms = replace(book.oidc, issuer="http://127.0.0.1:1")
    provider._places._read_at = float("-inf")  # noqa: SLF001 - an hour later
    assert provider.endpoints() == known
