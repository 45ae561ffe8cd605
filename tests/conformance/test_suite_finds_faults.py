"""Each sentence of the suite finds the adapter that breaks it: a table of planted bugs, over the simulated site."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.conformance.bending import FORGETS, bend, raising
from tests.conformance.bent_jobs import OF_JOBS
from tests.conformance.test_ports import PORTS, TRIALS, Fleet

from fermata.conformance import Bench, Broken, NotTried, Op, Trial, Verdict, list_trials, try_all
from fermata.domain.ids import StepKey
from fermata.domain.node_states import UnitKind
from fermata.domain.observations import Accepted, Denied, Failed, Later, NeverAsked, Running, Succeeded, Unsure
from fermata.domain.routing import PortName
from fermata.ports import CALL_SIZE_MAX, OutcomeUnknown, Refused


def with_new_keys(port: Any, asks: Sequence[Any]) -> Mapping[StepKey, object]:
    """Every ask under a key of its own, as an adapter does that makes up ids."""
    fresh = {ask.key: replace(ask, key=StepKey(f"{ask.key}{next(FORGETS)}")) for ask in asks}
    found = port.check(list(fresh.values()))
    return {key: found[new.key] for key, new in fresh.items()}


def all_or_nothing(port: Any, asks: Sequence[Any]) -> Mapping[StepKey, object]:
    if any("no-such" in ask.unit for ask in asks):
        raise Refused("one of them is unknown")
    found: Mapping[StepKey, object] = port.check(asks)
    return found


def retrying(port: Any, asks: Sequence[Any]) -> Mapping[StepKey, object]:
    """Asks a busy target at once again, and takes what comes."""
    first = port.check(asks)
    busy = [ask for ask in asks if isinstance(first[ask.key], Later)]
    return {**first, **port.check(busy)} if busy else first


def denying(port: Any, asks: Sequence[Any]) -> Mapping[StepKey, object]:
    """Takes a lost answer for a refusal."""
    return {key: Denied(why="?") if isinstance(said, Unsure) else said for key, said in port.check(asks).items()}


def only_first(port: Any, asks: Sequence[Any]) -> Mapping[StepKey, object]:
    return dict(list(port.check(asks).items())[:1])


def seen(change: Callable[[Any], Any]) -> Callable[..., object]:
    return lambda port, nodes: {name: change(node) for name, node in port.observe_nodes(nodes).items()}


def progress(change: Callable[[Any], Any]) -> Callable[..., object]:
    return lambda port, asks: {key: change(found) for key, found in port.observe(asks).items()}


def in_new_york(found: Any) -> Any:
    return Succeeded(at=found.at.replace(tzinfo=None)) if isinstance(found, Succeeded) else found


def as_nodes(port: Any, names: Sequence[Any]) -> Mapping[Any, object]:
    """Devices among nodes."""
    devices = port.observe_devices(names)
    return {**port.observe_nodes(names), **devices}


def seen_devices(change: Callable[[Any], Any]) -> Callable[..., object]:
    return lambda port, names: {name: change(device) for name, device in port.observe_devices(names).items()}


def anew(port: Any, asks: Sequence[Any]) -> Mapping[StepKey, object]:
    """Writes to a device under a key of its own each time."""
    fresh = {ask.key: replace(ask, key=StepKey(f"{ask.key}{next(FORGETS)}")) for ask in asks}
    found = port.apply(list(fresh.values()))
    return {key: found[new.key] for key, new in fresh.items()}


def remembering(port: Any, asks: Sequence[Any]) -> Mapping[StepKey, object]:
    """One check of a node, whatever the attempt."""
    return dict.fromkeys((ask.key for ask in asks), next(iter(port.observe([first_attempt(asks[0])]).values())))


def first_attempt(ask: Any) -> Any:
    return replace(ask, key=StepKey(f"{ask.key.rpartition('/')[0]}/1"))


_V, _I = PortName.VERIFIER, PortName.INVENTORY
_LOST = "(answer lost after it was done)"
PLANTED: Mapping[str, tuple[Callable[[Bench], None], str]] = {
    "shows devices as nodes": (
        bend(_I, observe_nodes=as_nodes),
        "of devices: units that are not there are absent",
    ),
    "shows a device without a version": (
        bend(_I, observe_devices=seen_devices(lambda device: replace(device, version=""))),
        "of devices: what is there is seen as of now",
    ),
    "shows what devices ran before": (
        bend(_I, observe_devices=seen_devices(lambda device: replace(device, version="1.0"))),
        "apply of devices: what was written runs, at once or after a reboot",
    ),
    "shows what nodes ran before": (
        bend(_I, observe_nodes=seen(lambda node: replace(node, versions={"gpu_fw": "1.0"}))),
        "apply: what was written runs, at once or after a reboot",
    ),
    "writes to devices anew": (
        bend(PortName.FIRMWARE, apply=anew),
        "apply of devices: asked again after a restart, done once",
    ),
    "makes up ids": (bend(_V, check=with_new_keys), "check: asked twice, done once"),
    "makes up ids anew": (bend(_V, check=with_new_keys), "check: asked again after a restart, done once"),
    "all or nothing": (bend(_V, check=all_or_nothing), "check: an unknown unit is denied and the others go on"),
    "raises what it likes": (bend(_V, check=raising), "check: asked twice, done once"),
    "observes with an error": (bend(_V, observe=raising), "verifier: keys never asked are told as such"),
    "answers for one alone": (bend(_V, check=only_first), "check: every item of a call is done once"),
    "asks a busy one again": (
        bend(_V, check=retrying),
        "check: a busy target is left alone until it says (busy, with a time to ask again)",
    ),
    "takes silence for a no": (bend(_V, check=denying), f"check: a lost answer leaves the outcome unknown {_LOST}"),
    "knows every key": (
        bend(_V, observe=lambda _port, asks: dict.fromkeys((ask.key for ask in asks), Running())),
        "check: another attempt is another step",
    ),
    "knows no key": (
        bend(_V, observe=lambda _port, asks: dict.fromkeys((ask.key for ask in asks), NeverAsked())),
        "check: what was asked is observed to its end",
    ),
    "tells local time": (bend(_V, observe=progress(in_new_york)), "check: what was asked is observed to its end"),
    "takes any number": (
        bend(_V, observe=lambda port, asks: port.observe(asks[:CALL_SIZE_MAX])),
        "verifier: a call above the limit is a bug",
    ),
    "acts on any number": (
        bend(_V, check=lambda port, asks: port.check(asks[:CALL_SIZE_MAX])),
        "check: asks above the limit are a bug",
    ),
    "forgets the second page": (
        bend(_V, observe=lambda port, asks: port.observe(asks[:100])),
        "verifier: a full call is answered",
    ),
    "sees strangers": (
        bend(
            _I, observe_nodes=lambda port, nodes: dict.fromkeys(nodes, next(iter(port.observe_nodes(nodes).values())))
        ),
        "units that are not there are absent",
    ),
    "leaves nodes out": (
        bend(_I, observe_nodes=lambda port, nodes: dict(list(port.observe_nodes(nodes).items())[:1])),
        "what is there is seen as of now",
    ),
    "sees the future": (
        bend(_I, observe_nodes=seen(lambda node: replace(node, observed_at=node.observed_at + timedelta(hours=1)))),
        "what is there is seen as of now",
    ),
    "forgets its lock": (
        bend(_I, observe_nodes=seen(lambda node: replace(node, locked=False))),
        "a node is taken and given back",
    ),
    "finds everybody healthy": (
        bend(_V, observe=progress(lambda found: Succeeded(at=found.at) if hasattr(found, "at") else found)),
        "check: an unhealthy node fails, and says why",
    ),
    "fails without a word": (
        bend(_V, observe=progress(lambda found: replace(found, why=" ") if isinstance(found, Failed) else found)),
        "check: an unhealthy node fails, and says why",
    ),
    "fails the whole call": (
        bend(_V, observe=progress(lambda found: Failed(at=found.at, why="?") if hasattr(found, "at") else found)),
        "check: an unhealthy node fails, and says why",
    ),
    "remembers what a node was": (bend(_V, observe=remembering), "check: each attempt is a check of its own"),
    "does not drain": (
        bend(PortName.WORKLOADS, drain=lambda _port, asks: {ask.key: Accepted() for ask in asks}),
        "drain: asked twice, done once",
    ),
    **OF_JOBS,
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_bug_is_found_by_its_sentence(name: str, tmp_path: Path) -> None:
    plant, sentence = PLANTED[name]
    (trial,) = [trial for trial in TRIALS if str(trial) == sentence]
    trial.run(Fleet(path=tmp_path / "as it is").bench())
    bench = Fleet(path=tmp_path / "bent").bench()
    plant(bench)
    with pytest.raises(Broken):
        trial.run(bench)


def test_a_probe_that_says_nothing_is_found() -> None:
    bench = Fleet().bench()
    bench.ports = replace(bench.ports, probe=lambda: {"product": "box", "version": ""})
    with pytest.raises(Broken, match="says no version"):
        one("the target says who it is").run(bench)


def test_a_secret_that_is_told_is_found_and_not_told_again() -> None:
    bench = Fleet().bench()
    bench.secrets = ["canary-1"]
    one("nothing secret is told").run(bench)

    def leak() -> Mapping[str, str]:
        try:
            raise ValueError("Authorization: canary-1")
        except ValueError as error:
            raise OutcomeUnknown("the call failed") from error

    bench.ports = replace(bench.ports, probe=leak)
    with pytest.raises(Broken, match="<the secret>") as found:
        one("nothing secret is told").run(bench)
    assert "canary-1" not in str(found.value)


def test_what_may_only_read_is_not_tried_with_what_acts() -> None:
    bench = Fleet().bench()
    bench.may_write = False
    verdicts = {str(o.trial): o.verdict for o in try_all(list_trials(PORTS), lambda _trial: bench)}
    acting = {str(trial) for trial in list_trials(PORTS)} - {str(t) for t in list_trials(PORTS, reading_only=True)}
    assert {verdicts[name] for name in acting} == {Verdict.NOT_TRIED}
    assert Verdict.KEPT in verdicts.values()
    assert Verdict.BROKEN not in verdicts.values()


def test_a_handle_that_a_bench_lacks_leaves_sentences_untried_and_says_which() -> None:
    bench = Fleet().bench()
    bench.reopen = None
    with pytest.raises(NotTried, match="the bench has no reopen"):
        one("check: asked again after a restart, done once").run(bench)
    bench.cannot = {"check: asked twice, done once": "its target forgets"}
    with pytest.raises(NotTried, match="its target forgets"):
        one("check: asked twice, done once").run(bench)


def test_an_adapter_is_tried_with_what_it_serves_and_nothing_else() -> None:
    ops = {trial.subject for trial in list_trials([PortName.VERIFIER])}
    assert ops == {None, PortName.VERIFIER, Op.CHECK}


def test_devices_are_tried_with_what_is_asked_about_devices() -> None:
    """And what is about no units once."""
    of_both = list_trials(PORTS, of=(UnitKind.NODE, UnitKind.DEVICE))
    more = [trial for trial in of_both if trial.of is UnitKind.DEVICE]
    assert len(of_both) == len(list_trials(PORTS)) + len(more)
    assert {trial.subject for trial in more} == {
        None,
        PortName.FIRMWARE,
        PortName.POWER,
        Op.APPLY,
        Op.REBOOT,
        Op.RESET,
    }
    assert "the target says who it is" in {str(trial) for trial in list_trials(PORTS, of=[UnitKind.DEVICE])}
    bench = Fleet().bench()
    bench.devices = ()
    (trial,) = [trial for trial in more if str(trial) == "apply of devices: asked twice, done once"]
    with pytest.raises(NotTried, match="the bench has no devices"):
        trial.run(bench)


def one(name: str) -> Trial:
    (found,) = [trial for trial in list_trials(PORTS) if str(trial) == name]
    return found
