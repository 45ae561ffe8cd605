"""`fermata demo` as a command: whose folder it is, what it refuses, and how it stops."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from tests.cli.line import Line

from fermata.cli.demo_folder import held_folder
from fermata.server.serving import bind_socket
from fermata.services.errors import Refusal

STOP_SECONDS_MAX = 2.0
UP_SECONDS_MAX = 60.0


def test_folder_is_held_by_one_demo_at_a_time(tmp_path: Path) -> None:
    with held_folder(tmp_path / "demo"):
        with pytest.raises(Refusal, match="DEMO_RUNNING") as refused, held_folder(tmp_path / "demo"):
            pass
        assert str(os.getpid()) in str(refused.value)
    with held_folder(tmp_path / "demo"):
        pass


def test_starting_afresh_deletes_only_what_a_demo_wrote(tmp_path: Path) -> None:
    with held_folder(tmp_path) as folder:
        (tmp_path / "notes.txt").write_text("mine")
        folder.store.write_bytes(b"")
        folder.world.write_bytes(b"")
        folder.remember_seed(7)
        assert folder.has_state()
        folder.forget()
        assert not folder.has_state()
    assert {path.name for path in tmp_path.iterdir()} == {"notes.txt", "lock"}


def test_a_folder_that_cannot_be_is_refused(line: Line, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    answer = line.run("demo", "--dir", str(tmp_path / "file" / "demo"), "--json", store=False)
    assert (answer.code, answer.json["error"]["code"]) == (1, "DEMO_FOLDER_UNUSABLE")


def test_seed_is_remembered(tmp_path: Path) -> None:
    with held_folder(tmp_path) as folder:
        assert folder.remembered_seed() is None
        folder.remember_seed(7)
        assert folder.remembered_seed() == 7


@pytest.mark.parametrize(("words", "code"), [((), "DEMO_HAS_STATE"), (("--resume", "--seed", "8"), "DEMO_SEED_FIXED")])
def test_a_demo_that_was_begun_is_not_mistaken_for_a_new_one(
    words: tuple[str, ...], code: str, line: Line, tmp_path: Path
) -> None:
    with held_folder(tmp_path / "demo") as folder:
        folder.remember_seed(7)
    answer = line.run("demo", "--dir", str(tmp_path / "demo"), "--json", *words, store=False)
    assert (answer.code, answer.json["error"]["code"]) == (1, code)


def test_resume_and_fresh_exclude_each_other(line: Line, tmp_path: Path) -> None:
    assert line.run("demo", "--dir", str(tmp_path / "demo"), "--resume", "--fresh", store=False).code == 2


def test_a_named_port_that_is_taken_is_refused(line: Line, tmp_path: Path) -> None:
    taken = bind_socket("127.0.0.1", 0)
    port = str(taken.getsockname()[1])
    answer = line.run("demo", "--dir", str(tmp_path / "demo"), "--json", "--port", port, store=False)
    taken.close()
    assert (answer.code, answer.json["error"]["code"]) == (1, "PORT_TAKEN")


@contextmanager
def running_demo(folder: Path, *words: str) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "fermata", "demo", "--dir", str(folder), "--port", "0", "--json", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def read_until(process: "subprocess.Popen[str]", event: str) -> dict[str, object]:
    assert process.stdout is not None
    for text in process.stdout:
        told: dict[str, object] = json.loads(text)
        if told["event"] == event:
            return told
    pytest.fail(f"the demo ended without {event}")


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_board_is_up_while_january_is_planned_and_a_signal_stops_it_at_once(tmp_path: Path) -> None:
    with running_demo(tmp_path / "demo") as process:
        url = str(read_until(process, "board_up")["url"])
        assert httpx.get(url, timeout=UP_SECONDS_MAX).status_code == 200
        read_until(process, "step_started")
        process.send_signal(signal.SIGINT)
        sent = time.monotonic()
        told = read_until(process, "stopped")
        assert process.wait(timeout=10) == 130
        assert time.monotonic() - sent < STOP_SECONDS_MAX
        assert "--resume" in str(told["sentence"])


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_january_killed_while_it_is_conducted_goes_on(tmp_path: Path) -> None:
    with running_demo(tmp_path / "demo", "--speed", "20000") as process:
        while int(str(read_until(process, "status")["nodes_out"])) == 0:
            pass
        process.kill()
    with running_demo(tmp_path / "demo", "--resume", "--speed", "20000") as process:
        first = read_until(process, "status")
        assert int(str(first["nodes_out"])) > 0
        while int(str(read_until(process, "status")["nodes_returned"])) == 0:
            pass


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_ctrl_c_is_heard_after_the_solver_ran_in_the_same_process(tmp_path: Path) -> None:
    with running_demo(tmp_path / "demo") as process:
        read_until(process, "status")
        process.send_signal(signal.SIGINT)
        sent = time.monotonic()
        read_until(process, "stopped")
        assert process.wait(timeout=10) == 130
        assert time.monotonic() - sent < STOP_SECONDS_MAX
