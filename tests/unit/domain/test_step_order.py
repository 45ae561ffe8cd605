"""Which steps of a node and of a device behind which it stands wait for each other: only where a rule ties them."""

from datetime import datetime, timedelta

import pytest
from tests.unit.planning import bench as b

from fermata.domain.ids import DeviceId, UpdateId
from fermata.domain.plans import DeviceApplyStep, DrainStep, NodeApplyStep, RebootStep, Step, VerifyStep
from fermata.domain.step_order import device_waits, node_waits
from fermata.domain.updates import Impact, Requirement

LEAF_FIRST = (Requirement(component="leaf_fw", min_version=b.NEW),)
CATALOGUE = b.make_catalogue(
    b.make_update("leaf", "leaf_fw", 10, Impact.IMPACTFUL, target="leaf"),
    b.make_update("manager", "manager_fw", 10, Impact.IMPACTLESS, target="manager"),
    b.make_update("tor", "tor_os", 10, Impact.IMPACTFUL, target="tor", after=("nic",)),
    b.make_update("nic", "nic_fw", 10, Impact.REBOOTFUL, requires=LEAF_FIRST),
    b.make_update("os", "host_os", 10, Impact.REBOOTFUL, after=("manager",)),
    b.make_update("driver", "gpu_driver", 10, Impact.REBOOTFUL, conflicts_with=("leaf",)),
    b.make_update("bmc", "bmc_fw", 10, Impact.IMPACTLESS),
)


def device(update: str, start: int) -> DeviceApplyStep:
    name = UpdateId(update)
    return DeviceApplyStep(update=name, devices=(DeviceId("d"),), batch=1, batches=1, **_times(start))  # type: ignore[arg-type]


def write(update: str, start: int) -> NodeApplyStep:
    return NodeApplyStep(update=UpdateId(update), batch=1, batches=1, nodes=1, **_times(start))  # type: ignore[arg-type]


def reboot(update: str, start: int) -> RebootStep:
    return RebootStep(nodes=1, activates=(UpdateId(update),), **_times(start))  # type: ignore[arg-type]


def _times(start: int) -> dict[str, datetime]:
    begin = b.NOW + timedelta(minutes=start)
    return {"start": begin, "end": begin + timedelta(minutes=10)}


@pytest.mark.parametrize(
    ("step", "on_device", "waits"),
    [
        (write("nic", 10), "leaf", True),  # requires what the device update brings
        (write("os", 10), "manager", True),  # comes after it
        (write("driver", 10), "leaf", True),  # conflicts with it, and was planned second
        (write("bmc", 10), "leaf", False),
        (write("nic", 10), "manager", False),
        (write("nic", 5), "leaf", False),  # planned before the device is done: the checker's business
        (VerifyStep(**_times(10)), "manager", True),  # whoever is proven hangs on nothing unproven
    ],
)
def test_node_waits_for_a_device_only_where_a_rule_ties_them(step: Step, on_device: str, waits: bool) -> None:
    assert node_waits(step, device(on_device, 0), CATALOGUE) is waits


@pytest.mark.parametrize(
    ("on_device", "step", "waits"),
    [
        ("leaf", DrainStep(**_times(0)), True),
        ("manager", DrainStep(**_times(0)), False),  # nobody feels it
        ("tor", write("nic", 0), True),
        ("tor", reboot("nic", 0), True),  # active means rebooted into
        ("tor", write("bmc", 0), False),
        ("leaf", write("driver", 0), True),
        ("leaf", write("driver", 5), False),
    ],
)
def test_device_waits_for_nodes_only_where_a_rule_ties_them(on_device: str, step: Step, waits: bool) -> None:
    assert device_waits(device(on_device, 10), step, CATALOGUE) is waits
