"""One simulated fleet, and one virtual time, for several processes."""

import json
import os
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.simulation import small

from fermata.domain.observations import Overtaken
from fermata.ports import Ask
from fermata.sim.clock import STANDS_STILL_AFTER_SECONDS, IdleClock, SharedClock, VirtualClock
from fermata.sim.fates import NO_FAULTS
from fermata.sim.site import open_site
from fermata.sim.world import World, open_world

START = datetime(2026, 1, 3, tzinfo=UTC)


def opened(folder: Path) -> World:
    """As another process opens it."""
    return open_world(small.fleet(), small.catalogue(), faults=NO_FAULTS, seed=1, path=small.world_path(folder))


def ask(unit: str) -> Ask:
    return Ask(key=f"run/win/{unit}/lock/1", unit=unit)  # type: ignore[arg-type]


def test_what_one_process_did_another_knows_before_its_next_call(tmp_path: Path) -> None:
    one, two = opened(tmp_path), opened(tmp_path)
    clock = VirtualClock(START, None)
    first, second = open_site(one, clock), open_site(two, clock)
    first.workloads.lock([ask("c0-n001")])
    second.workloads.lock([ask("c0-n001"), ask("c0-n002")])
    first.inventory.observe_nodes([small.NodeId("c0-n002")])
    assert one.steps.keys() == two.steps.keys() == {"win/c0-n001/lock/1", "win/c0-n002/lock/1"}
    lines = [json.loads(line) for line in small.world_path(tmp_path).read_text().splitlines()]
    assert [[item[1] for item in line["items"]] for line in lines] == [["c0-n001"], ["c0-n002"]]


def test_newer_owner_of_which_one_process_heard_is_known_to_all_and_after_a_restart(tmp_path: Path) -> None:
    one, two = opened(tmp_path), opened(tmp_path)
    clock = VirtualClock(START, None)
    unit = "c0-n001"
    open_site(one, clock).workloads.observe([replace(ask(unit), generation=2)])
    for world in (two, opened(tmp_path)):
        answers = open_site(world, clock).workloads.lock([replace(ask(unit), generation=1)])
        assert answers == {ask(unit).key: Overtaken()}
        assert not world.nodes[small.NodeId(unit)].locked


def test_torn_line_of_a_killed_process_is_cut_off_by_the_next(tmp_path: Path) -> None:
    one, two = opened(tmp_path), opened(tmp_path)
    clock = VirtualClock(START, None)
    open_site(one, clock).workloads.lock([ask("c0-n001")])
    whole = small.world_path(tmp_path).read_bytes()
    small.world_path(tmp_path).write_bytes(whole + b'{"at": 17, "op": "lo')
    open_site(two, clock).workloads.lock([ask("c0-n002")])
    assert opened(tmp_path).steps.keys() == {"win/c0-n001/lock/1", "win/c0-n002/lock/1"}
    assert small.world_path(tmp_path).read_bytes().startswith(whole + b'{"at":')


def test_processes_agree_on_the_time_and_who_joins_takes_the_speed_there_is(tmp_path: Path) -> None:
    first = SharedClock(tmp_path / "clock", START, 60.0)
    second = SharedClock(tmp_path / "clock", START + timedelta(days=9), 3600.0)
    assert abs(first.now() - second.now()) < timedelta(minutes=5)
    assert second.seconds_until(first.now() + timedelta(hours=1)) < 61


def test_shared_time_stands_still_while_nobody_reads_it(tmp_path: Path) -> None:
    record = tmp_path / "clock"
    SharedClock(record, START, 60.0)
    long_ago = time.time() - 3600
    record.write_text(json.dumps({"start": START.timestamp(), "speed": 60.0, "began": long_ago}))
    last_read = long_ago + STANDS_STILL_AFTER_SECONDS
    os.utime(record, (last_read, last_read))
    again = SharedClock(record, START, 3600.0)
    assert timedelta(minutes=9) < again.now() - START < timedelta(minutes=30)


def test_idle_time_waits_for_whoever_is_due() -> None:
    clock = IdleClock(START, 1e9)
    clock.note({"a": START + timedelta(hours=1), "b": START + timedelta(hours=2)})
    assert clock.wait_until(START + timedelta(hours=1), lambda: False) == START + timedelta(hours=1)
    assert clock.now() == START + timedelta(hours=1)
    with clock.working():
        clock.note({"a": None})
        assert clock.now() == START + timedelta(hours=1)
    assert clock.wait_until(START + timedelta(hours=2), lambda: False) == START + timedelta(hours=2)
