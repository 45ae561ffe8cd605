"""Checks over a real sshd: run once whatever is lost, found again, bounded, and judged."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError
from tests.adapters.health.sshd import PATIENCE_SECONDS, Sshd, me, serving_ssh

from fermata.adapters import health_ssh
from fermata.adapters.health_ssh import Settings, build
from fermata.domain.ids import StepKey
from fermata.domain.observations import Accepted, Denied, Failed, Later, NeverAsked, Progress, Running, Succeeded
from fermata.ports import AdapterPorts, Ask, Refused
from fermata.wiring.clocks import UtcClock

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("sshd")]


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with serving_ssh(tmp_path_factory.mktemp("sshd")) as found:
        yield found


class Desk:
    """An adapter over the server; every node is this machine."""

    def __init__(self, sshd: Sshd, folder: Path) -> None:
        self.sshd, self.folder = sshd, folder

    def open(self, *, quick: object, deep: object = None, **changed: object) -> AdapterPorts:
        given = {
            "checks": {"quick": quick, "deep": deep, "nodes": ["127.0.0.1", "localhost", "no-such-unit"]},
            "user": me(),
            "port": self.sshd.port,
            "config_file": "/dev/null",
            "key_file": self.sshd.key,
            "known_hosts_file": self.sshd.known_hosts,
            "folder": str(self.folder / "checks"),
            **changed,
        }
        return build(Settings.model_validate(given), UtcClock())

    def script(self, text: str, **more: object) -> dict[str, object]:
        """A check that writes a line a run to `runs` and goes on as told."""
        return {"command": ["sh", "-c", f"echo {{node}} >>{self.folder}/runs; {text}"], **more}

    @property
    def runs(self) -> int:
        file = self.folder / "runs"
        return len(file.read_text().splitlines()) if file.exists() else 0


@pytest.fixture
def desk(sshd: Sshd, tmp_path: Path) -> Desk:
    return Desk(sshd, tmp_path)


def ask(unit: str = "127.0.0.1", attempt: int = 1) -> Ask:
    return Ask(key=StepKey(f"run_1/win/{unit}/verify/{attempt}"), unit=unit)


def await_end(ports: AdapterPorts, *asks: Ask) -> Sequence[Progress]:
    assert ports.verifier is not None
    ends = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < ends:
        found = [ports.verifier.observe([each])[each.key] for each in asks]
        if not any(isinstance(each, Running) for each in found):
            return found
        time.sleep(0.1)
    raise AssertionError("the check does not end")


def check(ports: AdapterPorts, *asks: Ask) -> Sequence[object]:
    assert ports.verifier is not None
    answers = ports.verifier.check(asks)
    return [answers[each.key] for each in asks]


def test_a_check_that_is_asked_for_twice_runs_once_and_a_restart_finds_it(desk: Desk) -> None:
    told = desk.script("echo well")
    first = desk.open(quick=told)
    assert first.verifier is not None
    assert first.verifier.observe([ask()]) == {ask().key: NeverAsked()}
    assert check(first, ask(), ask("localhost")) == [Accepted(), Accepted()]
    first.close()
    again = desk.open(quick=told)
    assert check(again, ask()) == [Accepted()]
    found = await_end(again, ask(), ask("localhost"))
    assert [type(each) for each in found] == [Succeeded, Succeeded]
    assert check(again, ask()) == [Accepted()]
    assert desk.runs == 2


def test_a_new_attempt_is_a_new_check(desk: Desk) -> None:
    ports = desk.open(quick=desk.script("exit 3"))
    check(ports, ask())
    (found,) = await_end(ports, ask())
    assert isinstance(found, Failed)
    assert found.why == "exit code 3"
    check(ports, ask(attempt=2))
    await_end(ports, ask(attempt=2))
    assert desk.runs == 2


def test_a_check_that_hangs_is_ended_by_its_time_limit(desk: Desk) -> None:
    ports = desk.open(quick=desk.script("sleep 600", time_limit_seconds=1))
    check(ports, ask())
    (found,) = await_end(ports, ask())
    assert isinstance(found, Failed)
    assert found.why == "the check did not end within 1 s"


def test_output_without_end_is_cut_where_it_runs_and_does_not_change_the_exit_code(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    ports = desk.open(quick=desk.script("yes | head -c 3000000; exit 0"))
    check(ports, ask())
    (found,) = await_end(ports, ask())
    assert isinstance(found, Succeeded)
    (kept,) = desk.folder.glob("checks/*/output")
    assert kept.stat().st_size == 1 << 20


@pytest.mark.parametrize(
    ("deep", "ends", "said"),
    [
        ("exit 0", Succeeded, ""),
        ("exit 4", Failed, "the deep check fails: exit code 4; the quick one doubted: it ended with exit code 1"),
    ],
)
def test_a_quick_check_that_doubts_has_the_deep_one_decide(
    desk: Desk, deep: str, ends: type[Progress], said: str
) -> None:
    quick = desk.script("exit 1", parser="node_health_check")
    ports = desk.open(quick=quick, deep=desk.script(deep))
    check(ports, ask())
    (found,) = await_end(ports, ask())
    assert isinstance(found, ends)
    assert said in getattr(found, "why", "")
    assert desk.runs == 2


def test_doubt_without_a_deep_check_is_a_no(desk: Desk) -> None:
    ports = desk.open(quick=desk.script("exit 1", parser="node_health_check"))
    check(ports, ask())
    (found,) = await_end(ports, ask())
    assert isinstance(found, Failed)


def test_no_deep_check_runs_where_the_quick_one_is_sure(desk: Desk) -> None:
    ports = desk.open(quick=desk.script("exit 1"), deep=desk.script("exit 0"))
    check(ports, ask())
    (found,) = await_end(ports, ask())
    assert (type(found), desk.runs) == (Failed, 1)


def test_a_check_whose_process_is_gone_is_lost_and_not_waited_for(desk: Desk) -> None:
    ports = desk.open(quick=desk.script("exit 0"))
    check(ports, ask())
    await_end(ports, ask())
    (folder,) = desk.folder.glob("checks/*")
    (folder / "end").unlink()
    (found,) = await_end(ports, ask())
    assert isinstance(found, Failed)
    assert "lost" in found.why


def test_what_is_not_reached_is_put_off_or_refused_by_what_ssh_says(desk: Desk) -> None:
    told = desk.script("exit 0")
    assert check(desk.open(quick=told, port=9, connect_seconds=2), ask()) == [Later(after=health_ssh.LATER)]
    stranger = desk.folder / "known_hosts"
    stranger.write_text("")
    (denied,) = check(desk.open(quick=told, known_hosts_file=stranger), ask())
    assert isinstance(denied, Denied)
    assert "Host key verification failed" in denied.why
    (outside,) = check(desk.open(quick=told), replace(ask(), unit="gpu9"))
    assert outside == Denied(why="gpu9 is none of the nodes that may be checked here")
    assert desk.runs == 0


def test_a_node_that_cannot_be_asked_is_neither_done_nor_never_asked(desk: Desk) -> None:
    ports = desk.open(quick=desk.script("exit 0"), port=9, connect_seconds=2)
    assert ports.verifier is not None
    assert ports.verifier.observe([ask()]) == {ask().key: Running()}


def test_no_word_of_a_unit_reaches_a_shell(desk: Desk) -> None:
    ports = desk.open(quick=desk.script("exit 0"), checks={"quick": desk.script("exit 0"), "nodes": ["*"]})
    for unit in ("-oProxyCommand=id", "a b", "$(id)", "a;b", ""):
        (answer,) = check(ports, Ask(key=StepKey(f"run_1/win/{unit}/verify/1"), unit=unit))
        assert isinstance(answer, Denied)


def test_an_adapter_that_is_closed_says_so(desk: Desk) -> None:
    ports = desk.open(quick=desk.script("exit 0"))
    assert ports.probe()["version"].startswith("OpenSSH")
    ports.close()
    ports.close()
    with pytest.raises(Refused, match="closed"):
        check(ports, ask())


def test_settings_take_no_key_that_they_do_not_know() -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate({"checks": {"quick": {"command": ["true"]}}, "password": "x"})
