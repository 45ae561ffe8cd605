"""Jobs over several adapters: each is told its part, and one that fails takes nobody else's along."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from tests.simulation import small

from fermata.domain.ahead import Ahead, Kept
from fermata.domain.ids import AdapterId, NodeId, RunId, WindowId
from fermata.domain.jobs import Job
from fermata.domain.observations import Accepted, Answer, Denied, Unsure
from fermata.domain.routing import PortName, Route, RouteTable, list_units
from fermata.ports import AdapterPorts, OutcomeUnknown, Refused, Site, TryLater
from fermata.wiring.routed import Switchboard, route_site

EAST, WEST = AdapterId("east"), AdapterId("west")
RUN, WINDOW = RunId("run_1"), WindowId("w")
E0, E1, W0 = NodeId("c0-n000"), NodeId("c0-n001"), NodeId("c1-n000")
AHEAD = Ahead(window=WINDOW, nodes=frozenset({E0, E1, W0}), starts_at=small.START, ends_at=small.START)


@dataclass
class Jobs:
    """Answers as a test says."""

    answer: Answer = field(default_factory=Accepted)
    left: Mapping[str, Answer] = field(default_factory=dict)
    fails: Exception | None = None
    asked: list[Sequence[Ahead]] = field(default_factory=list)

    def list_jobs(self, nodes: Sequence[NodeId]) -> Sequence[Job]:
        if self.fails is not None:
            raise self.fails
        return [
            Job(id=f"on {name}", user="ada", state="R", nodes=frozenset({name}), ends_at=None, requeues=False)
            for name in nodes
        ]

    def keep_ahead(self, run: RunId, wanted: Sequence[Ahead]) -> Kept:
        self.asked.append(wanted)
        if self.fails is not None:
            raise self.fails
        return Kept(answers={ahead.window: self.answer for ahead in wanted}, left=self.left)


def site_of(east: Jobs | None, west: Jobs | None) -> Site:
    adapters = {
        name: AdapterPorts(close=lambda: None, probe=dict, jobs=jobs) for name, jobs in ((EAST, east), (WEST, west))
    }
    routes = tuple(
        Route(adapter=name, ports=frozenset({PortName.JOBS}), clusters=frozenset({small.ClusterId(cluster)}))
        for name, cluster in ((EAST, "c0"), (WEST, "c1"))
    )
    units = list_units(small.fleet(clusters=2, nodes=4))
    board = Switchboard(
        adapters=adapters, table=RouteTable(routes=routes), find_unit=units.get, component_of=lambda _step: None
    )
    return route_site(board)


def keep(site: Site, *wanted: Ahead) -> Kept:
    assert site.jobs is not None
    return site.jobs.keep_ahead(RUN, wanted)


def test_each_adapter_is_told_its_nodes_and_the_worst_answer_is_that_of_the_window() -> None:
    east, west = Jobs(), Jobs(answer=Denied(why="no"), left={"old": Unsure()})
    kept = keep(site_of(east, west), AHEAD)
    assert [{ahead.nodes for ahead in jobs.asked[0]} for jobs in (east, west)] == [
        {frozenset({E0, E1})},
        {frozenset({W0})},
    ]
    assert kept == Kept(answers={WINDOW: Denied(why="no")}, left={"old": Unsure()})
    assert keep(site_of(west, Jobs()), AHEAD).answers == {WINDOW: Denied(why="no")}


def test_an_adapter_of_which_nothing_is_wanted_is_asked_to_give_up_what_it_has() -> None:
    east, west = Jobs(), Jobs()
    keep(site_of(east, west))
    assert (east.asked, west.asked) == ([[]], [[]])


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (TryLater(timedelta(minutes=1)), Unsure()),
        (OutcomeUnknown(), Unsure()),
        (Refused("who are you"), Denied(why="who are you")),
        (KeyError("a fault of the adapter itself"), Unsure()),
    ],
)
def test_an_adapter_that_fails_is_named_and_the_others_go_on(error: Exception, answer: Answer) -> None:
    east, west = Jobs(), Jobs(fails=error)
    kept = keep(site_of(east, west), AHEAD)
    assert kept == Kept(answers={WINDOW: answer}, left={"west": answer})
    assert len(east.asked) == 1


def test_jobs_are_listed_by_who_serves_the_node_and_half_a_list_is_no_answer() -> None:
    jobs = site_of(Jobs(), Jobs()).jobs
    assert jobs is not None
    assert [job.id for job in jobs.list_jobs([E0, W0, NodeId("nobody")])] == [f"on {E0}", f"on {W0}"]
    lame = site_of(Jobs(), Jobs(fails=TryLater(timedelta(minutes=1)))).jobs
    assert lame is not None
    assert lame.list_jobs([E0])
    with pytest.raises(TryLater):
        lame.list_jobs([E0, W0])


def test_a_site_whose_adapters_tell_of_no_jobs_has_no_such_port() -> None:
    assert site_of(None, None).jobs is None
    site = site_of(Jobs(), None)
    assert keep(site, AHEAD).answers == {WINDOW: Accepted()}
