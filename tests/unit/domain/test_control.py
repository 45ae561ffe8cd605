"""Which windows go first."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.simulation import small

from fermata.domain.control import Candidate, choose_control, find_reserved, pick_control
from fermata.domain.ids import ClusterId, RackId, UpdateId
from fermata.domain.phases import DECIDES, ControlPhase, GateTerms

FLEET, CATALOGUE, CAMPAIGN = small.fleet(clusters=4, nodes=8), small.catalogue(), small.campaign()
HOUR = timedelta(hours=1)
BAKE = timedelta(hours=30)


def phase(fraction: float, bake: timedelta = BAKE) -> ControlPhase:
    return ControlPhase(max_fraction=fraction, gate=GateTerms(bake=bake))


def windows(*hours: float) -> tuple[small.Window, ...]:
    """Windows of c0, c1, ... so many hours from the start."""
    return small.plan(FLEET, CATALOGUE, CAMPAIGN, [small.START + hour * HOUR for hour in hours]).windows


@pytest.mark.parametrize(
    ("fraction", "chosen"),
    [(0.24, set()), (0.25, {"win-c0"}), (0.5, {"win-c0", "win-c3"}), (0.75, {"win-c0", "win-c1", "win-c3"})],
)
def test_of_windows_that_reserve_nothing_the_first_go_first_and_one_of_every_sku_before_them(
    fraction: float, chosen: set[str]
) -> None:
    other = ClusterId("c3")
    clusters = {**FLEET.clusters, other: replace(FLEET.clusters[other], sku="GB200")}
    fleet = replace(FLEET, clusters=clusters)
    assert choose_control(windows(0, 24, 48, 72), phase(fraction), fleet) == chosen


LENGTH = windows(0, 0, 0, 0)[0].end - small.START
GAP = (LENGTH + BAKE + DECIDES) / HOUR  # from the start of a window to the first of those that wait for it


@pytest.mark.parametrize(
    ("starts", "fraction", "reserved"),
    [
        ((0, GAP, GAP, GAP), 0.25, {"win-c0"}),
        ((0, GAP, GAP, GAP), 0.24, None),  # too large
        ((0, GAP - 0.01, GAP, GAP), 0.5, None),  # too early
        ((0, 1, GAP + 1, 90), 0.5, {"win-c0", "win-c1"}),
        ((1, 0, 90, GAP + 1), 0.5, {"win-c0", "win-c1"}),  # in whatever order they are listed
        ((0, GAP, 3 * GAP, 3 * GAP), 0.5, {"win-c0", "win-c1"}),  # as many as there is room for
        ((0, GAP, 3 * GAP, 3 * GAP), 0.25, {"win-c0"}),
        ((0, 0, 0, 0), 0.75, None),
    ],
)
def test_windows_before_the_bake_that_all_others_leave_are_reserved(
    starts: tuple[float, ...], fraction: float, reserved: set[str] | None
) -> None:
    found = find_reserved(windows(*starts), phase(fraction))
    assert (found.windows if found else None) == reserved


def test_reserved_says_when_its_last_window_ends_and_when_others_may_start() -> None:
    made = windows(0, 1, GAP + 1, 90)
    found = find_reserved(made, phase(0.5))
    assert found is not None
    assert (found.nodes, found.ends, found.opens) == (16, made[1].end, made[1].end + BAKE + DECIDES)
    assert choose_control(made, phase(0.5), FLEET) == found.windows


def test_no_windows_reserve_nothing() -> None:
    assert find_reserved((), phase(0.5)) is None
    assert choose_control((), phase(0.5), FLEET) == frozenset()


def candidate(key: str, sku: str, updates: str, version: str, rack: str, nodes: int = 2) -> Candidate:
    return Candidate(
        key=key,
        nodes=nodes,
        sku=sku,
        updates=frozenset(map(UpdateId, updates)),
        versions=frozenset({(sku, "nic", version)}),
        racks=frozenset({RackId(rack)}),
    )


SEVEN = (
    candidate("first", "H100", "a", "1", "r1"),
    candidate("same-rack", "H100", "a", "1", "r1"),
    candidate("other-rack", "H100", "a", "1", "r2"),
    candidate("other-version", "H100", "a", "2", "r3"),
    candidate("other-update", "H100", "ab", "1", "r4"),
    candidate("other-sku", "H200", "a", "1", "r5"),
    candidate("large", "GB200", "c", "3", "r6", nodes=100),
)


@pytest.mark.parametrize(
    ("room", "enough", "keys"),
    [
        (1, None, []),
        (2, None, ["first"]),
        (4, None, ["first", "other-sku"]),
        (6, None, ["first", "other-sku", "other-update"]),
        (8, None, ["first", "other-sku", "other-update", "other-version"]),
        (10, None, ["first", "other-sku", "other-update", "other-version", "other-rack"]),
        (13, None, ["first", "other-sku", "other-update", "other-version", "other-rack", "same-rack"]),
        (13, 0, ["first", "other-sku", "other-update", "other-version"]),
        (13, 9, ["first", "other-sku", "other-update", "other-version", "other-rack"]),
    ],
)
def test_skus_come_before_updates_before_versions_before_racks(room: int, enough: int | None, keys: list[str]) -> None:
    assert [each.key for each in pick_control(SEVEN, room, enough=enough)] == keys
