"""Work that nobody approved begins no sooner than the promised notice after its customer knew of it."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.constraints import world as w

from fermata.domain.consent import Consent, device_gaps, find_consent
from fermata.domain.fleet import Fleet
from fermata.domain.hashing import content_sha256
from fermata.domain.ids import CustomerId, SupercomputerId
from fermata.domain.notified import Notified
from fermata.domain.pending import find_pending
from fermata.domain.policy import AfterDue, ConsentEntry, Policy, Verdict
from fermata.domain.policy_trial import Outcome, try_policy
from fermata.domain.updates import Criticality, Update

FLEET: Fleet = w.fleet()
NODE = next(node for node in FLEET.nodes.values() if node.cluster == "alpha")
LUMEN, ALPHA = CustomerId("lumen"), SupercomputerId(f"sc-{NODE.cluster}")
DAY = timedelta(days=1)


def know(*updates: Update, days: float = 0) -> tuple[Notified, ...]:
    return tuple(
        Notified(customer=LUMEN, supercomputer=ALPHA, update=u.id, impact=u.impact, at=w.NOW + days * DAY)
        for u in updates
    )


def policy(notified: tuple[Notified, ...] | None) -> Policy:
    customers = {LUMEN: replace(w.customer(), after_due=AfterDue.PROCEED)}
    return replace(w.scenario().policy, customers=customers, freezes=(), notified=notified)


def consent(notified: tuple[Notified, ...] | None, *ledger: ConsentEntry) -> Consent:
    return find_consent(FLEET, policy(notified), find_pending(FLEET, w.catalogue()), ledger)


def of_node() -> list[Update]:
    pending = find_pending(FLEET, w.catalogue())
    units = [pending.of_node(NODE), *(pending.of_device(device) for device in FLEET.devices_of(NODE))]
    return [item.update for unit in units for item in unit.due]


def test_without_a_notice_it_waits_and_says_so() -> None:
    found = consent(())
    assert found.gaps[NODE.name].code.value == "NOTICE_NOT_DELIVERED"
    assert "lumen" in found.gaps[NODE.name].sentence
    assert NODE.name not in found.times
    assert device_gaps(FLEET, policy(()), find_pending(FLEET, w.catalogue()), ())


def test_it_may_begin_when_the_last_of_its_notices_is_as_old_as_was_promised() -> None:
    found = consent(know(*of_node(), days=3))
    assert NODE.name not in found.gaps
    rules = policy(())
    starts = {allowance.not_before for allowance in found.times[NODE.name]}
    assert starts == {max(rules.due_at(update), w.NOW + 3 * DAY + rules.promised(update)) for update in of_node()}


def test_one_item_that_was_not_told_keeps_the_whole_node() -> None:
    (_first, *rest) = of_node()
    assert consent(know(*rest)).gaps[NODE.name].code.value == "NOTICE_NOT_DELIVERED"


@pytest.mark.parametrize(
    "other",
    [
        {"customer": CustomerId("meridian")},
        {"supercomputer": SupercomputerId("sc-elsewhere")},
    ],
)
def test_a_notice_counts_for_its_customer_and_its_supercomputer_alone(other: dict[str, str]) -> None:
    told = tuple(replace(each, **other) for each in know(*of_node()))  # type: ignore[arg-type]
    assert NODE.name in consent(told).gaps


def test_an_approval_is_the_customers_own_word_and_needs_no_notice() -> None:
    entry = ConsentEntry(
        seq=1,
        id="apr_1",  # type: ignore[arg-type]
        request="req",  # type: ignore[arg-type]
        incarnation=1,
        updates=frozenset(update.id for update in w.catalogue().updates.values()),
        scope=w.pol.Scope(level=w.pol.ScopeLevel.CLUSTER, name=NODE.cluster),
        verdict=Verdict.APPROVED,
        actor="ann",
        at=w.NOW,
        reason="",
    )
    found = consent((), entry)
    assert NODE.name not in found.gaps
    assert NODE.name not in found.times


@pytest.mark.parametrize("criticality", [Criticality.CRITICAL_SECURITY, Criticality.CRITICAL_LIVESITE])
def test_critical_work_has_the_shorter_notice_that_was_promised(criticality: Criticality) -> None:
    rules = policy(())
    regular = of_node()[0]
    urgent = replace(regular, criticality=criticality)
    assert (rules.promised(regular), rules.promised(urgent)) == (90 * DAY, DAY)
    assert (rules.due_at(regular), rules.due_at(urgent)) == (w.NOW + 90 * DAY, w.NOW + DAY)


def test_files_alone_keep_no_record_and_go_by_the_due_date() -> None:
    starts = {allowance.not_before for allowance in consent(None).times[NODE.name]}
    assert starts == {policy(None).due_at(update) for update in of_node()}


def test_a_trial_says_the_same() -> None:
    update = next(u for u in of_node() if u.target == "node")
    untold = try_policy(FLEET, policy(()), (), node=NODE, update=update, at=w.NOW)
    assert (untold.outcome, untold.why[0].code.value) == (Outcome.NEEDS_APPROVAL, "NOTICE_NOT_DELIVERED")
    told = try_policy(FLEET, policy(know(update, days=500)), (), node=NODE, update=update, at=w.NOW)
    assert told.outcome is Outcome.WAITS


def test_what_customers_know_is_no_input_of_a_plan() -> None:
    assert content_sha256(policy(())) == content_sha256(policy(None)) == content_sha256(policy(know(*of_node())))
