"""Every story of the corpus, replayed: from files through the readers, the planner and the checker."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.corpus.expand import Story, merge, read_story, write_scenario
from tests.corpus.judge import compare, find_differences, replay, replay_act

from fermata.cli.main import main
from fermata.domain.plans import Plan
from fermata.formats.plans import plan_to_json
from fermata.planning.inputs import Planned

HERE = Path(__file__).parent
FILES = sorted(HERE.glob("*/*.yaml"))
STORIES = {f"{path.parent.name}/{path.stem}": read_story(path) for path in FILES}
STORIES_LEAST = 60
WORDS_LEAST = 6
KEYS = {
    "story",
    "fleet",
    "updates",
    "teams",
    "block",
    "freezes",
    "approvals",
    "campaign",
    "asked",
    "expect",
    "then",
    "told",
    "workloads",
    "as_of",
    "observed",
    "what_if",
}


def acts(story: Story) -> Iterator[Story]:
    """The story as it begins, then as each entry of `then` changes it; what is expected is told anew by each act."""
    yield story
    for changes in story.get("then", ()):
        begun = {key: value for key, value in story.items() if key not in ("expect", "told")}
        story = merge(begun, changes)
        yield story


@pytest.mark.parametrize("name", STORIES)
def test_story_goes_as_told(name: str, tmp_path: Path) -> None:
    before: Plan | None = None
    for number, act in enumerate(acts(STORIES[name])):
        outcome = replay_act(act, write_scenario(act, tmp_path / str(number)), before)
        zone = act.get("campaign", {}).get("timezone", "UTC")
        assert find_differences(outcome, act["expect"], zone=zone) == [], f"act {number + 1}"
        if isinstance(outcome, Planned):
            if before is not None and "verdict" in act["expect"]:
                assert compare(before, outcome.plan, act["expect"], zone=zone) == [], f"act {number + 1}"
            before = outcome.plan


@pytest.mark.parametrize("name", [name for name, story in STORIES.items() if "told" in story])
def test_story_is_told_on_the_command_line(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    story = STORIES[name]
    folder = write_scenario(story, tmp_path / "scenario")
    with pytest.raises(SystemExit) as stopped:
        main(["plan", str(folder)])
    said = capsys.readouterr()
    assert stopped.value.code == story["expect"].get("exit", 0)
    assert [part for part in story["told"] if part not in " ".join((said.out + said.err).split())] == []
    assert "Traceback" not in said.err


TIED = [name for name in STORIES if name.startswith("ties/")]


@pytest.mark.parametrize("name", TIED)
def test_ties_are_broken_alike_each_time_and_any_seed_gives_as_good_a_plan(name: str, tmp_path: Path) -> None:
    folder = write_scenario(STORIES[name], tmp_path / "scenario")
    first, again, other = replay(folder), replay(folder), replay(folder, {"seed": 2})
    assert isinstance(first, Planned)
    assert isinstance(other, Planned)
    assert first == again
    assert first.plan.objective == other.plan.objective


@pytest.mark.timeout(300)  # interpreters of their own: a busy machine needs minutes
def test_ties_are_broken_alike_whatever_the_order_of_sets(tmp_path: Path) -> None:
    """A second interpreter, whose sets and hashes come in another order, gives the same bytes."""
    folders = [write_scenario(STORIES[name], tmp_path / name.replace("/", "-")) for name in TIED]
    there = subprocess.run(
        [sys.executable, "-W", "error", "-c", "from tests.corpus import test_corpus as t; t.print_digests()"],
        input="\n".join(map(str, folders)),
        env={**os.environ, "PYTHONHASHSEED": "7"},
        cwd=HERE.parents[1],
        capture_output=True,
        check=True,
        text=True,
    ).stdout.split()
    assert there == [digest(folder) for folder in folders]


def print_digests() -> None:
    """One line for each folder named on standard input."""
    sys.stdout.writelines(f"{digest(Path(folder.strip()))}\n" for folder in sys.stdin)


def digest(folder: Path) -> str:
    """SHA-256 of the plan's JSON."""
    outcome = replay(folder)
    assert isinstance(outcome, Planned)
    return hashlib.sha256(str(plan_to_json(outcome.plan)).encode()).hexdigest()


WRONG_EXPECTATIONS = [
    ("rolling/the-last-part-is-small", {"windows": [{"cluster": "alpha", "day": "2026-01-05", "nodes": 3}]}),
    ("rolling/the-last-part-is-small", {"windows": [{"cluster": "alpha"}] * 2}),
    ("rolling/the-last-part-is-small", {"windows": [{"cluster": "alpha"}] * 4}),
    ("rolling/the-last-part-is-small", {"days": {"2026-01-05": 2, "2026-01-06": 1}}),
    ("rolling/the-last-part-is-small", {"exit": 3, "clashes": [], "relaxations": []}),
    ("rolling/the-last-part-is-small", {"objective": {"fewest_windows": 2}}),
    ("rolling/the-last-part-is-small", {"objective": {"avoid": 0}}),
    ("rolling/the-last-part-is-small", {"clashes": []}),
    ("consent/one-cluster-of-two", {"unplanned": []}),
    ("consent/one-cluster-of-two", {"unplanned": [{"cluster": "beta", "nodes": 2, "reason": "APPROVAL_WITHDRAWN"}]}),
    ("order/one-after-the-other", {"order": [["os", "nic"]]}),
    ("order/one-after-the-other", {"most_at_once": {"nic": 1}}),
    ("order/one-after-the-other", {"windows": [{"updates": ["nic"]}]}),
    ("infeasible/a-day-too-short", {"exit": 3, "clashes": ["weekends"], "relaxations": []}),
    ("infeasible/a-day-too-short", {"exit": 3, "clashes": ["daily_window"], "relaxations": ["to 16:00."]}),
    ("infeasible/a-day-too-short", {"exit": 3, "clashes": ["daily_window"], "relaxations": [], "says": ["beta"]}),
    ("refused/a-team-of-nobody", {"exit": 2, "faults": []}),
    ("refused/a-team-of-nobody", {"exit": 2, "faults": ["teams[1]"]}),
]


@pytest.mark.parametrize(("name", "expected"), WRONG_EXPECTATIONS)
def test_what_a_story_tells_wrongly_is_found_out(name: str, expected: Story, tmp_path: Path) -> None:
    outcome = replay(write_scenario(STORIES[name], tmp_path / "scenario"))
    assert find_differences(outcome, expected, zone="UTC") != []


def test_the_corpus_is_large_enough() -> None:
    assert len(STORIES) >= STORIES_LEAST


def test_each_story_is_its_own_and_says_what_it_is_about() -> None:
    texts = [" ".join(story["story"].split()) for story in STORIES.values()]
    assert len(set(texts)) == len(texts)
    assert [text for text in texts if len(text.split()) < WORDS_LEAST or not text.endswith(".")] == []


def test_names_are_words() -> None:
    parts = {part for name in STORIES for part in name.split("/")}
    assert [part for part in sorted(parts) if not part.replace("-", "").isalpha() or not part.islower()] == []


def test_no_story_says_anything_that_is_not_read() -> None:
    assert {name: set(story) - KEYS for name, story in STORIES.items() if set(story) - KEYS} == {}
    assert [name for name, story in STORIES.items() if any("expect" not in act for act in acts(story))] == []
