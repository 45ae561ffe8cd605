"""Sentences about what changes the target: done once under a key, told as it was, left to whom it belongs."""

from datetime import UTC, timedelta

from fermata.conformance.bench import NO_UNIT, PORT_OF, Bench, Broken, Mishap, Op
from fermata.conformance.sentences import (
    Sentence,
    Subject,
    accept,
    accept_in_the_end,
    expect,
    expect_accepted,
    expect_effects,
    make_ready,
    wait_for_end,
)
from fermata.domain.fleet import NodeState
from fermata.domain.ids import DeviceId, NodeId
from fermata.domain.node_states import UnitKind
from fermata.domain.observations import Accepted, Denied, Later, NeverAsked, Succeeded, Unsure
from fermata.domain.routing import PortName
from fermata.ports import CALL_SIZE_MAX

ALL = tuple(Op)
OBSERVED = tuple(op for op in Op if op is not Op.NOTIFY)
TRIES_MAX = 5  # of a call whose answers get lost, before the connection is whole again
LOSING = (Mishap.LOST_BEFORE, Mishap.LOST_AFTER, Mishap.ERROR, Mishap.CUT)


def asked_twice_is_done_once(bench: Bench, subject: Subject, _mishap: Mishap | None) -> None:
    """The key is the idempotency key: while it goes on, and after it ended."""
    op, unit = _op(subject), bench.units[0]
    make_ready(bench, op, unit)
    accept(bench, op, unit)
    accept(bench, op, unit)
    expect_effects(bench, op, unit, 1)
    if op in OBSERVED:
        wait_for_end(bench, op, unit)
        accept(bench, op, unit)
        expect_effects(bench, op, unit, 1)


def every_item_of_a_call_is_done_once(bench: Bench, subject: Subject, _mishap: Mishap | None) -> None:
    """However a bulk call is cut into what the target takes."""
    op = _op(subject)
    make_ready(bench, op, *bench.units)
    accept(bench, op, *bench.units)
    for unit in bench.units:
        expect_effects(bench, op, unit, 1)


def asked_again_after_a_restart_is_done_once(bench: Bench, subject: Subject, _mishap: Mishap | None) -> None:
    """What was asked is known to the target, not to the process that asked."""
    op, unit = _op(subject), bench.units[0]
    assert bench.reopen is not None
    make_ready(bench, op, unit)
    accept(bench, op, unit)
    bench.ports.close()
    bench.ports = bench.reopen()
    if op in OBSERVED:
        progress = bench.observe(op, unit)
        expect(not isinstance(progress, NeverAsked), f"{op} was accepted before a restart, and is told as never asked")
    accept(bench, op, unit)
    expect_effects(bench, op, unit, 1)


def an_unknown_unit_is_denied_and_the_others_go_on(bench: Bench, subject: Subject, _mishap: Mishap | None) -> None:
    """One bad name does not stop a window."""
    op, unit = _op(subject), bench.units[0]
    make_ready(bench, op, unit)
    answers = bench.ask(op, NO_UNIT, unit)
    expect(isinstance(answers[NO_UNIT], Denied), f"{op} of a unit that is not there is answered {answers[NO_UNIT]}")
    expect(bool(getattr(answers[NO_UNIT], "why", "")), f"{op} of a unit that is not there is denied without a reason")
    expect_accepted(op, unit, answers[unit])


def what_was_asked_is_observed_to_its_end(bench: Bench, subject: Subject, _mishap: Mishap | None) -> None:
    """It runs, then it succeeded at a time in UTC."""
    op, unit = _op(subject), bench.units[0]
    make_ready(bench, op, unit)
    accept(bench, op, unit)
    end = wait_for_end(bench, op, unit)
    if not isinstance(end, Succeeded):
        raise Broken(f"{op} of {unit}, with which nothing is wrong, ends as {end}")
    expect(end.at.utcoffset() == UTC.utcoffset(None), f"{op} ended at {end.at}, which is not in UTC")


def another_attempt_is_another_step(bench: Bench, subject: Subject, _mishap: Mishap | None) -> None:
    """A new try has a new key; of the old one's end it knows nothing."""
    op, unit = _op(subject), bench.units[0]
    make_ready(bench, op, unit)
    accept(bench, op, unit)
    progress = bench.observe(op, unit, attempt=2)
    expect(progress == NeverAsked(), f"a second attempt that was not asked for is observed as {progress}")


def whatever_becomes_of_the_answer_it_is_done_once(bench: Bench, subject: Subject, mishap: Mishap | None) -> None:
    """The outcome is unknown then, or found out by looking; nothing is done twice, and nothing is forgotten."""
    op, unit = _op(subject), bench.units[0]
    assert bench.strike is not None
    make_ready(bench, op, unit)
    bench.strike(mishap)
    for _ in range(TRIES_MAX):
        before = bench.effects(op, unit)
        answer = bench.ask(op, unit)[unit]
        expect(not isinstance(answer, Denied), f"{mishap}: {op} is denied ({answer}), though it may have been done")
        done = bench.effects(op, unit)
        if isinstance(answer, Accepted):
            expect(done != 0, f"{mishap}: {op} is told as accepted, and the target did nothing")
        if isinstance(answer, Later):
            expect(done == before, f"{mishap}: {op} is told as not done, and the target did it")
        expect(done is None or done <= 1, f"{mishap}: the target did {op} {done} times")
    bench.strike(None)
    accept_in_the_end(bench, op, unit)
    expect_effects(bench, op, unit, 1)


