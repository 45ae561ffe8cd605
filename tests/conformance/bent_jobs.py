"""Planted bugs of the port of jobs, each with the sentence that finds it."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from tests.conformance.bending import FORGETS, bend, raising

from fermata.conformance import Bench
from fermata.domain.observations import Accepted
from fermata.domain.routing import PortName
from fermata.ports import CALL_SIZE_MAX


def changed_jobs(change: Callable[[Any], Any]) -> Callable[..., object]:
    return lambda port, nodes: [change(job) for job in port.list_jobs(nodes)]


def keeping(change: Callable[[Any, Any], Any]) -> Callable[..., object]:
    """`change`: the run and what is wanted, as the port is told in their place."""
    return lambda port, run, wanted: port.keep_ahead(*change(run, wanted))


def forgetful(port: Any, run: Any, wanted: Any) -> object:
    """Keeps free under names of its own, so that nothing is found again."""
    found = port.keep_ahead(run, wanted)
    for each in wanted:
        port.keep_ahead(f"{run}/{next(FORGETS)}", [each])
    return found


def only_adding(port: Any, run: Any, wanted: Any) -> object:
    KEPT.setdefault(run, {}).update({each.window: each for each in wanted})
    found = port.keep_ahead(run, list(KEPT[run].values()))
    return replace(found, answers={each.window: Accepted() for each in wanted})


def for_all_runs(port: Any, run: Any, wanted: Any) -> object:
    """Takes what begins like its own name for its own."""
    found = port.keep_ahead(run, wanted)
    if not wanted:
        port.keep_ahead(f"{run}0", wanted)
    return found


def killing(port: Any, run: Any, wanted: Any) -> object:
    KILLED.update(node for each in wanted for node in each.nodes)
    return port.keep_ahead(run, wanted)


def claiming(port: Any, run: Any, wanted: Any) -> object:
    """Says that it keeps free, and does not."""
    return replace(port.keep_ahead(run, []), answers={each.window: Accepted() for each in wanted})


def for_ever(port: Any, run: Any, wanted: Any) -> object:
    """Nobody begins on a node from now on."""
    return port.keep_ahead(run, [replace(each, starts_at=each.starts_at - timedelta(hours=2)) for each in wanted])


KEPT: dict[Any, dict[Any, Any]] = {}
KILLED: set[str] = set()
_J = PortName.JOBS
_LOST = "(answer lost after it was done)"
OF_JOBS: Mapping[str, tuple[Callable[[Bench], None], str]] = {
    "tells a job for each node of it": (
        bend(_J, list_jobs=lambda port, nodes: [*port.list_jobs(nodes), *port.list_jobs(nodes)]),
        "jobs are told whole, each once",
    ),
    "tells jobs that wait": (
        bend(_J, list_jobs=changed_jobs(lambda job: replace(job, nodes=frozenset()))),
        "jobs are told whole, each once",
    ),
    "tells ends in local time": (
        bend(_J, list_jobs=changed_jobs(lambda job: replace(job, ends_at=job.ends_at.replace(tzinfo=None)))),
        "jobs are told whole, each once",
    ),
    "hides jobs of a list with a stranger": (
        bend(_J, list_jobs=lambda port, nodes: [] if "no-such-unit" in nodes else port.list_jobs(nodes)),
        "a job on a node is told",
    ),
    "tells other nodes of a job": (
        bend(_J, list_jobs=changed_jobs(lambda job: replace(job, nodes=frozenset({"c0-n009"})))),
        "a job on a node is told",
    ),
    "lists jobs of any number": (
        bend(_J, list_jobs=lambda port, nodes: port.list_jobs(nodes[:CALL_SIZE_MAX])),
        "a longer list of jobs is a bug",
    ),
    "keeps off anew": (
        bend(_J, keep_ahead=forgetful),
        "jobs are kept off once, a restart in between included",
    ),
    "keeps off for ever": (
        bend(_J, keep_ahead=only_adding),
        "jobs are not kept off any more when that is not wanted",
    ),
    "gives up what others want": (bend(_J, keep_ahead=for_all_runs), "jobs are kept off for other runs as before"),
    "has one run": (
        bend(_J, keep_ahead=keeping(lambda _run, wanted: ("all", wanted))),
        "jobs are kept off for other runs as before",
    ),
    "kills who is there": (
        bend(
            _J,
            keep_ahead=killing,
            list_jobs=lambda port, nodes: [job for job in port.list_jobs(nodes) if not job.nodes & KILLED],
        ),
        "keeping jobs off kills none",
    ),
    "tells what it does not know": (
        bend(_J, keep_ahead=claiming),
        f"whatever becomes of the answer, jobs are kept off once {_LOST}",
    ),
    "raises what it likes about jobs": (
        bend(_J, keep_ahead=lambda port, run, wanted: raising() if wanted else port.keep_ahead(run, wanted)),
        f"whatever becomes of the answer, jobs are kept off once {_LOST}",
    ),
    "says that it keeps off": (bend(_J, keep_ahead=claiming), "who would run into a window does not begin"),
    "keeps everybody off": (bend(_J, keep_ahead=for_ever), "who would run into a window does not begin"),
    "forgets to let go": (
        bend(
            _J, keep_ahead=lambda port, run, wanted: port.keep_ahead(run, wanted) if wanted else claiming(port, "", [])
        ),
        "who would run into a window does not begin",
    ),
}
