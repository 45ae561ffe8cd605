"""Turns a story of the corpus into the files that the real readers read: fleet tables, updates, policy, campaign and,
where the story has them, approvals. README.md in this folder says what may be written.
"""

import csv
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

Story = dict[str, Any]

OLD, NEW = "1.0", "2.0"
FIVE_MINUTES = {"p50": 5, "p90": 5}  # of drain, reboot and verification: what else a window takes is its updates
TEAM_AT_ONCE = 1000  # more than any fleet here has

CLUSTER = {
    "customer": "lumen",
    "region": "westus",
    "geo": "US",
    "timezone": "UTC",
    "datacenter": "dc1",
    "sku": "H100",
    "division": "research",
    "rolling_allowed": False,
    "single_placement_group": False,
}
NODE = {"role": "prod", "workload": "training", "state": "in_service"}
CAMPAIGN = {
    "id": "small",
    "title": "Small",
    "planned_as_of": "2026-01-02T20:00:00Z",
    "scope": {"sku": ["H100"]},
    "updates": {"all_production_ready": True},
    "timezone": "UTC",
    "first_day": "2026-01-05",  # a Monday
    "deadline": "2026-01-06",
    "extension_until": "2026-01-08",
    "weekends": "staffed",
    "big_cluster_nodes": 6,
    "rolling": {"min_fraction_per_day": 0.2, "max_fraction_per_day": 0.5},
    "limits": [],
    "preferences": ["finish_by_deadline", "fewest_windows"],
    "fallout": {"fraction": 0.0, "mean_days_to_repair": 2},
    "return_threshold": 0.95,
}
HOURS = "11:00-19:00"
OBSERVED = "observed.yaml"
UPDATES = {"nic": {"minutes": 250}}  # half a day and more: two windows of one day overlap, wherever they start


