"""What events of a run say of its hosts, and what settings of playbooks are refused: no Ansible is needed."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from fermata.adapters.playbook.events import End, read_ends
from fermata.adapters.playbook.programs import Programs, find_fault
from fermata.adapters.playbook.settings import Settings
from fermata.adapters.step_memory import Memory, Step
from fermata.domain.ids import StepKey

ACT = {"run_file": "update.yml", "read_file": "read.yml"}


def event(kind: str, host: str = "n1", **data: Any) -> Mapping[str, Any]:
    return {"event": kind, "event_data": {"host": host, "task": "Write", **data}}


def stats(**counts: Mapping[str, int]) -> Mapping[str, Any]:
    return {"event": "playbook_on_stats", "event_data": {"processed": {"n1": 1}, **counts}}


STARTED = event("runner_on_start")
WELL = event("runner_on_ok", res={"changed": True})
BAD = event("runner_on_failed", res={"msg": "non-zero return code", "stderr": "no\nspace"})
AWAY = event("runner_on_unreachable", res={"msg": "timed out"})
ENDS: Mapping[str, tuple[Sequence[Mapping[str, Any]], End, str]] = {
    "every task is well": ((STARTED, WELL, stats()), End.DONE, ""),
    "a task fails": ((WELL, BAD, stats(failures={"n1": 1})), End.FAILED, "Write: non-zero return code: no space"),
    "a task fails and is rescued": ((BAD, WELL, stats(rescued={"n1": 1})), End.DONE, ""),
    "a fault is ignored": ((event("runner_on_failed", ignore_errors=True, res={}), stats()), End.DONE, ""),
    "it is lost in the middle": ((WELL, AWAY, stats(dark={"n1": 1})), End.UNREACHED, "Write: timed out"),
    "it fails after it was lost": (
        (AWAY, BAD, stats(dark={"n1": 1}, failures={"n1": 1})),
        End.FAILED,
        "Write: non-zero return code: no space",
    ),
    "no task is for it": ((stats(processed={}),), End.LEFT_OUT, ""),
    "another host fails": ((event("runner_on_failed", "n2", res={}), stats(failures={"n2": 1})), End.DONE, ""),
    "the run is cut off in a task": ((STARTED,), End.UNKNOWN, ""),
    "the run is cut off after a fault": ((BAD,), End.UNKNOWN, "Write: non-zero return code: no space"),
    "the run came to no task": ((), End.LEFT_OUT, ""),
    "its output is hidden": (
        (event("runner_on_failed", res={"censored": "hidden by no_log"}), stats(failures={"n1": 1})),
        End.FAILED,
        "Write: hidden by no_log",
    ),
    "events are odd": (
        ({"event": "runner_on_ok"}, {"event_data": []}, {}, event("runner_on_ok", res=7)),
        End.UNKNOWN,
        "",
    ),
}


@pytest.mark.parametrize("name", ENDS)
def test_a_host_ends_as_events_say(name: str) -> None:
    events, end, says = ENDS[name]
    found = read_ends(events, ["n1"])["n1"]
    assert (found.end, found.says) == (end, says)


def test_facts_are_those_set_last_and_no_others() -> None:
    first = event("runner_on_ok", res={"ansible_facts": {"fermata_versions": {"os": "1"}, "other": 1}})
    last = event("runner_on_ok", res={"ansible_facts": {"fermata_versions": {"os": "2"}}})
    failed = event("runner_on_failed", ignore_errors=True, res={"ansible_facts": {"fermata_versions": {"os": "3"}}})
    found = read_ends([first, last, failed, stats()], ["n1"])["n1"]
    assert found.facts == {"fermata_versions": {"os": "2"}}


REFUSED: Mapping[str, tuple[dict[str, Any], str]] = {
    "no hosts": ({"units": {}}, "inventory_file or units"),
    "hosts twice": ({"inventory_file": "hosts.yml"}, "inventory_file or units"),
    "no playbook": ({"components": {}}, "name a playbook"),
    "a pattern for a name": ({"units": {"n*": {}}}, "cannot be a host"),
    "a group for a name": ({"units": {"all": {}}}, "cannot be a host"),
    "a name of ours": ({"variables": {"fermata_version": "9"}}, "fermata_version is a name that we give"),
    "nodes and devices": ({"components": {"os": {**ACT, "nodes": ["n1"], "devices": ["n1"]}}}, "nodes or devices"),
    "a device of two components": (
        {"components": {name: {**ACT, "devices": ["n*"]} for name in ("os", "bios")}},
        "device n1 has 2 components",
    ),
    "a folder with a blank": ({"folder": "our runs"}, "cannot bear"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_settings_that_would_do_harm_are_refused(name: str) -> None:
    more, why = REFUSED[name]
    plain: dict[str, Any] = {"folder": "runs", "units": {"n1": {}}, "components": {"os": ACT}}
    Settings.model_validate(plain)
    with pytest.raises(ValidationError, match=why):
        Settings.model_validate(plain | more)


def test_components_are_of_the_units_that_they_name() -> None:
    components = {"os": ACT, "nic": {**ACT, "nodes": ["n1"]}, "leaf_os": {**ACT, "devices": ["leaf*"]}}
    settings = Settings.model_validate({"folder": "runs", "inventory_file": "hosts", "components": components})
    found = {name: list(settings.components_of(name)) for name in ("n1", "n2", "leaf7")}
    assert found == {"n1": ["os", "nic"], "n2": ["os"], "leaf7": ["leaf_os"]}


def test_what_a_file_of_secrets_says_is_blotted_out(tmp_path: Path) -> None:
    (tmp_path / "secrets").write_text("# of ours\nuser: root\npassword: 'p4ss word'\ntokens:\n  - tok-1\nshort: abc\n")
    settings = Settings.model_validate(
        {"folder": "runs", "units": {"n1": {}}, "reset": ACT, "secret_vars_file": tmp_path / "secrets"}
    )
    programs = Programs(settings)
    assert programs.hide("root sent p4ss word and tok-1, abc") == "*** sent *** and ***, abc"
    line = programs.command_line(Path("limit"))
    assert "p4ss" not in line
    assert f"-e @{tmp_path / 'secrets'} --forks 50 --limit @limit" == line


def test_of_what_a_program_prints_the_fault_is_told() -> None:
    assert find_fault("a\n[ERROR]: first\n[ERROR]: no such role\nOrigin: x") == "[ERROR]: no such role Origin: x"
    assert find_fault("x" * 400 + " the end").endswith("the end")


def test_a_step_is_claimed_by_one_process_and_open_until_it_ends(tmp_path: Path) -> None:
    now = datetime(2026, 1, 5, tzinfo=UTC)
    step = Step(
        key=StepKey("k"), unit="n1", op="apply", component="os", version="2", image="x", asked_at=now, task="first"
    )
    ours, theirs = Memory(tmp_path / "steps"), Memory(tmp_path / "steps")
    assert ours.claim(step)
    assert not theirs.claim(replace(step, task="second"))
    assert [one.task for one in theirs.list_open("n1")] == ["first"]
    ours.end(step.key, now)
    assert theirs.list_open("n1") == []
    late = replace(step, key=StepKey("run/win/n1/apply:os/2"))
    other = replace(late, key=StepKey("run/win/n2/apply:os/2"))
    assert ours.hear(late.key, 3) == 3
    assert theirs.hear(StepKey("run/win/n1/lock/1"), 2) == 3
    assert not theirs.claim(late, 2), "somebody else conducts it by now"
    assert theirs.claim(other, 2), "of another unit nothing was heard"
    assert theirs.claim(late, 3)
    ours.close()
    theirs.close()
