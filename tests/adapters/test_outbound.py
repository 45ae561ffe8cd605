"""Addresses that strangers gave us, whatever they look like, whatever their names say next, whatever answers there."""

import gzip
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import requests
from tests.conformance.notice import CLOCK, send, subscription
from tests.conformance.receivers import Answer, Receiver, make_certificate, receiving

from fermata.adapters import outbound
from fermata.adapters.chat import Chat
from fermata.adapters.chat_reach import judged_by
from fermata.adapters.cloud_events_webhook import CloudEventsWebhook
from fermata.adapters.outbound import NotAllowed, NotReached, Outbound
from fermata.domain.deliveries import NotNow, Rejected, Taken
from fermata.domain.reach import parse_networks
from fermata.domain.subscriptions import ChannelKind

QUICK = timedelta(seconds=2)
PUBLIC = "93.184.216.34"


@dataclass
class Rebinding:
    """A resolver whose answer is another each time, the last one for good."""

    answers: list[Sequence[str]]
    asked: list[str] = field(default_factory=list)

    def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as opened:
        yield opened


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/", "https://127.1/", "https://2130706433/", "https://0x7f000001/", "https://0177.0.0.1/",
        "https://0/", "https://0.0.0.0/", "https://[::]/", "https://[::1]/", "https://[0:0:0:0:0:0:0:1]/",
        "https://[::ffff:127.0.0.1]/", "https://[::ffff:7f00:1]/", "https://[::127.0.0.1]/",
        "https://[64:ff9b::7f00:1]/", "https://[64:ff9b::169.254.169.254]/", "https://[2002:7f00:1::]/",
        "https://[fe80::1%25eth0]/", "https://[fe80::1]/", "https://[ff02::1]/", "https://224.0.0.1/",
        "https://169.254.169.254/latest/meta-data/", "https://[fd00:ec2::254]/latest/", "https://168.63.129.16/",
        "https://10.0.0.1/", "https://172.16.0.1/", "https://192.168.1.1/", "https://100.64.0.1/", "https://[fd00::1]/",
        "https://localhost/", "https://LocalHost./", "https://x.localhost/", "https://①②⑦.⓪.⓪.①/", "https://127。0。0。1/",
        "https://１２７.0.0.1/", "https://%31%32%37.0.0.1/", "https://127.0.0.1%2f@example.org/",
        "https://example.org@127.0.0.1/", "https://user:word@example.org/", "https://@example.org/",
        "https://example.org\\@127.0.0.1/", "https://example.org\\.evil/", "https://exa mple.org/",
        "https://example.org\t/", "https://example.org/\r\nHost: x", "https://example.org/#@127.0.0.1/",
        "http://example.org/", "//127.0.0.1/", "https:127.0.0.1", "https:///127.0.0.1/", "file:///etc/passwd",
        "gopher://127.0.0.1:25/_HELO", "ftp://example.org/", "javascript:alert(1)", "unix:///run/docker.sock",
        "https://example.org:0x50/", "https://example.org:99999/", "https://[::1/", "https://", "",
        "https://\x00example.org/", "https://example.org/\x1b[31m", "https://exa\u202emple.org/",
    ],
)  # fmt: skip
def test_no_spelling_of_an_address_leads_where_it_must_not(url: str) -> None:
    def never(host: str, port: int) -> Sequence[str]:
        raise AssertionError(f"{host} was looked up")

    strict = Outbound(timeout=QUICK, look_up_all=never)
    fault = strict.find_fault(url)
    assert fault is not None
    assert fault.isprintable()
    with pytest.raises(NotAllowed):
        strict.call("POST", url, {})


@pytest.mark.parametrize("url", ["https://hooks.example/a?b=c", "https://hooks.example:8443/", f"https://{PUBLIC}/"])
def test_plain_addresses_of_the_internet_are_called(url: str) -> None:
    assert Outbound().find_fault(url) is None


def test_a_fault_tells_neither_who_signs_in_nor_what_stands_behind_the_question_mark() -> None:
    for url in (
        "https://ann:canary@hooks.example/",
        "http://hooks.example/?code=canary",
        "ann:canary@x",
        "https://canary@",
    ):
        assert "canary" not in (Outbound().find_fault(url) or "")


