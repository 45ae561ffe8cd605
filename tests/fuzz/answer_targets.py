"""One target for each reader of what other systems answer, and of words that adapters keep on nodes."""
# ruff: noqa: SLF001 - what a link parses, its connection aside

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.fuzz.target import Target, of_file, of_text

from fermata.adapters import health_script, step_trail
from fermata.adapters.controller_http import Rejected, read_retry_after
from fermata.adapters.health_checks import read_baselines
from fermata.adapters.inventory_slurm import parse_nodes, parse_topology, to_facts
from fermata.adapters.kubernetes.claims import read_claims
from fermata.adapters.kubernetes_link import read_status
from fermata.adapters.nvue import link as nvue
from fermata.adapters.playbook.events import read_ends
from fermata.adapters.prometheus import PrometheusMetrics
from fermata.adapters.redfish import link as redfish
from fermata.adapters.redfish import reading
from fermata.adapters.redfish.settings import Unit
from fermata.adapters.slurm import hostlist, jobs, nodes, reservations, rest, tags
from fermata.adapters.slurm.controller import read_version
from fermata.adapters.vault import NoSecret, Vault
from fermata.domain.metrics import MetricRule
from fermata.ports import Refused, TryLater

WORDS = (
    "[",
    "]",
    "{",
    "}",
    '"',
    "\\",
    ",",
    ":",
    "null",
    "1e999",
    "NaN",
    "9" * 400,
    "-1",
    "\\ud800",
    "\0",
    "[[[[",
    "²",
    "//[",
    "[0-1000000]",
)
NOW = datetime(2026, 2, 1, tzinfo=UTC)
NODE_LINE = (
    "NodeName=gpu1 Arch=x86_64 CoresPerSocket=1 State=IDLE+DRAIN BootTime=2026-01-01T00:00:00 Version=24.11"
    " SlurmdStartTime=None LastBusyTime=Unknown OS=Linux 6.1 #1 Reason=fermata:r/w/*/lock/1 lock, window w"
    " [root@2026-01-02T03:04:05] Comment=somebody fermata{lock=r/w/*/lock/1@1767225600+}\n"
)
JOB_LINE = "12 |ann |RUNNING |gpu[1-3,07],login |2026-01-02T03:04:05 |1 |\n"
RESERVED = (
    "ReservationName=fermata-1 StartTime=2026-01-01T00:00:00 EndTime=2026-01-02T00:00:00 Nodes=gpu[1-2] Flags=MAINT\n"
)
NODE = {"name": "gpu1", "state": ["IDLE", "DRAIN"], "reason": "x", "boot_time": {"set": True, "number": 1767225600}}
JOB = {"job_id": 7, "job_state": ["RUNNING"], "nodes": "gpu[1-2]", "end_time": 1767225600, "user_name": "ann"}
RESERVATION = {"name": "fermata-1", "node_list": "gpu[1-2]", "start_time": 1767225600, "end_time": 1767229200}
SLURM_API = {"paths": {f"/slurm/v0.0.41/{what}/": {} for what in ("nodes", "jobs", "reservations")}}
CLAIM = {
    "metadata": {"namespace": "n", "name": "a", "uid": "u", "annotations": {}},
    "spec": {"nodeName": "alpha-n1", "requestorID": "fermata"},
    "status": {"conditions": [{"type": "Ready", "status": "True", "reason": "Ready"}], "drain": {"evictionPods": 1}},
}
STATUS = {"kind": "Status", "message": "no", "details": {"causes": [{"reason": "Budget", "message": "one"}]}}
EVENTS = [
    {"event": "runner_on_ok", "event_data": {"host": "a", "res": {"ansible_facts": {"ansible_kernel": "6"}}}},
    {"event": "runner_on_failed", "event_data": {"host": "b", "task": "t", "res": {"msg": "no"}}},
    {"event": "playbook_on_stats", "event_data": {"failures": {"b": 1}, "processed": {"a": 1, "b": 1}, "dark": {}}},
]
REDFISH = {
    "Systems": {"@odata.id": "/redfish/v1/Systems"},
    "Managers": {"@odata.id": "/redfish/v1/Managers"},
    "Tasks": {"@odata.id": "/redfish/v1/TaskService/Tasks"},
    "UpdateService": {"@odata.id": "/redfish/v1/UpdateService"},
    "FirmwareInventory": {"@odata.id": "/redfish/v1/UpdateService/FirmwareInventory"},
    "Members": [{"@odata.id": "/redfish/v1/Systems/1", "Id": "BMC", "Version": "1.2", "TaskState": "Running"}],
    "Actions": {
        "#UpdateService.SimpleUpdate": {"target": "/t"},
        "#ComputerSystem.Reset": {"target": "/r", "ResetType@Redfish.AllowableValues": ["ForceRestart"]},
    },
    "ProtocolFeaturesSupported": {"ExpandQuery": {"NoLinks": True, "Levels": True}},
    "PowerState": "On",
    "BootProgress": {"LastState": "OSRunning"},
    "Payload": {"JsonBody": '{"ImageURI": "https://images/bmc", "Targets": []}'},
    "error": {"@Message.ExtendedInfo": [{"Message": "no"}]},
}
NVUE = {
    "current": 1, "next": "2", "partition1": {"build-id": "5.1"}, "partition2": "5.2", "state": "running",
    "status": "x", "percentage": 5, "action_id": 7, "detail": "no", "kernel": "6",
}  # fmt: skip
VECTOR = {
    "status": "success",
    "data": {"resultType": "vector", "result": [{"metric": {"node": "alpha-n1:9100"}, "value": [1, "2.5"]}]},
}
BASELINES = {"baselines": [{"sku": "H100", "figure": "busbw", "median": 1.0, "spread": 0.1, "nodes": 30}], "nodes": {}}
TRAIL = '{"steps": [["lock", "r/w/alpha-n1/lock/1", 1767225600, "asked"]], "heard": {"r/w/alpha-n1": 3}}'
RULE = MetricRule(name="power", query="x", series="x", label="node", above=9.5)


