"""Who may do what where: the policies that are shipped, row by row, what holds of all of them, and faults in them that
would be noticed.
"""

import importlib.util
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fermata.authority.actions import Action
from fermata.authority.engine import Engine, PolicyBroken, read_text, shipped
from fermata.authority.places import WHOLE_FLEET, Place, PlaceLevel, of_customer, of_node, of_supercomputer
from fermata.domain.identity import LOCAL, Grant, GrantLevel, Principal, PrincipalKind, Role
from fermata.domain.ids import CustomerId, NodeId, SupercomputerId

ROOT = Path(__file__).parents[3]
LUMEN_C1 = Place(PlaceLevel.CLUSTER, "c1", "lumen", "sc-1")
LUMEN_C2 = Place(PlaceLevel.CLUSTER, "c2", "lumen", "sc-2")
MEADOW_C3 = Place(PlaceLevel.CLUSTER, "c3", "meadow", "sc-1")
LUMEN, MEADOW = of_customer(CustomerId("lumen")), of_customer(CustomerId("meadow"))
SC_1, SC_2 = of_supercomputer(SupercomputerId("sc-1")), of_supercomputer(SupercomputerId("sc-2"))
PLACES = (WHOLE_FLEET, LUMEN, MEADOW, SC_1, SC_2, LUMEN_C1, LUMEN_C2, MEADOW_C3)
REACH = {
    (GrantLevel.EVERYTHING, ""): set(PLACES),
    (GrantLevel.CUSTOMER, "lumen"): {LUMEN, LUMEN_C1, LUMEN_C2},
    (GrantLevel.SUPERCOMPUTER, "sc-1"): {SC_1, LUMEN_C1, MEADOW_C3},
    (GrantLevel.CLUSTER, "c1"): {LUMEN_C1},
}  # what lies in what was granted: a customer is not in a supercomputer, nor the other way round
MAY = {
    Role.CONDUCTOR: "look look_at_journal exempt_from_freeze propose_policy replace_policy promote_update demote_update"
    " plan publish conduct pause stop say_at_gate recover pull_brake release_brake speak_in_room open_work_order"
    " work_on_order tend_tail answer_offer tell_customers take_stock decide_hold subscribe",
    Role.APPROVER: "look say_consent freeze exempt_from_freeze confirm_exemption propose_policy open_work_order"
    " speak_in_room subscribe",
    Role.UPDATE_OWNER: "look register_update record_signal promote_update demote_update say_at_gate speak_in_room",
    Role.OPERATOR: "look look_at_journal pause stop recover pull_brake release_brake speak_in_room open_work_order"
    " work_on_order tend_tail tell_customers take_stock send_inventory decide_hold import subscribe",
    Role.VIEWER: "look",
    Role.AUDITOR: "look look_at_journal verify_audit",
    Role.AUTOMATION: "look send_inventory open_work_order record_signal take_stock",
}


def person(*grants: Grant, emergencies: Iterable[Grant] = ()) -> Principal:
    return Principal(
        name="pia", kind=PrincipalKind.PERSON, grants=frozenset(grants), emergencies=frozenset(emergencies)
    )


def everywhere(role: Role) -> Grant:
    return Grant(role=role, level=GrantLevel.EVERYTHING)


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize(("level", "name"), list(REACH))
def test_a_role_may_what_the_table_says_and_where_it_was_granted(role: Role, level: GrantLevel, name: str) -> None:
    caller, engine = person(Grant(role=role, level=level, name=name)), shipped()
    found = {(a, place) for a in Action for place in PLACES if engine.may(caller, a, place)}
    expected = {(Action(word), place) for word in MAY[role].split() for place in REACH[level, name]}
    expected |= {(Action.MANAGE_TOKENS, place) for place in REACH[level, name]}  # everybody hands on what they have
    assert found == expected


def test_whom_nothing_was_granted_may_nothing() -> None:
    assert not any(shipped().may(person(), action, place) for action in Action for place in PLACES)
    assert not any(shipped().may_somewhere(person(), action) for action in Action)


