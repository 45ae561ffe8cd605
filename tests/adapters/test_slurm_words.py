"""What the Slurm adapter reads and writes, as tables: lists of nodes, lines of scontrol and squeue, reasons."""

from datetime import UTC, datetime, timedelta

import pytest

from fermata.adapters.slurm import Settings
from fermata.adapters.slurm import jobs as job_lists
from fermata.adapters.slurm.holds import judge, read_hold, say_holder
from fermata.adapters.slurm.hostlist import chunks, compress, expand
from fermata.adapters.slurm.nodes import SlurmNode, parse_json, parse_lines
from fermata.adapters.slurm.reservations import names_of
from fermata.adapters.slurm.rest import read_abilities
from fermata.adapters.slurm.tags import (
    KEYS_KEPT_MAX,
    Entry,
    Mark,
    Op,
    Trail,
    read_comment,
    read_reason,
    to_key,
    to_template,
    write_comment,
    write_reason,
)
from fermata.domain.ids import StepKey
from fermata.domain.jobs import count_cost
from fermata.domain.observations import Failed, NeverAsked, Progress, Running, Succeeded
from fermata.ports import Refused

NOW = datetime(2026, 11, 27, 1, tzinfo=UTC)
OWNER = "fermata"
HEAD = (
    "NodeName=gpu001 Arch=x86_64 CoresPerSocket=8  CPUAlloc=0 Gres=(null) NodeAddr=127.0.0.1 NodeHostName=localhost "
    "Port=27001 Version=22.05.8 OS=Linux 6.18.44 #1 SMP PREEMPT_DYNAMIC @0  RealMemory=64000 Boards=1 State={state} "
    "ThreadsPerCore=1 Owner=N/A MCS_label=N/A Partitions=batch  BootTime=2026-11-27T00:18:32 "
    "SlurmdStartTime=2026-11-27T00:40:02 LastBusyTime=2026-11-27T00:40:02 AllocTRES= ExtSensorsTemp=n/s"
)

LISTS = [
    ("gpu001", ["gpu001"]),
    ("gpu[001-003,007],login1", ["gpu001", "gpu002", "gpu003", "gpu007", "login1"]),
    ("gpu[8-11]", ["gpu8", "gpu9", "gpu10", "gpu11"]),
    ("r[1-2]n[01-02]", ["r1n01", "r1n02", "r2n01", "r2n02"]),
    ("a-1,b", ["a-1", "b"]),
    ("", []),
]


@pytest.mark.parametrize(("text", "names"), LISTS)
def test_lists_are_taken_apart_and_put_together_again(text: str, names: list[str]) -> None:
    assert expand(text) == names
    assert sorted(expand(compress(names))) == sorted(names)


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["gpu001", "gpu002", "gpu003", "gpu007"], "gpu[001-003,007]"),
        (["gpu9", "gpu10", "gpu09"], "gpu9,gpu[09-10]"),
        (["login", "gpu1", "gpu1"], "gpu1,login"),
        ([f"gpu{n:05d}" for n in range(1, 20_001)], "gpu[00001-20000]"),
    ],
)
def test_numbers_are_folded_by_their_width(names: list[str], text: str) -> None:
    assert sorted(expand(compress(names))) == sorted(set(names))
    if "gpu9" not in names:
        assert compress(names) == text


@pytest.mark.parametrize("text", ["gpu[1-2", "gpu]1[", "gpu[1-x]", "gpu[[1]]", "gpu[1-99999999]"])
def test_lists_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"brackets|number|names"):
        expand(text)


def test_long_lists_are_cut_and_lose_nobody() -> None:
    names = [f"n{n * 7919}x" for n in range(500)]
    parts = list(chunks(names, 1000))
    assert [name for part in parts for name in part] == names
    assert max(len(compress(part)) for part in parts) <= 1000


LINES = [
    ("", "", "", ""),
    (" Reason=fan is loud [root@2026-11-27T00:40:50]", "fan is loud", "root", ""),
    (" Reason=x State=IDLE [a] [mary@2026-11-27T00:40:50] Comment=y", "x State=IDLE [a]", "mary", "y"),
    (" Comment=z Reason=fermata:k lock [root@]", "", "", "z Reason=fermata:k lock [root@]"),
    (" Comment=a b Extra=c", "", "", "a b"),
]  # fmt: skip


