"""Work in service that was free when it was chosen: what keeps it from being done by itself now."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.simulation import small
from tests.unit.domain.test_decide import CATALOGUE, FLEET, NODE, NOW

from fermata.domain.free_work import find_lacks
from fermata.domain.ids import UpdateId
from fermata.domain.policy import NO_CONDITIONS, Conditions, ConsentEntry, Verdict
from fermata.domain.reasons import AnyCode, Code
from fermata.domain.windows import Interval

UPDATE = CATALOGUE.updates[UpdateId("bmc")]
SPAN = Interval(NOW, NOW + timedelta(minutes=30))


def approved(conditions: Conditions = NO_CONDITIONS) -> ConsentEntry:
    return replace(small.approval(CATALOGUE), conditions=conditions)


@pytest.mark.parametrize(
    ("ledger", "code"),
    [
        pytest.param([approved()], None, id="free"),
        pytest.param([], Code.APPROVAL_MISSING, id="nobody-spoke"),
        pytest.param(
            [approved(), small.approval(CATALOGUE, Verdict.WITHDRAWN, seq=2)], Code.APPROVAL_WITHDRAWN, id="withdrawn"
        ),
        pytest.param([approved(Conditions(nodes_per_day=3))], Code.RIDE_ENDS, id="so-many-a-day"),
        pytest.param([approved(Conditions(not_before=SPAN.end))], Code.OUTSIDE_WINDOWS, id="not-yet"),
    ],
)
def test_what_is_not_free_any_more_says_why(ledger: list[ConsentEntry], code: AnyCode | None) -> None:
    node = FLEET.nodes[NODE]
    clusters = {node.cluster: FLEET.clusters[node.cluster]}
    found = find_lacks({NODE: node}, clusters, small.policy(), tuple(ledger), {NODE: (UPDATE, SPAN)})
    assert {name: why.code for name, why in found.items()} == ({} if code is None else {NODE: code})
