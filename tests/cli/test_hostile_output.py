"""What a terminal, a mail, a calendar, a chat, a scrape and a page make of names that are turned against them."""

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import httpx
import orjson
import pytest
from icalendar import Calendar
from prometheus_client.parser import text_string_to_metric_families
from tests.cli.line import Line
from tests.conformance.notice import LOCAL, NOTICE, parcel, send, subscription
from tests.conformance.receivers import receiving
from tests.formats import hostile
from tests.formats.hostile import HARMFUL, SHOWN
from tests.services.notice_world import StillClock

from fermata.adapters.chat import Chat
from fermata.adapters.smtp import Mail, MailServer
from fermata.cli import output
from fermata.domain.deliveries import Taken
from fermata.domain.ids import CustomerId
from fermata.domain.subscriptions import ChannelKind
from fermata.formats.maintnote import maintnote_to_bytes
from fermata.server.serving import BackgroundServer, bind_socket, url_of
from fermata.settings import read_settings
from fermata.store.database import Database
from fermata.wiring.clocks import UtcClock
from fermata.wiring.serving import make_app

RAW = "\x1b[2J\x9b31m\x07\x00\u202egnp.exe\u2066\u200b\ufeff\x7f[red]x[/red][link=http://e.example]y[/link]"
COMMANDS = (
    ("requests", "list"),
    ("requests", "list", "--json"),
    ("updates", "list"),
    ("updates", "list", "--json"),
    ("query", "pendingupdates"),
    ("query", "pendingupdates", "--csv"),
    ("status",),
    ("policy", "show"),
    ("subscriptions", "list"),
    ("freezes", "list"),
)


def harmless(text: str) -> None:
    """No order to a terminal in it, whatever it says."""
    found = HARMFUL.search(text)
    assert found is None, repr(text[max(0, found.start() - 40) : found.end() + 40])


