"""Words that people and the conductor wrote on what is one customer's, each of which names what is another's."""

from dataclasses import replace
from datetime import timedelta
from itertools import count

from tests.tenants import world

from fermata.domain.ahead import JobsAhead
from fermata.domain.announcements import Announcement, Phase
from fermata.domain.forecasts import Forecast
from fermata.domain.ids import ClusterId, CustomerId, FreezeId, OrderId, RequestId, TeamId, UpdateId, WindowId
from fermata.domain.intents import Intent, ScopeKind
from fermata.domain.notices import Audience
from fermata.domain.policy import Said as Spoken
from fermata.domain.policy import Scope, ScopeLevel
from fermata.domain.reasons import Code, Reason
from fermata.domain.recovery import RecoveryOrder
from fermata.domain.request_kinds import RequestKind
from fermata.domain.room import (
    Answer,
    Figures,
    Go,
    Handover,
    Marks,
    Message,
    MessageKind,
    Note,
    OwnWords,
    RoomLine,
    Said,
)
from fermata.domain.run_states import Desired, WindowState
from fermata.domain.work_orders import OrderWord, Target, TargetLevel, Word
from fermata.services import consent, exemptions, freezes, work_orders
from fermata.services.announcements import announce
from fermata.store import forecasts, intents, journal, recovery, rooms, tail, window_jobs
from fermata.store import work_orders as order_rows
from fermata.store.database import Connection, Database

OF_OTHERS = {
    world.LUMEN: "As on zqbeta-n1 of ZQMERIDIAN LABS, said zqmara@zqmeridian.example: zqgamma's leaf.",
    world.MERIDIAN: "As on zqalpha-n1 of ZQLUMEN, said zqalex@zqlumen.example: zqalpha's leaf.",
}
CREW = "Plain words of those who do the work."  # name nobody, and are for each other nevertheless
OWN = "Because of a launch."


def plant(db: Database, customer: CustomerId, cluster: str, actor: str) -> None:
    """Into every text of every table that may be written on what is in `cluster`."""
    words = OF_OTHERS[customer]
    _by_services(db, cluster, actor, words)
    with db.begin() as conn:
        _in_room(conn, cluster, words)
        _beside(conn, cluster, actor, words)
        _in_journal(conn, cluster, words)


def _by_services(db: Database, cluster: str, actor: str, words: str) -> None:
    numbers = count(100)

    def new_id(prefix: str) -> str:
        return f"{prefix}_{cluster}_{next(numbers)}"

    node = Scope(level=ScopeLevel.NODE, name=f"{cluster}-n1")
    for why, kind, name in ((words, RequestKind.HARDWARE, f"{cluster}-n0"), (OWN, RequestKind.REPAIR, f"{cluster}-n1")):
        consent.approve(db, node, now=world.NOW, actor=actor, new_id=new_id, why=why)
        order = work_orders.NewOrder(kind=kind, target=Target(level=TargetLevel.NODE, name=name), cause=why)
        work_orders.open_orders(db, [order], now=world.NOW, actor=f"{actor}-site", new_id=new_id)
        start = world.NOW + timedelta(days=30)
        asked = freezes.FreezeOrder(scope=node, start=start, end=start + timedelta(days=1), reason=why, actor=actor)
        frozen = freezes.add_freeze(db, asked, now=world.NOW, new_id=new_id)
        if cluster != "zqalpha":
            continue  # nothing of the other customer's may pass a freeze
        passes = exemptions.ExemptionOrder(
            freeze=FreezeId(frozen.id), updates=frozenset({UpdateId("nic-28.43")}), reason=why, actor=actor
        )
        exemptions.ask_exemption(db, passes, now=world.NOW, new_id=new_id)
    for audience, said in ((Audience.CREW, CREW), (Audience.ALL, words)):
        message = Announcement(
            key=f"{audience}-{cluster}",
            phase=Phase.OPENED,
            subject=said,
            text=said,
            facts={"note": said},
            clusters=frozenset({ClusterId(cluster)}),
            audience=audience,
        )
        announce(db, message, now=world.NOW, actor="ann", why=said)


def _in_room(conn: Connection, cluster: str, words: str) -> None:
    for said in (words, CREW):
        for what in (
            Answer(team=TeamId("nic"), text=said),
            Go(topic="start", is_go=True, why=said, planned_start=world.START),
            Note(text=said),
            Handover(before="ann", after="ann", points=(said,)),
        ):
            _say(conn, cluster, what)
    _say(conn, cluster, _message(cluster, words))


