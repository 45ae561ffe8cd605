"""What makes an update production-ready, and what its failures undo."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.constraints import world as w

from fermata.domain.ids import SignalId, TeamId, UpdateId
from fermata.domain.qualification import (
    Need,
    QualificationRule,
    Result,
    Ring,
    Signal,
    find_rule,
    judge_needs,
    judge_promotion,
)
from fermata.domain.reasons import Code
from fermata.domain.updates import AppliesTo, Criticality

NIC = w.catalogue().updates[UpdateId("nic")]
START = datetime(2026, 1, 1, tzinfo=UTC)
LAB = Need(ring=Ring.LAB, signal="boot", nodes=8)
CANARY = Need(ring=Ring.CANARY, signal="soak", nodes=20, same_sku=True)
RULE = QualificationRule(
    id="default", criticalities=frozenset(), owner_teams=frozenset(), targets=frozenset(), needs=(LAB, CANARY)
)


def seen(hour: int, ring: Ring, name: str, nodes: int, *, failed: bool = False, sku: str = "") -> Signal:
    return Signal(
        id=SignalId(f"sig{hour}"),
        updates=frozenset({NIC.id}),
        ring=ring,
        name=name,
        result=Result.FAILED if failed else Result.PASSED,
        nodes=nodes,
        sku=sku,
        at=START + timedelta(hours=hour),
        actor="lab",
        note="link flaps" if failed else "",
    )


ENOUGH = (seen(1, Ring.LAB, "boot", 8), seen(2, Ring.CANARY, "soak", 20, sku="H100"))


@pytest.mark.parametrize(
    ("signals", "codes"),
    [
        ((), [Code.SIGNAL_MISSING, Code.SIGNAL_MISSING]),
        (ENOUGH, []),
        ((seen(1, Ring.LAB, "boot", 5), seen(2, Ring.LAB, "boot", 3), ENOUGH[1]), []),
        ((seen(1, Ring.LAB, "boot", 7), ENOUGH[1]), [Code.SIGNAL_MISSING]),
        ((seen(1, Ring.BUILD_OUT, "boot", 8), ENOUGH[1]), [Code.SIGNAL_MISSING]),
        ((seen(1, Ring.LAB, "soak", 8), ENOUGH[1]), [Code.SIGNAL_MISSING]),
        ((*ENOUGH, seen(3, Ring.LAB, "boot", 1, failed=True)), [Code.SIGNAL_FAILED]),
        ((*ENOUGH, seen(3, Ring.LAB, "boot", 1, failed=True), seen(4, Ring.LAB, "boot", 7)), [Code.SIGNAL_FAILED]),
        ((*ENOUGH, seen(3, Ring.LAB, "boot", 1, failed=True), seen(4, Ring.LAB, "boot", 8)), []),
        ((seen(0, Ring.LAB, "boot", 1, failed=True), *ENOUGH), []),
        ((ENOUGH[0], seen(2, Ring.CANARY, "soak", 20, sku="GB200")), [Code.SIGNAL_MISSING]),
        ((replace(ENOUGH[0], updates=frozenset({NIC.id, UpdateId("os")})), ENOUGH[1]), []),
    ],
)
def test_a_need_is_met_by_passes_since_the_last_failure(signals: tuple[Signal, ...], codes: list[Code]) -> None:
    only_h100 = replace(NIC, applies_to=AppliesTo(skus=frozenset({"H100"})))
    assert [why.code for why in judge_promotion((RULE,), only_h100, reversed(signals))] == codes


def test_signals_of_other_updates_count_for_nothing() -> None:
    other = replace(NIC, id=UpdateId("os"))
    assert {standing.passed for standing in judge_needs(RULE, other, ENOUGH)} == {0}


def test_without_a_rule_nothing_becomes_production_ready() -> None:
    assert [why.code for why in judge_promotion((), NIC, ENOUGH)] == [Code.QUALIFICATION_UNSTATED]


def test_the_first_rule_that_is_about_an_update_holds() -> None:
    security = replace(RULE, id="security", criticalities=frozenset({Criticality.CRITICAL_SECURITY}))
    switches = replace(RULE, id="switches", targets=frozenset({"tor"}))
    team = replace(RULE, id="team", owner_teams=frozenset({TeamId(NIC.owner_team)}))
    rules = (security, switches, team, RULE)
    assert find_rule(rules, replace(NIC, criticality=Criticality.REGULAR)) == team
    assert find_rule(rules, replace(NIC, criticality=Criticality.CRITICAL_SECURITY)) == security
    assert find_rule(rules, replace(NIC, target="tor", owner_team=TeamId("x"))) == switches
