"""Room under isolation: who is let in, who has to wait, and whose turn it is."""

from datetime import UTC, datetime

import pytest

from fermata.domain.ids import ClusterId, RunId, TeamId, UpdateId, WindowId
from fermata.domain.node_states import UnitKind
from fermata.domain.operations import Busy, Gate, UnitOp
from fermata.domain.scripts import APPLY_PREFIX
from fermata.domain.tally import Queue, Tally, in_turn
from fermata.domain.updates import (
    AppliesTo,
    Catalogue,
    Criticality,
    Duration,
    Impact,
    Isolation,
    IsolationBy,
    Stage,
    StepDefaults,
    Update,
)

WINDOW = WindowId("w")
MINUTES = Duration(p50=10, p90=20)


def update(by: IsolationBy = IsolationBy.FAULT_DOMAIN, at_once: int = 2) -> Update:
    return Update(
        id=UpdateId("os"),
        title="os",
        owner_team=TeamId("hosts"),
        target="node",
        component="host_os",
        to_version="2.0",
        applies_to=AppliesTo(),
        impact=Impact.REBOOTFUL,
        impact_seconds=None,
        criticality=Criticality.REGULAR,
        stage=Stage.PRODUCTION_READY,
        released_at=datetime(2025, 1, 1, tzinfo=UTC),
        not_before=None,
        duration_minutes=MINUTES,
        isolation=Isolation(by=by, at_once=at_once),
    )


def catalogue(os: Update) -> Catalogue:
    defaults = StepDefaults(drain_minutes=MINUTES, reboot_minutes=MINUTES, verify_minutes=MINUTES)
    return Catalogue(defaults=defaults, team_limits={}, updates={os.id: os})


def busy(domain: str) -> Busy:
    return Busy(window=WINDOW, step=APPLY_PREFIX + "os", fault_domain=domain, units=5)


def queue(to_come: dict[str, int], *waiting: str, stragglers: int = 3) -> Queue:
    return Queue(stragglers=dict.fromkeys("abcd", stragglers), to_come=to_come, waiting=frozenset(waiting))


def admitted(domain: str, in_: str, found: Queue) -> bool:
    os = update()
    tally = Tally(catalogue(os), [busy(name) for name in in_])
    return tally.admit(os, WINDOW, domain, nodes=100, queue=lambda: found) is None


@pytest.mark.parametrize(
    ("domain", "in_", "to_come", "waiting", "is_let_in"),
    [
        pytest.param("a", "", 100, "", True, id="an empty window"),
        pytest.param("b", "a", 100, "", True, id="a second domain"),
        pytest.param("c", "ab", 100, "", False, id="a third domain"),
        pytest.param("a", "ab", 100, "c", True, id="a domain that is in, with many to come"),
        pytest.param("a", "ab", 4, "c", True, id="the last but its stragglers"),
        pytest.param("a", "ab", 3, "c", False, id="a straggler while another domain waits"),
        pytest.param("a", "ab", 3, "", True, id="a straggler nobody waits behind"),
        pytest.param("a", "ab", 3, "b", True, id="a straggler, and those who wait are in"),
        pytest.param("a", "a", 3, "c", True, id="a straggler while there is room for the other"),
    ],
)
def test_fault_domain_makes_room_when_all_but_its_stragglers_are_in(
    domain: str, in_: str, to_come: int, waiting: str, is_let_in: bool
) -> None:
    assert admitted(domain, in_, queue({domain: to_come}, *waiting)) is is_let_in


def test_queue_is_counted_down_as_nodes_are_let_in() -> None:
    os = update()
    tally = Tally(catalogue(os), [busy("a"), busy("b")])
    found = queue({"a": 5}, "c")
    gates = [tally.admit(os, WINDOW, "a", nodes=100, queue=lambda: found) for _ in range(4)]
    assert gates == [None, None, Gate.ISOLATION, Gate.ISOLATION]


def test_share_of_the_window_needs_no_queue() -> None:
    os = update(IsolationBy.PERCENT, 10)

    def never() -> Queue:
        raise AssertionError("counted for nothing")

    tally = Tally(catalogue(os), [busy("a"), busy("b")])
    assert tally.admit(os, WINDOW, "a", nodes=100, queue=never) is Gate.ISOLATION
    assert tally.admit(os, WINDOW, "a", nodes=200, queue=never) is None


def waiting(id_: int, domain: str) -> UnitOp:
    return UnitOp(
        id=id_,
        run=RunId("r"),
        window=WINDOW,
        unit=f"n{id_}",
        kind=UnitKind.NODE,
        cluster=ClusterId("c"),
        fault_domain=domain,
        rank=id_,
        in_service_before=True,
        step=APPLY_PREFIX + "os",
        gate=Gate.ISOLATION,
    )


@pytest.mark.parametrize(("by", "ids"), [(IsolationBy.FAULT_DOMAIN, [2, 3, 1]), (IsolationBy.PERCENT, [1, 2, 3])])
def test_fault_domain_with_most_nodes_waiting_is_asked_first(by: IsolationBy, ids: list[int]) -> None:
    ops = [waiting(1, "a"), waiting(2, "b"), waiting(3, "b")]
    assert [op.id for op in in_turn(ops, catalogue(update(by)))] == ids
