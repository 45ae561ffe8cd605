"""Sentences about what changes nothing: looks, probes, keys that were never asked. Safe on a system in use."""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, timedelta
from typing import Any

from fermata.conformance.bench import NO_UNIT, OBSERVING, PORT_OF, Bench, Broken, Mishap, NotTried, Op
from fermata.conformance.sentences import Sentence, Subject, expect
from fermata.domain.ids import DeviceId, NodeId
from fermata.domain.node_states import UnitKind
from fermata.domain.observations import DeviceSeen, NeverAsked, NodeSeen
from fermata.domain.routing import PortName
from fermata.ports import CALL_SIZE_MAX, OutcomeUnknown, Refused, TryLater

SKEW = timedelta(minutes=1)  # by which a target's clock may go before ours
END_SECONDS_MAX = 60.0  # for a call to end after its adapter was closed
HANG_SECONDS_MAX = 60.0  # until the call is under way
AWAY = (Mishap.LOST_BEFORE, Mishap.LOST_AFTER, Mishap.BUSY, Mishap.ERROR, Mishap.CUT)


def the_target_says_who_it_is(bench: Bench, _subject: Subject, _mishap: Mishap | None) -> None:
    """Product and version are what a support case begins with."""
    found: Mapping[Any, Any] = bench.ports.probe()
    for key in ("product", "version"):
        expect(bool(found.get(key)), f"the probe says no {key}: {dict(found)}")
    odd = [key for key, value in found.items() if not isinstance(key, str) or not isinstance(value, str)]
    expect(not odd, f"the probe says what is no text: {odd}")
    expect(set(bench.ports.probe()) == set(found), "a second probe says other things than the first")


def unknown_units_are_absent(bench: Bench, _subject: Subject, _mishap: Mishap | None) -> None:
    """Unreachable is an answer; unknown is none. A device is no node, and a node no device."""
    inventory = bench.ports.inventory
    assert inventory is not None
    unit = bench.units[0]
    seen = look(bench, [unit, NO_UNIT])
    expect(set(seen) == {unit}, f"asked for {unit} and a unit that is not there: {sorted(seen)}")
    if bench.kind is UnitKind.DEVICE:
        nodes = inventory.observe_nodes([NodeId(unit), NodeId(NO_UNIT)])
        expect(not nodes, f"a device, and a unit that is not there, are seen as nodes: {dict(nodes)}")
    else:
        devices = inventory.observe_devices([DeviceId(unit), DeviceId(NO_UNIT)])
        expect(not devices, f"a node, and a unit that is not there, are seen as devices: {dict(devices)}")


def what_is_there_is_seen_as_of_now(bench: Bench, _subject: Subject, _mishap: Mishap | None) -> None:
    """Evidence has a time in UTC, which is not in the future."""
    seen = look(bench, bench.units)
    expect(
        set(seen) == set(bench.units), f"of {len(bench.units)} {bench.kind}s that are there, seen are {sorted(seen)}"
    )
    for name, unit in seen.items():
        called = unit.device if isinstance(unit, DeviceSeen) else unit.node
        expect(called == name, f"under {name} stands {called}")
        offset = unit.observed_at.utcoffset()
        expect(offset == UTC.utcoffset(None), f"{name} is seen as of {unit.observed_at}, which is not in UTC")
        expect(unit.observed_at <= bench.clock.now() + SKEW, f"{name} is seen as of {unit.observed_at}, in the future")
        is_told = not isinstance(unit, DeviceSeen) or bool(unit.version) or not unit.reachable
        expect(is_told, f"the device {name} answers, and is seen without a version: it had better be absent")


def looking_changes_nothing(bench: Bench, _subject: Subject, _mishap: Mishap | None) -> None:
    """Two looks find the same, but for their time."""
    first, second = look(bench, bench.units), look(bench, bench.units)
    for name, unit in first.items():
        again = second.get(name)
        same = again is not None and replace(again, observed_at=unit.observed_at) == unit
        expect(same, f"a second look at {name} finds {again}, the first found {unit}")
    for op, port in PORT_OF.items():
        if getattr(bench.ports, port) is not None:
            done = [name for name in bench.units if bench.effects(op, name)]
            expect(not done, f"after looking alone the target did {op} on {done}")


def keys_never_asked_are_told_as_such(bench: Bench, subject: Subject, _mishap: Mishap | None) -> None:
    """The conductor asks again then: after a crash it does not know whether it had asked."""
    op = _op_of(bench, subject)
    progress = bench.observe(op, bench.any_unit, attempt=99)
    expect(progress == NeverAsked(), f"a key under which nothing was asked is observed as {progress}")


