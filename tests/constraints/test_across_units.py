"""Order and requirements that reach across units: between nodes and the devices they hang on."""

from dataclasses import replace
from typing import Any

from tests.constraints import world as w
from tests.constraints.test_evidence import consented, entry

from fermata.domain.fleet import Fleet
from fermata.domain.ids import DeviceId, UpdateId
from fermata.domain.plans import Plan, Window
from fermata.domain.policy import ScopeLevel
from fermata.domain.reasons import Code
from fermata.domain.updates import Catalogue
from fermata.planning.inputs import PlanningInput

MGR_LAST = ("tor-os", "nic", "reboot", "os", "gpu", "reboot", "agent", "mgr")
AGENT_FIRST = ("agent", "tor-os", "mgr", "nic", "reboot", "os", "gpu", "reboot")


def changed(name: str, **fields: Any) -> Catalogue:
    updates = w.catalogue().updates
    return replace(w.catalogue(), updates={**updates, UpdateId(name): replace(updates[UpdateId(name)], **fields)})


def after(name: str, first: str) -> Catalogue:
    return changed(name, after=(UpdateId(first),))


def with_alpha(inputs: PlanningInput, *stages: str) -> Plan:
    alpha = w.window(inputs, "w-alpha", w.names(inputs, "alpha"), w.MONDAY, stages=stages)
    return w.plan(inputs, w.swap(w.windows(inputs), alpha))


def test_a_node_waits_for_the_devices_it_hangs_on() -> None:
    inputs = w.scenario(catalogue=after("agent", "mgr"))
    assert w.faults(inputs, with_alpha(inputs, *w.STAGES)) == set()
    assert w.faults(inputs, with_alpha(inputs, *AGENT_FIRST)) == {"AFTER"}


def test_a_device_worked_on_with_an_earlier_part_counts_for_later_ones() -> None:
    inputs = w.scenario(catalogue=after("agent", "mgr"))
    made = w.windows(inputs)
    assert made[1].updates.count(UpdateId("mgr")) == 1
    late = w.drop(made[1], w.applies("mgr"))
    last = replace(first_part(inputs, w.names(inputs, "beta")[8:]), part=3)
    assert w.faults(inputs, w.plan(inputs, w.swap(made, late, last))) == {"AFTER"}


def first_part(inputs: PlanningInput, names: list[Any], stages: tuple[str, ...] = w.STAGES) -> Window:
    """A part on Thursday that works on the manager of all of beta."""
    return w.window(inputs, "w-beta-3", names, w.THURSDAY, part=(1, 3), stages=stages)


def test_a_device_waits_for_the_nodes_behind_it() -> None:
    inputs = w.scenario(catalogue=after("mgr", "agent"))
    made = w.windows(inputs)
    beta = w.names(inputs, "beta")
    alpha = w.window(inputs, "w-alpha", w.names(inputs, "alpha"), w.MONDAY, stages=MGR_LAST)
    none = w.drop(made[1], w.applies("mgr"))
    last = replace(first_part(inputs, beta[8:], MGR_LAST), part=3)
    assert w.faults(inputs, w.plan(inputs, w.swap(made, alpha, none, last))) == set()
    early = w.window(inputs, "w-beta-1", beta[:4], w.TUESDAY, part=(1, 3), stages=MGR_LAST)
    assert w.faults(inputs, w.plan(inputs, w.swap(made, alpha, early))) == {"AFTER"}


def test_a_device_waits_for_another_device_of_the_same_nodes() -> None:
    inputs = w.scenario(catalogue=after("mgr", "tor-os"))
    assert w.faults(inputs, with_alpha(inputs, *w.STAGES)) == {"AFTER"}  # beta's manager goes before two parts
    alpha = with_alpha(inputs, "mgr", *(stage for stage in w.STAGES if stage != "mgr"))
    tops = [v for v in alpha.windows if v.id == "w-alpha"]
    left = tuple(w.unplanned(inputs, w.names(inputs, name), Code.NO_ROOM) for name in ("beta", "gamma"))
    assert w.faults(inputs, w.plan(inputs, tops, left)) == {"AFTER"}
    good = [w.windows(inputs)[0]]
    assert w.faults(inputs, w.plan(inputs, good, left)) == set()


def with_device(fleet: Fleet, name: str, version: str) -> Fleet:
    device = replace(fleet.devices[DeviceId(name)], version=version)
    return Fleet(clusters=fleet.clusters, nodes=fleet.nodes, devices={**fleet.devices, device.name: device})


def test_a_device_of_unknown_version_is_no_proof() -> None:
    inputs = w.scenario(catalogue=after("agent", "tor-os"), fleet=with_device(w.fleet(), "gamma-r0-tor", ""))
    assert w.faults(inputs, w.plan(inputs, w.windows(inputs))) == {"AFTER", "REQUIREMENT"}
    rack, rest = w.names(inputs, "gamma")[:3], w.names(inputs, "gamma")[3:]
    gamma = w.window(inputs, "w-gamma", rest, w.TUESDAY, stages=tuple(s for s in w.STAGES if s != "tor-os"))
    left = (w.unplanned(inputs, rack, Code.REQUIREMENT_UNMET),)
    beta_off = [x for x in w.windows(inputs) if x.cluster not in {"beta", "gamma"}]
    left += (w.unplanned(inputs, w.names(inputs, "beta"), Code.NO_ROOM),)
    assert w.faults(inputs, w.plan(inputs, [*beta_off, gamma], left)) == set()


def test_what_waits_for_a_device_that_may_not_be_touched_stays_behind() -> None:
    blocked = entry(9, ScopeLevel.NODE, "alpha-n00", "agent", "gpu", "nic", "os", "tor-os")
    inputs = replace(consented(blocked), catalogue=after("agent", "mgr"))
    made = w.windows(inputs)
    rack, rest = w.names(inputs, "alpha")[:3], w.names(inputs, "alpha")[3:]
    alpha = w.edit(made[0], w.applies("mgr"), devices=(DeviceId("alpha-r1-mgr"),))
    assert w.faults(inputs, w.plan(inputs, w.swap(made, alpha))) == {"AFTER"}
    half = w.window(inputs, "w-alpha", rest, w.MONDAY)
    left = (w.unplanned(inputs, rack, Code.REQUIREMENT_UNMET),)
    assert w.faults(inputs, w.plan(inputs, w.swap(made, half), left)) == set()


def test_conflicts_on_one_node_are_told_as_well() -> None:
    inputs = w.scenario(catalogue=changed("os", conflicts_with=(UpdateId("gpu"),), isolation=w.u.Isolation()))
    made = w.windows(inputs)
    gpu = next(step for step in made[0].steps if w.applies("gpu", 1)(step))
    both = w.edit(made[0], w.applies("os"), start=gpu.start, end=gpu.start + 4 * w.MINUTE)
    assert "CONFLICT" in w.faults(inputs, w.plan(inputs, w.swap(made, both)))


def test_isolation_counts_the_nodes_behind_devices() -> None:
    half = w.u.Isolation(by=w.u.IsolationBy.PERCENT, at_once=50)
    inputs = w.scenario(catalogue=changed("tor-os", isolation=half))
    assert "ISOLATION" in w.faults(inputs, w.plan(inputs, w.windows(inputs)))
