"""Posts to webhooks are signed so that Standard Webhooks' own library, and the snippet of the page, believe them."""

import base64
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError
from tests.conformance.notice import LOCAL, parcel, send, subscription
from tests.conformance.receivers import Got, Receiver, receiving
from tests.services.notice_world import StillClock

from fermata.adapters.cloud_events_webhook import CloudEventsWebhook
from fermata.adapters.event_grid_webhook import EventGridWebhook
from fermata.adapters.vault import Vault
from fermata.domain.deliveries import NotNow, Taken
from fermata.domain.subscriptions import ChannelKind, NoConsent, Subscription
from fermata.ports import Channel

PAGE = Path(__file__).parents[2] / "docs" / "outgoing.md"
OLD, NEW, OTHER = (f"whsec_{base64.b64encode(bytes([n]) * 32).decode()}" for n in (1, 2, 3))
KINDS = (ChannelKind.CLOUD_EVENTS, ChannelKind.EVENT_GRID)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as opened:
        yield opened


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    folder = tmp_path / "127.0.0.1"
    folder.mkdir()
    (folder / "signing").write_text(f"{OLD}\n", encoding="utf-8")
    return folder / "signing"


def hook(kind: ChannelKind, secret: Path, at: datetime | None = None) -> Channel:
    clock, vault = StillClock(at or datetime.now(UTC)), Vault(secret.parents[1])
    if kind is ChannelKind.EVENT_GRID:
        return EventGridWebhook(LOCAL, clock, vault)
    return CloudEventsWebhook(LOCAL, clock, "fermata.example", vault)


def is_believed(post: Got, secret: str) -> bool:
    try:
        Webhook(secret).verify(post.body, dict(post.headers))
    except WebhookVerificationError:
        assert not by_the_page()(secret, dict(post.headers), post.body)
        return False
    assert by_the_page()(secret, dict(post.headers), post.body)
    return True


def by_the_page() -> Any:
    """The function that the page gives to receivers."""
    found: dict[str, Any] = {}
    text = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[0]
    exec(compile(text, str(PAGE), "exec"), found)  # noqa: S102 - the text of our own page is what is tested
    return found["is_from_fermata"]


def to(kind: ChannelKind, receiver: Receiver, **target: Any) -> Subscription:
    return subscription(kind, target={"url": receiver.url, **target})


@pytest.mark.parametrize("kind", KINDS)
def test_a_post_is_believed_with_its_secret_and_with_no_other(
    kind: ChannelKind, receiver: Receiver, secret: Path
) -> None:
    assert send(hook(kind, secret), to(kind, receiver, secret="signing")) == Taken()
    (post,) = receiver.posts
    assert is_believed(post, OLD)
    assert not is_believed(post, NEW)
    assert OLD.removeprefix("whsec_") not in str(post.headers)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", ["body", "webhook-id", "webhook-timestamp", "webhook-signature"])
def test_whatever_is_changed_on_the_way_is_not_believed(
    kind: ChannelKind, what: str, receiver: Receiver, secret: Path
) -> None:
    send(hook(kind, secret), to(kind, receiver))
    (post,) = receiver.posts
    if what == "body":
        post.body += b" "
    else:
        post.headers = {**post.headers, what: post.headers[what][:-2] + "00"}
    assert not is_believed(post, OLD)


def test_what_is_played_back_later_is_not_believed(receiver: Receiver, secret: Path) -> None:
    early = datetime.now(UTC) - timedelta(minutes=6)
    send(hook(KINDS[0], secret, early), to(KINDS[0], receiver))
    assert not is_believed(receiver.posts[0], OLD)


def test_while_a_secret_is_replaced_both_believe_and_then_only_the_new_one(receiver: Receiver, secret: Path) -> None:
    channel = hook(KINDS[0], secret)
    for lines, believed in (
        (f"{NEW}\n{OLD}\n", (NEW, OLD)),
        (f"{NEW}\r\n", (NEW,)),
        (f"{NEW}\n\n{OTHER}", (NEW, OTHER)),
    ):
        secret.write_text(lines, encoding="utf-8")
        assert send(channel, to(KINDS[0], receiver)) == Taken()
        post = receiver.posts[-1]
        assert tuple(each for each in (NEW, OLD, OTHER) if is_believed(post, each)) == believed


def test_every_try_has_the_same_id_and_every_post_its_own(receiver: Receiver, secret: Path) -> None:
    channel, one = hook(KINDS[1], secret), to(KINDS[1], receiver)
    send(channel, one)
    send(channel, one)
    first, second = receiver.posts
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == "hook-1_ntc_0000000012_0"
    assert "." not in first.headers["webhook-id"]
    assert len(parcel(one).posts) == 1


def test_the_handshake_of_event_grid_is_signed_too(receiver: Receiver, secret: Path) -> None:
    hook(KINDS[1], secret).greet(to(KINDS[1], receiver), None)
    assert is_believed(receiver.got[0], OLD)


def test_where_no_secret_is_set_nothing_is_signed_and_where_one_is_named_nothing_goes_without_it(
    receiver: Receiver, secret: Path
) -> None:
    secret.unlink()
    channel = hook(KINDS[1], secret)
    assert send(channel, to(KINDS[1], receiver)) == Taken()
    assert "webhook-signature" not in receiver.posts[0].headers
    named = to(KINDS[1], receiver, secret="signing")
    assert "signing" in (channel.find_fault(named) or "")
    assert isinstance(send(channel, named), NotNow)
    assert isinstance(channel.greet(named, None), NoConsent)
    assert len(receiver.got) == 1


@pytest.mark.parametrize(
    "text",
    ["", "\n\n", "hunter2", "whsec_", "whsec_####", f"whsec_{base64.b64encode(b'x' * 23).decode()}",
     f"whsec_{base64.b64encode(b'x' * 65).decode()}", f"{OLD}\nhunter2", f"{OLD}\n" * 4, "whsec_ü", OLD[:-1]],
)  # fmt: skip
def test_a_secret_that_is_none_stops_the_post_and_is_not_told(text: str, receiver: Receiver, secret: Path) -> None:
    secret.write_text(text, encoding="utf-8")
    channel = hook(KINDS[0], secret)
    outcome = send(channel, to(KINDS[0], receiver))
    assert isinstance(outcome, NotNow)
    fault = channel.find_fault(to(KINDS[0], receiver)) or ""
    assert fault == outcome.why
    assert fault
    assert "hunter2" not in fault
    assert OLD not in fault
    assert receiver.got == []


def test_a_folder_that_cannot_be_read_is_no_reason_to_send_unsigned(receiver: Receiver, secret: Path) -> None:
    secret.unlink()
    secret.mkdir()
    assert isinstance(send(hook(KINDS[0], secret), to(KINDS[0], receiver)), NotNow)
    secret.rmdir()
    secret.symlink_to("nowhere")
    assert isinstance(send(hook(KINDS[0], secret), to(KINDS[0], receiver)), NotNow)
    assert receiver.got == []
