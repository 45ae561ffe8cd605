"""What grants let somebody see."""

import pytest

from fermata.domain.identity import EVERYTHING, LOCAL, NOTHING, Grant, GrantLevel, Role, Sight, sight_of
from fermata.domain.ids import ClusterId, CustomerId, SupercomputerId


def shows(sight: Sight) -> bool:
    return sight.holds(customer=CustomerId("acme"), supercomputer=SupercomputerId("s1"), cluster=ClusterId("c1"))


def test_without_a_grant_nothing_is_seen() -> None:
    assert sight_of(()) == NOTHING
    assert not shows(NOTHING)


@pytest.mark.parametrize(
    ("level", "name", "seen"),
    [
        (GrantLevel.CUSTOMER, "acme", True),
        (GrantLevel.CUSTOMER, "other", False),
        (GrantLevel.SUPERCOMPUTER, "s1", True),
        (GrantLevel.SUPERCOMPUTER, "acme", False),
        (GrantLevel.CLUSTER, "c1", True),
        (GrantLevel.CLUSTER, "s1", False),
    ],
)
def test_a_grant_shows_what_it_names_at_its_own_level_alone(level: GrantLevel, name: str, *, seen: bool) -> None:
    assert shows(sight_of([Grant(role=Role.VIEWER, level=level, name=name)])) is seen


def test_several_grants_show_all_that_any_of_them_shows() -> None:
    grants = [
        Grant(role=Role.APPROVER, level=GrantLevel.CUSTOMER, name="acme"),
        Grant(role=Role.VIEWER, level=GrantLevel.CLUSTER, name="c9"),
    ]
    assert sight_of(grants) == Sight(customers=frozenset({CustomerId("acme")}), clusters=frozenset({ClusterId("c9")}))


def test_whoever_uses_a_server_without_sign_in_sees_everything() -> None:
    assert LOCAL.sees == EVERYTHING


@pytest.mark.parametrize(("level", "name"), [(GrantLevel.EVERYTHING, "acme"), (GrantLevel.CUSTOMER, "")])
def test_a_grant_names_a_part_of_the_fleet_or_is_for_all_of_it(level: GrantLevel, name: str) -> None:
    with pytest.raises(ValueError, match="a grant of"):
        Grant(role=Role.VIEWER, level=level, name=name)


def test_a_sight_shows_all_of_its_parts_and_nothing_beyond() -> None:
    acme = Sight(customers=frozenset({CustomerId("acme")}))
    more = Sight(customers=frozenset({CustomerId("acme")}), clusters=frozenset({ClusterId("c9")}))
    order = (NOTHING, acme, more, EVERYTHING)
    for place, wide in enumerate(order):
        assert [wide.shows_all_of(other) for other in order] == [number <= place for number in range(len(order))]
    assert not acme.shows_all_of(Sight(supercomputers=frozenset({SupercomputerId("acme")})))
