"""What is carried from one step to the next is what would be worked out anew, whatever changed and was said."""

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.constraints import world as w
from tests.properties import walks
from tests.properties.walks import Change, Put, Walk, Wire, Word

from fermata.domain.consent import hear_devices, hear_nodes
from fermata.domain.fleet import Fleet, Node, NodeState, places_of
from fermata.domain.hearing import Desk
from fermata.domain.ids import ClusterId
from fermata.domain.ledger import Decisions
from fermata.domain.policy import ConsentEntry
from fermata.domain.request_basis import Basis, found_basis
from fermata.domain.request_standing import OnRecord

UP = {"nic_fw": "2.0"}
START = [Put(number, walks.NAMES[number % 3], number % 2, UP, NodeState.IN_SERVICE) for number in range(6)]
RECORD = OnRecord(now=w.NOW, scheduled=frozenset({"n0", "n1", "alpha-r0-mgr"}), in_work=frozenset({"n2"}))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    wires=st.lists(walks.wires, max_size=8),
    yes=st.booleans(),
    before=st.lists(walks.words(), max_size=3),
    steps=st.lists(st.one_of(walks.changes, walks.changes, walks.words()), min_size=1, max_size=6),
    told=st.booleans(),
    layered=st.booleans(),
)
def test_each_step_gives_what_all_of_it_anew_gives(
    wires: list[Wire], yes: bool, before: list[Word], steps: list[list[Change] | Word], told: bool, layered: bool
) -> None:
    """`yes`: everything that is due at first was approved, so that one node may keep others waiting. `layered`: as of
    a fleet that is too large to be copied.
    """
    with pytest.MonkeyPatch.context() as patched:
        if layered:
            patched.setattr("fermata.domain.layered.LAYERED_FROM", 0)
            patched.setattr("fermata.domain.layered.CHANGES_MAX", 4)
        take_steps(wires, yes=yes, before=before, steps=steps, told=told)


def take_steps(
    wires: list[Wire], *, yes: bool, before: list[Word], steps: list[list[Change] | Word], told: bool
) -> None:
    policy, walk = walks.policy(told=told), Walk()
    walk.take([*START, *wires])
    said = [*(walks.YES if yes else ()), *before]
    ledger = [word.numbered(seq) for seq, word in enumerate(said, start=1)]
    basis = found_basis(walk.fleet(), walks.CATALOGUE, policy, ledger)
    compare(basis, walk, ledger)
    for step in steps:
        if isinstance(step, Word):
            ledger.append(step.numbered(len(ledger) + 1))
            basis = basis.said_anew(policy, Decisions(basis.fleet, ledger))
        else:
            basis = basis.moved_on(walks.CATALOGUE, *walk.take(step))
        compare(basis, walk, ledger)


def compare(basis: Basis, walk: Walk, ledger: list[ConsentEntry]) -> None:
    anew = found_basis(walk.fleet(), walks.CATALOGUE, basis.policy, ledger)
    compare_fleets(basis.fleet, anew.fleet)
    assert basis.pending == anew.pending
    assert basis.judged.consent == anew.judged.consent
    assert basis.judged == anew.judged
    one_by_one = OneByOne(anew.fleet, basis.policy, anew.pending, Decisions(anew.fleet, ledger))
    said = one_by_one.say_all()
    assert basis.judged.said == said
    heard = hear_nodes(one_by_one, said)
    assert basis.judged.consent == heard
    assert basis.judged.device_gaps == hear_devices(one_by_one, heard.gaps, anew.pending.devices)
    requests = anew.requests({}, ())
    assert basis.requests({}, ()) == requests
    for cluster in basis.fleet.clusters:
        compare_tallies(basis, cluster)
    for request in requests:
        assert basis.deployments(RECORD).weigh(request) == anew.deployments(RECORD).weigh(request)


class OneByOne(Desk):
    """Asks of each node for itself, as if somebody had named every one."""

    def _is_named(self, node: Node) -> bool:
        return True


def compare_tallies(basis: Basis, cluster: ClusterId) -> None:
    """What is told of a cluster in sums is what its nodes sum up to, one by one."""
    gaps, working = basis.judged.consent.gaps, basis.share(cluster).working
    tally = basis.tally(cluster)
    assert tally.racks == len({basis.fleet.nodes[name].rack for name in working})
    assert (tally.coverage is None) == (not working)
    if tally.coverage is not None:
        assert tally.coverage.nodes == len(working)
        assert tally.coverage.covered == sum(name not in gaps for name in working)
        assert dict(tally.coverage.missing) == Counter(gaps[name] for name in working if name in gaps)


def compare_fleets(fleet: Fleet, anew: Fleet) -> None:
    """With every index, and in the same order."""
    assert fleet == anew
    assert (list(fleet.nodes), list(fleet.devices)) == (list(anew.nodes), list(anew.devices))
    assert fleet.nodes_by_cluster == anew.nodes_by_cluster
    assert fleet.devices_by_cluster == anew.devices_by_cluster
    somewhere = [walks.node(0, cluster, rack) for cluster in walks.NAMES for rack in range(walks.RACKS)]
    places = {place for node in somewhere for place in places_of(node)}
    for place in places:
        assert fleet.nodes_at(place) == anew.nodes_at(place)
        assert fleet.devices_at(place) == anew.devices_at(place)