def test_every_address_of_a_name_is_judged_not_only_the_first() -> None:
    for found in (["127.0.0.1"], [PUBLIC, "127.0.0.1"], [PUBLIC, "::ffff:10.0.0.1"], ["169.254.169.254"], ["nonsense"]):
        with pytest.raises(NotAllowed):
            Outbound(look_up_all=Rebinding([found])).look_up("hooks.example", 443)
    with pytest.raises(NotReached):
        Outbound(look_up_all=Rebinding([[]])).look_up("hooks.example", 443)


def test_the_address_that_was_judged_is_the_one_called_under_its_own_name(receiver: Receiver) -> None:
    names = Rebinding([["127.0.0.1"], ["10.255.255.1"]])
    caller = Outbound(allow_local=True, timeout=QUICK, look_up_all=names)
    port = httpx.URL(receiver.url).port
    assert caller.call("POST", f"http://hooks.example:{port}/hook", {}).status == 200
    assert receiver.got[0].headers["host"] == f"hooks.example:{port}"
    assert names.asked == ["hooks.example"], "looked up once"
    with pytest.raises(NotAllowed):
        caller.call("POST", f"http://hooks.example:{port}/hook", {})
    assert len(receiver.got) == 1


def test_a_certificate_is_asked_for_the_name_though_another_resolver_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = make_certificate(tmp_path, "hooks.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    outbound._trust.cache_clear()  # noqa: SLF001 - what is trusted is read once a process
    try:
        with receiving(certificate) as receiver:
            port = httpx.URL(receiver.url).port
            caller = Outbound(allow_local=True, timeout=QUICK, look_up_all=Rebinding([["127.0.0.1"]]))
            assert caller.call("POST", f"https://hooks.example:{port}/", {}).status == 200
            with pytest.raises(NotReached):
                caller.call("POST", f"https://other.example:{port}/", {})
    finally:
        outbound._trust.cache_clear()  # noqa: SLF001


def test_a_listed_network_is_called_over_tls_alone() -> None:
    listed = Outbound(networks=parse_networks("10.20.0.0/16"), look_up_all=Rebinding([["10.20.0.7"]]))
    assert listed.look_up("hooks.site", 443) == "10.20.0.7"
    assert listed.find_fault("https://10.20.0.7/hook") is None
    assert "is not https" in (listed.find_fault("http://10.20.0.7/hook") or "")
    with pytest.raises(NotAllowed):
        Outbound(networks=parse_networks("10.20.0.0/16"), look_up_all=Rebinding([["10.21.0.7"]])).look_up("h", 443)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer_and_no_address(receiver: Receiver, status: int) -> None:
    with receiving() as inner:
        receiver.answers = [Answer(status, headers={"Location": inner.url})]
        hook = CloudEventsWebhook(Outbound(allow_local=True, timeout=QUICK), CLOCK, "fermata.example")
        outcome = send(hook, subscription(ChannelKind.CLOUD_EVENTS, receiver.url))
        assert outcome == NotNow(why=f"it answered {status}: redirects are not followed")
        assert inner.got == []


def test_what_is_packed_stays_packed(receiver: Receiver) -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    receiver.answers = [Answer(200, headers={"Content-Encoding": "gzip"}, body=bomb)]
    reply = Outbound(allow_local=True, timeout=QUICK).call("POST", receiver.url, {})
    assert len(reply.body) <= len(bomb)
    assert receiver.got[0].headers["accept-encoding"] == "identity"


HEAD = b"HTTP/1.1 200 OK\r\nX-Slow: "


@contextmanager
def dripping(*first: bytes, drop: bytes = b"x") -> Iterator[str]:
    """Says that much after it was asked, then a drop now and then, and never comes to an end. Without a drop it is
    silent.
    """
    server = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def serve() -> None:
        caller, _ = server.accept()
        with caller:
            if first:
                caller.recv(4096)
                caller.sendall(first[0])
            while not over.wait(0.05):
                try:
                    caller.sendall(drop)
                except OSError:
                    return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.getsockname()[1]}/"
    finally:
        over.set()
        thread.join()
        server.close()


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("scheme", "first", "drop"),
    [
        ("http", (HEAD.replace(b"X-Slow: ", b"Content-Length: 60000\r\n\r\n"),), b"x"),
        ("http", (HEAD.replace(b"X-Slow: ", b"\r\n"),), b"x"),
        ("http", (HEAD,), b"x"),
        ("http", (b"",), b""),
        ("https", (), b""),
        ("https", (b"\x16\x03\x03\x3f\xff\x02\x00\x3f\xfb",), b"\0"),
    ],
    ids=["body", "body without a length", "head", "nothing", "nothing before TLS", "hello of TLS"],
)
def test_who_answers_drop_by_drop_is_not_waited_for(scheme: str, first: tuple[bytes, ...], drop: bytes) -> None:
    began = time.monotonic()
    with dripping(*first, drop=drop) as at, pytest.raises(NotReached):
        Outbound(allow_local=True, timeout=timedelta(seconds=0.5)).call("POST", f"{scheme}://{at}", {})
    assert time.monotonic() - began < 5


