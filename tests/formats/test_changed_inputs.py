"""A campaign on record in the words of its file: read again it is the same, and changes are refused as in the file."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.cli.test_what_if import folder

from fermata.domain.campaign import AvoidWeekday, Campaign, SpreadEvenly, Where, WorkloadOrder
from fermata.domain.ids import FreezeId
from fermata.domain.phases import ControlPhase, GateTerms, GoPhase, OnFailure, Phases
from fermata.formats.changed_inputs import Changeable, change_inputs, parse_changes
from fermata.formats.faults import BadInput
from fermata.formats.scenario import Scenario, read_scenario

__all__ = ["folder"]
GATE = GateTerms(
    at_least=5, decide_within=timedelta(hours=3), bake=timedelta(minutes=7), on_failure=OnFailure.ROLL_BACK
)
SHAPES: dict[str, Callable[[Campaign], Campaign]] = {
    "as the file": lambda c: c,
    "days and weekends": lambda c: replace(c, avoid_weekdays=(0, 6), weekends_staffed=not c.weekends_staffed),
    "preferences": lambda c: replace(
        c,
        preferences=(
            WorkloadOrder(),
            AvoidWeekday(weekday=4),
            SpreadEvenly(where=Where(conditions={"cluster": frozenset({"alpha", "beta"})}), over="geo"),
        ),
    ),
    "phases": lambda c: replace(
        c,
        phases=Phases(
            control=ControlPhase(max_fraction=0.03, gate=GATE),
            full=GateTerms(bake=timedelta(minutes=9)),
            metrics=("loss",),
            go_windows=frozenset(GoPhase),
        ),
    ),
}
CHANGES = (
    "limits[0].at_once=4",
    "limits[0].at_once=many",
    "limits[7].at_once=4",
    "limits[0].at_one=4",
    "limits[1]={what: nodes_out, at_once: 3, where: {cluster: gamma}}",
    "limits[0].where.cluster=beta",
    "daily_window.start=22:00",
    "daily_window.begin=10:00",
    "weekends=perhaps",
    "deadline=2020-01-01",
    "extension_until=none",
    "title=none",
    "updates=[nothing-1]",
    "preferences[0]=none",
    "preferences[0]={avoid: someday}",
    "rolling.max_fraction_per_day=2",
    "timezone=Mars/Olympus",
    "freezes.freeze-1=none",
    "freezes.freeze-1.end=2026-01-02T00:00:00Z",
    "freezes.freeze-2=none",
    "freezes.freeze-1.scope.cluster=gamma",
    "teams.nobody=4",
    "title=[",
)


def changed(found: Scenario, *texts: str) -> Changeable:
    given = Changeable(campaign=found.campaign, policy=found.policy, catalogue=found.catalogue)
    return change_inputs(given, found.fleet, parse_changes(texts))


def said(call: Callable[[], Changeable | Scenario]) -> object:
    """What comes of it, or the sentences of the refusal with what they are about."""
    try:
        made = call()
    except BadInput as bad:
        return sorted((fault.sentence, fault.suggestion) for fault in bad.faults)
    return made.campaign, made.policy.freezes, made.catalogue.team_limits


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_comes_to_the_same_as_in_the_files_and_is_refused_in_the_same_words(folder: Path, change: str) -> None:
    found = read_scenario(folder)
    assert said(lambda: changed(found, change)) == said(lambda: read_scenario(folder, parse_changes([change])))


def test_changes_of_all_three_files_are_made_together_one_after_the_other(folder: Path) -> None:
    found = read_scenario(folder)
    (team,) = found.catalogue.team_limits
    texts = ("limits[0].at_once=9", f"teams.{team}=1", "freezes.freeze-1=none", "limits[0].at_once=8")
    made = changed(found, *texts)
    assert made.campaign.limits[0].at_once == 8
    assert made.catalogue.team_limits == {team: 1}
    assert made.policy.freezes == ()
    assert said(lambda: made) == said(lambda: read_scenario(folder, parse_changes(texts)))


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_not_changed_stays_whatever_the_campaign_has(folder: Path, shape: str) -> None:
    found = read_scenario(folder)
    for updates in (None, frozenset(found.catalogue.updates)):
        campaign = replace(SHAPES[shape](found.campaign), updates=updates)
        assert changed(replace(found, campaign=campaign), f"title={campaign.title}").campaign == campaign


def test_a_freeze_that_is_not_named_keeps_what_a_file_cannot_say(folder: Path) -> None:
    found = read_scenario(folder)
    (freeze,) = found.policy.freezes
    odd = replace(freeze, start=freeze.start + timedelta(microseconds=5))
    other = replace(freeze, id=FreezeId("freeze-9"))
    made = changed(replace(found, policy=replace(found.policy, freezes=(odd, other))), "freezes.freeze-9=none")
    assert made.policy.freezes == (odd,)


@pytest.mark.parametrize("text", ["price", "limits", "=4", "limit[0].at_once=4", "teams=4", "limits[x]=1"])
def test_what_is_no_change_is_told_in_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match=r"no change|nothing that can be changed|names none|no path"):
        parse_changes([text])
