"""`fermata requests open` and what follows: the same on a store and over a server; and what is a wrong order."""

import pytest
from tests.cli.line import Line
from tests.cli.test_remote import Twins, imported, twins

__all__ = ["imported", "twins"]  # fixtures

JSON = "--json"
REPAIR = "req_sc-1_repair"
OPEN = ("requests", "open", "repair", "node", "alpha-n0", "alpha-n1", "--cause", "a fan", "--criticality", "critical_livesite")  # fmt: skip  # noqa: E501


def test_an_order_goes_the_same_way_on_a_store_and_over_a_server(imported: Twins) -> None:
    opened = imported.agree(*OPEN, JSON).json["orders"]
    assert [order["nodes"] for order in opened] == [["alpha-n0"], ["alpha-n1"]]
    imported.agree("requests", JSON)
    imported.agree("requests", "told", REPAIR, "--why", "by mail")
    imported.agree("requests", "decline", REPAIR, "node", "alpha-n1", "--until", "2020-01-01")
    imported.agree("requests", "approve", REPAIR, "node", "alpha-n0", "--incarnation", "1", JSON)
    imported.agree("requests", "approve", REPAIR, "--incarnation", "7")
    imported.agree("requests", "--request", REPAIR, JSON)
    imported.agree("requests", "withdraw", REPAIR)
    imported.agree("requests", "approve", REPAIR)
    imported.agree("requests", "look", JSON)
    here, there = (name(imported, place) for place in ("here", "there"))
    for words in (("start",), ("start", "--drained"), ("cancel",), ("complete",)):
        command, *flags = words
        mine = imported.here("requests", command, here, *flags)
        theirs = imported.there("requests", command, there, *flags)
        assert (mine.code, mine.out.replace(here, "ORDER")) == (theirs.code, theirs.out.replace(there, "ORDER"))
    assert imported.agree("requests", JSON).code == 0


def name(twins: Twins, place: str) -> str:
    """The id of its first order."""
    found = getattr(twins, place)("requests", "--request", REPAIR, JSON).json["orders"]
    first: str = next(order["id"] for order in found if order["name"] == "alpha-n0")
    return first


def test_the_list_says_state_and_next_and_the_detail_says_why(imported: Twins) -> None:
    imported.here(*OPEN)
    shown = imported.here("requests", JSON).json["requests"]
    (repair,) = [request for request in shown if request["id"] == REPAIR]
    assert (repair["kind"], repair["state"], repair["needed"], repair["who"]) == (
        "repair",
        "pending",
        "notify",
        ["lumen"],
    )
    detail = imported.here("requests", "--request", REPAIR).out
    for words in ("State: pending", "REQUEST_PENDING", "Next: notify lumen (approvers: lumen-capacity)", "a fan"):
        assert words in detail


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("requests", "--limit", "3", "look"), "stands before look"),
        (("requests", "approve", REPAIR, "node"), "a level and names"),
        (("requests", "open", "deployment", "node", "n", "--cause", "x"), "deployment"),
        (("requests", "open", "repair", "galaxy", "n", "--cause", "x"), "galaxy"),
        (("requests", "decline", REPAIR), "--until"),
    ],
)
def test_a_wrong_order_is_a_usage_error(line: Line, words: tuple[str, ...], said: str) -> None:
    answer = line.run(*words)
    assert answer.code == 2
    assert said in answer.err
