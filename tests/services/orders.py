"""Two customers in one supercomputer, who share a rack, and what is asked for on their nodes."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count

import pytest
from tests.constraints import world as w

from fermata.domain.fleet import Fleet
from fermata.domain.ids import CustomerId, OrderId, RackId, RequestId, SupercomputerId
from fermata.domain.policy import AfterDue, Customer, Notice, Policy
from fermata.domain.reasons import Code
from fermata.domain.request_kinds import RequestKind
from fermata.domain.request_states import RequestState
from fermata.domain.work_orders import Target, TargetLevel, Word
from fermata.services.errors import Refusal
from fermata.services.inventory import ImportSet, import_set
from fermata.services.order_words import WordOrder, decide_orders
from fermata.services.requests import RequestView, show_request
from fermata.services.work_orders import NewOrder, Opened, open_orders, start_order
from fermata.store import work_orders
from fermata.store.database import Database

DAY = timedelta(days=1)
BOTH = SupercomputerId("sc-both")
REPAIR = RequestId("req_sc-both_repair")
HARDWARE = RequestId("req_sc-both_hardware")
S = RequestState


def both() -> Fleet:
    """Clusters of two customers in one supercomputer, with a rack of which both hold nodes."""
    fleet = w.fleet()
    clusters = dict(fleet.clusters)
    for name in list(clusters)[:2]:
        clusters[name] = replace(clusters[name], supercomputer=BOTH)
    beta = list(clusters)[1]
    clusters[beta] = replace(clusters[beta], customer=CustomerId("meridian"))
    nodes = {
        name: replace(node, rack=RackId("alpha-r0")) if name == "beta-n00" else node
        for name, node in fleet.nodes.items()
    }
    return replace(fleet, clusters=clusters, nodes=nodes)


def customer(name: str, *approvers: str, after_due: AfterDue = AfterDue.ESCALATE) -> Customer:
    return replace(w.customer(), id=CustomerId(name), approvers=approvers, after_due=after_due)


LUMEN, MERIDIAN = customer("lumen", "ann", "eve"), customer("meridian", "bob", "eve")
POLICY = Policy(customers={c.id: c for c in (LUMEN, MERIDIAN)}, notice=Notice(), freezes=())


def prepare(db: Database, *, policy: Policy = POLICY, now: datetime = w.NOW) -> None:
    given = ImportSet(fleet=both(), catalogue=w.catalogue(), policy=policy, campaign=w.campaign())
    import_set(db, given, now=now, actor="operator-1")


def minting() -> Callable[[str], str]:
    numbers = count(1)
    return lambda prefix: f"{prefix}_{next(numbers)}"


def target(text: str) -> Target:
    level, name = text.split()
    return Target(level=TargetLevel(level), name=name)


def opened(
    db: Database, text: str, kind: RequestKind = RequestKind.REPAIR, *, mint: Callable[[str], str] | None = None,
    now: datetime = w.NOW, **more: object,
) -> Opened:  # fmt: skip
    order = NewOrder(kind=kind, target=target(text), cause="broken", **more)  # type: ignore[arg-type]
    (found,) = open_orders(db, [order], now=now, actor="operator-1", new_id=mint or minting())
    return found


def say(db: Database, request: RequestId, word: Word = Word.APPROVED, *, now: datetime = w.NOW, **more: object) -> None:
    number = len(_words(db))
    order = WordOrder(word=word, **more)  # type: ignore[arg-type]
    decide_orders(db, request, [order], now=now, new_id=lambda prefix: f"{prefix}_{number}")


def _words(db: Database) -> tuple[object, ...]:
    with db.read() as conn:
        return work_orders.load_words(conn)


def codes(refused: pytest.ExceptionInfo[Refusal]) -> list[Code]:
    return [why.code for why in refused.value.reasons]


def shown(db: Database, request: RequestId = REPAIR, now: datetime = w.NOW) -> RequestView:
    return show_request(db, request, now=now)


def state(db: Database, request: RequestId = REPAIR, now: datetime = w.NOW) -> RequestState:
    return shown(db, request, now).standing.state


def begin(db: Database, name: str = "wo_1", now: datetime = w.NOW) -> None:
    start_order(db, OrderId(name), now=now, actor="operator-1", drained=True)
