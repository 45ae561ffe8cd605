"""Subscriptions by file: what can be said, and every fault with its place."""

from datetime import timedelta
from pathlib import Path

import pytest

from fermata.domain.notices import NoticeKind
from fermata.domain.subscriptions import ChannelKind, EventShape
from fermata.formats.faults import BadInput
from fermata.formats.subscriptions import read_subscriptions

GOOD = """
subscriptions:
  - id: lumen-hook
    channel: cloud_events
    target: {url: "https://receiver.example/hook", rate: 120, max_events: 5}
    customers: [lumen]
    supercomputers: [sc1]
    kinds: [request.opened, plan.published]
    shape: scheduled_events
    attempts_max: 5
    lives_minutes: 60
  - id: lumen-mail
    channel: mail
    target: {to: [ops@lumen.example], calendar: true, provider: operator.example}
    customers: [lumen]
"""


def read(tmp_path: Path, text: str) -> tuple[object, ...]:
    path = tmp_path / "subscriptions.yaml"
    path.write_text(text)
    return read_subscriptions(path)


def test_everything_that_can_be_said_is_read(tmp_path: Path) -> None:
    path = tmp_path / "subscriptions.yaml"
    path.write_text(GOOD)
    hook, mail = read_subscriptions(path)
    assert hook.channel is ChannelKind.CLOUD_EVENTS
    assert hook.target == {"url": "https://receiver.example/hook", "rate": 120, "max_events": 5}
    assert (hook.customers, hook.supercomputers) == ({"lumen"}, {"sc1"})
    assert hook.kinds == {NoticeKind.REQUEST_OPENED, NoticeKind.PLAN_PUBLISHED}
    assert (hook.shape, hook.attempts_max, hook.lives) == (EventShape.SCHEDULED_EVENTS, 5, timedelta(hours=1))
    assert mail.target == {"to": ["ops@lumen.example"], "calendar": True, "provider": "operator.example"}
    assert (mail.shape, mail.attempts_max, mail.lives) == (EventShape.NOTICES, 30, timedelta(hours=24))


@pytest.mark.parametrize(
    ("wrong", "right", "sentence"),
    [
        ("channel: mail", "channel: male", "mail"),
        ("kinds: [request.opened", "kinds: [request.open", "request.opened"),
        ("rate: 120", "rate: 0", "whole number from 1"),
        ("calendar: true", "calendar: maybe", "true or false"),
        ("id: lumen-mail", "id: lumen-hook", "lumen-hook"),
        ("target: {to", "target: {two", "to"),
        ("lives_minutes: 60", "lives_minutes: 99999", "whole number"),
    ],
)
def test_a_fault_is_told_with_its_place(tmp_path: Path, wrong: str, right: str, sentence: str) -> None:
    with pytest.raises(BadInput) as bad:
        read(tmp_path, GOOD.replace(wrong, right, 1))
    assert any(sentence in str(fault) and fault.line for fault in bad.value.faults)


@pytest.mark.parametrize("text", ["", "[]", "subscriptions: 1", "subscriptions: [1]"])
def test_what_is_no_list_of_subscriptions_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadInput):
        read(tmp_path, text)