class NoJson(Exception):
    """Whoever asks for JSON refuses what is none before a reader sees it."""


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise NoJson("it is no JSON") from error


def _object(data: bytes) -> Any:
    found = _json(data)
    if not isinstance(found, dict):
        raise NoJson("it is no object")
    return found


class _Repeats:
    """A controller that gives the same answer to everything."""

    def __init__(self, body: Any) -> None:
        self._body = body

    async def get(self, controller: redfish.Controller, path: str) -> redfish.Reply:
        return redfish.Reply(status=200, body=self._body, headers={})


def _read_redfish(data: bytes) -> object:
    """As the link parses it, of the service root and of everything below."""
    body = redfish._parse(data)
    unit = Unit(address="https://127.0.0.1:1", model="gpu")
    redfish.say(redfish.Reply(status=500, body=body, headers={}))

    async def look() -> object:
        link: Any = _Repeats(body)
        box = redfish.Controller(unit.address, asyncio.Semaphore(1))
        found: list[object] = []
        for ask in (
            reading.read_versions(link, box, ["BMC", "GPU"]),
            reading.read_machine(link, box, unit, "system"),
            reading.read_machine(link, box, unit, "manager"),
            reading.find_task(link, box, "https://images/bmc", []),
        ):
            try:
                found.append(await ask)
            except Rejected as rejected:
                found.append(rejected)
        return found

    return asyncio.run(look())


def _read_nvue(data: bytes) -> object:
    switch: Any = object.__new__(nvue.Link)

    async def ask(*_: object) -> Any:
        return nvue._parse(data)

    switch._ask = ask

    async def look() -> object:
        return await switch.images("a"), await switch.kernel("a"), await switch.job("a", "1")

    nvue._job_of(nvue._parse(data))
    nvue._say(nvue._parse(data))
    return asyncio.run(look())


