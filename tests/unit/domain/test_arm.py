"""Names of ours as Azure's: the same for ever, and one per thing."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from fermata.domain import arm
from fermata.domain.ids import ClusterId as Cluster
from fermata.domain.ids import CustomerId, DeviceId, NodeId, RackId, SupercomputerId, WindowId

GROUP = arm.group_id(CustomerId("lumen"), SupercomputerId("sc-1"))


def test_ids_never_change() -> None:
    assert arm.subscription_id(CustomerId("lumen")) == "c265f0a3-4616-5c30-b6dd-71cdf8376cc6"
    assert arm.TENANT_ID == "aee50c9f-f201-5acb-90b0-9c1c6678ef24"
    assert arm.event_id(WindowId("w1"), NodeId("n1")) == EVENT
    assert GROUP == "/subscriptions/c265f0a3-4616-5c30-b6dd-71cdf8376cc6/resourceGroups/sc-1"
    assert arm.node_id(GROUP, NodeId("n1")) == f"{GROUP}/providers/Microsoft.Compute/virtualMachines/n1"
    assert arm.cluster_id(GROUP, Cluster("c1")) == f"{GROUP}/providers/Microsoft.Compute/virtualMachineScaleSets/c1"


def test_every_part_has_an_id_of_its_own() -> None:
    sc, cluster = SupercomputerId("sc-1"), Cluster("x")
    ids = {
        arm.supercomputer_id(GROUP, sc),
        arm.cluster_id(GROUP, cluster),
        arm.rack_id(GROUP, sc, cluster, RackId("x")),
        arm.scalable_unit_id(GROUP, sc, cluster, "x"),
        arm.node_id(GROUP, NodeId("x")),
        arm.device_id(GROUP, sc, DeviceId("x")),
    }
    assert len(ids) == 6
    assert arm.event_id(WindowId("w1"), NodeId("n2")) != arm.event_id(WindowId("w2"), NodeId("n1"))


def test_times_are_written_in_utc_and_english() -> None:
    at = datetime(2016, 9, 5, 1, 2, 3, tzinfo=timezone(timedelta(hours=2)))
    assert arm.rfc1123(at) == "Sun, 04 Sep 2016 23:02:03 GMT"
    assert arm.iso(at) == "2016-09-04T23:02:03Z"
    assert arm.rfc1123(datetime(2016, 9, 19, 18, 29, 47, tzinfo=UTC)) == "Mon, 19 Sep 2016 18:29:47 GMT"


EVENT = "c6794e25-6644-5e70-a1a6-1bdceb0c9e42"


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("/subscriptions/S/resourceGroups/G/providers/P/nodes/n", (("nodes", "n"),)),
        ("/Subscriptions/S/resourcegroups/G/PROVIDERS/P/racks/R/nodes/n/", (("racks", "R"), ("nodes", "n"))),
        ("subscriptions/S/resourceGroups/G/providers/P/nodes/n", None),
        ("/subscriptions/S/resourceGroups/G/providers/P/nodes", None),
        ("/subscriptions/S/resourceGroups/G/providers/P", None),
        ("/subscriptions/S/resourceGroups/G/providers/P/nodes//n", None),
        ("/subscriptions/S/providers/P/nodes/n", None),
        ("/subscriptions//resourceGroups/G/providers/P/nodes/n", None),
        ("/", None),
        ("", None),
    ],
)
def test_an_id_is_read_into_its_parts_or_is_none(text: str, pairs: tuple[tuple[str, str], ...] | None) -> None:
    found = arm.read_id(text)
    if pairs is None:
        assert found is None
    else:
        assert found == arm.ResourceId(subscription="S", group="G", provider="P", pairs=pairs)