def test_who_uses_this_machine_may_all_that_a_role_may() -> None:
    given_by_no_role = {Action.BREAK_GLASS, Action.START_OWN_EVENTS}
    may = {action for action in Action if shipped().may(LOCAL, action, WHOLE_FLEET)}
    assert may == set(Action) - given_by_no_role


def test_a_client_inside_a_node_starts_the_events_of_that_node_and_does_nothing_else() -> None:
    node = Principal(name="c1-n0", kind=PrincipalKind.NODE, grants=frozenset())
    places = (*PLACES, of_node(NodeId("c1-n0")), of_node(NodeId("c1-n1")))
    found = {(action, place) for action in Action for place in places if shipped().may(node, action, place)}
    assert found == {(Action.START_OWN_EVENTS, of_node(NodeId("c1-n0")))}


def test_a_person_of_a_nodes_name_is_no_node() -> None:
    named = Principal(name="c1-n0", kind=PrincipalKind.PERSON, grants=frozenset({everywhere(Role.CONDUCTOR)}))
    assert not shipped().may(named, Action.START_OWN_EVENTS, of_node(NodeId("c1-n0")))


def test_glass_is_broken_only_where_it_was_laid_down() -> None:
    ready = person(emergencies=[Grant(role=Role.OPERATOR, level=GrantLevel.CUSTOMER, name="lumen")])
    assert {place for place in PLACES if shipped().may(ready, Action.BREAK_GLASS, place)} == {LUMEN, LUMEN_C1, LUMEN_C2}
    assert not any(shipped().may(ready, action, LUMEN_C1) for action in Action if action is not Action.BREAK_GLASS)


names = st.sampled_from(["lumen", "meadow", "sc-1", "sc-2", "c1", "c2", "c3", 'x"]}, {', "everything", "a:b"])
grants = st.builds(
    lambda role, level, name: Grant(role=role, level=level, name="" if level is GrantLevel.EVERYTHING else name),
    st.sampled_from(list(Role)),
    st.sampled_from(list(GrantLevel)),
    names,
)
clusters = st.builds(Place, st.just(PlaceLevel.CLUSTER), names, names, names)
places = st.one_of(clusters, st.sampled_from(PLACES))


@given(st.frozensets(grants, max_size=4), grants, st.sampled_from(list(Action)), places)
def test_a_further_grant_never_takes_anything_away(
    held: frozenset[Grant], further: Grant, action: Action, place: Place
) -> None:
    if shipped().may(person(*held), action, place):
        assert shipped().may(person(*held, further), action, place)


@given(grants, st.sampled_from(list(Action)), places)
def test_a_wider_grant_never_allows_less(held: Grant, action: Action, place: Place) -> None:
    if shipped().may(person(held), action, place):
        assert shipped().may(person(everywhere(held.role)), action, place)


@given(st.frozensets(grants, max_size=3), st.sampled_from(list(Action)), clusters)
def test_a_grant_reaches_what_bears_its_name_and_nothing_else(
    held: frozenset[Grant], action: Action, place: Place
) -> None:
    bears = {
        GrantLevel.CUSTOMER: place.customer,
        GrantLevel.SUPERCOMPUTER: place.supercomputer,
        GrantLevel.CLUSTER: place.name,
        GrantLevel.EVERYTHING: "",
    }
    reaching = [
        each
        for each in held
        if bears[each.level] == each.name
        and (action is Action.MANAGE_TOKENS or action.value in MAY[each.role].split())  # everybody hands on what it has
    ]
    assert shipped().may(person(*held), action, place) == bool(reaching)


def swap(pattern: str, by: str, count: int = 1) -> Callable[[str], str]:
    """The policies with what matches in the place of it."""

    def mutate(policies: str) -> str:
        found, times = re.subn(pattern, by, policies, count=count)
        assert times, pattern
        return found

    return mutate