@pytest.fixture(params=SHOWN.values(), ids=SHOWN)
def payload(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def turned(line: Line, payload: str) -> Line:
    hostile.turn(line.small, payload)
    assert line.run("import", "scenario", str(line.small.folder)).code == 0
    return line


def test_a_terminal_shows_names_as_they_stand(turned: Line, payload: str) -> None:
    shown = 0
    for words in COMMANDS:
        answer = turned.run(*words)
        assert answer.code in ((0,) if words[0] == "query" else (0, 1, 2)), words
        harmless(answer.out)
        harmless(answer.err)
        plain = re.sub(r"\s", "", answer.out + answer.err)
        shown += re.sub(r"\s", "", payload) in plain
    assert shown >= 1, "of a name nothing is taken for markup"


@pytest.mark.parametrize("stream", ["out", "err"])
def test_nothing_that_is_printed_orders_a_terminal_about(
    stream: str, capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    console = output.out if stream == "out" else output.err
    written = io.StringIO()
    monkeypatch.setattr(console, "_file", written)
    output.say(RAW, console=console)
    console.print(RAW)
    console.print(RAW, style="bold", soft_wrap=True)
    console.print(output.styled((RAW, "bold"), RAW))
    console.print(output.table(RAW, (RAW, "why"), [(RAW, RAW), (f"a\n{RAW}", 1)]))
    text = written.getvalue()
    harmless(re.sub(r"\x1b\[[0-9;]*m", "", text) if console.is_terminal else text)
    assert text.count("[red]x[/red][link=http://e.example]y[/link]") >= 4, "brackets are brackets"
    assert "\\x1b[2J" in text
    output.print_json({RAW: RAW})
    output.print_line(RAW)
    output.fail("CODE", RAW, exit_code=1, as_json=True)
    printed = capsysbinary.readouterr().out.decode()
    harmless(printed)
    assert orjson.loads(printed.partition("\n}\n")[0] + "\n}") == {RAW: RAW}, "and JSON means what it meant"


@pytest.fixture
def served(turned: Line, payload: str) -> Iterator[httpx.Client]:
    database = Database(f"sqlite:///{turned.store}")
    app = make_app(database, UtcClock(), simulated_at=None, settings=read_settings(store=str(turned.store)))
    listener = bind_socket("127.0.0.1", 0)
    server = BackgroundServer(app, listener)
    server.start()
    with httpx.Client(base_url=url_of(listener), timeout=60) as client:
        yield client
    server.stop()
    database.close()


def test_pages_scrapes_and_answers_carry_names_as_text(served: httpx.Client, payload: str) -> None:
    node = "=cmd|' /C calc'!A0 alpha-n0" if payload.startswith("=") else f"alpha-n0{payload}"
    pages = ("/", "/fleet", "/requests", "/updates", "/policy", "/capacity", "/journal", "/campaign")
    asked = {path: served.get(path) for path in pages}
    asked["/query"] = served.get("/query", params={"q": "pendingupdates"})
    for path, answer in asked.items():
        assert answer.status_code in (200, 404), path
        assert "<img src=x" not in answer.text, path
        assert "<script>alert" not in answer.text, path
        assert 'href="javascript:' not in answer.text, path
        assert "49" not in answer.text or "{{7*7}}" not in payload or "{{7*7}}" in answer.text, path
    shown = served.get(f"/nodes/{quote(node, safe='')}")
    assert shown.status_code == (404 if "/" in node else 200)
    is_page = shown.headers["content-type"].startswith("text/html")
    assert not is_page or ("<img src=x" not in shown.text and "<script>alert" not in shown.text)
    metrics = served.get("/metrics").text
    families = list(text_string_to_metric_families(metrics))
    labels = {value for family in families for sample in family.samples for value in sample.labels.values()}
    assert any(payload in label for label in labels)
    names = {sample.name for family in families for sample in family.samples}
    assert all(re.fullmatch(r"(fermata|process|python)_[a-z_]+", name) for name in names), "no line was added"


def test_a_calendar_has_no_line_of_a_name(payload: str) -> None:
    name = f"alpha{payload}"
    window = {**NOTICE.facts["windows"][0], "cluster": name, "window": f"w{payload}", "nodes": [name, f"{name}2"]}
    facts = {**NOTICE.facts, "windows": [window]}
    told = replace(NOTICE, facts=facts, customer=CustomerId(f"lumen{payload}"))
    made = maintnote_to_bytes(told, organizer="noc@operator.example", provider=f"p{payload}")
    assert made is not None
    (event,) = Calendar.from_ical(made).walk("VEVENT")
    assert "ATTENDEE" not in event
    assert len(event["X-MAINTNOTE-OBJECT-ID"]) == 2
    assert str(event["SUMMARY"]).startswith(name)


@pytest.mark.parametrize("raw", [RAW, "x\r\nBcc: all@evil.example\r\n\r\nHello", "x\nBcc: y@evil.example"])
def test_a_mail_has_no_header_of_a_name(raw: str) -> None:
    server = MailServer(host="mail.example", sender="noc@operator.example")
    told = replace(NOTICE, facts={**NOTICE.facts, "plan": raw, "campaign": raw}, why=raw)
    to = subscription(ChannelKind.MAIL, target={"to": ["ann@lumen.example"]})
    packed = replace(parcel(to, notice=told), title=f"a {raw}")
    mail = Mail(server, StillClock(NOTICE.at))._compose(["ann@lumen.example"], packed)  # noqa: SLF001 - what goes out
    assert mail["Bcc"] is None
    assert str(mail["To"]) == "ann@lumen.example"
    head = mail.as_bytes().partition(b"\n\n")[0].decode("ascii")
    assert "\nBcc:" not in head
    harmless(head)
    harmless(str(mail["Subject"]))


def test_a_chat_calls_nobody_and_links_nowhere(payload: str, tmp_path: Path) -> None:
    told = replace(NOTICE, facts={**NOTICE.facts, "plan": f"plan{payload}"}, why=RAW)
    with receiving() as receiver:
        host = receiver.url.removeprefix("http://").removesuffix("/hook")
        to = subscription(ChannelKind.CHAT, f"mmost://{host}/abcdefghijklmnopqrstuvwxyz")
        assert send(Chat(LOCAL), to, told) == Taken()
        said = orjson.loads(receiver.posts[0].body)["text"]
    assert not any(sign in said for sign in ("](", "@channel", "<!everyone", "<script"))
    harmless(said.replace("\r\n", "\n"))
