"""Who may know that a role was taken in an emergency."""

from datetime import UTC, datetime, timedelta

from fermata.domain.break_glass import BreakGlass, shown_to
from fermata.domain.identity import LOCAL, Grant, GrantLevel, Principal, PrincipalKind, Role
from fermata.domain.ids import BreakGlassId

NOW = datetime(2026, 1, 5, 3, tzinfo=UTC)


def taken(holder: str, level: GrantLevel = GrantLevel.EVERYTHING, name: str = "") -> BreakGlass:
    grant = Grant(role=Role.OPERATOR, level=level, name=name)
    until = NOW + timedelta(minutes=30)
    return BreakGlass(id=BreakGlassId(holder), holder=holder, grant=grant, why="smoke", taken_at=NOW, until=until)


EVERY = (
    taken("gale"),
    taken("pia"),
    taken("vera", GrantLevel.CUSTOMER, "acme"),
    taken("max", GrantLevel.CUSTOMER, "other"),
    taken("mo", GrantLevel.CLUSTER, "acme"),
)


def test_who_sees_everything_is_told_of_all() -> None:
    assert shown_to(EVERY, LOCAL) == EVERY


def test_who_sees_a_part_is_told_of_their_own_and_of_what_was_taken_there() -> None:
    viewer = Grant(role=Role.VIEWER, level=GrantLevel.CUSTOMER, name="acme")
    pia = Principal(name="pia", kind=PrincipalKind.PERSON, grants=frozenset({viewer}))
    assert [each.holder for each in shown_to(EVERY, pia)] == ["pia", "vera"]
