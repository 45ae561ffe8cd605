"""Whoever subscribed: what the conductor has to tell goes out with Fermata's own notices.

There is no target of its own: the notice is written into the outbox of the store, under its key, and comes from there
to everybody who subscribed to `unit.needs_repair`, `unit.astray` and `unit.back`, by the channel that they chose.
"""

from collections.abc import Mapping, Sequence
from threading import Lock

from pydantic import BaseModel, ConfigDict

import fermata
from fermata.domain.ids import StepKey
from fermata.domain.observations import Accepted, Answer, Denied
from fermata.ports import CALL_SIZE_MAX, AdapterPorts, Clock, Notice, Outbox, Posted, Reached, Refused

KIND = "subscribers"
PORTS = frozenset({"notifier"})


class Settings(BaseModel):
    """None: subscriptions say who hears what."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Subscribers:
    """The port Notifier over an outbox."""

    def __init__(self) -> None:
        self._outbox: Outbox | None = None
        self._lock = Lock()

    def attach(self, outbox: Outbox) -> None:
        """From now on notices go there."""
        with self._lock:
            self._outbox = outbox

    def detach(self) -> None:
        """They go nowhere any more."""
        with self._lock:
            self._outbox = None

    def notify(self, notices: Sequence[Notice]) -> Mapping[StepKey, Answer]:
        """Accepted once the notice stands in the outbox, as read back from there, and somebody will hear it or has."""
        if len(notices) > CALL_SIZE_MAX:
            raise ValueError(f"{len(notices)} items in a call, at most {CALL_SIZE_MAX} are allowed")
        posted = self._reach().post(notices)
        return {notice.key: _answer(notice, posted[notice.key]) for notice in notices}

    def probe(self) -> Mapping[str, str]:
        """How many hear, and how it goes with them. Raises Refused when nobody does."""
        found = self._reach().look()
        if not found.subscriptions:
            raise Refused(
                "nobody hears what the conductor tells: add the operator's own subscription"
                " (fermata subscriptions add CHANNEL ID --kind unit.needs_repair ...)"
            )
        if found.silent:
            raise Refused(f"no notice comes through to {', '.join(found.silent)}: see fermata subscriptions list")
        return {"product": "Fermata's notices", "version": fermata.__version__, "hear": ", ".join(found.subscriptions)}

    def _reach(self) -> Outbox:
        with self._lock:
            if self._outbox is None:
                raise Refused("no store is open here, in whose outbox notices would stand (--store)")
            return self._outbox


def build(_settings: Settings, _clock: Clock) -> AdapterPorts:
    """Nobody is called; the outbox comes with the store."""
    found = Subscribers()
    return AdapterPorts(close=found.detach, probe=found.probe, notifier=found, attach=found.attach)


def _answer(notice: Notice, posted: Posted) -> Answer:
    match posted.reached:
        case Reached.SOMEBODY | Reached.NOBODY_YET:
            return Accepted()
        case Reached.NOBODY:
            return Denied(why=f"nobody could be told of {notice.subject}: {posted.why}")
        case Reached.UNHEARD:
            return Denied(why=f"nobody subscribed to hear of {notice.subject}; who does so later is told")