@pytest.mark.parametrize(("tail", "reason", "by", "comment"), LINES)
def test_what_people_write_is_never_taken_for_a_field(tail: str, reason: str, by: str, comment: str) -> None:
    (node,) = parse_lines(HEAD.format(state="MIXED+DRAIN") + tail)
    assert (node.states, node.reason, node.reason_by, node.comment) == ({"MIXED", "DRAIN"}, reason, by, comment)
    assert (node.version, node.os) == ("22.05.8", "Linux 6.18.44 #1 SMP PREEMPT_DYNAMIC @0")
    assert node.booted_at == datetime(2026, 11, 27, 0, 18, 32, tzinfo=UTC)


STATES = [
    ("IDLE", True, True, False),
    ("MIXED", True, True, False),
    ("IDLE+DRAIN", False, True, True),
    ("MIXED+DRAIN", True, True, True),
    ("IDLE+COMPLETING+DRAIN", True, True, True),
    ("DOWN", False, True, True),
    ("DOWN+NOT_RESPONDING", False, False, True),
    ("IDLE+NOT_RESPONDING", False, False, False),
    ("DOWN+DRAIN+REBOOT_ISSUED", False, False, True),
    ("UNKNOWN", False, False, False),
    ("IDLE+CLOUD+POWERED_DOWN", True, False, False),
    ("SOMETHING_NEW", False, True, False),
]


@pytest.mark.parametrize(("state", "serves", "reachable", "takes_nothing"), STATES)
def test_states_say_whether_jobs_may_be_there(state: str, serves: bool, reachable: bool, takes_nothing: bool) -> None:
    (node,) = parse_lines(HEAD.format(state=state))
    assert (node.serves, node.is_reachable, node.takes_nothing) == (serves, reachable, takes_nothing)


def test_both_kinds_of_json_are_read() -> None:
    old = {"name": "a", "state": "idle", "state_flags": ["DRAIN"], "boot_time": 1795740052, "reason": "x"}
    new = {"name": "a", "state": ["IDLE", "DRAIN"], "boot_time": {"set": True, "number": 1795740052}, "reason": "x"}
    assert list(parse_json([old])) == list(parse_json([new]))
    assert next(parse_json([new])).booted_at == datetime.fromtimestamp(1795740052, UTC)
    with pytest.raises(ValueError, match="without a name"):
        list(parse_json([{}]))


def test_jobs_are_read_and_what_a_drain_costs_is_counted() -> None:
    text = (
        "1|root|RUNNING|gpu[003-004]|2026-11-27T00:52:26|1|\n"
        "2|mary|RUNNING|gpu005|NONE|0|\n"
        "3|mary|RUNNING|gpu003|2026-11-27T03:00:00|1|\n"
    )
    jobs = job_lists.parse_lines(text)
    cost = count_cost(jobs, ["gpu003"], datetime(2026, 11, 27, 1, tzinfo=UTC))
    assert ([job.id for job in cost.longest], cost.users) == (["3", "1"], {"mary": 1, "root": 1})
    assert (cost.job_count, cost.node_count, cost.outside, cost.lasting, cost.endless) == (2, 1, 1, 1, 0)
    assert cost.over_at == datetime(2026, 11, 27, 3, tzinfo=UTC)
    endless = count_cost(jobs, ["gpu005"], datetime(2026, 11, 27, 1, tzinfo=UTC))
    assert (endless.endless, endless.lasting, endless.over_at) == (1, 1, None)
    with pytest.raises(ValueError, match="no line of a job"):
        job_lists.parse_lines("slurm says something else")


@pytest.mark.parametrize(
    ("key", "template"),
    [
        ("run_1/c0/gpu001/drain/1", "run_1/c0/*/drain/1"),
        ("run_1/c0/gpu001/reboot:1/2", "run_1/c0/*/reboot:1/2"),
        ("any key of * gpu001", "any%20key%20of%20%2A%20gpu001"),
    ],
)
def test_keys_are_told_without_their_node_and_without_blanks(key: str, template: str) -> None:
    assert to_template(StepKey(key), "gpu001") == template
    assert to_key(template, "gpu001") == key


