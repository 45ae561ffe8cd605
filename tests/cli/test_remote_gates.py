"""Gates shown and spoken at on a store and on a server: both say the same."""

import json

from tests.cli.test_remote import JSON, Twins, imported, planned, twins

__all__ = ["imported", "planned", "twins"]


def test_gates_are_shown_and_take_a_word(planned: Twins) -> None:
    plan = planned.small.path("plan.json")
    update = json.loads(plan.read_text())["windows"][0]["updates"][0]
    assert planned.agree("publish", str(plan)).code == 0
    assert planned.agree("start").code == 0
    assert planned.agree("gates", JSON).json["gates"] == []
    held = planned.agree("gates", "hold", update, "--reason", "the vendor called")
    assert f"hold: {update} is held by operator: the vendor called" in held.out
    assert f"Gate of {update}: hold" in planned.agree("status").out
    for words in ((), (JSON,)):
        assert update in planned.agree("gates", *words).out
    words = ("gates", "proceed", update, "--reason", "all clear", JSON)
    here, there = planned.here(*words).json["gate"], planned.there(*words).json["gate"]
    assert here["said"]["word"] == there["said"]["word"] == "proceed"
    assert here["judged"] == there["judged"]


def test_word_without_a_reason_or_on_another_update_is_refused(planned: Twins) -> None:
    plan = planned.small.path("plan.json")
    update = json.loads(plan.read_text())["windows"][0]["updates"][0]
    assert planned.agree("publish", str(plan)).code == 0
    assert planned.agree("start").code == 0
    assert "GATE_REASON_MISSING" in planned.here("gates", "rollback", update).err
    assert planned.there("gates", "rollback", update).code == 2
    assert "GATE_UNKNOWN" in planned.agree("gates", "hold", f"{update}0", "--reason", "x").err
    assert f"the nearest is {update}" in planned.agree("gates", "hold", f"{update}0", "--reason", "x").err


def test_recovery_says_what_is_wrong_with_what_is_asked(planned: Twins) -> None:
    plan = planned.small.path("plan.json")
    update = json.loads(plan.read_text())["windows"][0]["updates"][0]
    assert planned.agree("publish", str(plan)).code == 0
    assert planned.agree("start").code == 0
    assert planned.agree("recover").code == 2
    assert planned.agree("recover", "--all", "--update", update).code == 2
    assert "NOTHING_TO_RECOVER" in planned.agree("recover", "--all").err
    assert "NODE_NOT_TAKEN" in planned.agree("recover", "alpha-n0", "--update", update, "--do", "--reason", "x").err
    assert "GATE_UNKNOWN" in planned.agree("recover", "--update", f"{update}0").err
