"""What days through different workload managers have in common: 16 nodes with controllers, a switch and health checks
on loopback, one plan, and the conductor over a site's file. One node keeps its old BIOS and says that all went well,
the controller of one dies in mid-update. Time alone runs faster than on the wall.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import uvicorn
import yaml
from tests.adapters.health.sshd import Sshd, me, serving_ssh
from tests.adapters.nvue.switch import Switch, serving_switch
from tests.adapters.slurm_site import wait_for
from tests.simulation import small, stagehand

from fermata.bmc.fleet import Bmcs, Component, Fault, FaultKind, Fleet, Profile
from fermata.bmc.web import Emulator
from fermata.cli.simulating import chosen_settings
from fermata.domain.hashing import content_sha256, fleet_sha256
from fermata.domain.ids import PlanId, UpdateId, WindowId
from fermata.domain.node_states import UnitState
from fermata.domain.operations import UnitOp
from fermata.domain.plans import (
    ConsentBasis,
    DeviceApplyStep,
    DrainStep,
    InputHashes,
    Mode,
    NodeApplyStep,
    Plan,
    RebootStep,
    SolverNote,
    VerifyStep,
    Window,
)
from fermata.domain.reasons import Code
from fermata.domain.updates import Catalogue, Impact
from fermata.execution.embedded import keeping, work_along
from fermata.services import runs as services
from fermata.services.inventory_changes import SyncOutcome
from fermata.services.inventory_sources import sync_source
from fermata.sim.clock import VirtualClock
from fermata.store import consent, inventory, plans, runs, unit_ops
from fermata.store.database import Database
from fermata.wiring.clocks import mint_id
from fermata.wiring.conducting import open_site_parts
from fermata.wiring.site import open_site
from fermata.wiring.sources import open_sources

SPEED = 900.0  # a quarter of an hour of the day in a second
LIAR, DYING = "gpu007", "gpu012"
TAIL = {LIAR, DYING}
PASSWORD = "canary-5e0d"
PARTS = (
    Component(id="BIOS", version="1.0", write_seconds=180),
    Component(id="NIC", version="1.0", write_seconds=120),
)


CLUSTER = {
    "cluster": "c0",
    "supercomputer": "sc",
    "customer": "lumen",
    "region": "westus",
    "geo": "US",
    "timezone": "America/Los_Angeles",
    "datacenter": "dc",
    "sku": "H100",
    "division": "applied",
    "rolling_allowed": False,
    "single_placement_group": False,
}
RULES = {
    "cluster": "c0",
    "rack": "r0",
    "fault_domain": "0",
    "scalable_unit": "u0",
    "role": "prod",
    "workload": "training",
}


class DayClock(VirtualClock):
    """As the conductor of a site wants it."""

    def seconds_until(self, instant: datetime) -> float:
        return max(0.0, (instant - self.now()).total_seconds()) / SPEED

    def working(self) -> AbstractContextManager[None]:
        return nullcontext()

    def note(self, due: Mapping[str, datetime | None]) -> None:
        """Nobody is waited for."""


@dataclass
class Day:
    nodes: tuple[str, ...]
    sshd: Sshd
    switch: Switch
    clock: DayClock
    bmcs: str
    folder: Path
    database: Database


@contextmanager
def open_day(folder: Path, nodes: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> Iterator[Day]:
    monkeypatch.setenv("DAY_PASSWORD", PASSWORD)
    clock = DayClock(small.NOW + timedelta(minutes=50), SPEED)
    with (
        serving_ssh(folder) as sshd,
        serving_switch(clock.now, PASSWORD) as switch,
        serving_controllers(nodes, clock) as bmcs,
    ):
        database = stagehand.open_store(stagehand.fresh_sqlite(folder))
        yield Day(nodes, sshd, switch, clock, bmcs, folder, database)


class _Server(AbstractContextManager[str]):
    def __init__(self, emulator: Emulator) -> None:
        self._server = uvicorn.Server(uvicorn.Config(emulator, port=0, log_level="critical", access_log=False))
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def __enter__(self) -> str:
        self._thread.start()
        wait_for(lambda: self._server.started)
        return f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(30)


def serving_controllers(nodes: tuple[str, ...], clock: DayClock) -> AbstractContextManager[str]:
    """One for each node. One of them keeps its old BIOS and says that all went well; one dies in mid-update."""
    faults = (
        Fault(kind=FaultKind.KEEPS_OLD, bmc=LIAR, component="BIOS"),
        Fault(kind=FaultKind.DIES, bmc=DYING, component="BIOS", percent=40),
    )
    profile = Profile(components=PARTS, boot_seconds=120)
    fleet = Fleet(password=PASSWORD, bmcs=(Bmcs(names=nodes, profile="p"),), profiles={"p": profile}, faults=faults)
    return _Server(Emulator(fleet, clock))


def write_files(day: Day, source: dict[str, Any], workloads: dict[str, Any]) -> tuple[Path, Path]:
    """The file of sources, and that of the site. `workloads`: the adapter that takes nodes and gives them back."""
    sources, site = day.folder / "sources.yaml", day.folder / "site.yaml"
    sources.write_text(yaml.safe_dump({"clusters": [CLUSTER], "sources": [source | {"nodes": RULES}]}))
    secret = {"user": "admin", "password_env": "DAY_PASSWORD"}
    parts = {"bios": "BIOS", "nic_fw": "NIC"}
    redfish = {
        "nodes": {name: {"address": f"{day.bmcs}/bmcs/{name}", "model": "gpu"} for name in day.nodes},
        "models": {
            "gpu": {
                "components": {
                    name: {"inventory": [part], "image": f"http://images/{part}-{{version}}.bin"}
                    for name, part in parts.items()
                }
            }
        },
        "answer_seconds": 5,
        **secret,
    }
    ssh = day.folder / "ssh_config"
    ssh.write_text("Host *\n  HostName 127.0.0.1\n")
    health = {
        "checks": {"quick": {"command": ["true"]}, "nodes": list(day.nodes)},
        "user": me(),
        "port": day.sshd.port,
        "config_file": str(ssh),
        "key_file": str(day.sshd.key),
        "known_hosts_file": str(day.sshd.known_hosts),
        "folder": str(day.folder / "checks"),
    }
    looks = "inventory"
    adapters: list[dict[str, Any]] = [
        workloads | {"serves": [{"ports": ["workloads", looks], "nodes": ["*"]}]},
        {"id": "bmcs", "kind": "redfish", "settings": redfish}
        | {"serves": [{"ports": ["firmware", "power", looks], "nodes": ["*"]}]},
        {"id": "leaf", "kind": "nvue", "settings": {"devices": {"leaf": day.switch.url}, **secret}}
        | {"serves": [{"ports": ["firmware", looks], "devices": ["*"]}]},
        {"id": "checks", "kind": "health_ssh", "settings": health},
    ]
    site.write_text(yaml.safe_dump({"adapters": adapters}))
    return sources, site


def catalogue() -> Catalogue:
    found = (
        small.update("leaf", "ib_fw", target="ib_leaf", impact=Impact.IMPACTFUL),
        small.update("nic", "nic_fw"),
        small.update("bios", "bios"),
    )
    return replace(small.catalogue(), updates={update.id: update for update in found})


def take_in(day: Day, sources: Path, site: Path) -> None:
    """Nodes as their source has them, the switch by hand, versions as they are read from controllers and switch."""
    with day.database.begin() as conn:
        inventory.save_catalogue(conn, catalogue())
        inventory.save_policy(conn, small.policy())
    now = day.clock.now()
    opened_sources = open_sources(sources)
    (name,) = opened_sources.book.sources
    done = sync_source(day.database, opened_sources, name, now=now, actor="dana", new_id=mint_id)
    assert done.outcome is SyncOutcome.APPLIED, done
    leaf = small.Device(
        name=small.DeviceId("leaf"),
        kind="ib_leaf",
        cluster=small.cluster_name(0),
        scope=small.DeviceScope.SCALABLE_UNIT,
        scope_id="u0",
        component="ib_fw",
        version="1.0",
    )
    with day.database.begin() as conn:
        fleet = inventory.load_fleet(conn)
        inventory.save_fleet(conn, replace(fleet, devices={leaf.name: leaf}))
    with open_site(site, day.clock) as opened:
        seen = opened.over(day.database).inventory.observe_nodes(tuple(fleet.nodes))
    assert set(seen) == set(day.nodes)
    nodes = {name: replace(node, versions=dict(seen[name].versions)) for name, node in fleet.nodes.items()}
    with day.database.begin() as conn:
        inventory.save_fleet(conn, replace(fleet, devices={leaf.name: leaf}, nodes=nodes))


def plan_day(day: Day) -> Plan:
    """One window over all: drain, the switch, both updates of the nodes, one reboot, a health check."""
    of = small.campaign()
    with day.database.read() as conn:
        fleet = inventory.load_fleet(conn)
    at, count, steps = small.START, len(fleet.nodes), []

    def add(minutes: int, kind: Any, **more: Any) -> None:
        nonlocal at
        steps.append(kind(start=at, end=at + timedelta(minutes=minutes), **more))
        at += timedelta(minutes=minutes)

    leaf, nic, bios = UpdateId("leaf"), UpdateId("nic"), UpdateId("bios")
    add(15, DrainStep)
    add(12, DeviceApplyStep, update=leaf, devices=(small.DeviceId("leaf"),), batch=1, batches=1)
    add(12, NodeApplyStep, update=nic, batch=1, batches=1, nodes=count)
    add(12, NodeApplyStep, update=bios, batch=1, batches=1, nodes=count)
    add(12, RebootStep, nodes=count, activates=(bios, nic))
    add(10, VerifyStep)
    window = Window(
        id=WindowId("win-c0"),
        cluster=small.cluster_name(0),
        mode=Mode.WHOLE,
        part=1,
        parts=1,
        start=small.START,
        end=at,
        nodes=tuple(sorted(fleet.nodes)),
        updates=(bios, leaf, nic),
        steps=tuple(steps),
        reboots_per_node=1,
        end_confidence=0.9,
    )
    inputs = InputHashes(
        fleet=fleet_sha256(fleet),
        updates=content_sha256(catalogue()),
        policy=content_sha256(small.policy()),
        campaign=content_sha256(of),
    )
    plan = Plan(
        id=PlanId("plan_day"),
        parent=None,
        campaign=of.id,
        created_at=day.clock.now(),
        inputs=inputs,
        consent=ConsentBasis.RECORDED,
        windows=(window,),
        unplanned=(),
        objective=(),
        solver=SolverNote(status="feasible", seconds=0.0, seed=1),
    )
    with day.database.begin() as conn:
        inventory.save_campaign(conn, of)
        consent.append_entry(conn, small.approval(catalogue()))
        plans.save_snapshot(conn, inputs.fleet, fleet)
        plans.save_plan(conn, plan, day.clock.now())
        plans.publish_plan(conn, plan.id, day.clock.now())
    return plan


def read_ops(day: Day, run: Any) -> dict[str, UnitOp]:
    with day.database.read() as conn:
        found = [op for row in runs.load_windows(conn, run) for op in unit_ops.ops_of_window(conn, run, row.window)]
    return {op.unit: op for op in found}


def conduct(day: Day, site: Path, also: Callable[[Mapping[str, UnitOp]], bool] = lambda _: True) -> dict[str, UnitOp]:
    """As `fermata worker --site` does, until fourteen nodes are back, two are on the tail list, and `also` holds, or
    140 s are over: what is returned is to be checked. On two quiet cores it takes half a minute. A busy machine answers
    late, and lists nodes that it does not see for a while: they come back by themselves.
    """
    of = small.campaign().id
    run = services.start(day.database, of, now=day.clock.now(), actor="dana", new_id=mint_id).id
    settings = chosen_settings(store=str(day.folder / "store.sqlite"))
    stop, raised = threading.Event(), list[Exception]()
    with open_site(site, day.clock) as opened:
        parts = open_site_parts(day.database, day.clock, opened, settings)

        def is_done(ops: Mapping[str, UnitOp]) -> bool:
            return _is_over(day, ops) and also(ops)

        def work() -> None:
            try:
                with keeping(parts):
                    work_along(parts, stop=stop.is_set, heard=threading.Event())
            except Exception as why:  # noqa: BLE001 - told below, by the test
                raised.append(why)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        try:
            with suppress(AssertionError):  # `check_tail` says who is not back, and why
                wait_for(lambda: not thread.is_alive() or is_done(read_ops(day, run)), seconds=140)
        finally:
            stop.set()
            thread.join(30)
    for why in raised:
        raise why
    return read_ops(day, run)


def _is_over(day: Day, ops: Mapping[str, UnitOp]) -> bool:
    return all(
        name in ops and (ops[name].tail_since is not None if name in TAIL else ops[name].state is UnitState.RETURNED)
        for name in day.nodes
    )


def check_tail(day: Day, ops: Mapping[str, UnitOp]) -> None:
    """Fourteen are back, the liar and the dead one are in the tail, each for its own reason."""
    away = {name: op for name, op in ops.items() if name in day.nodes and op.state is not UnitState.RETURNED}
    left = {name: f"{op.state}: {op.reason} (in the tail since {op.tail_since})" for name, op in away.items()}
    assert left.keys() == TAIL, left
    tail = [ops[name] for name in sorted(TAIL)]
    told = {op.unit: op.reason.code for op in tail if op.tail_since is not None and op.reason is not None}
    assert told == {LIAR: Code.STEP_FAILED, DYING: Code.NODE_UNSEEN}
    assert "claimed success but the version is not the target" in str(ops[LIAR].reason)
    assert ops["leaf"].state is UnitState.PROVEN
    assert day.switch.images[day.switch.current] == "nvos-2.0"
    assert len(day.switch.installs) == 1
