"""Mail and chat, tried against real servers; the maintenance note, by the parser that network operators use."""

import email
import email.policy
from collections.abc import Iterator
from email.message import EmailMessage
from typing import Any

import orjson
import pytest
from aiosmtpd.controller import Controller
from circuit_maintenance_parser import NotificationData
from circuit_maintenance_parser.provider import GenericProvider
from tests.conformance.notice import CLOCK, LOCAL, send, subscription
from tests.conformance.receivers import Answer, Receiver, receiving
from tests.conftest import free_port

from fermata.adapters.chat import Chat
from fermata.adapters.outbound import Outbound
from fermata.adapters.smtp import Mail, MailServer
from fermata.domain.deliveries import NotNow, Rejected, Taken
from fermata.domain.subscriptions import (
    ChannelKind,
    Subscription,
)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as opened:
        yield opened


class Inbox:
    """What a mail server's session hands over; recipients that it refuses."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.refuses: dict[str, str] = {}

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:  # noqa: N802
        if address in self.refuses:
            return self.refuses[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        read = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(read, EmailMessage)
        self.mails.append(read)
        return "250 OK"


@pytest.fixture
def inbox() -> Iterator[tuple[Inbox, Mail]]:
    handler, port = Inbox(), free_port()
    controller = Controller(handler, hostname="127.0.0.1", port=port)
    controller.start()
    server = MailServer(host="127.0.0.1", port=port, sender="noc@operator.example")
    yield handler, Mail(server, CLOCK)
    controller.stop()


def mail_to(*to: str, **more: Any) -> Subscription:
    return subscription(ChannelKind.MAIL, target={"to": list(to), **more})


def test_mail_arrives_with_its_words_and_a_maintenance_note_that_others_read(inbox: tuple[Inbox, Mail]) -> None:
    handler, mail = inbox
    assert send(mail, mail_to("ops@lumen.example", calendar=True, provider="operator.example")) == Taken()
    (message,) = handler.mails
    assert message["Subject"] == "sc1: plan plan_1 is in force, 1 window(s) differ"
    assert message["Message-ID"] == "<hook-1.ntc_0000000012@fermata>"
    found = NotificationData.init_from_email_bytes(message.as_bytes())
    assert found is not None
    (maintenance,) = GenericProvider().get_maintenances(found)
    assert (maintenance.provider, maintenance.account, maintenance.maintenance_id) == (
        "operator.example",
        "lumen",
        "w1",
    )
    assert maintenance.status.value == "CONFIRMED"
    assert (maintenance.start, maintenance.end) == (1767985200, 1767999600)
    assert {(c.circuit_id, c.impact.value) for c in maintenance.circuits} == {
        ("alpha-n1", "OUTAGE"),
        ("alpha-n2", "OUTAGE"),
        ("alpha-n3", "OUTAGE"),
    }
    assert (maintenance.uid, maintenance.sequence, maintenance.organizer) == (
        "w1@fermata",
        12,
        "mailto:noc@operator.example",
    )


def test_mail_that_one_recipient_takes_is_delivered(inbox: tuple[Inbox, Mail]) -> None:
    handler, mail = inbox
    handler.refuses = {"gone@lumen.example": "550 no such user"}
    assert send(mail, mail_to("gone@lumen.example", "ops@lumen.example")) == Taken()
    assert send(mail, mail_to("gone@lumen.example")) == Rejected(why="every recipient was refused (550)")
    handler.refuses = {"full@lumen.example": "452 mailbox full"}
    assert send(mail, mail_to("full@lumen.example")) == NotNow(why="every recipient was refused (452)")


def test_mail_waits_for_a_server_that_is_down() -> None:
    mail = Mail(MailServer(host="127.0.0.1", port=free_port()), CLOCK)
    assert isinstance(send(mail, mail_to("ops@lumen.example")), NotNow)


@pytest.mark.parametrize(
    "to",
    [[], "ops@lumen.example", ["ops"], ["a@b\nBcc: c@d"], ["Ops <ops@lumen.example>"], [1]],
)
def test_what_is_no_mail_address_is_refused(to: Any) -> None:
    mail = Mail(MailServer(host="127.0.0.1"), CLOCK)
    assert mail.find_fault(subscription(ChannelKind.MAIL, target={"to": to})) is not None
    assert mail.find_fault(mail_to("ops@lumen.example")) is None
    assert "FERMATA_SMTP_HOST" in (Mail(MailServer(), CLOCK).find_fault(mail_to("ops@lumen.example")) or "")


def room(receiver: Receiver) -> Subscription:
    host = receiver.url.removeprefix("http://").removesuffix("/hook")
    return subscription(ChannelKind.CHAT, f"mmost://{host}/abcdefghijklmnopqrstuvwxyz")


def test_a_chat_room_gets_the_words(receiver: Receiver) -> None:
    assert send(Chat(LOCAL), room(receiver)) == Taken()
    (post,) = receiver.posts
    assert "plan plan_1 is in force" in orjson.loads(post.body)["text"]
    receiver.answers = [Answer(500)]
    assert send(Chat(LOCAL), room(receiver)) == NotNow(why="the chat did not take it")


@pytest.mark.parametrize(
    "url",
    ["", "json://receiver.example", "syslog://", "mmost://receiver.example/abcdefghijklmnopqrstuvwxyz",
     "mmosts://127.0.0.1/abcdefghijklmnopqrstuvwxyz", "slack://"],
)  # fmt: skip
def test_what_is_no_chat_room_of_others_is_refused(url: str) -> None:
    assert Chat(Outbound()).find_fault(subscription(ChannelKind.CHAT, url)) is not None


def test_rooms_of_the_great_services_are_known() -> None:
    for url in (
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#ops",
        "mmosts://chat.example/abcdefghijklmnopqrstuvwxyz",
        "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js",
    ):
        assert Chat(Outbound()).find_fault(subscription(ChannelKind.CHAT, url)) is None