def calls_above_the_limit_are_a_bug(bench: Bench, subject: Subject, _mishap: Mishap | None) -> None:
    """The caller cuts to size; an adapter that pages silently hides how long a call takes."""
    op = _op_of(bench, subject)
    asks = [bench.about(op, bench.any_unit, attempt) for attempt in range(100, 101 + CALL_SIZE_MAX)]
    _expect_value_error(f"observe of {len(asks)} keys", lambda: bench.port(PORT_OF[op]).observe(asks))  # type: ignore[attr-defined]
    inventory = bench.ports.inventory
    if inventory is not None:
        names = [f"{NO_UNIT}-{number}" for number in range(CALL_SIZE_MAX + 1)]
        _expect_value_error(f"a look at {len(names)} {bench.kind}s", lambda: look(bench, names))


def full_calls_are_answered(bench: Bench, subject: Subject, _mishap: Mishap | None) -> None:
    """What the target cannot take at once, the adapter asks in chunks."""
    op = _op_of(bench, subject)
    asks = [bench.about(op, bench.any_unit, attempt) for attempt in range(100, 100 + CALL_SIZE_MAX)]
    found = bench.port(PORT_OF[op]).observe(asks)  # type: ignore[attr-defined]
    expect(set(found) == {ask.key for ask in asks}, f"observe of {len(asks)} asks answers for {len(found)}")


def full_looks_are_answered(bench: Bench, _subject: Subject, _mishap: Mishap | None) -> None:
    """What the target cannot take at once, the adapter asks in chunks."""
    strangers = [f"{NO_UNIT}-{number}" for number in range(CALL_SIZE_MAX - len(bench.units))]
    found = look(bench, [*strangers, *bench.units])
    expect(set(found) == set(bench.units), f"a look at {CALL_SIZE_MAX} names finds {len(found)} {bench.kind}s")


def empty_calls_get_empty_answers(bench: Bench, subject: Subject, _mishap: Mishap | None) -> None:
    """And the target is not called for them."""
    before = bench.count_requests() if bench.count_requests is not None else None
    found = bench.port(PORT_OF[_op_of(bench, subject)]).observe([])  # type: ignore[attr-defined]
    expect(dict(found) == {}, f"observe of no key answers {dict(found)}")
    after = bench.count_requests() if bench.count_requests is not None else None
    expect(before == after, "for a call without items the target is called")


def nothing_secret_is_told(bench: Bench, _subject: Subject, _mishap: Mishap | None) -> None:
    """Not in logs of any level, nor in errors, nor in what is shown of the adapter, whatever happens to its calls, and
    though the target says back what it was told.
    """
    told = [repr(bench.ports), *(f"{thing!r} {thing}" for thing in bench.shown)]
    with _logs() as lines:
        for mishap in (None, *(m for m in (*AWAY, Mishap.ECHO) if m in bench.mishaps)):
            if bench.strike is not None:
                bench.strike(mishap, reads=True)
            for read in _reads(bench):
                try:
                    told.append(str(read()))
                except (TryLater, Refused, OutcomeUnknown) as error:
                    told += _chain(error)
    leaks = [text for text in (*told, *lines) if any(secret in text for secret in bench.secrets)]
    hidden = leaks[0][:300] if leaks else ""
    for secret in bench.secrets:
        hidden = hidden.replace(secret, "<the secret>")
    expect(not leaks, f"a secret is told {len(leaks)} times, first in: {hidden}")


def targets_that_are_away_raise_one_of_three_errors(bench: Bench, _subject: Subject, mishap: Mishap | None) -> None:
    """Whatever the target does, the conductor gets one of three errors, or leaves of what was asked about."""
    assert bench.strike is not None
    bench.strike(mishap, reads=True)
    for read in _reads(bench):
        try:
            read()
        except TryLater as busy:
            expect(busy.after > timedelta(0), f"it is to be asked again after {busy.after}")
            if mishap is Mishap.BUSY and bench.retry_after is not None:
                expect(busy.after == bench.retry_after, f"the target says {bench.retry_after}, told is {busy.after}")
        except (Refused, OutcomeUnknown):
            pass
        except Exception as error:
            raise Broken(
                f"{mishap}: {type(error).__name__} ({error}) is raised; only three errors are allowed"
            ) from error