def test_reason_is_known_again_with_what_slurm_wrote_behind() -> None:
    reason = write_reason(OWNER, "run_1/c0/*/reboot:1/1", Op.REBOOT)
    assert reason == "fermata:run_1/c0/*/reboot:1/1 reboot, window c0"
    tag = read_reason(OWNER, f"{reason} : reboot issued : reboot complete")
    assert tag is not None
    assert (tag.template, tag.op) == ("run_1/c0/*/reboot:1/1", Op.REBOOT)
    assert "reboot complete" in tag.rest
    for other in ("fan is loud", "fermata2:x lock", "fermata:x", "fermata:x cook", ""):
        assert read_reason(OWNER, other) is None


def test_comment_keeps_people_s_words_and_the_last_steps() -> None:
    trail = Trail(human="door {sticks}", found="Not responding [x]")
    for n in range(KEYS_KEPT_MAX + 5):
        trail = trail.adding(Entry(op=Op.DRAIN, template=f"r/w/*/drain/{n}", at=NOW))
    told = write_comment(OWNER, trail)
    assert read_comment(OWNER, told) == trail
    assert len(trail.entries) == KEYS_KEPT_MAX
    assert write_comment(OWNER, Trail(human="only theirs")) == "only theirs"
    assert read_comment(OWNER, "fermata{garbage lock=a@b}").entries == ()


def _node(states: str, reason: str = "", entries: tuple[Entry, ...] = (), **words: object) -> SlurmNode:
    comment = write_comment(OWNER, Trail(entries=entries))
    fields = {"reason_at": NOW, "booted_at": NOW - timedelta(days=1), "last_busy_at": NOW, **words}
    return SlurmNode(name="n1", states=frozenset(states.split("+")), reason=reason, comment=comment, **fields)  # type: ignore[arg-type]


def _asked(op: Op, mark: Mark = Mark.ASKED, *, seconds: int = 60) -> tuple[Entry, ...]:
    return (Entry(op=op, template="k", at=NOW - timedelta(seconds=seconds), mark=mark),)


AFTER = {"booted_at": NOW}
PROGRESS: list[tuple[str, SlurmNode, type[Progress]]] = [
    ("nothing is known", _node("IDLE"), NeverAsked),
    ("locked", _node("IDLE+DRAIN", "fermata:k lock"), Succeeded),
    ("jobs run", _node("MIXED+DRAIN", "fermata:k drain"), Running),
    ("empty", _node("IDLE+DRAIN", "fermata:k drain"), Succeeded),
    ("what jobs leave behind", _node("IDLE+COMPLETING+DRAIN", "fermata:k drain"), Running),
    ("resumed, its reason gone", _node("IDLE", "", _asked(Op.DRAIN)), Failed),
    ("resumed, its reason left", _node("IDLE", "fermata:k drain"), Failed),
    ("drained by a human", _node("IDLE+DRAIN", "mine", _asked(Op.DRAIN)), Failed),
    ("reboot waits", _node("IDLE+DRAIN+REBOOT_REQUESTED", "fermata:k reboot"), Running),
    ("reboot goes on", _node("DOWN+DRAIN+REBOOT_ISSUED", "fermata:k reboot : reboot issued"), Running),
    ("rebooted, drain lost", _node("DOWN", "fermata:k reboot : reboot issued : reboot complete"), Running),
    ("rebooted", _node("DOWN+DRAIN", "fermata:k reboot : reboot issued : reboot complete"), Succeeded),
    ("never came back", _node("DOWN+DRAIN", "fermata:k reboot : reboot issued : reboot timed out"), Failed),
    ("reboot cancelled", _node("IDLE+DRAIN", "fermata:k reboot"), Failed),
    ("reboot written down only", _node("IDLE+DRAIN", "fermata:j drain", _asked(Op.REBOOT)), NeverAsked),
    ("reset, not yet up", _node("IDLE+DRAIN", "fermata:k reset", _asked(Op.RESET)), Running),
    ("reset, up", _node("IDLE+DRAIN", "fermata:k reset", _asked(Op.RESET), **AFTER), Succeeded),
    ("given back", _node("IDLE", "", _asked(Op.GIVE_BACK)), Succeeded),
    ("given back a moment ago, silent", _node("IDLE+NOT_RESPONDING", "", _asked(Op.GIVE_BACK, seconds=59)), Running),
    ("given back, silent for a minute", _node("IDLE+NOT_RESPONDING", "", _asked(Op.GIVE_BACK)), Succeeded),
    ("not given back", _node("IDLE+DRAIN", "fermata:j drain", _asked(Op.GIVE_BACK)), NeverAsked),
    ("done before", _node("IDLE+DRAIN", "fermata:j drain", _asked(Op.LOCK, Mark.DONE)), Succeeded),
    (
        "done before it was given back, its reason left",
        _node("IDLE", "fermata:k drain", _asked(Op.DRAIN, Mark.DONE)),
        Succeeded,
    ),
    ("failed before", _node("IDLE+DRAIN", "fermata:j drain", _asked(Op.REBOOT, Mark.FAILED)), Failed),
]