def a_lost_answer_leaves_the_outcome_unknown(bench: Bench, subject: Subject, mishap: Mishap | None) -> None:
    """Unless a look finds it: never told as done when it was not seen, nor as not done when it was."""
    op, unit = _op(subject), bench.units[0]
    assert bench.strike is not None
    make_ready(bench, op, unit)
    bench.strike(mishap)
    answer = bench.ask(op, unit)[unit]
    expect(isinstance(answer, Unsure | Accepted), f"{mishap}: {op} is answered {answer}, not unsure")
    bench.strike(None)
    if op in OBSERVED and isinstance(answer, Accepted):
        progress = bench.observe(op, unit)
        expect(not isinstance(progress, NeverAsked), f"{op} is told as accepted, and observed as never asked")


def a_busy_target_is_left_alone_until_it_says(bench: Bench, subject: Subject, mishap: Mishap | None) -> None:
    """Asking a busy target at once again is how it stays busy: the conductor waits, the adapter does not try."""
    op = _op(subject)
    assert bench.strike is not None
    make_ready(bench, op, *bench.units)
    bench.strike(mishap)
    before = _struck(bench)
    bench.ask(op, bench.units[0])
    made = _struck(bench) - before
    expect(made <= 1, f"for one item a busy target was called {made} times")
    others = bench.units[1:] or bench.units  # a target may be busy once for each, and was for the first
    answers = bench.ask(op, *others)
    for unit, answer in answers.items():
        if not isinstance(answer, Later):
            raise Broken(f"the target is busy, and {op} of {unit} is answered {answer}")
        expect(answer.after > timedelta(0), f"{op} is to be asked again after {answer.after}")
        told = bench.retry_after
        expect(told is None or answer.after == told, f"the target says {told}, told is {answer.after}")
        expect(not bench.effects(op, unit), f"{op} of {unit} is told as not done, and the target did it")
    again = _struck(bench) - before - made
    expect(again <= len(answers), f"for {len(answers)} items a busy target was called {again} times")
    bench.strike(None)
    for unit in bench.units:
        accept_in_the_end(bench, op, unit)
        expect_effects(bench, op, unit, 1)


def an_older_answer_does_not_make_it_do_twice(bench: Bench, subject: Subject, mishap: Mishap | None) -> None:
    """A look that is behind must not be taken for proof that nothing was asked."""
    op, unit = _op(subject), bench.units[0]
    assert bench.strike is not None
    make_ready(bench, op, unit)
    if op in OBSERVED:
        bench.observe(op, unit)
    accept(bench, op, unit)
    bench.strike(mishap)
    bench.ask(op, unit)
    expect_effects(bench, op, unit, 1)


def what_was_written_runs(bench: Bench, subject: Subject, _mishap: Mishap | None) -> None:
    """At once, or after a reboot: success is a claim, what is seen is the proof. The old version is not seen as it."""
    op, unit = _op(subject), bench.units[0]
    make_ready(bench, op, unit)
    wanted = bench.may_be_written[0]
    before = _version(bench, unit, wanted.component)
    accept(bench, op, unit)
    expect(isinstance(wait_for_end(bench, op, unit), Succeeded), f"the {op} of {unit} does not succeed")
    runs = _version(bench, unit, wanted.component)
    if runs == before != wanted.to_version and bench.ports.power is not None:
        accept(bench, Op.REBOOT, unit)
        expect(isinstance(wait_for_end(bench, Op.REBOOT, unit), Succeeded), f"the reboot of {unit} does not succeed")
        runs = _version(bench, unit, wanted.component)
    expect(
        runs == wanted.to_version, f"{wanted.to_version} was written to {unit}, and it is seen with {runs or 'none'}"
    )


def what_somebody_else_holds_stays_held(bench: Bench, subject: Subject, _mishap: Mishap | None) -> None:
    """A person who took a node out has a reason that we do not know."""
    op, unit = _op(subject), bench.nodes[0]
    assert bench.hold_as_other is not None
    assert bench.is_held_by_other is not None
    bench.hold_as_other(unit)
    answer = bench.ask(op, unit)[unit]
    expect(bench.is_held_by_other(unit), f"{op} ends what somebody else holds; it is answered {answer}")
    if bench.ports.inventory is not None and op in (Op.GIVE_BACK, Op.RELEASE):
        seen = bench.ports.inventory.observe_nodes([unit])[unit]
        expect(seen.state is NodeState.OUT_OF_SERVICE, f"{op} puts a node in service that somebody else took out")


