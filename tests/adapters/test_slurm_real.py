"""The Slurm adapter against a real Slurm: real slurmds, jobs and reboots. Each test has nodes of its own."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.adapters.slurm_desk import (
    MARKS,
    ask,
    close_all,
    jobs_of,
    over_rest,
    ports,
    progress,
    seen,
    take,
    workloads_of,
)
from tests.adapters.slurm_site import SlurmSite, wait_for

from fermata.adapters.slurm import Settings, build
from fermata.domain.fleet import NodeState
from fermata.domain.ids import NodeId
from fermata.domain.jobs import count_cost
from fermata.domain.observations import Accepted, Denied, Failed, NeverAsked, Running, Succeeded
from fermata.ports import Refused, TryLater
from fermata.sim.clock import SystemClock

pytestmark = MARKS


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    close_all()


def test_probe_tells_the_version_and_by_which_way_each_verb_goes(slurm: SlurmSite) -> None:
    version = slurm.run("scontrol", "--version").split()[-1]
    told = ports(slurm).probe()
    assert (told["product"], told["version"], told["reads"], told["scontrol"]) == (
        "Slurm",
        version,
        "scontrol",
        "may change nodes",
    )
    told = ports(slurm, **over_rest(slurm)).probe()
    assert (told["version"], told["reads"], told["drains"], told["reboots"]) == (
        version,
        "slurmrestd",
        "scontrol" if slurm.release < (24, 11) else "slurmrestd",
        "scontrol",
    )


def test_unknown_token_learns_nothing_and_no_token_is_refused(slurm: SlurmSite, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("no-token-of-yours")
    words = over_rest(slurm) | {"rest_token_file": str(tmp_path / "token")}
    with pytest.raises((Refused, TryLater), match="token"):  # 22.05 says the same when slurmctld is away
        ports(slurm, **words).probe()
    (tmp_path / "token").write_text("")
    with pytest.raises(Refused, match="cannot be used"):
        ports(slurm, **words).probe()


def test_controller_that_is_away_is_asked_again_later(slurm: SlurmSite, tmp_path: Path) -> None:
    conf = tmp_path / "slurm.conf"
    text = Path(slurm.config).read_text()
    port = next(line for line in text.splitlines() if line.startswith("SlurmctldPort="))
    conf.write_text(text.replace(port, "SlurmctldPort=1") + "MessageTimeout=2\n")
    made = build(Settings(config=str(conf)), SystemClock())
    with pytest.raises(TryLater):
        made.probe()


def test_nodes_are_drained_with_a_reason_that_carries_window_and_key(slurm: SlurmSite) -> None:
    take(slurm, "gpu001", "gpu002")
    told = slurm.run("scontrol", "show", "node", "gpu001,gpu002", "-o")
    assert told.count("Reason=fermata:run_1/c0-20260105/*/drain/1 drain, window c0-20260105 [root@") == 2
    node = seen(slurm, "gpu001")
    assert (node.locked, node.state, node.reachable) == (True, NodeState.OUT_OF_SERVICE, True)
    assert isinstance(progress(slurm, ask("gpu001", "lock")), Succeeded)
    assert isinstance(progress(slurm, ask("gpu001", "drain")), Succeeded)
    assert progress(slurm, ask("gpu001", "drain", 2)) == NeverAsked()
    assert workloads_of(slurm).give_back([ask("gpu001", "give_back")]) == {ask("gpu001", "give_back").key: Accepted()}
    assert slurm.states("gpu001") <= {"IDLE", "NOT_RESPONDING"}
    wait_for(lambda: isinstance(progress(slurm, ask("gpu001", "give_back")), Succeeded))  # once slurmctld asked it
    assert seen(slurm, "gpu001").locked is False
    again = ask("gpu001", "give_back")
    assert workloads_of(slurm).give_back([again]) == {again.key: Accepted()}


def test_drain_waits_for_the_job_on_the_node(slurm: SlurmSite) -> None:
    job = slurm.sbatch("gpu003", 300)
    wait_for(lambda: bool(slurm.states("gpu003") & {"MIXED", "ALLOCATED"}))
    take(slurm, "gpu003")
    assert isinstance(progress(slurm, ask("gpu003", "drain")), Running)
    assert seen(slurm, "gpu003").state is NodeState.IN_SERVICE
    slurm.run("scancel", job)
    wait_for(lambda: isinstance(progress(slurm, ask("gpu003", "drain")), Succeeded))
    assert seen(slurm, "gpu003").state is NodeState.OUT_OF_SERVICE


def test_jobs_are_requeued_where_the_policy_says_so_and_others_are_waited_for(slurm: SlurmSite) -> None:
    movable = slurm.sbatch("gpu004", 300)
    stays = slurm.sbatch("gpu005", 300, "--no-requeue")
    wait_for(lambda: slurm.run("squeue", "-h", "-t", "R", "-j", f"{movable},{stays}").count("\n") == 2)
    both = ["gpu004", "gpu005"]
    workloads = workloads_of(slurm, jobs="requeue")
    workloads.lock([ask(node, "lock") for node in both])
    workloads.drain([ask(node, "drain") for node in both])
    wait_for(lambda: isinstance(progress(slurm, ask("gpu004", "drain")), Succeeded))
    assert isinstance(progress(slurm, ask("gpu005", "drain")), Running)
    states = slurm.run("squeue", "-h", "-j", f"{movable},{stays}", "-o", "%A %t").split("\n")
    assert sorted(states)[1:] == sorted([f"{movable} PD", f"{stays} R"])
    slurm.run("scancel", movable, stays)


def test_drain_that_is_given_up_lets_the_node_serve_on_with_its_job(slurm: SlurmSite) -> None:
    job = slurm.sbatch("gpu006", 300)
    wait_for(lambda: bool(slurm.states("gpu006") & {"MIXED", "ALLOCATED"}))
    take(slurm, "gpu006")
    workloads_of(slurm).give_back([ask("gpu006", "give_back")])
    assert "DRAIN" not in slurm.states("gpu006")
    assert slurm.run("squeue", "-h", "-j", job, "-o", "%t").strip() == "R"
    assert isinstance(progress(slurm, ask("gpu006", "drain")), Failed)
    slurm.run("scancel", job)


def test_drain_of_a_human_is_left_and_told(slurm: SlurmSite) -> None:
    slurm.run("scontrol", "update", "nodename=gpu007", "state=drain", "reason=fan is loud, ask Mary")
    answers = workloads_of(slurm).lock([ask("gpu007", "lock"), ask("gpu008", "lock")])
    denied = answers[ask("gpu007", "lock").key]
    assert isinstance(denied, Denied)
    assert "drained by root since" in denied.why
    assert "fan is loud, ask Mary" in denied.why
    assert answers[ask("gpu008", "lock").key] == Accepted()
    node = seen(slurm, "gpu007")
    assert (node.locked, node.state) == (False, NodeState.OUT_OF_SERVICE)
    for call in (workloads_of(slurm).give_back, workloads_of(slurm).release, workloads_of(slurm).drain):
        assert isinstance(call([ask("gpu007", "give_back")])[ask("gpu007", "give_back").key], Denied)
    assert "DRAIN" in slurm.states("gpu007")
    assert "Reason=fan is loud, ask Mary" in slurm.run("scontrol", "show", "node", "gpu007")


def test_drain_that_a_human_puts_over_ours_stays(slurm: SlurmSite) -> None:
    take(slurm, "gpu009")
    slurm.run("scontrol", "update", "nodename=gpu009", "state=drain", "reason=mine now")
    assert seen(slurm, "gpu009").locked is False
    answer = workloads_of(slurm).give_back([ask("gpu009", "give_back")])[ask("gpu009", "give_back").key]
    assert isinstance(answer, Denied)
    assert "DRAIN" in slurm.states("gpu009")


def test_node_that_somebody_resumed_is_seen_in_service_and_not_locked(slurm: SlurmSite) -> None:
    take(slurm, "gpu010")
    slurm.run("scontrol", "update", "nodename=gpu010", "state=resume")
    wait_for(lambda: slurm.states("gpu010") == {"IDLE"})
    node = seen(slurm, "gpu010")
    assert (node.locked, node.state) == (False, NodeState.IN_SERVICE)
    assert isinstance(progress(slurm, ask("gpu010", "drain")), Failed)
    same, anew = ask("gpu010", "lock"), ask("gpu010", "lock", 2)
    assert isinstance(workloads_of(slurm).lock([same])[same.key], Denied)
    assert workloads_of(slurm).lock([anew])[anew.key] == Accepted()


def test_reboot_is_real_and_leaves_the_node_drained_whatever_its_slurmd_does(slurm: SlurmSite) -> None:
    take(slurm, "gpu011", "gpu012")
    power = ports(slurm).power
    assert power is not None
    asks = [ask("gpu011", "reboot:1"), ask("gpu012", "reboot:1")]
    assert set(power.reboot(asks).values()) == {Accepted()}
    assert isinstance(progress(slurm, asks[0]), Running)
    assert seen(slurm, "gpu011").locked is True
    wait_for(lambda: all(isinstance(progress(slurm, each), Succeeded) for each in asks))
    assert {"DOWN", "DRAIN"} <= slurm.states("gpu011")
    assert power.reboot(asks[:1]) == {asks[0].key: Accepted()}
    assert "REBOOT_REQUESTED" not in slurm.states("gpu011")
    slurm.restart_slurmd("gpu011")  # ReturnToService=2 brings back what is only down
    wait_for(lambda: "IDLE" in slurm.states("gpu011"))
    assert "DRAIN" in slurm.states("gpu011")
    assert seen(slurm, "gpu011").locked is True
    workloads_of(slurm).give_back([ask("gpu012", "give_back")])
    assert "DRAIN" not in slurm.states("gpu012") | slurm.states("gpu012") & {"DOWN"}
    assert isinstance(progress(slurm, asks[1]), Succeeded)


def test_reboot_is_refused_on_nodes_that_are_not_ours_or_not_empty(slurm: SlurmSite) -> None:
    job = slurm.sbatch("gpu013", 300)
    wait_for(lambda: bool(slurm.states("gpu013") & {"MIXED", "ALLOCATED"}))
    take(slurm, "gpu013")
    power = ports(slurm).power
    assert power is not None
    answers = power.reboot([ask("gpu013", "reboot:1"), ask("gpu014", "reboot:1"), ask("nobody", "reboot:1")])
    assert [type(answer) for answer in answers.values()].count(Denied) == 3
    assert "jobs are on gpu013" in str(answers[ask("gpu013", "reboot:1").key])
    slurm.run("scancel", job)


def test_reset_is_refused_without_a_program_and_done_once_with_it(slurm: SlurmSite) -> None:
    take(slurm, "gpu015")
    each = ask("gpu015", "reset:apply:bmc")
    power = ports(slurm).power
    assert power is not None
    refused = power.reset([each])[each.key]
    assert isinstance(refused, Denied)
    assert "reset_program" in refused.why
    power = ports(slurm, reset_program=slurm.reset_program).power
    assert power is not None
    assert [power.reset([each])[each.key] for _ in range(2)] == [Accepted(), Accepted()]
    assert (slurm.at / "log/reset").read_text().split().count("gpu015") == 1, "whatever else was reset there before"
    wait_for(lambda: isinstance(progress(slurm, each), Succeeded))
    assert "DRAIN" in slurm.states("gpu015")


def test_release_leaves_a_node_down_as_it_was_found(slurm: SlurmSite) -> None:
    slurm.stop_slurmd("gpu016")  # one that responds would be put back by slurmctld itself, at any moment
    slurm.run("scontrol", "update", "nodename=gpu016", "state=down", "reason=Not responding")
    take(slurm, "gpu016")
    released = ask("gpu016", "release")
    assert workloads_of(slurm).release([released]) == {released.key: Accepted()}
    assert slurm.states("gpu016") - {"NOT_RESPONDING"} == {"DOWN"}
    assert "Reason=Not responding [" in slurm.run("scontrol", "show", "node", "gpu016")
    assert isinstance(progress(slurm, released), Succeeded)


def test_comments_of_people_stay(slurm: SlurmSite) -> None:
    slurm.run("scontrol", "update", "nodename=gpu017", "comment=rack door sticks")
    take(slurm, "gpu017")
    workloads_of(slurm).give_back([ask("gpu017", "give_back")])
    assert "Comment=rack door sticks fermata{" in slurm.run("scontrol", "show", "node", "gpu017", "-o")


def test_call_whose_answer_is_lost_is_found_by_looking(slurm: SlurmSite, tmp_path: Path) -> None:
    program = tmp_path / "scontrol"
    real = shutil.which("scontrol")
    program.write_text(f'#!/bin/sh\n{real} "$@" || exit $?\n[ "$1" != update ] || exec sleep 60\n')
    program.chmod(0o755)
    each = ask("gpu018", "lock")
    answers = workloads_of(slurm, scontrol=str(program), answer_seconds_max=2).lock([each])
    assert answers == {each.key: Accepted()}
    assert isinstance(progress(slurm, each), Succeeded)


def test_slurmrestd_and_scontrol_tell_the_same_of_every_node_and_job(slurm: SlurmSite) -> None:
    job = slurm.sbatch("gpu019", 300, "--time=30")
    wait_for(lambda: bool(slurm.states("gpu019") & {"MIXED", "ALLOCATED"}))
    take(slurm, "gpu020")
    words = over_rest(slurm)
    names = [NodeId(node) for node in slurm.nodes]
    one, two = ports(slurm).inventory, ports(slurm, **words).inventory
    assert one is not None
    assert two is not None
    a, b = one.observe_nodes(names), two.observe_nodes(names)
    facts = [{n: (s.reachable, s.state, s.locked) for n, s in each.items()} for each in (a, b)]
    assert facts[0] == facts[1]
    told, over = (jobs_of(slurm, **more).list_jobs([NodeId("gpu019"), NodeId("nobody")]) for more in ({}, words))
    assert told == over
    cost = count_cost(told, ["gpu019"], SystemClock().now())
    assert (cost.job_count, dict(cost.users), cost.node_count, cost.lasting) == (1, {"root": 1}, 1, 1)
    assert cost.over_at is not None
    slurm.run("scancel", job)


def test_nodes_are_asked_for_by_name_and_strangers_among_them_hide_nobody(slurm: SlurmSite) -> None:
    asked = [NodeId(name) for name in ("gpu030", "nobody", "gpu031,gpu032", "-o", "gpu031")]
    for words in ({}, over_rest(slurm)):
        inventory = ports(slurm, **words).inventory
        assert inventory is not None
        assert sorted(inventory.observe_nodes(asked)) == ["gpu030", "gpu031"], words
    commands = slurm.at / "log/asked"
    program = slurm.at / "etc/scontrol-told"
    program.write_text(f'#!/bin/sh\necho "$@" >>{commands}\nexec {shutil.which("scontrol")} "$@"\n')
    program.chmod(0o755)
    workloads_of(slurm, scontrol=str(program)).observe([ask("gpu030", "lock"), ask("gpu031", "lock")])
    assert commands.read_text() == "show node gpu[030-031] -o\n"


def test_slurmctld_that_starts_again_remembers(slurm: SlurmSite) -> None:
    take(slurm, "gpu024")
    slurm.restart_controller()
    assert isinstance(progress(slurm, ask("gpu024", "drain")), Succeeded)
    assert isinstance(progress(slurm, ask("gpu024", "lock")), Succeeded)
