"""A page of what is pending, and the counts beside it, are those of a list in which every line was made."""

from datetime import UTC, datetime

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.properties import walks
from tests.properties.walks import Change, Walk

from fermata.domain.pending_lines import Listing, PendingFilter, Standing, group_lines, place_of
from fermata.services.pending_pages import count_once
from fermata.services.request_record import Inputs
from fermata.services.requests import list_pending, page_pending

NOW = datetime(2026, 1, 5, tzinfo=UTC)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    changes=st.lists(walks.changes, max_size=5),
    clusters=st.frozensets(st.sampled_from(walks.NAMES), max_size=2),
    limit=st.integers(1, 5),
    superseded=st.booleans(),
)
def test_pages_put_together_are_the_list_and_sums_are_what_its_lines_sum_up_to(
    changes: list[list[Change]], clusters: frozenset[str], limit: int, superseded: bool
) -> None:
    walk = Walk()
    for change in changes:
        walk.take(change)
    inputs = Inputs(fleet=walk.fleet(), catalogue=walks.CATALOGUE, policy=walks.policy(told=True), ledger=())
    wanted = PendingFilter(clusters=clusters & set(inputs.fleet.clusters))
    shown = [
        line for line in list_pending(inputs, wanted).lines if superseded or line.standing is not Standing.SUPERSEDED
    ]
    listing = Listing(inputs.fleet, inputs.catalogue, inputs.policy, inputs.basis.pending, wanted)
    count = count_once(inputs, wanted)
    for cluster in listing.clusters:
        assert list(count(cluster)) == list(count(cluster)) == list(listing.count(cluster))
    found, after = [], None
    while True:
        page = page_pending(inputs, wanted, superseded=superseded, after=after, limit=limit, now=NOW)
        found += page.lines
        assert page.total == len(shown)
        assert page.rest == len(shown) - len(found)
        assert page.groups == group_lines(shown, walks.CATALOGUE)
        if not page.rest:
            break
        after = place_of(page.lines[-1])
    assert found == shown
