"""How the invariant `cap` counts nodes that an approval lets go on a day."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.simulation import playing, small
from tests.simulation.agreement import find_too_many
from tests.simulation.facts import Effect, Truth, Words
from tests.simulation.mirror import Mirror, Row, WindowRow

from fermata.domain.ids import UpdateId
from fermata.domain.policy import Conditions

MORNING = datetime(2026, 1, 5, 19, tzinfo=UTC)
EVENING = MORNING + timedelta(hours=3)
PLANNED, OWN = "win-c0", "rep-wo_1-c0"


def mirror_of(*taken: tuple[str, tuple[int, ...]]) -> Mirror:
    """Windows of one day with the nodes that each took."""
    made = Mirror(fleet=small.fleet(), catalogue=small.catalogue(), campaign=small.campaign())
    for window, nodes in taken:
        opened = EVENING if window == OWN else MORNING
        made.take(
            WindowRow(
                run="run", window=window, plan="plan", cluster="c0", mode="rolling", state="open", nodes=len(nodes),
                taken=len(nodes), in_service_at_open=0, planned_start=opened, planned_end=opened, back_by=opened,
                opened_at=opened, closed_at=None, recheck_at=None, behind_minutes=None, left_out="[]",
            )
        )  # fmt: skip
        for number in nodes:
            made.take(row_of(made, window, number, "locked", "lock"))
    return made


def row_of(mirror: Mirror, window: str, number: int, state: str, step: str) -> Row:
    unit = f"c0-n{number:03d}"
    known = mirror.row(window, unit)
    return Row(
        id=len(mirror.rows) + 1 if known is None else known.id, run="run", window=window, unit=unit, kind="node",
        cluster="c0", fault_domain="0", state=state, step=step, attempt=1, asked="intended", version=1, next_at=None,
        tail_since=None, finished_at=None,
    )  # fmt: skip


def told(mirror: Mirror, window: str, number: int, op: str, *, at: datetime = EVENING) -> list[str]:
    """What is wrong with the call, where two nodes a day are approved."""
    unit = f"c0-n{number:03d}"
    if op == "apply":
        mirror.take(row_of(mirror, window, number, "applying", "apply:gpu"))
    bound = replace(small.approval(small.catalogue()), conditions=Conditions(nodes_per_day=2))
    truth = Truth(
        name=unit, versions={}, staged={}, in_service=True, locked=False, drained=False, busy_with="", changed_at=None,
        healthy_at=None, targets={}, repaired_at=None,
    )  # fmt: skip
    words = Words(policy=small.policy(), ledger=(bound,))
    update = small.catalogue().updates[UpdateId("gpu")]
    call = Effect(
        seq=1, op=op, window=window, unit=unit, step=op, attempt=1, now=at, update=update, truth=truth, words=words
    )
    return list(find_too_many(call, mirror))


@pytest.mark.parametrize("number", [1, 2])
def test_people_of_an_order_may_have_a_node_on_a_day_on_which_all_that_are_approved_for_updates_went(
    number: int,
) -> None:
    """Once more one that went in the morning, or another."""
    mirror = mirror_of((PLANNED, (0, 1)), (OWN, (number,)))
    assert told(mirror, OWN, number, "lock") == []
    assert told(mirror, PLANNED, 1, "lock") == [], "one that is asked for again"


def test_a_third_node_that_gets_an_update_is_one_too_many_whatever_took_it_out() -> None:
    too_many = ["3 nodes of supercomputer sc went on 2026-01-05, 2 a day are approved"]
    assert told(mirror_of((PLANNED, (0, 1, 2))), PLANNED, 2, "lock") == too_many
    assert told(mirror_of((PLANNED, (0, 1)), (OWN, (2,))), OWN, 2, "apply") == too_many


def test_a_node_that_went_twice_counts_once() -> None:
    mirror = mirror_of((PLANNED, (0, 1)), (OWN, (1,)))
    assert told(mirror, OWN, 1, "apply") == []


def test_a_node_that_went_the_day_before_is_finished() -> None:
    mirror = mirror_of((PLANNED, (0, 1)), (OWN, (2,)))
    assert told(mirror, OWN, 2, "apply", at=EVENING + timedelta(days=1)) == []


def test_a_repair_on_the_day_of_its_nodes_window_breaks_no_cap() -> None:
    """The same node went in the morning: found by this seed."""
    assert playing.play(298).broken is None
