"""Reading observations: what is understood, and every way in which they can be wrong, with its place."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.unit.planning.replanning import INPUTS, NOW, PARENT

from fermata.domain.ids import NodeId, UpdateId, WindowId
from fermata.domain.observed import Fate, Observed, Stretch, TailNode, WindowSeen, Withdrawal
from fermata.domain.policy import Scope, ScopeLevel
from fermata.formats.faults import BadInput
from fermata.formats.observed import Subject, read_observed

SUBJECT = Subject(parent=PARENT, fleet=INPUTS.fleet, catalogue=INPUTS.catalogue, as_of=NOW)
WHOLE = """
parent: plan_1
observed_at: "2026-01-07T03:00:00Z"
as_planned: true
windows:
  - window: c1-20260106
    state: done
    started_at: "2026-01-06T19:05:00Z"
    ended_at: "2026-01-07T02:00:00Z"
    tail: [{node: c1-r0-n00, reason: no answer}]
    not_serviced: [c1-r1-n00]
  - {window: c3-20260108, state: cancelled}
withdrawn:
  - {scope: {cluster: c2}, reason: a launch}
durations: {overall: 1.4, updates: {nic: 2}}
repaired: [c0-r0-n00]
"""


def read(tmp_path: Path, text: str, name: str = "observed.yaml") -> Observed:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return read_observed(path, SUBJECT)


def test_everything_that_can_be_observed_is_read(tmp_path: Path) -> None:
    assert read(tmp_path, WHOLE) == Observed(
        windows=(
            WindowSeen(
                window=WindowId("c1-20260106"),
                fate=Fate.DONE,
                started_at=datetime(2026, 1, 6, 19, 5, tzinfo=UTC),
                ended_at=datetime(2026, 1, 7, 2, tzinfo=UTC),
                tail=(TailNode(node=NodeId("c1-r0-n00"), why="no answer"),),
                again=(NodeId("c1-r1-n00"),),
            ),
            WindowSeen(window=WindowId("c3-20260108"), fate=Fate.CANCELLED),
        ),
        as_planned=True,
        withdrawn=(Withdrawal(scope=Scope(level=ScopeLevel.CLUSTER, name="c2"), why="a launch"),),
        stretch=Stretch(overall=1.4, updates={UpdateId("nic"): 2.0}),
        repaired=(NodeId("c0-r0-n00"),),
    )


def test_json_says_the_same(tmp_path: Path) -> None:
    text = json.dumps({"as_planned": True, "windows": [{"window": "c1-20260106", "state": "missed"}]})
    seen = (WindowSeen(window=WindowId("c1-20260106"), fate=Fate.MISSED),)
    assert read(tmp_path, text, "observed.json") == replace(Observed(), as_planned=True, windows=seen)


def window(more: str, name: str = "c1-20260106") -> str:
    return f"windows:\n  - {{window: {name}, {more}}}\n"


@pytest.mark.parametrize(
    ("text", "sentence", "suggestion"),
    [
        (window("state: done", "c1-2026106"), 'Plan plan_1 has no window "c1-2026106".', "c1-20260106"),
        (window("state: dnoe"), '"dnoe"; it must be done, running, missed or cancelled', "done"),
        (window("state: done", "c3-20260108"), "starts at 2026-01-08 19:00Z, so that it can be cancelled", None),
        (window('state: done, started_at: "2026-01-07T05:00:00Z"'), "This lies after 2026-01-07 04:00Z", None),
        ('observed_at: "2026-01-08T00:00:00Z"\n', "This lies after 2026-01-07 04:00Z", None),
        (window('state: missed, started_at: "2026-01-06T20:00:00Z"'), "A window that was missed did not start.", None),
        (window('state: running, ended_at: "2026-01-06T20:00:00Z"'), "Only a window that is done has ended.", None),
        (
            window('state: done, started_at: "2026-01-06T20:00:00Z", ended_at: "2026-01-06T19:00:00Z"'),
            "It ended before it started.",
            None,
        ),
        (window("state: done, not_serviced: [c1-r0-n000]"), 'has no node "c1-r0-n000"', "c1-r0-n00"),
        (window("state: missed, not_serviced: [c1-r0-n00]"), "took no node: all of them are planned again", None),
        (
            window("state: done, not_serviced: [c1-r0-n00], tail: [{node: c1-r0-n00, reason: x}]"),
            'Node "c1-r0-n00" stands in two lists',
            None,
        ),
        (window("state: done, returned: [c1-r0-n00]"), "5 node(s), ", None),
        (window("state: done") + "  - {window: c1-20260106, state: done}\n", "stands already on line", None),
        ("parent: plan_9\n", 'This was observed of "plan_9"; the parent plan is plan_1.', None),
        ("withdrawn: [{scope: {cluster: c9}, reason: x}]\n", 'The fleet has no cluster "c9".', None),
        ("durations: {overall: 140}\n", "must be a number from 1 to 20", None),
        ("durations: {overall: 0.9}\n", "must be a number from 1 to 20", None),
        ("durations: {updates: {nicc: 2}}\n", 'Update "nicc" does not exist.', "nic"),
        ("repaired: [c1-r0-n000]\n", 'The fleet has no node "c1-r0-n000".', "c1-r0-n00"),
        ("window: []\n", 'Key "window" is unknown.', "windows"),
    ],
)
def test_what_is_wrong_is_said_where_it_stands(
    tmp_path: Path, text: str, sentence: str, suggestion: str | None
) -> None:
    with pytest.raises(BadInput) as bad:
        read(tmp_path, text)
    (fault,) = bad.value.faults
    assert sentence in fault.sentence
    assert fault.line is not None
    if suggestion is not None:
        assert fault.suggestion == suggestion


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as bad:
        read(tmp_path, window("state: dnoe") + "repaired: [nobody]\nas_planned: maybe\n")
    assert bad.value.total == 3


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"Observations end in \.yaml or \.json"):
        read(tmp_path, WHOLE, "observed.txt")