def a_node_is_taken_and_given_back(bench: Bench, _subject: Subject, _mishap: Mishap | None) -> None:
    """Locked, empty, back: each is seen."""
    unit = bench.nodes[0]
    inventory = bench.ports.inventory
    assert inventory is not None
    accept(bench, Op.LOCK, unit)
    expect(inventory.observe_nodes([unit])[unit].locked is not False, f"{unit} is locked, and seen without our lock")
    accept(bench, Op.DRAIN, unit)
    wait_for_end(bench, Op.DRAIN, unit)
    state = inventory.observe_nodes([unit])[unit].state
    expect(state is NodeState.OUT_OF_SERVICE, f"{unit} is drained, and seen {state}")
    accept(bench, Op.GIVE_BACK, unit)
    wait_for_end(bench, Op.GIVE_BACK, unit)
    seen = inventory.observe_nodes([unit])[unit]
    expect(seen.state is NodeState.IN_SERVICE, f"{unit} was given back, and is seen {seen.state}")
    expect(seen.locked is not True, f"{unit} was given back, and is seen with our lock")


def asks_above_the_limit_are_a_bug(bench: Bench, subject: Subject, _mishap: Mishap | None) -> None:
    """Refused before anything is done."""
    op = _op(subject)
    make_ready(bench, op)
    items = [bench.item(op, f"{NO_UNIT}-{number}") for number in range(CALL_SIZE_MAX + 1)]
    try:
        getattr(bench.port(PORT_OF[op]), op.value)(items)
    except ValueError:
        return
    raise Broken(f"{op} of {len(items)} items is answered: at most {CALL_SIZE_MAX} are allowed in a call")


def _version(bench: Bench, unit: str, component: str) -> str:
    """As it is seen; a device has one."""
    inventory = bench.ports.inventory
    assert inventory is not None
    if bench.kind is UnitKind.DEVICE:
        device = inventory.observe_devices([DeviceId(unit)]).get(DeviceId(unit))
        return device.version if device is not None else ""
    node = inventory.observe_nodes([NodeId(unit)]).get(NodeId(unit))
    return node.versions.get(component, "") if node is not None else ""


def _struck(bench: Bench) -> int:
    """0 where nobody counts."""
    return bench.count_struck() if bench.count_struck is not None else 0


def _op(subject: Subject) -> Op:
    assert isinstance(subject, Op)
    return subject


_TAKING = (Op.LOCK, Op.DRAIN, Op.GIVE_BACK, Op.RELEASE)
_ONCE = "whatever becomes of the answer, it is done once"
SENTENCES = (
    Sentence(text="asked twice, done once", check=asked_twice_is_done_once, about=ALL, acts=True),
    Sentence(
        text="every item of a call is done once",
        check=every_item_of_a_call_is_done_once,
        about=ALL,
        acts=True,
    ),
    Sentence(
        text="asked again after a restart, done once",
        check=asked_again_after_a_restart_is_done_once,
        about=ALL,
        needs=("reopen",),
        acts=True,
    ),
    Sentence(
        text="an unknown unit is denied and the others go on",
        check=an_unknown_unit_is_denied_and_the_others_go_on,
        about=OBSERVED,
        acts=True,
    ),
    Sentence(
        text="what was asked is observed to its end",
        check=what_was_asked_is_observed_to_its_end,
        about=OBSERVED,
        acts=True,
    ),
    Sentence(
        text="what was written runs, at once or after a reboot",
        check=what_was_written_runs,
        about=(Op.APPLY,),
        ports=(PortName.INVENTORY,),
        acts=True,
    ),
    Sentence(text="another attempt is another step", check=another_attempt_is_another_step, about=OBSERVED, acts=True),
    Sentence(
        text=_ONCE,
        check=whatever_becomes_of_the_answer_it_is_done_once,
        about=ALL,
        needs=("strike",),
        mishaps=LOSING,
        acts=True,
    ),
    Sentence(
        text="a lost answer leaves the outcome unknown",
        check=a_lost_answer_leaves_the_outcome_unknown,
        about=ALL,
        needs=("strike",),
        mishaps=(Mishap.LOST_AFTER,),
        acts=True,
    ),
    Sentence(
        text="a busy target is left alone until it says",
        check=a_busy_target_is_left_alone_until_it_says,
        about=ALL,
        needs=("strike",),
        mishaps=(Mishap.BUSY,),
        acts=True,
    ),
    Sentence(
        text="an older answer does not make it do twice",
        check=an_older_answer_does_not_make_it_do_twice,
        about=ALL,
        needs=("strike",),
        mishaps=(Mishap.STALE,),
        acts=True,
    ),
    Sentence(
        text="what somebody else holds stays held",
        check=what_somebody_else_holds_stays_held,
        about=_TAKING,
        needs=("hold_as_other", "is_held_by_other"),
        acts=True,
    ),
    Sentence(
        text="a node is taken and given back",
        check=a_node_is_taken_and_given_back,
        ports=(PortName.INVENTORY, PortName.WORKLOADS),
        acts=True,
    ),
    Sentence(text="asks above the limit are a bug", check=asks_above_the_limit_are_a_bug, about=ALL, acts=True),
)
