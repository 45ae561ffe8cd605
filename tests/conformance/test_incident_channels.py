"""Announcements at an on-call service and on a status page: one incident, whatever becomes of calls."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.conformance.desks import OnCall, Page
from tests.conformance.notice import CLOCK, LOCAL, NOW, parcel, send, subscription
from tests.conformance.receivers import Answer, serving

from fermata.adapters.incident_api import PAGERDUTY, IncidentApi
from fermata.adapters.outbound import Outbound
from fermata.adapters.status_page import StatusPage
from fermata.adapters.vault import Vault
from fermata.conformance import RETRY_AFTER, Fault, FaultKind, open_proxy
from fermata.domain.deliveries import NotNow, Outcome, Rejected, Taken
from fermata.domain.ids import CustomerId, SupercomputerId
from fermata.domain.notices import Notice, NoticeKind
from fermata.domain.subscriptions import ChannelKind, Subscription

CANARY = "canary-7f3b"
KINDS = (NoticeKind.INCIDENT_OPENED, NoticeKind.INCIDENT_UPDATED, NoticeKind.INCIDENT_CLOSED)
LOSING = {
    "lost before it arrives": Fault(kind=FaultKind.RESET_BEFORE, times=2),
    "answer lost after it was done": Fault(kind=FaultKind.RESET_AFTER, times=2),
    "half an answer": Fault(kind=FaultKind.CUT, times=2),
    "error of the server": Fault(kind=FaultKind.STATUS, times=2, status=500),
    "busy": Fault(kind=FaultKind.STATUS, times=2, status=429, retry_after=RETRY_AFTER),
    "slow": Fault(kind=FaultKind.LATENCY, times=2, seconds=1.5),
    "writing is lost": Fault(kind=FaultKind.RESET_AFTER, times=2, acts_only=True),
}
QUICK = Outbound(allow_local=True, timeout=timedelta(seconds=1))


def told(number: int, kind: NoticeKind = NoticeKind.INCIDENT_OPENED, **facts: Any) -> Notice:
    said = {"key": "window:w1", "subject": f"alpha: word {number}", "text": f"{number} nodes out", **facts}
    return Notice(
        seq=number,
        at=NOW,
        kind=kind,
        customer=CustomerId("lumen"),
        supercomputer=SupercomputerId("sc1"),
        subject="incident:window:w1",
        actor="conductor",
        why="",
        facts=said,
    )


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    folder = tmp_path / "secrets" / "127.0.0.1"
    folder.mkdir(parents=True)
    (folder / "oncall").write_text(f"{CANARY}\n")
    return Vault(tmp_path / "secrets")


@pytest.fixture
def on_call() -> Iterator[OnCall]:
    desk = OnCall(routing_key=CANARY)
    with serving(desk):
        yield desk


@pytest.fixture
def page() -> Iterator[Page]:
    desk = Page(api_key=CANARY)
    with serving(desk):
        yield desk


def to_on_call(at: str, **more: Any) -> Subscription:
    return subscription(ChannelKind.INCIDENT_API, target={"url": at, "secret": "oncall"} | more)


def to_page(url: str, **more: Any) -> Subscription:
    return subscription(
        ChannelKind.STATUS_PAGE, target={"url": url, "page": "kctbh9vrtdwd", "secret": "oncall", **more}
    )


def test_what_was_opened_is_what_is_closed(on_call: OnCall, vault: Vault) -> None:
    channel, to = IncidentApi(LOCAL, CLOCK, vault), to_on_call(on_call.url)
    states = []
    for number, kind in enumerate((*KINDS[:2], NoticeKind.INCIDENT_ACKNOWLEDGED, KINDS[2]), 1):
        assert send(channel, to, told(number, kind, severity="error")) == Taken()
        states.append(dict(on_call.incidents))
    assert states == [{"fermata:window:w1": state} for state in ("triggered", "triggered", "acknowledged", "resolved")]
    assert on_call.opened == {"fermata:window:w1": 1}
    payload = on_call.log[0]["payload"]
    assert (payload["summary"], payload["source"], payload["severity"]) == ("alpha: word 1", "sc1", "error")
    assert payload["timestamp"] == "2026-01-05T12:00:00.000Z"
    assert payload["custom_details"] == {"text": "1 nodes out", "notice": "ntc_0000000001"}


def test_a_test_is_opened_and_closed_at_once(on_call: OnCall, page: Page, vault: Vault) -> None:
    plain = replace(told(1, NoticeKind.TEST), facts={"subscription": "hook-1"})
    assert send(IncidentApi(LOCAL, CLOCK, vault), to_on_call(on_call.url), plain) == Taken()
    assert set(on_call.incidents.values()) == {"resolved"}
    assert send(StatusPage(LOCAL, CLOCK, vault), to_page(page.url), plain) == Taken()
    assert page.incidents == [], "the page is public"


def test_one_incident_of_a_page_has_every_word_once(page: Page, vault: Vault) -> None:
    channel, to = StatusPage(LOCAL, CLOCK, vault), to_page(page.url, components=["c1"])
    for number, kind in enumerate(KINDS, 1):
        assert send(channel, to, told(number, kind)) == Taken()
        assert send(channel, to, told(number, kind)) == Taken(), "told twice, as after a death in between"
    (one,) = page.incidents
    assert one["words"] == ["1 nodes out", "2 nodes out", "3 nodes out"]
    assert (one["name"], one["status"], one["component_ids"]) == ("alpha: word 3", "resolved", ["c1"])
    assert one["metadata"] == {"fermata": {"key": "window:w1", "number": 3}}


def test_a_maintenance_has_its_times_and_goes_from_scheduled_to_completed(page: Page, vault: Vault) -> None:
    channel, to = StatusPage(LOCAL, CLOCK, vault), to_page(page.url)
    span: dict[str, Any] = {
        "start": (NOW + timedelta(hours=1)).isoformat(),
        "end": (NOW + timedelta(hours=5)).isoformat(),
    }
    begun = replace(told(2, KINDS[1], **span), at=NOW + timedelta(hours=1))
    statuses = []
    for notice in (told(1, **span), begun, told(3, KINDS[2], **span)):
        assert send(channel, to, notice) == Taken()
        statuses.append(page.incidents[0]["status"])
    assert statuses == ["scheduled", "in_progress", "completed"]
    assert page.incidents[0]["scheduled_for"] == span["start"]
    assert page.incidents[0]["scheduled_until"] == span["end"]


def test_ours_is_found_behind_many_others_and_theirs_are_left(page: Page, vault: Vault) -> None:
    channel, to = StatusPage(LOCAL, CLOCK, vault), to_page(page.url)
    assert send(channel, to, told(1)) == Taken()
    theirs = [{"id": f"x{n}", "metadata": {"jira": {"key": "window:w1"}}} for n in range(150)]
    page.incidents[:0] = theirs
    assert send(channel, to, told(2, KINDS[1])) == Taken()
    assert len(page.incidents) == 151
    assert page.incidents[-1]["words"] == ["1 nodes out", "2 nodes out"]


def test_what_never_stood_there_is_not_put_there_to_be_closed(page: Page, vault: Vault) -> None:
    assert send(StatusPage(LOCAL, CLOCK, vault), to_page(page.url), told(3, KINDS[2])) == Taken()
    assert page.incidents == []


@pytest.mark.parametrize("mishap", LOSING)
@pytest.mark.parametrize("kind", [ChannelKind.INCIDENT_API, ChannelKind.STATUS_PAGE])
def test_whatever_becomes_of_calls_each_word_is_told_once(
    kind: ChannelKind, mishap: str, on_call: OnCall, page: Page, vault: Vault
) -> None:
    desk = on_call if kind is ChannelKind.INCIDENT_API else page
    port = urlsplit(desk.url).port
    assert port is not None
    with open_proxy("127.0.0.1", port) as proxy:
        if kind is ChannelKind.INCIDENT_API:
            channel: Any = IncidentApi(QUICK, CLOCK, vault)
            to = to_on_call(f"{proxy.url}/hook")
        else:
            channel, to = StatusPage(QUICK, CLOCK, vault), to_page(f"{proxy.url}/hook")
        for number, word in enumerate(KINDS, 1):
            proxy.play(LOSING[mishap])
            outcomes = [send(channel, to, told(number, word))]
            while outcomes[-1] != Taken():
                assert isinstance(outcomes[-1], NotNow), outcomes
                assert len(outcomes) < 6, outcomes
                outcomes.append(send(channel, to, told(number, word)))
            assert proxy.count_struck() > 0
            if mishap == "busy":
                assert isinstance(outcomes[0], NotNow)
                assert outcomes[0].after == RETRY_AFTER
    if kind is ChannelKind.INCIDENT_API:
        assert on_call.opened == {"fermata:window:w1": 1}
        assert on_call.incidents == {"fermata:window:w1": "resolved"}
    else:
        (one,) = page.incidents
        assert one["words"] == ["1 nodes out", "2 nodes out", "3 nodes out"]
        assert one["status"] == "resolved"


def test_nothing_is_delivered_that_nothing_proves(on_call: OnCall, page: Page, vault: Vault) -> None:
    channel, to = IncidentApi(LOCAL, CLOCK, vault), to_on_call(on_call.url)
    for body in (b"", b"<html>Welcome to the hotel</html>", b'{"status":"success","dedup_key":"another"}', b"[]"):
        on_call.answers = [Answer(202, body=body)]
        assert isinstance(send(channel, to, told(1)), NotNow), body
    channel_of_page, there = StatusPage(LOCAL, CLOCK, vault), to_page(page.url)
    page.shows = False
    assert isinstance(send(channel_of_page, there, told(1)), NotNow), "it is not there"
    page.shows = True
    assert send(channel_of_page, there, told(1)) == Taken()
    page.shows = False
    assert isinstance(send(channel_of_page, there, told(2, KINDS[1])), NotNow), "an older word stands there"


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(400, Rejected), (401, Rejected), (404, NotNow), (420, NotNow), (422, Rejected), (503, NotNow)],
)
def test_what_is_refused_for_good_is_not_tried_again(
    status: int, outcome: type[Outcome], page: Page, vault: Vault
) -> None:
    page.answers = [Answer(status, headers={"Retry-After": "9"})]
    found = send(StatusPage(LOCAL, CLOCK, vault), to_page(page.url), told(1))
    assert isinstance(found, outcome)
    assert not isinstance(found, NotNow) or found.after == timedelta(seconds=9)


def test_a_redirect_is_not_followed_and_takes_no_secret_along(on_call: OnCall, page: Page, vault: Vault) -> None:
    channels: Mapping[Any, Any] = {
        IncidentApi(LOCAL, CLOCK, vault): to_on_call(page.url),
        StatusPage(LOCAL, CLOCK, vault): to_page(page.url),
    }
    for channel, to in channels.items():
        for status in (301, 302, 307, 308):
            page.answers = [Answer(status, headers={"Location": on_call.url})]
            assert isinstance(send(channel, to, told(1)), NotNow)
    assert on_call.got == []


def test_a_secret_goes_to_its_own_host_alone(on_call: OnCall, vault: Vault) -> None:
    channel = IncidentApi(LOCAL, CLOCK, vault)
    for target in (
        {"url": on_call.url.replace("127.0.0.1", "localhost")},
        {"secret": "../127.0.0.1/oncall"},
        {"secret": "/etc/hostname"},
        {"secret": "none"},
        {"secret": ""},
    ):
        to = to_on_call(on_call.url, **target)
        assert channel.find_fault(to) is not None, target
        assert isinstance(send(channel, to, told(1)), NotNow), target
    assert on_call.got == []
    assert channel.find_fault(to_on_call(on_call.url)) is None
    assert "FERMATA_CHANNEL_SECRETS" in (IncidentApi(LOCAL, CLOCK, Vault()).find_fault(to_on_call(on_call.url)) or "")
    assert "events.pagerduty.com" in PAGERDUTY


def test_no_secret_is_told_whatever_goes_wrong(
    on_call: OnCall, page: Page, vault: Vault, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    said: list[object] = []
    for channel, to in (
        (IncidentApi(QUICK, CLOCK, vault), to_on_call(on_call.url)),
        (StatusPage(QUICK, CLOCK, vault), to_page(page.url)),
        (IncidentApi(QUICK, CLOCK, vault), to_on_call("http://127.0.0.1:9/hook")),
        (StatusPage(QUICK, CLOCK, vault), to_page("http://127.0.0.1:9/hook")),
    ):
        for status in (200, 302, 400, 401, 410, 429, 500):
            echo = Answer(status, headers={"Location": "http://127.0.0.1/else"}, body=CANARY.encode())
            on_call.answers, page.answers = [echo], [echo]
            said += [send(channel, to, told(1)), channel.find_fault(to), parcel(to, notice=told(1)), to]
    assert CANARY not in repr(said)
    assert CANARY not in caplog.text
    assert any(CANARY.encode() in each.body for each in on_call.got), "it was sent where it belongs"
