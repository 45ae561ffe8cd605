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
