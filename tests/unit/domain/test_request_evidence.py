"""Evidence of a deployment: what waits for its due date is told from what was approved for a time to come."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.constraints import world as w

from fermata.domain.allowances import Allowance
from fermata.domain.cluster_evidence import Weighing
from fermata.domain.consent import Consent
from fermata.domain.hearing import Desk
from fermata.domain.ids import ApprovalId, RequestId
from fermata.domain.ledger import Decisions
from fermata.domain.pending import find_pending
from fermata.domain.policy import ConsentEntry, Scope, ScopeLevel, Verdict
from fermata.domain.reasons import Code
from fermata.domain.request_basis import found_basis
from fermata.domain.request_evidence import Deployments
from fermata.domain.request_shares import nodes_with_work
from fermata.domain.request_standing import OnRecord
from fermata.domain.request_states import RequestState, derive
from fermata.domain.requests import build_requests, clusters_by_supercomputer

FLEET, CATALOGUE = w.fleet(), w.catalogue()
POLICY = w.scenario().policy
PENDING = find_pending(FLEET, CATALOGUE)
ALPHA = RequestId("req_sc-alpha_deployment")
DAY = timedelta(days=1)
YES = ConsentEntry(
    seq=1,
    id=ApprovalId("apr_1"),
    request=ALPHA,
    incarnation=1,
    updates=frozenset(CATALOGUE.updates),
    scope=Scope(level=ScopeLevel.SUPERCOMPUTER, name="sc-alpha"),
    verdict=Verdict.APPROVED,
    actor="lumen-capacity",
    at=w.NOW,
    reason="",
)
LATER = frozenset({Allowance(not_before=w.NOW + DAY)})


def deployments(ledger: tuple[ConsentEntry, ...]) -> Deployments:
    """Every node of alpha may go from tomorrow on."""
    times = {node.name: LATER for node in FLEET.nodes.values() if node.cluster == "alpha"}
    weighing = Weighing(
        fleet=FLEET,
        policy=POLICY,
        pending=PENDING,
        said=Desk(FLEET, POLICY, PENDING, Decisions(FLEET, ledger)).say_all(),
        consent=Consent(gaps={}, times=times, companions={}),
        device_gaps={},
    )
    return Deployments(
        supercomputers=clusters_by_supercomputer(FLEET),
        weighing=weighing,
        clusters={name: weighing.weigh(name, nodes_with_work(FLEET, PENDING, name)) for name in FLEET.clusters},
        record=OnRecord(now=w.NOW),
    )


@pytest.mark.parametrize(
    ("ledger", "proceeding", "state"),
    [
        ((YES,), 0, RequestState.APPROVED),
        ((), 8, RequestState.PENDING),
        ((replace(YES, scope=Scope(level=ScopeLevel.RACK, name="alpha-r0")),), 4, RequestState.PARTLY_APPROVED),
    ],
    ids=["approved from a time on", "nobody answered", "one of two racks"],
)
def test_a_time_to_come_is_a_wait_for_an_answer_only_where_nobody_gave_one(
    ledger: tuple[ConsentEntry, ...], proceeding: int, state: RequestState
) -> None:
    (request,) = [r for r in build_requests(FLEET, PENDING, POLICY, {}) if r.id == ALPHA]
    evidence = deployments(ledger).weigh(request)
    assert (evidence.units, evidence.proceeding, evidence.lacking) == (8, proceeding, 0)
    assert derive(evidence, w.NOW) is state
    assert (evidence.due_at == w.NOW + DAY) == bool(proceeding)


def test_what_a_cluster_adds_is_what_its_units_lack_counted_one_by_one() -> None:
    """All of alpha is approved but for two nodes; a node of gamma has nothing to do."""
    done = {"nic_fw": "2.0", "host_os": "2.0", "gpu_fw": "2.0", "agent": "2.0"}
    fleet = w.with_versions(FLEET, "gamma-n00", **done)
    pending = find_pending(fleet, CATALOGUE)
    no = replace(
        YES, seq=2, scope=Scope(level=ScopeLevel.NODE, name="alpha-n01"), verdict=Verdict.DECLINED, until=w.NOW + DAY
    )
    back = replace(
        no, seq=3, scope=Scope(level=ScopeLevel.NODE, name="alpha-n02"), verdict=Verdict.WITHDRAWN, until=None
    )
    policy = w.scenario().policy
    blocked = replace(policy, customers={name: w.customer() for name in policy.customers})
    basis = found_basis(fleet, CATALOGUE, blocked, [YES, no, back])
    gaps, device_gaps = basis.judged.consent.gaps, basis.judged.device_gaps
    assert {why.code for why in gaps.values()} >= {Code.APPROVAL_DECLINED, Code.SHARED_DEVICE_UNAPPROVED}
    for name, found in basis.judged.clusters.items():
        members = {node.name for node in fleet.nodes_by_cluster[name]}
        working = nodes_with_work(fleet, pending, name)
        units = [(device.name, pending.of_device(device)) for device in fleet.devices_by_cluster[name]]
        quiet = {device for device, unit in units if unit.due and not unit.drains}
        own = {node for node in working if node in gaps and gaps[node].code is not Code.SHARED_DEVICE_UNAPPROVED}
        assert (found.members, found.working) == (members, working)
        assert found.ready == (working - gaps.keys()) | (quiet - device_gaps.keys())
        assert found.lacking == len(working & gaps.keys()) + len(quiet & device_gaps.keys())
        assert found.own == len(own)
        assert found.declined == sum(gaps[node].code is Code.APPROVAL_DECLINED for node in own)
    assert any(each.members != each.working for each in basis.judged.clusters.values())
