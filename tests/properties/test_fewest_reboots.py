"""A window reboots its nodes as seldom as any order of its updates allows, found by trying every order."""

from dataclasses import replace
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.planning import bench as b

from fermata.domain.ids import UpdateId
from fermata.domain.pending import find_pending
from fermata.domain.updates import Catalogue, Impact, Requirement
from fermata.planning.sequence import lay_out_window

CLUSTER = b.make_cluster("alpha")
MOST = 4


@st.composite
def tiny_catalogues(draw: st.DrawFn) -> Catalogue:
    """Up to four node updates; each may come after, or require, some of those before it."""
    updates = []
    for number in range(draw(st.integers(1, MOST))):
        impact = draw(st.sampled_from([Impact.REBOOTFUL, Impact.REBOOTFUL, Impact.IMPACTFUL, Impact.IMPACTLESS]))
        update = b.make_update(f"u{number}", f"c{number}", draw(st.integers(1, 9)), impact)
        firsts = draw(st.lists(st.integers(0, number - 1), max_size=2, unique=True)) if number else []
        by_version = [i for i in firsts if draw(st.booleans())]
        updates.append(
            replace(
                update,
                after=tuple(UpdateId(f"u{i}") for i in firsts if i not in by_version),
                requires=tuple(Requirement(component=f"c{i}", min_version=b.NEW) for i in by_version),
            )
        )
    return b.make_catalogue(*updates)


def fewest_reboots(catalogue: Catalogue) -> int:
    """Over all ways to put updates between reboots: what waits for a rebootful one goes behind its reboot."""
    updates = sorted(catalogue.updates.values(), key=lambda update: update.id)
    best = len(updates)
    for places in product(range(len(updates)), repeat=len(updates)):
        at = {update.id: place for update, place in zip(updates, places, strict=True)}
        firsts = (
            (u, f)
            for u in updates
            for f in updates
            if f.id in u.after or any(r.component == f.component for r in u.requires)
        )
        if all(at[f.id] + f.needs_reboot <= at[u.id] for u, f in firsts):
            best = min(best, len({at[u.id] for u in updates if u.needs_reboot}))
    return best


@settings(max_examples=200, deadline=None, derandomize=True)
@given(tiny_catalogues())
def test_no_order_needs_fewer_reboots(catalogue: Catalogue) -> None:
    nodes = b.make_nodes(CLUSTER, [2], components=[f"c{number}" for number in range(MOST)])
    fleet = b.make_fleet([CLUSTER], nodes)
    steps = lay_out_window(nodes, [], fleet=fleet, pending=find_pending(fleet, catalogue), catalogue=catalogue)
    assert steps.reboots_per_node == fewest_reboots(catalogue)