def _say(conn: Connection, cluster: str, what: Said) -> None:
    rooms.append_line(conn, RoomLine(run=world.RUN, window=_window(cluster), at=world.NOW, actor="ann", what=what))


def _message(cluster: str, words: str) -> Message:
    figures = Figures(
        state=WindowState.OPEN,
        nodes=2,
        taken=2,
        returned=0,
        kept_out=0,
        working=1,
        in_tail=1,
        left_out=0,
        behind_minutes=None,
        median=None,
        bound=None,
        kept=None,
    )
    return Message(
        number=1,
        kind=MessageKind.OPENED,
        at=world.NOW,
        timezone="UTC",
        planned_start=world.START,
        planned_end=world.START + world.HOURS,
        teams=(TeamId("nic"),),
        title=words,
        done=CREW,
        left=words,
        forecast=CREW,
        needs=(words, CREW),
        roll=("nic",),
        bridge="",
        holder="ann",
        figures=figures,
        marks=Marks(state=WindowState.OPEN, code="", is_alarming=False, bridge="", holder="ann", words=()),
        own=OwnWords(lines=(f"Window of {cluster} is open", "2 nodes of yours are out."), waits="", is_first=True),
    )


def _beside(conn: Connection, cluster: str, actor: str, words: str) -> None:
    window, unit = _window(cluster), f"{cluster}-n1"
    why = Reason(code=Code.UNREACHABLE, sentence=words)
    (item,) = tail.find_items(conn, unit, [world.RUN])
    tail.save_item(conn, replace(item, retry=Spoken(actor="ann", at=world.NOW), retry_why=words))
    for kind, scope in ((ScopeKind.NODE, unit), (ScopeKind.WINDOW, f"{world.RUN}/{window}")):
        said = Intent(kind=kind, scope=scope, desired=Desired.PAUSE, actor="ann", why=f"{CREW} {words}", at=world.NOW)
        intents.append_intent(conn, said)
    order = RecoveryOrder(
        run=world.RUN,
        window=window,
        unit=unit,
        update=UpdateId("nic-28.43"),
        to_version="28.41",
        actor="ann",
        why=f"{CREW} {words}",
        at=world.NOW,
    )
    recovery.add_orders(conn, [order])
    made = Forecast(
        run=world.RUN,
        window=window,
        at=world.NOW,
        promised=world.START + world.HOURS,
        planned_end=world.START + world.HOURS,
        why=words,
        none=why,
    )
    forecasts.keep(conn, [made])
    window_jobs.save(conn, world.RUN, [JobsAhead(run=world.RUN, window=window, at=world.NOW, nodes=2, why=why)], ())
    place = "zqapart" if cluster == "zqbeta" else "zqshared"
    spoken = [
        OrderWord(
            seq=0,
            id=f"word_{cluster}_{number}",
            request=RequestId(f"req_{place}_repair"),
            incarnation=1,
            orders=frozenset({OrderId(f"wo_{cluster}_2")}),
            scope=Scope(level=ScopeLevel.NODE, name=f"{cluster}-n0"),
            word=Word.APPROVED,
            actor=actor,
            at=world.NOW,
            reason=reason,
        )
        for number, reason in enumerate((words, OWN))
    ]
    order_rows.append_words(conn, spoken)


def _in_journal(conn: Connection, cluster: str, words: str) -> None:
    """Lines of the kinds that are told, with facts that are not of whom they are told to."""
    data = {"cluster": cluster, "taken": 2, "in_service": 2, "left_out": [{"code": "X", "nodes": [words]}], "of": words}
    data |= {"window": f"w-{cluster}", "step": "drain", "attempt": 1}
    for event, subject, why in (
        ("window.opened", f"window:w-{cluster}", ""),
        ("window.waiting", f"window:w-{cluster}", f"LATE: {words}"),
        ("window.asked_to_pause", f"window:{world.RUN}/w-{cluster}", words),
        ("step.failed", f"node:{cluster}-n1", words),
        ("unit.tail", f"node:{cluster}-n1", f"LIMIT_FULL: {words}"),
        ("run.asked_to_pause", f"run:{world.RUN}", words),
        ("run.replanned", f"run:{world.RUN}", words),
        ("plan.published", f"plan:{world.PLAN}", words),
    ):
        line = journal.Entry(at=world.NOW, actor="conductor", event=event, subject=subject, why=why, data=data)
        journal.append(conn, line)


def _window(cluster: str) -> WindowId:
    return WindowId(f"w-{cluster}")
