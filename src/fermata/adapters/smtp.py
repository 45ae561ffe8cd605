"""Notices by mail, through one SMTP server; a maintenance note goes with them as a calendar."""

import smtplib
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr

from fermata.domain.deliveries import NotNow, Outcome, Rejected, Taken
from fermata.domain.harmless import show_line, show_lines
from fermata.domain.ids import StepKey
from fermata.domain.secrets import Missing, Secret
from fermata.domain.subscriptions import ChannelKind, Consented, Greeting, Subscription
from fermata.ports import Clock, Parcel

KIND = ChannelKind.MAIL
TIMEOUT_SECONDS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """Where mail goes out. An empty `host`: none is set. `user` empty: no sign-in."""

    host: str = ""
    port: int = 25
    sender: str = "fermata@localhost"
    user: str = ""
    password: Secret | None = None
    starttls: bool = False


class NoPassword(smtplib.SMTPException):
    """It cannot be read; says where it was looked for."""


class Mail:
    """`target`: `to`, a list of addresses."""

    def __init__(self, server: MailServer, clock: Clock) -> None:
        self._server, self._clock = server, clock

    def find_fault(self, subscription: Subscription) -> str | None:
        """Why no mail can go there."""
        if not self._server.host:
            return "no mail server is set (FERMATA_SMTP_HOST)"
        to = subscription.target.get("to")
        if not isinstance(to, list) or not to:
            return "it names nobody to write to (to)"
        wrong = [str(address) for address in to if not _is_address(address)]
        return f"{wrong[0]!r} is no mail address" if wrong else None

    def greet(self, subscription: Subscription, address: str | None) -> Greeting:
        """Mail knows no handshake."""
        return Consented()

    def send(self, subscription: Subscription, parcels: Sequence[Parcel]) -> Mapping[StepKey, Outcome]:
        """One session for all of them. A mail that one recipient took is delivered."""
        outcomes: dict[StepKey, Outcome] = {}
        try:
            with self._opened() as session:
                for parcel in parcels:
                    outcomes[parcel.key] = self._send(session, subscription, parcel)
        except (OSError, smtplib.SMTPException) as error:
            why = NotNow(why=f"mail server {self._server.host} did not take it ({_say(error)})")
            return {parcel.key: outcomes.get(parcel.key, why) for parcel in parcels}
        return outcomes

    def _opened(self) -> smtplib.SMTP:
        server = self._server
        session = smtplib.SMTP(server.host, server.port, timeout=TIMEOUT_SECONDS)
        if server.starttls:
            session.starttls(context=ssl.create_default_context())
        if server.user:
            self._sign_in(session)
        return session

    def _sign_in(self, session: smtplib.SMTP) -> None:
        """With the password as it is; once more when it was renewed. Raises SMTPException."""
        secret = self._server.password
        if secret is None:
            raise NoPassword(
                "FERMATA_SMTP_USER is set, and neither FERMATA_SMTP_PASSWORD nor FERMATA_SMTP_PASSWORD_FROM"
            )
        tried = _read(secret)
        try:
            session.login(self._server.user, tried)
        except smtplib.SMTPAuthenticationError:
            secret.forget()
            renewed = _read(secret)
            if renewed == tried:
                raise
            session.login(self._server.user, renewed)

    def _send(self, session: smtplib.SMTP, subscription: Subscription, parcel: Parcel) -> Outcome:
        to = [str(address) for address in subscription.target["to"]]
        try:
            session.send_message(self._compose(to, parcel), from_addr=self._server.sender, to_addrs=to)
        except smtplib.SMTPRecipientsRefused as refused:
            codes = [code for code, _why in refused.recipients.values()]
            why = f"every recipient was refused ({', '.join(str(code) for code in sorted(set(codes)))})"
            return NotNow(why=why) if any(code < 500 for code in codes) else Rejected(why=why)
        except smtplib.SMTPResponseException as error:
            why = f"the mail server answered {error.smtp_code}"
            return Rejected(why=why) if error.smtp_code >= 500 else NotNow(why=why)
        return Taken()

    def _compose(self, to: Sequence[str], parcel: Parcel) -> EmailMessage:
        message = EmailMessage()
        message["From"] = self._server.sender
        message["To"] = ", ".join(to)
        message["Subject"] = show_line(" ".join(parcel.title.split()))
        message["Date"] = format_datetime(self._clock.now())
        message["Message-ID"] = f"<{_word(parcel.key)}@fermata>"
        message["References"] = f"<{_word(parcel.thread)}@fermata>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(show_lines(parcel.text))
        if parcel.calendar is not None:
            text = parcel.calendar.decode()
            message.add_attachment(text, subtype="calendar", params={"method": "PUBLISH"}, filename="maintenance.ics")
        return message


def _is_address(text: object) -> bool:
    return isinstance(text, str) and parseaddr(text)[1] == text and "@" in text.strip("@") and text.isprintable()


def _word(text: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_." else "." for letter in text)


def _read(secret: Secret) -> str:
    found = secret.look()
    if isinstance(found, Missing):
        raise NoPassword(str(found.reason))
    return found


def _say(error: Exception) -> str:
    if isinstance(error, NoPassword):
        return str(error)
    return type(error).__name__ if not isinstance(error, OSError) or error.strerror is None else error.strerror
