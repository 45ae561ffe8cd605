"""Scopes of a fleet: what is near to a name that nobody has, and for how many of them it is told."""

from tests.constraints import world as w

from fermata.domain.policy import Scope, ScopeLevel
from fermata.domain.scopes import SUGGESTED_MAX, Scopes


def wrong(number: int, level: ScopeLevel = ScopeLevel.NODE) -> Scope:
    return Scope(level=level, name=f"alpha-n00{number:03}")


def test_the_nearest_name_is_told_of_the_first_names_and_not_of_thousands() -> None:
    scopes = Scopes(fleet=w.fleet())
    told = [scopes.nearest(wrong(number)) for number in range(SUGGESTED_MAX + 5)]
    assert all(told[:SUGGESTED_MAX])
    assert told[SUGGESTED_MAX:] == [None] * 5


def test_each_level_has_names_and_a_number_of_its_own() -> None:
    scopes = Scopes(fleet=w.fleet())
    for number in range(SUGGESTED_MAX + 1):
        scopes.nearest(wrong(number))
    assert scopes.nearest(Scope(level=ScopeLevel.CLUSTER, name="alpa")) == "alpha"
    assert scopes.nearest(Scope(level=ScopeLevel.CLUSTER, name="zzzzzzzz")) is None
