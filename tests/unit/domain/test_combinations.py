"""Which updates ran together, which pending sets never did, and what piles up behind a freeze."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from tests.constraints import world as w

from fermata.domain.combinations import Combination, Together, find_combinations, pairs_of, pending_sets
from fermata.domain.ids import ClusterId, CustomerId, FreezeId, NodeId, UpdateId
from fermata.domain.pending import find_pending
from fermata.domain.piles import Pile, find_pile
from fermata.domain.policy import Freeze, Scope, ScopeLevel

FLEET, CATALOGUE = w.fleet(), w.catalogue()
PENDING = find_pending(FLEET, CATALOGUE)
SETS = pending_sets(FLEET, PENDING)
NODE = NodeId("alpha-n00")


def together(*updates: str, nodes: int = 5, failed: int = 0) -> Together:
    names = frozenset(UpdateId(name) for name in updates)
    return Together(updates=names, place="lab", source="sig", nodes=nodes, failed=failed)


def alpha(*known: Together) -> Combination:
    own = {name: updates for name, updates in SETS.items() if FLEET.nodes[name].cluster == "alpha"}
    (found,) = find_combinations(FLEET, own, known)
    return found


def test_a_node_is_met_by_its_own_updates_and_those_of_the_devices_it_hangs_on() -> None:
    assert SETS[NODE] == {"nic", "os", "gpu", "agent", "tor-os", "mgr"}
    assert alpha().updates == tuple(sorted(SETS[NODE]))


def test_only_exactly_the_same_set_is_known() -> None:
    everything = sorted(SETS[NODE])
    assert alpha(together(*everything)).ran_nodes == 5
    assert not alpha(together(*everything)).is_new
    assert alpha(together(*everything[:-1])).is_new
    assert alpha(together(*everything, "bmc")).is_new


def test_pairs_are_known_from_any_set_that_went_well() -> None:
    everything = sorted(SETS[NODE])
    assert len(alpha().untested) == 15
    assert len(alpha(together("nic", "os", "bmc")).untested) == 14
    assert alpha(together(*everything, "bmc")).untested == ()


def test_what_failed_is_told_and_makes_nothing_known() -> None:
    found = alpha(together(*SETS[NODE], nodes=0, failed=3))
    assert (found.is_new, found.failed_nodes, len(found.untested)) == (True, 3, 15)


def test_a_single_update_is_no_combination() -> None:
    assert find_combinations(FLEET, {NODE: frozenset({UpdateId("nic")})}, ()) == ()


names = st.frozensets(st.sampled_from([UpdateId(name) for name in "abcde"]), min_size=1)


@given(st.dictionaries(st.sampled_from(sorted(FLEET.nodes)), names), st.lists(names))
def test_every_node_with_two_updates_is_counted_once_and_no_tested_pair_is_called_untested(
    sets: dict[NodeId, frozenset[UpdateId]], ran: list[frozenset[UpdateId]]
) -> None:
    known = [together(*updates) for updates in ran]
    found = find_combinations(FLEET, sets, known)
    assert sum(one.nodes for one in found) == sum(len(updates) > 1 for updates in sets.values())
    assert [one.is_new for one in found] == sorted((one.is_new for one in found), reverse=True)
    for one in found:
        assert one.is_new == (frozenset(one.updates) not in ran)
        assert not {pair for updates in ran for pair in pairs_of(updates)} & set(one.untested)


FREEZE = Freeze(
    id=FreezeId("f"),
    customer=CustomerId("lumen"),
    scope=Scope(level=ScopeLevel.CLUSTER, name="alpha"),
    start=datetime(2026, 1, 5, tzinfo=UTC),
    end=datetime(2026, 1, 15, tzinfo=UTC),
    reason="launch",
)


def pile(now: datetime, *, released: datetime, freeze: Freeze = FREEZE) -> Pile:
    updates = {name: replace(update, released_at=released) for name, update in CATALOGUE.updates.items()}
    pending = find_pending(FLEET, replace(CATALOGUE, updates=updates))
    return find_pile(FLEET, pending, freeze, (together("nic", "os"),), now)


def test_a_pile_counts_units_in_the_scope_and_age_up_to_now() -> None:
    found = pile(FREEZE.start + timedelta(days=4), released=FREEZE.start - timedelta(days=6))
    assert found.nodes == len(FLEET.nodes_by_cluster[ClusterId("alpha")])
    assert {line.age for line in found.lines} == {timedelta(days=10)}
    assert not any(line.released_during for line in found.lines)
    assert {line.update: (line.nodes, line.devices) for line in found.lines}["tor-os"] == (0, 2)
    assert ("nic", "os") not in found.untested
    assert ("gpu", "nic") in found.untested


def test_a_freeze_that_is_over_keeps_the_pile_of_its_end() -> None:
    during = FREEZE.start + timedelta(days=2)
    found = pile(FREEZE.end + timedelta(days=90), released=during)
    assert found.as_of == FREEZE.end
    assert all(line.released_during for line in found.lines)
    assert pile(FREEZE.end + timedelta(days=90), released=FREEZE.end + timedelta(days=1)).lines == ()


def test_the_scope_of_a_rack_ends_with_the_rack() -> None:
    rack = replace(FREEZE, scope=Scope(level=ScopeLevel.RACK, name="alpha-r0"))
    found = pile(FREEZE.end, released=FREEZE.start, freeze=rack)
    assert found.nodes == 3
