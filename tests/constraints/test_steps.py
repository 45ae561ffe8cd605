"""What happens inside a window: order, reboots, isolation, conflicts, batches, devices, lengths."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.constraints import world as w

from fermata.domain.ids import DeviceId, UpdateId
from fermata.domain.plans import DrainStep, NodeApplyStep, RebootStep, Step, VerifyStep, Window
from fermata.planning.inputs import PlanningInput

MINUTE = timedelta(minutes=1)
Spoil = Callable[[Window], Window]


def of_kind(kind: type[Step]) -> Callable[[Step], bool]:
    return lambda step: isinstance(step, kind)


def last_reboot(step: Step) -> bool:
    return isinstance(step, RebootStep) and UpdateId("os") in step.activates


def judge(window: Window, inputs: PlanningInput) -> set[str]:
    return w.faults(inputs, w.plan(inputs, w.swap(w.windows(inputs), window)))


@pytest.mark.parametrize(
    ("stages", "expected"),
    [
        (("tor-os", "mgr", "nic", "reboot", "os", "gpu", "reboot", "agent"), set()),
        (("tor-os", "agent", "gpu", "nic", "reboot", "mgr", "os", "reboot"), set()),
        (("tor-os", "mgr", "os", "nic", "reboot", "gpu", "reboot", "agent"), {"AFTER"}),
        (("tor-os", "mgr", "nic", "os", "reboot", "gpu", "reboot", "agent"), {"AFTER"}),
        (("nic", "tor-os", "mgr", "reboot", "os", "gpu", "reboot", "agent"), {"REQUIREMENT"}),
        (("tor-os", "mgr", "nic", "reboot", "os", "reboot", "gpu", "agent"), {"REBOOTS"}),
        (("tor-os", "mgr", "nic", "reboot", "os", "gpu", "reboot"), {"BATCHES"}),
        (("mgr", "agent"), {"BATCHES", "DEVICES_APPLIED"}),
    ],
)
def test_updates_follow_the_order_that_was_tested(stages: tuple[str, ...], expected: set[str]) -> None:
    inputs = w.scenario()
    assert judge(w.window(inputs, "w-alpha", w.names(inputs, "alpha"), w.MONDAY, stages=stages), inputs) == expected


def at_once(update: str) -> Spoil:
    """Both batches of `update` at the time of the first."""

    def spoil(window: Window) -> Window:
        first = next(step for step in window.steps if w.applies(update, 1)(step))
        return w.edit(window, w.applies(update, 2), start=first.start, end=first.end)

    return spoil


def in_one_batch(update: str) -> Spoil:
    def spoil(window: Window) -> Window:
        kept = replace(window, steps=tuple(step for step in window.steps if not w.applies(update, 2)(step)))
        return w.edit(kept, w.applies(update), batches=1, nodes=6)

    return spoil


def shorter(kind: type[Step]) -> Spoil:
    def spoil(window: Window) -> Window:
        step = next(step for step in window.steps if isinstance(step, kind))
        return w.edit(window, lambda s: s is step, end=step.end - timedelta(seconds=1))

    return spoil


def device_step_twice(window: Window) -> Window:
    step = next(step for step in window.steps if w.applies("mgr")(step))
    twice = (replace(step, batches=2), replace(step, batch=2, batches=2))  # type: ignore[call-arg]
    return replace(window, steps=(*(s for s in window.steps if s is not step), *twice))


def second_drain(window: Window) -> Window:
    again = replace(window.steps[0], start=window.steps[0].end, end=window.steps[0].end + 2 * MINUTE)
    return replace(window, steps=(*window.steps, again))


def with_ghost_update(window: Window) -> Window:
    agent = next(step for step in window.steps if w.applies("agent")(step))
    assert isinstance(agent, NodeApplyStep)
    ghost = UpdateId("ghost")
    steps = tuple(s for s in window.steps if s is not agent)
    return replace(window, steps=(*steps, agent, replace(agent, update=ghost)), updates=(*window.updates, ghost))


CASES: list[tuple[str, Spoil, set[str]]] = [
    ("too few nodes rebooted", lambda x: w.edit(x, last_reboot, nodes=5), {"REBOOTS"}),
    ("reboot that names too little", lambda x: w.edit(x, last_reboot, activates=(UpdateId("os"),)), {"REBOOTS"}),
    (
        "reboot into what was not applied",
        lambda x: w.edit(x, last_reboot, activates=tuple(map(UpdateId, ("os", "gpu", "nic")))),
        {"REBOOTS"},
    ),
    ("reboots miscounted", lambda x: replace(x, reboots_per_node=3), {"REBOOTS_PER_NODE"}),
    ("two fault domains at once", at_once("os"), {"ISOLATION"}),
    ("two halves at once", at_once("gpu"), {"ISOLATION"}),
    ("more than half in a batch", in_one_batch("gpu"), {"ISOLATION"}),
    ("both fault domains in a batch", in_one_batch("os"), {"ISOLATION"}),
    ("ends too early", lambda x: replace(x, end=x.end - 2 * MINUTE), {"STEPS_IN_WINDOW"}),
    ("starts too late", lambda x: replace(x, start=x.start + MINUTE), {"STEPS_IN_WINDOW"}),
    ("no drain", lambda x: w.drop(x, of_kind(DrainStep)), {"DRAIN_FIRST"}),
    ("drain over too late", lambda x: w.shift(x, of_kind(DrainStep), MINUTE), {"DRAIN_FIRST"}),
    ("two drains", second_drain, {"DRAIN_FIRST"}),
    ("no verification", lambda x: w.drop(x, of_kind(VerifyStep)), {"VERIFY_LAST"}),
    ("work after verification", lambda x: w.shift(x, w.applies("agent"), 3 * MINUTE), {"VERIFY_LAST"}),
    ("short drain", shorter(DrainStep), {"STEP_LENGTH"}),
    ("short update", shorter(NodeApplyStep), {"STEP_LENGTH"}),
    ("short reboot", shorter(RebootStep), {"STEP_LENGTH"}),
    ("short verification", shorter(VerifyStep), {"STEP_LENGTH"}),
    ("short work on a device", lambda x: w.edit(x, w.applies("mgr"), end=x.start + 5 * MINUTE), {"STEP_LENGTH"}),
    ("two things at once", lambda x: w.shift(x, w.applies("agent"), -MINUTE), {"ONE_THING_AT_A_TIME"}),
    ("a node forgotten", lambda x: w.edit(x, w.applies("agent"), nodes=5), {"BATCHES"}),
    (
        "an empty batch",
        lambda x: w.edit(w.edit(x, w.applies("os", 1), nodes=6), w.applies("os", 2), nodes=0),
        {"BATCHES"},
    ),
    ("batches misnumbered", lambda x: w.edit(x, w.applies("os", 2), batch=3), {"BATCHES"}),
    ("batches miscounted", lambda x: w.edit(x, w.applies("os"), batches=3), {"BATCHES"}),
    ("device batches miscounted", lambda x: w.edit(x, w.applies("mgr"), batches=2), {"BATCHES"}),
    ("an update forgotten", lambda x: w.drop(x, w.applies("agent")), {"BATCHES"}),
    ("an update nobody knows", with_ghost_update, {"BATCHES"}),
    ("update not listed", lambda x: replace(x, updates=x.updates[1:]), {"WINDOW_UPDATES"}),
    ("update listed in vain", lambda x: replace(x, updates=(*x.updates, UpdateId("ghost"))), {"WINDOW_UPDATES"}),
    ("update listed twice", lambda x: replace(x, updates=(*x.updates, x.updates[0])), {"WINDOW_UPDATES"}),
    ("switches forgotten", lambda x: w.drop(x, w.applies("tor-os")), {"DEVICES_APPLIED"}),
    ("managers forgotten", lambda x: w.drop(x, w.applies("mgr")), {"DEVICES_APPLIED"}),
    ("device twice", device_step_twice, {"DEVICES_APPLIED"}),
    (
        "a switch of another cluster",
        lambda x: w.edit(x, w.applies("tor-os"), devices=tuple(map(DeviceId, (*TORS, "gamma-r0-tor")))),
        {"DEVICES_APPLIED"},
    ),
    (
        "a switch nobody knows",
        lambda x: w.edit(x, w.applies("tor-os"), devices=tuple(map(DeviceId, (*TORS, "ghost")))),
        {"DEVICES_APPLIED"},
    ),
    ("confidence above one", lambda x: replace(x, end_confidence=1.01), {"END_CONFIDENCE"}),
    ("confidence below zero", lambda x: replace(x, end_confidence=-0.01), {"END_CONFIDENCE"}),
    ("confidence that is no number", lambda x: replace(x, end_confidence=float("nan")), {"END_CONFIDENCE"}),
]
TORS = ("alpha-r0-tor", "alpha-r1-tor")


@pytest.mark.parametrize(("spoil", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_spoilt_window_is_faulted_by_exactly_its_rule(spoil: Spoil, expected: set[str]) -> None:
    inputs = w.scenario()
    assert judge(spoil(w.windows(inputs)[0]), inputs) == expected


def test_conflicting_updates_never_meet_on_a_device_and_a_node_behind_it() -> None:
    inputs = w.scenario()
    stages = ("tor-os", "gpu", "mgr", "nic", "reboot", "os", "reboot", "agent")
    alpha = w.window(inputs, "w-alpha", w.names(inputs, "alpha"), w.MONDAY, stages=stages)
    assert judge(alpha, inputs) == set()
    assert judge(w.shift(alpha, w.applies("tor-os"), MINUTE), inputs) == {"CONFLICT"}


def test_conflicting_updates_may_run_beside_each_other_on_nodes_that_share_nothing() -> None:
    inputs = w.scenario()
    made = w.windows(inputs)
    beside = w.move(made[-1], w.MONDAY - 8 * MINUTE - made[-1].start)
    inputs_early = w.scenario(campaign=w.campaign(daily_window=early_window()))
    assert w.faults(inputs_early, w.plan(inputs_early, w.swap(made, beside))) == set()


def early_window() -> object:
    daily = w.campaign().daily_window
    return replace(daily, start=daily.start.replace(hour=10))


def test_a_manager_of_the_whole_cluster_is_updated_in_exactly_one_part() -> None:
    inputs = w.scenario()
    made = w.windows(inputs)
    none = w.drop(made[1], w.applies("mgr"))
    assert judge(none, inputs) == {"DEVICES_APPLIED"}
    beta = w.names(inputs, "beta")
    again = w.window(inputs, "w-beta-2", beta[4:8], w.WEDNESDAY, part=(1, 3))
    assert judge(replace(again, part=2), inputs) == {"DEVICES_APPLIED"}
    assert w.faults(inputs, w.plan(inputs, w.swap(made, none, replace(again, part=2)))) == set()


def test_reboots_may_follow_each_batch() -> None:
    """Two reboots into the same updates take the nodes as batches do: by fault domain, then name."""
    inputs = w.scenario()
    gamma = w.window(inputs, "w-gamma", w.names(inputs, "gamma"), w.TUESDAY)
    reboot = next(step for step in gamma.steps if last_reboot(step))
    assert isinstance(reboot, RebootStep)
    halves = (replace(reboot, nodes=3), replace(reboot, nodes=3))
    split = replace(gamma, steps=(*(s for s in gamma.steps if s is not reboot), *halves))
    assert judge(split, inputs) == set()
    torn = replace(gamma, steps=(*(s for s in gamma.steps if s is not reboot), *halves, halves[0]))
    assert judge(torn, inputs) == {"REBOOTS", "ONE_THING_AT_A_TIME", "REBOOTS_PER_NODE"}