@pytest.mark.timeout(60)
def test_who_takes_a_body_drop_by_drop_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        over = threading.Event()

        def take() -> None:
            caller, _ = server.accept()
            with caller:
                while not over.wait(0.05) and caller.recv(1000):
                    pass

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        began = time.monotonic()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        with pytest.raises(NotReached):
            Outbound(allow_local=True, timeout=timedelta(seconds=0.5)).call("POST", url, {}, b"x" * 50_000_000)
        assert time.monotonic() - began < 5
        over.set()
        thread.join()


@pytest.mark.timeout(60)
def test_a_chat_that_answers_drop_by_drop_is_not_waited_for() -> None:
    began = time.monotonic()
    with dripping(HEAD) as at:
        room = Chat(Outbound(allow_local=True, timeout=timedelta(seconds=0.5)))
        to = subscription(ChannelKind.CHAT, chat(f"http://{at}hook"))
        assert send(room, to) == NotNow(why="the chat did not take it")
    assert time.monotonic() - began < 10


def chat(url: str) -> str:
    return url.replace("http://", "mmost://").removesuffix("/hook") + "/abcdefghijklmnopqrstuvwxyz"


def test_a_chat_is_called_where_its_name_was_judged_whatever_the_name_says_next(receiver: Receiver) -> None:
    port = httpx.URL(receiver.url).port
    names = Rebinding([["127.0.0.1"], ["10.0.0.1"]])
    room = Chat(Outbound(allow_local=True, timeout=QUICK, look_up_all=names))
    to = subscription(ChannelKind.CHAT, chat(f"http://chat.example:{port}/hook"))
    assert send(room, to) == Taken()
    assert receiver.posts[0].headers["host"] == f"chat.example:{port}"
    assert isinstance(send(room, to), Rejected), "its name points into a private network now"
    assert len(receiver.posts) == 1


@pytest.mark.parametrize("more", ["", "?redirect=yes", "?rto=100000&redirect=yes"])
def test_a_chat_leads_nowhere_else(receiver: Receiver, more: str) -> None:
    with receiving() as inner:
        receiver.answers = [Answer(307, headers={"Location": inner.url})]
        to = subscription(ChannelKind.CHAT, chat(receiver.url) + more)
        assert send(Chat(Outbound(allow_local=True)), to) == NotNow(why="the chat did not take it")
        assert inner.got == []


def test_a_chat_whose_certificate_would_not_be_checked_is_refused() -> None:
    to = subscription(ChannelKind.CHAT, "mmosts://chat.example/abcdefghijklmnopqrstuvwxyz?verify=no")
    assert "certificate" in (Chat(Outbound()).find_fault(to) or "")
    assert isinstance(send(Chat(Outbound()), to), Rejected)


def test_only_calls_for_a_chat_are_judged(receiver: Receiver) -> None:
    strict = Outbound(look_up_all=Rebinding([["10.0.0.1"]]))
    with judged_by(strict), pytest.raises(NotAllowed):
        requests.get("http://chat.example/", timeout=2)
    with judged_by(strict), pytest.raises(NotAllowed):
        requests.get(receiver.url, timeout=2)
    assert requests.get(receiver.url, timeout=2).status_code == 200