@pytest.mark.parametrize(("node", "expected"), [each[1:] for each in PROGRESS], ids=[each[0] for each in PROGRESS])
def test_progress_is_read_from_the_node_alone(node: SlurmNode, expected: type[Progress]) -> None:
    found = judge(read_hold(OWNER, node), "k", NOW, reset_limit=timedelta(minutes=30), reserved=())
    assert isinstance(found, expected)
    if isinstance(found, Succeeded | Failed):
        assert found.at <= NOW


def test_reset_that_brings_nobody_back_fails_after_its_limit() -> None:
    node = _node("IDLE+DRAIN", "fermata:k reset", _asked(Op.RESET))
    later = NOW + timedelta(minutes=30)
    assert isinstance(judge(read_hold(OWNER, node), "k", later, reset_limit=timedelta(minutes=30), reserved=()), Failed)


def test_node_is_not_given_back_while_a_reservation_of_ours_has_it() -> None:
    hold = read_hold(OWNER, _node("IDLE", "", _asked(Op.GIVE_BACK)))
    assert judge(hold, "k", NOW, reset_limit=timedelta(minutes=30), reserved=("n1",)) == NeverAsked()


def test_reservations_are_known_by_run_and_window_and_one_that_floats_by_its_end() -> None:
    key = StepKey("run_1/c0-20260105/gpu001/give_back/1")
    assert names_of(OWNER, key) == ("fermata_run_1_c0-20260105", "fermata_run_1_c0-20260105_float")
    assert names_of(OWNER, StepKey("run_1/a b/gpu001/give_back/1"))[0] == "fermata_run_1_a_b"


@pytest.mark.parametrize(
    ("node", "is_free"),
    [
        (_node("IDLE"), True),
        (_node("DOWN+NOT_RESPONDING", "Not responding"), True),
        (_node("DOWN", ""), True),
        (_node("DOWN", "disk died"), False),
        (_node("IDLE+DRAIN", "Not responding"), False),
        (_node("IDLE+FAIL", "gone"), False),
    ],
)
def test_only_what_slurm_itself_took_down_is_nobodys(node: SlurmNode, is_free: bool) -> None:
    assert (say_holder(node) is None) is is_free


def test_openapi_document_decides_what_slurmrestd_is_asked_for() -> None:
    def document(version: str, slash: str, *verbs: str) -> dict[str, object]:
        base = f"/slurm/{version}"
        lists = {f"{base}/{noun}{slash}": {"get": {}} for noun in ("nodes", "jobs", "reservations")}
        return {"paths": {**lists, f"{base}/node/{{node_name}}": {verb: {} for verb in verbs}}}

    old = read_abilities(document("v0.0.38", "", "get"))
    assert (old.base, old.lists["nodes"], old.changes_nodes) == ("/slurm/v0.0.38", "/slurm/v0.0.38/nodes", False)
    new = read_abilities(document("v0.0.42", "/", "get", "post", "delete"))
    assert (new.lists["jobs"], new.changes_nodes) == ("/slurm/v0.0.42/jobs/", True)
    with pytest.raises(Refused, match="no slurmrestd"):
        read_abilities({"paths": {"/pets": {}}})


@pytest.mark.parametrize(
    "words",
    [
        {"rest_url": "http://127.0.0.1:1"},
        {"rest_url": "http://127.0.0.1:1", "rest_token_file": "a", "rest_token_env": "B"},
        {"rest_token": "secret"},
        {"jobs": "kill"},
        {"reset_program": "power off"},
        {"owner": "a b"},
    ],
)
def test_settings_that_cannot_work_are_refused(words: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="Settings"):
        Settings.model_validate(words)
