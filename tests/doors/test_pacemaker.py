"""Debian's Pacemaker agent for Azure, as packaged, through http_proxy: empties its node, approves, waits, returns.

Pacemaker's own commands are stood in for by a shell script that keeps attributes in files. Nothing of the agent is
changed, and no address of the machine is touched.
"""

import os
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.doors import world
from tests.doors.conftest import Doors

from fermata.domain.node_states import UnitState
from fermata.domain.policy import ScopeLevel
from fermata.domain.run_states import WindowState

OCF = Path("/usr/lib/ocf")
AGENT = OCF / "resource.d/heartbeat/azure-events-az"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),  # a dozen processes for each round
    pytest.mark.skipif(
        not AGENT.is_file(), reason="Debian's package resource-agents is not there and could not be installed"
    ),
]

ATTRIBUTE = """#!/bin/sh
# crm_attribute --name N [--update V | --delete | --query ...] (--node NODE | --type crm_config)
where=cluster
while [ $# -gt 0 ]; do
  case "$1" in
    --name) name=$2; shift ;;
    --node) where=$2; shift ;;
    --update) verb=update; value=$2; shift ;;
    --delete) verb=delete ;;
    --query) verb=query ;;
    --type|--default) shift ;;
  esac
  shift
done
file="$ATTRIBUTES/$where.$name"
case "$verb" in
  update) printf %s "$value" > "$file" ;;
  delete) rm -f "$file" ;;
  query) if [ -f "$file" ]; then cat "$file"; fi ;;
esac
"""
NODE = """#!/bin/sh
if [ "$1" = -n ]; then hostname; else printf '1 %s member\\n2 another member\\n' "$(hostname)"; fi
"""
SIMULATE = """#!/bin/sh
echo "Transition Summary:"
"""
RESOURCE = """#!/bin/sh
echo "rsc (ocf::heartbeat:Dummy): Started: rsc_start_0 (node=$3, call=1, rc=0): complete"
"""
COMMANDS = {"crm_attribute": ATTRIBUTE, "crm_node": NODE, "crm_simulate": SIMULATE, "crm_resource": RESOURCE}


@dataclass
class Agent:
    """The agent on this machine, told that it is `node`."""

    proxy: str
    folder: Path

    def monitor(self) -> None:
        """One round of what Pacemaker has it do every ten seconds."""
        environment = {
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "OCF_ROOT": str(OCF),
            "OCF_FUNCTIONS_DIR": str(OCF / "lib/heartbeat"),
            "OCF_RESOURCE_INSTANCE": "azure-events-az",
            "HA_RSCTMP": str(self.folder),
            "ATTRIBUTES": str(self.folder / "attributes"),
            "http_proxy": self.proxy,
            "no_proxy": "",
        }
        done = subprocess.run(
            [AGENT, "monitor"], check=False, env=environment, capture_output=True, text=True, timeout=50
        )
        assert done.returncode == 0, done.stderr

    @property
    def state(self) -> str:
        """AVAILABLE, STOPPING or IN_EVENT."""
        return self.attribute("azure-events-az_curNodeState") or "AVAILABLE"

    @property
    def is_standby(self) -> bool:
        return self.attribute("#health-azure") == "-1000000"

    def attribute(self, name: str) -> str:
        file = self.folder / "attributes" / f"{socket.gethostname()}.{name}"
        return file.read_text() if file.is_file() else ""


@pytest.fixture
def agent(doors: Doors, tmp_path: Path) -> Agent:
    for name in ("bin", "attributes"):
        (tmp_path / "agent" / name).mkdir(parents=True)
    for name, script in COMMANDS.items():
        path = tmp_path / "agent" / "bin" / name
        path.write_text(script)
        path.chmod(0o755)
    assert shutil.which("hostname")
    return Agent(proxy=doors.proxy("alpha-n1"), folder=tmp_path / "agent")


def test_the_agent_empties_its_node_approves_and_comes_back(doors: Doors, agent: Agent) -> None:
    agent.monitor()
    assert (agent.state, agent.is_standby) == ("STOPPING", True)
    assert world.said(doors.db) == []
    agent.monitor()
    assert world.said(doors.db) == ["approved node alpha-n1"]
    assert agent.state == "IN_EVENT"
    agent.monitor()
    assert (agent.state, agent.is_standby) == ("AVAILABLE", False), "no window yet: the node goes on working"
    world.publish(doors.db)
    agent.monitor()
    agent.monitor()
    assert (agent.state, agent.is_standby) == ("IN_EVENT", True), "emptied for its window"
    world.conduct(doors.db, WindowState.OPEN, {"alpha-n1": UnitState.APPLYING}, planned=world.window())
    agent.monitor()
    assert (agent.state, agent.is_standby) == ("IN_EVENT", True)
    world.move(doors.db, "alpha-n1", UnitState.RETURNED)
    agent.monitor()
    assert (agent.state, agent.is_standby) == ("AVAILABLE", False)
    assert world.said(doors.db) == ["approved node alpha-n1"], "once is enough"


def test_the_agent_of_another_node_leaves_this_one_alone(doors: Doors, agent: Agent) -> None:
    world.approve(doors.db, ScopeLevel.CLUSTER, "alpha")
    world.publish(doors.db, world.window(("alpha-n0",)))
    agent.monitor()
    assert (agent.state, agent.is_standby) == ("AVAILABLE", False)