class _NoAnchors(yaml.SafeDumper):
    """YAML as the readers take it."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def read_story(path: Path) -> Story:
    """The file as it stands."""
    story: Story = yaml.safe_load(path.read_text(encoding="utf-8"))
    return story


def merge(base: Story, changes: Mapping[str, Any]) -> Story:
    """`base` with `changes`: mappings key by key, all else replaced."""
    merged = deepcopy(base)
    for key, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = merge(merged[key], value) if both else deepcopy(value)
    return merged


def write_scenario(story: Story, folder: Path) -> Path:
    """Writes the scenario that the story is about into `folder`."""
    updates = [_update(name, told) for name, told in story.get("updates", UPDATES).items()]
    (folder / "fleet").mkdir(parents=True)
    _write_fleet(story, updates, folder / "fleet")
    teams = dict.fromkeys((u["owner_team"] for u in updates), TEAM_AT_ONCE) | story.get("teams", {})
    defaults = dict.fromkeys(("drain_minutes", "reboot_minutes", "verify_minutes"), FIVE_MINUTES)
    told_teams = [{"id": team, "at_once": most} for team, most in teams.items()]
    _write(folder / "updates.yaml", {"defaults": defaults, "teams": told_teams, "updates": updates})
    _write(folder / "policy.yaml", _policy(story))
    _write(folder / "campaign.yaml", _campaign(story))
    if "workloads" in story:
        _write(folder / "workloads.yaml", {"services": story["workloads"]})
    if "observed" in story:
        _write(folder / OBSERVED, story["observed"])
    if "approvals" in story:
        _write(folder / "approvals.yaml", {"approvals": [_approval(told) for told in story["approvals"]]})
    return folder


def instant(told: str) -> str:
    """`2026-01-05 11:00` is in UTC."""
    return told.replace(" ", "T") + ":00Z" if len(told) == len("2026-01-05 11:00") else told


def _write(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(yaml.dump(dict(content), Dumper=_NoAnchors, sort_keys=False), encoding="utf-8")


def _update(name: str, told: int | Mapping[str, Any]) -> dict[str, Any]:
    """An update of the component `NAME_fw` by a team of its own; a bare number is its minutes."""
    given = dict(told) if isinstance(told, Mapping) else {"minutes": told}
    minutes = given.pop("minutes", 30)
    made = {
        "id": name,
        "title": f"Update {name}",
        "owner_team": name,
        "target": "node",
        "component": f"{name}_fw",
        "to_version": NEW,
        "applies_to": {},
        "impact": "impactful" if given.get("target", "node") != "node" else "rebootful",
        "criticality": "regular",
        "stage": "production_ready",
        "released_at": "2025-12-01T00:00:00Z",
        "duration_minutes": {"p50": minutes, "p90": minutes},
        "rollback": "eligible",
    }
    return made | given


def _campaign(story: Story) -> dict[str, Any]:
    told = dict(story.get("campaign", {}))
    start, back = told.pop("hours", HOURS).split("-")
    told.setdefault("daily_window", {"start": start, "back_in_service_by": back, "hard_stop": "23:59"})
    return CAMPAIGN | told


def _policy(story: Story) -> dict[str, Any]:
    customer = {
        "id": "lumen",
        "block": {"deployments": "all", "repairs": "all", "except_criticality": []} | story.get("block", {}),
        "approvers": ["lumen-capacity"],
    }
    freezes = [
        {
            "id": told.get("id", f"freeze-{number}"),
            "customer": "lumen",
            "scope": dict([told["holds"].split()]),
            "start": instant(told["from"]),
            "end": instant(told["until"]),
            "reason": "training run",
        }
        for number, told in enumerate(story.get("freezes", ()), start=1)
    ]
    return {"customers": [customer], "freezes": freezes}


def _approval(told: str | Mapping[str, Any]) -> dict[str, Any]:
    """A word, or a word under `say` with more keys of the file."""
    more = {} if isinstance(told, str) else {key: value for key, value in told.items() if key != "say"}
    verdict, level, name = (told if isinstance(told, str) else told["say"]).split()
    return {"verdict": verdict, "scope": {level: name}, "actor": "lumen-capacity", **more}


def _write_fleet(story: Story, updates: Sequence[Mapping[str, Any]], folder: Path) -> None:
    on_nodes = dict.fromkeys(u["component"] for u in updates if u["target"] == "node")
    on_devices = {u["target"]: u["component"] for u in reversed(updates) if u["target"] != "node"}
    clusters, nodes, devices = [], [], []
    for name, told in ((name, told) for name, told in story["fleet"].items() if told is not None):
        columns = {key: told.get(key, usual) for key, usual in CLUSTER.items()}
        clusters.append({"cluster": name, "supercomputer": told.get("supercomputer", f"sc-{name}"), **columns})
        nodes.extend(_nodes(name, told, on_nodes))
        devices.extend(_devices(name, told, on_devices))
    _write_table(folder / "clusters.csv", clusters, ("cluster", "supercomputer", *CLUSTER))
    heads = ("node", "cluster", *NODE, "rack", "fault_domain", "scalable_unit", *(f"component.{c}" for c in on_nodes))
    _write_table(folder / "nodes.csv", nodes, heads)
    heads = ("device", "kind", "cluster", "scope", "scope_id", "component", "version")
    _write_table(folder / "devices.csv", devices, heads)


def _nodes(cluster: str, told: Mapping[str, Any], components: Mapping[str, None]) -> list[dict[str, Any]]:
    """Rack i of `racks` holds so many nodes and is fault domain i; `units[i]` is its scalable unit."""
    units = told.get("units", [0] * len(told["racks"]))
    made = []
    for rack, size in enumerate(told["racks"]):
        for number in range(size):
            name = f"{cluster}-r{rack}-n{number}"
            place = {"rack": f"{cluster}-r{rack}", "fault_domain": rack, "scalable_unit": f"{cluster}-su{units[rack]}"}
            own = {key: told.get(key, usual) for key, usual in NODE.items()} | place
            own |= {f"component.{component}": told.get(component, OLD) for component in components}
            special = told.get("nodes", {})
            special = {**special.get(f"r{rack}", {}), **special.get(f"r{rack}-n{number}", {})}
            own |= {key if key in own else f"component.{key}": value for key, value in special.items()}
            made.append({"node": name, "cluster": cluster, **own})
    return made


def _devices(cluster: str, told: Mapping[str, Any], components: Mapping[str, str]) -> list[dict[str, Any]]:
    """`devices: {tor: rack}` puts one behind each rack, `scalable_unit` and `cluster` alike."""
    made = []
    for kind, scope in told.get("devices", {}).items():
        units = told.get("units", [0] * len(told["racks"]))
        places = {
            "rack": [f"{cluster}-r{rack}" for rack in range(len(told["racks"]))],
            "scalable_unit": [f"{cluster}-su{unit}" for unit in sorted(set(units))],
            "cluster": [cluster],
        }[scope]
        component = components.get(kind, f"{kind}_fw")
        for place in places:
            name = f"{place}-{kind}"
            version = told.get("versions", {}).get(name, told.get(component, OLD))
            made.append(
                {"device": name, "kind": kind, "cluster": cluster, "scope": scope, "scope_id": place}
                | {"component": component, "version": version}
            )
    return made


def _write_table(path: Path, rows: Sequence[Mapping[str, Any]], heads: Sequence[str]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, fieldnames=list(heads))
        table.writeheader()
        for row in rows:
            table.writerow({key: str(cell).lower() if isinstance(cell, bool) else cell for key, cell in row.items()})
