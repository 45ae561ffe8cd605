"""Room under isolation: who is let in, who has to wait, and whose turn it is."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fermata.domain.ids import ClusterId, NodeId, RunId, TeamId, UpdateId, WindowId
from fermata.domain.node_states import UnitKind, UnitState
from fermata.domain.operations import Busy, Gate, UnitOp
from fermata.domain.plans import Mode, Window
from fermata.domain.queues import Queue, QueueBook, count_queue
from fermata.domain.scripts import APPLY_PREFIX, NodeScript, WindowScript
from fermata.domain.tally import Tally, in_turn
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
NOW = datetime(2026, 1, 5, 19, tzinfo=UTC)
EMPTY_WINDOW = Window(
    id=WINDOW,
    cluster=ClusterId("c"),
    mode=Mode.WHOLE,
    part=1,
    parts=1,
    start=NOW,
    end=NOW,
    nodes=(),
    updates=(UpdateId("os"),),
    steps=(),
    reboots_per_node=0,
    end_confidence=0.9,
)


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


def test_all_who_wait_enter_with_their_fault_domain_though_another_waits() -> None:
    os = update()
    tally = Tally(catalogue(os), [busy("b")])
    found = queue({"a": 5}, "a", "c")
    gates = [tally.admit(os, WINDOW, "a", nodes=100, queue=lambda: found) for _ in range(5)]
    assert gates == [None] * 5


def test_share_of_the_window_needs_no_queue() -> None:
    os = update(IsolationBy.PERCENT, 10)

    def never() -> Queue:
        raise AssertionError("counted for nothing")

    tally = Tally(catalogue(os), [busy("a"), busy("b")])
    assert tally.admit(os, WINDOW, "a", nodes=100, queue=never) is Gate.ISOLATION
    assert tally.admit(os, WINDOW, "a", nodes=200, queue=never) is None


def waiting(id_: int, domain: str, **more: Any) -> UnitOp:
    parked = UnitOp(
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
    return replace(parked, **more)


@pytest.mark.parametrize(("by", "ids"), [(IsolationBy.FAULT_DOMAIN, [2, 3, 1]), (IsolationBy.PERCENT, [1, 2, 3])])
def test_fault_domain_with_most_nodes_waiting_is_asked_first(by: IsolationBy, ids: list[int]) -> None:
    ops = [waiting(1, "a"), waiting(2, "b"), waiting(3, "b")]
    assert [op.id for op in in_turn(ops, catalogue(update(by)))] == ids


def test_queue_counts_who_is_still_to_come_and_who_waits() -> None:
    ops = [
        waiting(1, "a"),
        waiting(2, "a", state=UnitState.APPLYING, gate=None),
        waiting(3, "a", applied=1, gate=None, step="reboot:3"),
        waiting(4, "a", gate=None, step=APPLY_PREFIX + "nic", state=UnitState.APPLYING),
        waiting(5, "b", gate=None, tail_since=NOW),
        waiting(6, "b", gate=None, finished_at=NOW),
        waiting(7, "b", gate=Gate.TEAM),
    ]
    standing = {op.unit: op for op in ops}
    script = WindowScript(
        window=EMPTY_WINDOW,
        steps=(),
        updates=(update(),),
        nodes={
            NodeId(name): NodeScript(node=NodeId(name), steps=(), due=int(name != "n8"), devices=(), rank=0)
            for name in (*standing, "n8", "never-taken")
        },
        devices={},
    )
    found = count_queue(script, update(), standing.get)
    assert dict(found.to_come) == {"a": 2, "b": 1}
    assert found.waiting == {"a"}
    assert found.stragglers == {"a": 0, "b": 0}


@pytest.mark.parametrize(("nodes", "stragglers"), [(33, 0), (34, 1), (100, 3), (300, 9)])
def test_share_of_a_fault_domain_that_may_come_last(nodes: int, stragglers: int) -> None:
    ops = {f"n{i}": waiting(i, "a") for i in range(nodes)}
    scripts = {NodeId(n): NodeScript(node=NodeId(n), steps=(), due=1, devices=(), rank=0) for n in ops}
    script = WindowScript(window=EMPTY_WINDOW, steps=(), updates=(update(),), nodes=scripts, devices={})
    assert count_queue(script, update(), ops.get).stragglers == {"a": stragglers}


MOVES = st.fixed_dictionaries(
    {},
    optional={
        "state": st.sampled_from([UnitState.APPLYING, UnitState.FAILED, UnitState.DRAINED]),
        "step": st.sampled_from([APPLY_PREFIX + "os", APPLY_PREFIX + "nic"]),
        "gate": st.sampled_from([None, Gate.ISOLATION, Gate.TEAM]),
        "applied": st.integers(0, 3),
        "active": st.integers(0, 3),
        "tail_since": st.none() | st.just(NOW),
        "finished_at": st.none() | st.just(NOW),
    },
)


@given(st.lists(st.tuples(st.integers(0, 7), MOVES)), st.sets(st.integers(0, 30)))
def test_a_book_that_follows_rows_finds_the_queue_that_is_counted_from_rows(
    moves: list[tuple[int, dict[str, object]]], asked_after: set[int]
) -> None:
    ops = {f"n{i}": waiting(i, "ab"[i % 2]) for i in range(8)}
    scripts = {NodeId(n): NodeScript(node=NodeId(n), steps=(), due=int(n != "n7"), devices=(), rank=0) for n in ops}
    book, asked = QueueBook(), update()
    script = WindowScript(window=EMPTY_WINDOW, steps=(), updates=(asked,), nodes=scripts, devices={})
    for turn, (at, changes) in enumerate(moves):
        before, after = ops[f"n{at}"], replace(ops[f"n{at}"], **changes)
        ops[f"n{at}"] = after
        book.note(before, after)
        if turn in asked_after:
            assert book.count(script, asked, ops.get) == count_queue(script, asked, ops.get)
    assert book.count(script, asked, ops.get) == count_queue(script, asked, ops.get)