def a_call_that_hangs_ends_with_close(bench: Bench, _subject: Subject, mishap: Mishap | None) -> None:
    """A worker that is told to stop does not wait for a target that never answers."""
    assert bench.strike is not None
    assert bench.await_hanging is not None
    bench.strike(mishap, reads=True)
    odd: list[BaseException] = []

    def call() -> None:
        try:
            bench.ports.probe()
        except (TryLater, Refused, OutcomeUnknown):
            pass
        except BaseException as error:  # noqa: BLE001 - the top of a thread: told below
            odd.append(error)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    expect(bench.await_hanging(HANG_SECONDS_MAX), "no call reached the target")
    bench.ports.close()
    thread.join(END_SECONDS_MAX)
    expect(not thread.is_alive(), f"a call that hangs goes on {END_SECONDS_MAX:g} seconds after close")
    expect(not odd, f"a call that close cuts off raises {odd}")


def closing_twice_is_harmless(bench: Bench, _subject: Subject, _mishap: Mishap | None) -> None:
    """Whoever cleans up does not know who did before."""
    bench.ports.close()
    bench.ports.close()


def _op_of(bench: Bench, subject: Subject) -> Op:
    """An operation of the port, whose keys may stand for all of it."""
    ops = [op for op, port in PORT_OF.items() if port is subject]
    if ops == [Op.APPLY] and not bench.may_be_written:
        raise NotTried("the bench names no version that may be written")
    return ops[0]


def look(bench: Bench, units: Sequence[str]) -> dict[str, NodeSeen | DeviceSeen]:
    """At units of the kind that is tried now."""
    inventory = bench.ports.inventory
    assert inventory is not None
    if bench.kind is UnitKind.DEVICE:
        return dict(inventory.observe_devices([DeviceId(name) for name in units]).items())
    return dict(inventory.observe_nodes([NodeId(name) for name in units]).items())


def _reads(bench: Bench) -> Iterator[Callable[[], object]]:
    """Everything that can be read of an adapter, as calls."""
    yield bench.ports.probe
    if bench.ports.inventory is not None:
        yield lambda: look(bench, bench.units)
    jobs = bench.ports.jobs
    if jobs is not None:
        yield lambda: jobs.list_jobs(bench.nodes)
    for op, port in PORT_OF.items():
        if (
            port in OBSERVING
            and (op is not Op.APPLY or bench.may_be_written)
            and getattr(bench.ports, port) is not None
        ):
            ask = bench.about(op, bench.any_unit, 99)
            yield lambda port=port, ask=ask: getattr(bench.ports, port).observe([ask])  # type: ignore[misc]


def _expect_value_error(what: str, call: Callable[[], object]) -> None:
    with suppress(ValueError):
        call()
        raise Broken(f"{what} is answered: at most {CALL_SIZE_MAX} items are allowed in a call")


def _chain(error: BaseException | None) -> Iterator[str]:
    """Of an error and what it came of; some libraries have errors that came of themselves."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield f"{error!r} {error}"
        error = error.__cause__ or error.__context__


@contextmanager
def _logs() -> Iterator[list[str]]:
    """Everything that is logged in the block, by anybody, at any level."""
    lines: list[str] = []

    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(logging.Formatter().format(record))

    root = logging.getLogger()
    keeper, level = Keeper(), root.level
    root.addHandler(keeper)
    root.setLevel(logging.DEBUG)
    try:
        yield lines
    finally:
        root.setLevel(level)
        root.removeHandler(keeper)


_I = (PortName.INVENTORY,)
_N = ("units",)
SENTENCES = (
    Sentence(text="the target says who it is", check=the_target_says_who_it_is),
    Sentence(text="units that are not there are absent", check=unknown_units_are_absent, ports=_I, needs=_N),
    Sentence(text="what is there is seen as of now", check=what_is_there_is_seen_as_of_now, ports=_I, needs=_N),
    Sentence(text="looking changes nothing", check=looking_changes_nothing, ports=_I, needs=_N),
    Sentence(text="keys never asked are told as such", check=keys_never_asked_are_told_as_such, about="port"),
    Sentence(text="a call above the limit is a bug", check=calls_above_the_limit_are_a_bug, about="port"),
    Sentence(text="a full call is answered", check=full_calls_are_answered, about="port"),
    Sentence(text="a full look is answered", check=full_looks_are_answered, ports=_I),
    Sentence(text="an empty call gets an empty answer", check=empty_calls_get_empty_answers, about="port"),
    Sentence(text="nothing secret is told", check=nothing_secret_is_told, needs=("secrets",)),
    Sentence(
        text="a target that is away is told as one of three errors",
        check=targets_that_are_away_raise_one_of_three_errors,
        needs=("strike",),
        mishaps=AWAY,
    ),
    Sentence(
        text="a call that hangs ends with close",
        check=a_call_that_hangs_ends_with_close,
        needs=("strike", "await_hanging"),
        mishaps=(Mishap.HANG,),
    ),
    Sentence(text="closing twice is harmless", check=closing_twice_is_harmless),
)