class _Answers:
    """An instance of Prometheus with one answer."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def get(self, _path: str, _query: object) -> Any:
        return self._answer


def _read_prometheus(data: bytes) -> object:
    access: Any = type("Access", (), {"url": "https://prometheus.example"})()
    asking: Any = _Answers(_json(data))
    return PrometheusMetrics(access=access, rules={})._read(asking, RULE)


def _read_status(data: bytes) -> object:
    class Said:
        @staticmethod
        def json() -> Any:
            return json.loads(data)

    said: Any = Said
    return read_status(said)


def _facts_of(data: bytes) -> object:
    return [to_facts(node, {}) for node in parse_nodes(data.decode("utf-8", "ignore"))]


def _secret(path: Path) -> object:
    folder = path.parent / "hooks.example"
    folder.mkdir()
    path.rename(folder / "token")
    vault = Vault(path.parent)
    return vault.read("https://hooks.example/x", "token"), vault.read_lines("https://hooks.example/x", "token")


def _target(
    name: str, run: Callable[[bytes], object], *seeds: object, refusals: tuple[type[Exception], ...] = ()
) -> Target:
    """A seed that is no text is written as JSON."""
    told = [seed if isinstance(seed, str) else json.dumps(seed) for seed in seeds]
    return Target(
        name=name,
        run=run,
        seeds=tuple(seed.encode() for seed in told),
        refusals=(*refusals, NoJson),
        words=tuple(word.encode() for word in WORDS),
    )


def _answer_targets_first() -> tuple[Target, ...]:
    bad = (ValueError,)  # what each of these readers says that it raises
    turned_away = (Refused, TryLater)
    return (
        _target("slurm nodes in lines", of_text(lambda text: list(nodes.parse_lines(text))), NODE_LINE, refusals=bad),
        _target("slurm nodes", lambda data: list(nodes.parse_json(_list_of_objects(data))), [NODE], refusals=bad),
        _target("slurm jobs in lines", of_text(jobs.parse_lines), JOB_LINE, refusals=bad),
        _target("slurm jobs", lambda data: jobs.parse_json(_list_of_objects(data)), [JOB], refusals=bad),
        _target("slurm reservations in lines", of_text(reservations._parse_lines), RESERVED, refusals=bad),
        _target(
            "slurm reservations",
            lambda data: reservations._parse_json(_list_of_objects(data)),
            [RESERVATION],
            refusals=bad,
        ),
        _target("slurm names", of_text(hostlist.expand), "gpu[001-064,070],login1", "r[1-2]n[1-3]x", refusals=bad),
        _target(
            "slurm words on a node",
            of_text(lambda text: (tags.read_reason("fermata", text), tags.read_comment("fermata", text))),
            "fermata:r/w/*/lock/1 lock, window w",
            "somebody fermata{lock=r/w/*/lock/1@1767225600? found=x%20y}",
        ),
        _target("slurm abilities", lambda data: rest.read_abilities(_object(data)), SLURM_API, refusals=turned_away),
        _target("slurm inventory", _facts_of, {"nodes": [{**NODE, "gres": "gpu:8"}]}, refusals=turned_away),
        _target("slurm settings", of_text(read_version), "SLURM_VERSION = 24.11.5\nX=y\n"),
        _target("slurm topology", of_text(parse_topology), "SwitchName=s1 Level=0 LinkSpeed=1 Nodes=gpu[1-2]\n"),
    )


def _answer_targets_second() -> tuple[Target, ...]:
    turned_away = (Refused, TryLater)
    return (
        _target("steps on a node", of_text(step_trail.read_trail), TRAIL, "{}"),
        _target(
            "look at a check", of_text(lambda text: health_script.read_look(text, NOW)), "ended 9 12 0\nok", "going\n"
        ),
        _target(
            "baselines.json",
            of_file(read_baselines, "baselines.json"),
            BASELINES,
            {"baselines": [], "nodes": {}},
            refusals=turned_away,
        ),
        _target("node maintenance", lambda data: read_claims(_json(data), "fermata.io"), [CLAIM], refusals=turned_away),
        _target("refusal of kubernetes", _read_status, STATUS),
        _target("events of a playbook", lambda data: read_ends(_list_of_objects(data), ["a", "b"]), EVENTS),
        _target("answers of redfish", _read_redfish, REDFISH),
        _target("answers of nvue", _read_nvue, NVUE),
        _target("samples of prometheus", _read_prometheus, VECTOR, refusals=turned_away),
        _target(
            "retry-after", of_text(lambda text: read_retry_after({"retry-after": text}, NOW - NOW)), "5", "99999999999"
        ),
        _target("secret", of_file(_secret, "token"), "a secret of one line\n", refusals=(NoSecret,)),
    )


def list_answer_targets() -> tuple[Target, ...]:
    """In no order."""
    return (*_answer_targets_first(), *_answer_targets_second())


def _list_of_objects(data: bytes) -> Any:
    found = _json(data)
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise NoJson("it is no list of objects")
    return found
