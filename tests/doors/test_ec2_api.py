"""EC2's own client asks for the status of instances."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.session import get_session
from tests.doors import world
from tests.doors.conftest import Doors

from fermata.domain.policy import ScopeLevel


def client(doors: Doors, customer: str) -> Any:
    return get_session().create_client(
        "ec2",
        region_name="westus3",
        endpoint_url=doors.url,
        aws_access_key_id=customer,
        aws_secret_access_key="nothing",
        config=Config(retries={"total_max_attempts": 1}),
    )


@pytest.fixture
def ec2(doors: Doors) -> Iterator[Any]:
    opened = client(doors, "lumen")
    yield opened
    opened.close()


def test_every_node_of_the_customer_tells_its_events(doors: Doors, ec2: Any) -> None:
    told = ec2.describe_instance_status(IncludeAllInstances=True)["InstanceStatuses"]
    assert [each["InstanceId"] for each in told] == list(world.ALPHA)
    assert {event["Code"] for each in told for event in each["Events"]} == {"system-reboot", "system-maintenance"}
    world.approve(doors.db, ScopeLevel.CLUSTER, "alpha")
    world.publish(doors.db, world.window(("alpha-n1",)))
    (one,) = ec2.describe_instance_status(InstanceIds=["alpha-n1"])["InstanceStatuses"]
    (event,) = one["Events"]
    assert (event["NotBefore"], event["NotAfter"]) == (world.START, world.START + world.HOURS)
    assert (event["InstanceEventId"][:15], one["AvailabilityZone"]) == ("instance-event-", "westus3-dc1")
    reboots = [{"Name": "event.code", "Values": ["system-reboot", "instance-stop"]}]
    found = ec2.describe_instance_status(Filters=reboots)["InstanceStatuses"]
    assert [each["InstanceId"] for each in found] == ["alpha-n1"]


def test_pages_follow_each_other(doors: Doors, ec2: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fermata.server.doors.ec2_api.PAGE", 2)
    pages = [page["InstanceStatuses"] for page in ec2.get_paginator("describe_instance_status").paginate()]
    assert [[each["InstanceId"] for each in page] for page in pages] == [["alpha-n0", "alpha-n1"], ["alpha-n2"]]


def test_what_cannot_be_answered_is_refused_in_the_documented_shape(doors: Doors, ec2: Any) -> None:
    stranger = client(doors, "stranger")
    calls = [
        ("AuthFailure", stranger.describe_instance_status),
        ("InvalidInstanceID.NotFound", lambda: ec2.describe_instance_status(InstanceIds=["beta-n0"])),
        ("InvalidParameterValue", lambda: ec2.describe_instance_status(Filters=[{"Name": "x", "Values": ["y"]}])),
        ("InvalidParameterValue", lambda: ec2.describe_instance_status(MaxResults=1)),
        ("InvalidNextToken", lambda: ec2.describe_instance_status(NextToken="x")),
        ("InvalidAction", ec2.describe_instances),
    ]
    for code, call in calls:
        with pytest.raises(ClientError) as refused:
            call()
        assert refused.value.response["Error"]["Code"] == code
    stranger.close()
    for body in (b"", b"\x00\xff", b"Action=%00%01", b"Action=DescribeInstanceStatus"):
        answer = httpx.post(doors.url, content=body)
        assert (answer.status_code // 100, answer.text[:5]) == (4, "<?xml")
    assert httpx.get(doors.url).headers["content-type"].startswith("text/html"), "the board is still there"