FAULTS: dict[str, Callable[[str], str]] = {
    "everybody may": lambda text: text + "permit (principal, action, resource);",
    "a viewer may, where another role was meant": swap(r"principal\.conductor", "principal.viewer"),
    "wherever it was granted": swap(r"when \{ resource in principal\.approver \}", ""),
    "granted anywhere, may everywhere": swap(r"resource in principal\.operator", "!principal.operator.isEmpty()"),
    "a conductor says consent": swap(r'Action::"plan"', 'Action::"say_consent"'),
    "an approver cannot freeze": swap(r'    Action::"freeze",\n', ""),
    "whoever registers verifies": swap(r'Action::"register_update"', 'Action::"verify_audit"'),
    "an auditor stops runs": swap(r'    Action::"verify_audit"\n', '    Action::"verify_audit",\n    Action::"stop"\n'),
    "no tokens of viewers": swap(r"resource in principal\.viewer \|\| ", ""),
    "glass for everybody": swap(r"when \{ resource in principal\.break_glass \}", ""),
    "any node's events": swap(r"when \{ resource in principal\.own_node \}", ""),
    "a node plans": swap(r'action == Action::"start_own_events"', "action"),
    "nobody stops anything": lambda text: text + 'forbid (principal, action == Action::"stop", resource);',
    "automation imports": swap(r'Action::"send_inventory",\n    Action::"open', 'Action::"import",\n    Action::"open'),
}


def snapshot(engine: Engine) -> dict[str, frozenset[str]]:
    """Every answer to every caller that the tables above ask about."""
    node = Principal(name="c1-n0", kind=PrincipalKind.NODE, grants=frozenset())
    ready = person(emergencies=[Grant(role=Role.OPERATOR, level=GrantLevel.CLUSTER, name="c1")])
    callers = {"nobody": person(), "node": node, "ready": ready}
    for role in Role:
        callers[f"{role} here"] = person(everywhere(role))
        callers[f"{role} there"] = person(Grant(role=role, level=GrantLevel.CLUSTER, name="c1"))
    asked = (WHOLE_FLEET, LUMEN_C1, MEADOW_C3, of_node(NodeId("c1-n0")), of_node(NodeId("c1-n1")))
    return {
        name: frozenset(
            f"{action} {place}" for action in Action for place in asked if engine.may(caller, action, place)
        )
        for name, caller in callers.items()
    }


@pytest.mark.parametrize("fault", list(FAULTS))
def test_a_fault_in_the_policies_changes_an_answer_that_is_looked_at(fault: str) -> None:
    policies = FAULTS[fault](read_text("policies.cedar"))
    assert snapshot(Engine(policies, read_text("schema.cedarschema"))) != snapshot(shipped())


UNFIT = {
    "no such role": swap(r"principal\.auditor", "principal.auditors"),
    "no such action": swap(r'Action::"publish"', 'Action::"publsh"'),
    "no such type": swap(r"resource is Place", "resource is Palace"),
    "no policy language": swap(r"permit \(", "permit (("),
}


@pytest.mark.parametrize("unfit", list(UNFIT))
def test_policies_that_do_not_fit_their_schema_are_not_served(unfit: str) -> None:
    with pytest.raises(PolicyBroken):
        Engine(UNFIT[unfit](read_text("policies.cedar")), read_text("schema.cedarschema"))


def test_the_schema_knows_every_action_and_every_role() -> None:
    schema = read_text("schema.cedarschema")
    body = schema.partition("action\n")[2].partition("appliesTo")[0]
    assert {name.strip().strip('"') for name in body.split(",")} == {action.value for action in Action}
    assert [role for role in Role if f"  {role.value}: Set<Place>," not in schema] == []


def test_the_page_of_roles_is_the_one_that_the_policies_write() -> None:
    spec = importlib.util.spec_from_file_location("write_roles", ROOT / "tools" / "write_roles.py")
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert (ROOT / "docs" / "access-roles.md").read_text(encoding="utf-8") == tool.write_table()
