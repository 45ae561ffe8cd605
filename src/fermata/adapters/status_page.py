"""Announcements on a status page that speaks Statuspage's REST API: an incident, or a scheduled maintenance."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from fermata.adapters.outbound import NotAllowed, NotReached, Outbound, Reply, judge_reply
from fermata.adapters.vault import REFUSING, NoSecret, Vault
from fermata.domain.announcements import Incident, Phase
from fermata.domain.deliveries import NotNow, Outcome, Rejected, Taken
from fermata.domain.harmless import unmark
from fermata.domain.ids import StepKey
from fermata.domain.subscriptions import ChannelKind, Consented, Greeting, Subscription
from fermata.ports import Clock, Parcel

KIND = ChannelKind.STATUS_PAGE
STATUSPAGE = "https://api.statuspage.io/v1"
OURS = "fermata"  # of an incident's metadata: our key, and the number of the last word that stands there
PAGE_SIZE, PAGES_MAX = 100, 5  # as many incidents, the newest first, are looked through for ours
ANSWER_BYTES_MAX = 8 * 1024 * 1024  # of a page of incidents with all their words
NAME_MAX, BODY_MAX = 255, 25_000
LIVE = {
    Phase.OPENED: "investigating",
    Phase.UPDATED: "identified",
    Phase.ACKNOWLEDGED: "identified",
    Phase.CLOSED: "resolved",
}
PLANNED = {
    Phase.OPENED: "in_progress",
    Phase.UPDATED: "in_progress",
    Phase.ACKNOWLEDGED: "in_progress",
    Phase.CLOSED: "completed",
}


class _Over(Exception):
    """The try is over, with this outcome."""

    def __init__(self, outcome: Outcome, *, is_refusal: bool = False) -> None:
        super().__init__()
        self.outcome, self.is_refusal = outcome, is_refusal  # a refusal: of the key


class StatusPage:
    """`target`: `page`, its id; `secret`, the name of the API key in the vault; `components`, ids that it concerns; and
    `url` where it is not Statuspage's own.

    The API knows no idempotency key: before anything is written the page is asked for the incident that bears our key,
    and for which word it has. What was written is read back; only what stands there is delivered.
    """

    def __init__(self, outbound: Outbound, clock: Clock, vault: Vault) -> None:
        self._outbound, self._clock, self._vault = outbound, clock, vault

    def find_fault(self, subscription: Subscription) -> str | None:
        """Why nothing can stand there."""
        page = str(subscription.target.get("page", ""))
        if not page.isalnum() or not page.isascii():
            return "it names no page (page), which is letters and digits"
        try:
            self._vault.read(_url(subscription), str(subscription.target.get("secret", "")))
        except NoSecret as missing:
            return str(missing)
        return self._outbound.find_fault(_url(subscription))

    def greet(self, subscription: Subscription, address: str | None) -> Greeting:
        """An API key is its owner's word."""
        return Consented()

    def send(self, subscription: Subscription, parcels: Sequence[Parcel]) -> Mapping[StepKey, Outcome]:
        """In this order."""
        try:
            key = self._vault.read(_url(subscription), str(subscription.target.get("secret", "")))
        except NoSecret as missing:
            return {parcel.key: NotNow(why=str(missing)) for parcel in parcels}
        return {parcel.key: self._send(subscription, key, parcel.incident) for parcel in parcels}

    def _send(self, subscription: Subscription, key: str, incident: Incident | None) -> Outcome:
        """A test, which is no incident, looks and writes nothing: the page is public."""
        incidents = f"{_url(subscription)}/pages/{subscription.target['page']}/incidents"
        try:
            found = self._find(incidents, key, incident.key if incident is not None else "")
            if incident is None or _number(found) >= incident.number:
                return Taken()
            if found is None and incident.phase is Phase.CLOSED:
                return Taken()  # it never stood there
            said = {"incident": _body(incident, subscription)}
            if found is None:
                written = self._ask("POST", incidents, key, said)
            else:
                written = self._ask("PATCH", f"{incidents}/{found['id']}", key, said)
            name = written.get("id") if isinstance(written, dict) else None
            stands = self._ask("GET", f"{incidents}/{name}", key) if isinstance(name, str) and name.isalnum() else None
            if _number(stands) < incident.number:
                return NotNow(why="the page does not show what was written: nothing proves it")
        except _Over as over:
            if over.is_refusal:
                self._vault.forget(_url(subscription), str(subscription.target.get("secret", "")))
            return over.outcome
        return Taken()

    def _find(self, incidents: str, key: str, ours: str) -> dict[str, Any] | None:
        """The incident that bears our key. What is no whole answer is no answer. Raises _Over."""
        for number in range(1, PAGES_MAX + 1):
            page = self._ask("GET", f"{incidents}?per_page={PAGE_SIZE}&page={number}", key)
            if not isinstance(page, list):
                raise _Over(NotNow(why="its list of incidents is none"))
            for each in page:
                if _ours(each).get("key") == ours and ours and str(each.get("id", "")).isalnum():
                    return dict(each)
            if len(page) < PAGE_SIZE:
                return None
        return None

    def _ask(self, method: str, url: str, key: str, said: Mapping[str, Any] | None = None) -> Any:
        """Raises _Over unless it is answered well."""
        headers = {"Authorization": f"OAuth {key}", "Content-Type": "application/json", "Accept": "application/json"}
        body = orjson.dumps(said) if said is not None else b""
        try:
            reply = self._outbound.call(method, url, headers, body, most=ANSWER_BYTES_MAX)
        except NotAllowed as refused:
            raise _Over(Rejected(why=str(refused))) from None
        except NotReached as silent:
            raise _Over(NotNow(why=str(silent))) from None
        if reply.status in REFUSING:
            raise _Over(judge_reply(reply, self._clock.now()), is_refusal=True)
        if reply.status == 422:
            raise _Over(Rejected(why="it answered 422: it does not want that as it is"))
        outcome = judge_reply(reply, self._clock.now())
        if not isinstance(outcome, Taken):
            raise _Over(outcome)
        return _read(reply)


def _read(reply: Reply) -> Any:
    try:
        return orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        raise _Over(NotNow(why=f"it answered {reply.status} with half a body, or with what is no JSON")) from None


def _body(incident: Incident, subscription: Subscription) -> dict[str, Any]:
    is_planned = incident.start is not None and incident.end is not None
    body: dict[str, Any] = {
        "name": unmark(incident.subject)[:NAME_MAX],
        "status": (PLANNED if is_planned else LIVE)[incident.phase],
        "body": unmark(incident.text or incident.subject)[:BODY_MAX],
        "metadata": {OURS: {"key": incident.key, "number": incident.number}},
    }
    if incident.start is not None and incident.end is not None:
        if incident.phase is not Phase.CLOSED and incident.is_ahead:
            body["status"] = "scheduled"
        body |= {"scheduled_for": incident.start.isoformat(), "scheduled_until": incident.end.isoformat()}
    components = subscription.target.get("components")
    return {**body, "component_ids": list(components)} if components else body


def _ours(found: object) -> dict[str, Any]:
    metadata = found.get("metadata") if isinstance(found, dict) else None
    ours = metadata.get(OURS) if isinstance(metadata, dict) else None
    return ours if isinstance(ours, dict) else {}


def _number(found: object) -> int:
    """Of the last word of ours that stands there, 0 for none."""
    number = _ours(found).get("number")
    return number if isinstance(number, int) else 0


def _url(subscription: Subscription) -> str:
    return str(subscription.target.get("url") or STATUSPAGE).rstrip("/")
