"""Nodes and switches of a Slurm cluster as facts, as `scontrol` shows them: JSON of nodes, and its lines of topology,
which it prints as text only. Lists such as gpu[001-064] are taken apart by scontrol itself.
"""

import json
import re
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from fermata.adapters.inventory_fields import flat
from fermata.domain.fleet import NodeState
from fermata.domain.inventory_reports import Facts
from fermata.domain.sources import Slurm
from fermata.ports import Refused, TryLater

ANSWER_SECONDS_MAX = 60.0  # `scontrol show nodes` of 20,000 nodes takes less than a second
SAID_MAX = 200
AGAIN = timedelta(minutes=1)
SERVING = frozenset({"IDLE", "ALLOCATED", "MIXED"})
NOT_SERVING = frozenset(
    {
        *("DRAIN", "DRAINED", "DRAINING", "FAIL", "FAILING", "MAINTENANCE", "NOT_RESPONDING", "INVALID", "INVALID_REG"),
        *("REBOOT_ISSUED", "POWERING_DOWN", "BLOCKED"),
    }
)
NO_TOPOLOGY = "No topology information available"
NO_JSON = "unrecognized option '--json'"  # of scontrol before 23.02
_SWITCH = re.compile(r"SwitchName=(\S+) Level=(\d+) (?:.* )?Nodes=(\S+)")
_GPU = re.compile(r"(?:^|,)gpu:(?:[^:,(]+:)?(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """One switch of the topology; level 0 has nodes of its own. `nodes` is a list as Slurm writes it."""

    name: str
    level: int
    nodes: str


@dataclass(frozen=True, slots=True)
class SlurmNodes:
    """Collects the nodes and switches of one controller."""

    reach: Slurm

    def __call__(self) -> Sequence[Facts]:
        """Every node (`sort` node), then every switch (`sort` switch). Raises TryLater or Refused."""
        nodes = parse_nodes(self._nodes())
        switches = parse_topology(self._run("show", "topology"))
        above: dict[str, dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
        for switch in switches:
            for name in self._run("show", "hostnames", switch.nodes).split():
                above[name][switch.level].append(switch.name)
        return [
            *(to_facts(node, above.get(str(node.get("name")), {})) for node in nodes),
            *(_switch_facts(switch) for switch in switches),
        ]

    def _nodes(self) -> str:
        """JSON of all nodes. Before 23.02 scontrol prints none, and sinfo, which stands beside it, does."""
        told = self._run("show", "nodes", "--json")
        return told if told.lstrip().startswith(("{", "[")) else self._run("--json", program="sinfo")

    def _run(self, *words: str, program: str | None = None) -> str:
        scontrol = Path(self.reach.scontrol)
        command = [self.reach.scontrol if program is None else str(scontrol.with_name(program)), *words]
        said = " ".join(command)
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_SECONDS_MAX, check=False)
        except subprocess.TimeoutExpired as error:
            raise TryLater(AGAIN, f"{said} does not end within {ANSWER_SECONDS_MAX:.0f} s") from error
        except (OSError, UnicodeDecodeError) as error:
            raise Refused(f"{said} cannot be run: {error}") from error
        if any(words in done.stdout + done.stderr for words in (NO_TOPOLOGY, NO_JSON)):
            return ""
        if done.returncode != 0:
            raise TryLater(AGAIN, f"{said} failed: {' '.join((done.stderr or done.stdout).split())[:SAID_MAX]}")
        return done.stdout


def parse_nodes(text: str) -> Sequence[Mapping[str, Any]]:
    """The nodes of the JSON. Raises Refused when it is none of nodes."""
    try:
        answer = json.loads(text)
    except ValueError as error:
        raise Refused(f"scontrol show nodes --json and sinfo --json print no JSON ({error})") from error
    nodes = answer.get("nodes") if isinstance(answer, dict) else None
    if not isinstance(nodes, list) or not all(isinstance(node, dict) and node.get("name") for node in nodes):
        raise Refused("scontrol show nodes --json prints no list of nodes")
    if answer.get("errors"):
        raise TryLater(AGAIN, f"scontrol show nodes tells errors: {str(answer['errors'])[:SAID_MAX]}")
    return nodes


def parse_topology(text: str) -> Sequence[Switch]:
    """The switches, in the order of the lines; none where Slurm knows no tree."""
    found = (_SWITCH.match(line) for line in text.splitlines())
    return [Switch(name=line[1], level=int(line[2]), nodes=line[3]) for line in found if line]


def to_facts(node: Mapping[str, Any], above: Mapping[int, Iterable[str]]) -> Facts:
    """Fields as Slurm names them, `switch.0` for the leaf and so on upwards, `gpus` from `gres`, and `state`."""
    words = {f"switch.{level}": ",".join(sorted(names)) for level, names in above.items()}
    gpus = [int(count) for count in _GPU.findall(str(node.get("gres") or ""))]
    said = {key: value for key, value in node.items() if key not in ("state", "state_flags")}
    states = _states(node)
    return Facts(
        name=str(node["name"]),
        fields={
            **flat(said),
            **words,
            **({"gpus": str(sum(gpus))} if gpus else {}),
            **({"state": _serves(states), "states": ",".join(sorted(states))} if states else {}),
            "sort": "node",
        },
    )


def _states(node: Mapping[str, Any]) -> frozenset[str]:
    """One list in newer versions, a word and a list of flags in older ones."""
    state, flags = node.get("state"), node.get("state_flags")
    found = [*(state if isinstance(state, list) else [state]), *(flags if isinstance(flags, list) else [])]
    return frozenset(str(word).upper() for word in found if word)


def _serves(states: frozenset[str]) -> str:
    serves = not states.isdisjoint(SERVING) and states.isdisjoint(NOT_SERVING)
    return (NodeState.IN_SERVICE if serves else NodeState.OUT_OF_SERVICE).value


def _switch_facts(switch: Switch) -> Facts:
    fields = {"name": switch.name, "level": str(switch.level), "nodes": switch.nodes, "sort": "switch"}
    return Facts(name=switch.name, fields=fields)
