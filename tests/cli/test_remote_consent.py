"""Orders of consent and counter-offers given to a store and to a server: both say the same."""

from tests.cli.test_remote import JSON, Twins, comparable, imported, twins

__all__ = ["imported", "twins"]
BULK = """\
verdict,level,name,actor,reason,until,then
decline,group,alpha-r0-tor,lumen-capacity,launch,2099-01-01T00:00:00Z,escalate
decline,node,beta-n0,meridian-infra,launch,2099-01-01T00:00:00Z,proceed
"""


def test_each_order_has_its_own_outcome(imported: Twins) -> None:
    mixed = imported.agree(
        "approve", "node", "alpha-n0", "alpha-n9", "--nodes-per-day", "2", "--with-scope", "rack:alpha-r1"
    )
    assert (mixed.code, "refused. SCOPE_UNKNOWN" in mixed.err) == (1, True)
    states = imported.agree("approve", "node", "alpha-n0", "alpha-n9", "alpha-n1", JSON).json["orders"]
    assert [order["state"] for order in states] == ["recorded", "refused", "recorded"]
    said = str(imported.small.write("bulk.csv", BULK))
    assert imported.agree("decline", "--from", said, JSON).code == 0


def test_counter_offers_are_made_listed_and_answered(imported: Twins) -> None:
    updates = imported.small.text("updates.yaml").replace("2026-03-10T00:00:00+01:00", "2099-03-10T00:00:00Z")
    path = imported.small.write("updates.yaml", updates.replace("null", '"2099-03-10T00:00:00Z"'))
    imported.agree("import", "updates", str(path))
    words = ["--only", "nic-28.43", "--not-before", "2098-01-01", "--not-after", "2098-01-08", "--why", "later"]
    for accept in ("accept", "refuse"):
        assert imported.agree("offer", "add", "cluster", "alpha", *words).code == 0
        listed = [side("offer", "list", JSON).json["offers"] for side in (imported.here, imported.there)]
        here, there = ([offer["id"] for offer in offers] for offers in listed)
        answers = (
            imported.here("offer", accept, *here, "--as", "op"),
            imported.there("offer", accept, *there, "--as", "op"),
        )
        assert comparable(answers[0]) == comparable(answers[1])
        assert answers[0].code == 0
    assert "No counter-offer" in imported.agree("offer", "list").out
