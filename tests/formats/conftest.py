"""A small scenario as text: two clusters of different customers, five nodes, four shared devices."""

from collections.abc import Callable
from pathlib import Path

import pytest

from fermata.formats.faults import BadInput, Fault

CLUSTERS = """\
cluster,supercomputer,customer,region,geo,timezone,datacenter,sku,division,rolling_allowed,single_placement_group
alpha,sc-1,lumen,westus3,US,America/Phoenix,westus3-dc1,H100,research,true,false
beta,sc-2,meridian,uksouth,EU,Europe/London,uksouth-dc1,GB200,applied,false,true
"""
NODES = """\
node,cluster,rack,fault_domain,scalable_unit,role,workload,state,component.nic_fw,component.host_os
alpha-n0,alpha,alpha-r0,0,alpha-su0,test,training,in_service,28.39,2025.10.0
alpha-n1,alpha,alpha-r0,1,alpha-su0,prod,training,in_service,28.39,2025.10.0
alpha-n2,alpha,alpha-r1,0,alpha-su0,prod,api,out_of_service,,2026.1.0
beta-n0,beta,beta-r0,0,beta-su0,prod,chat,in_service,28.43,2025.10.0
beta-n1,beta,beta-r0,1,beta-su0,prod,chat,in_service,28.43,2025.10.0
"""
DEVICES = """\
device,kind,cluster,scope,scope_id,component,version
alpha-r0-tor,tor,alpha,rack,alpha-r0,tor_os,4.10
alpha-su0-leaf,ib_leaf,alpha,scalable_unit,alpha-su0,ib_switch_fw,31.2010
beta-leaf,ib_leaf,beta,cluster,beta,ib_switch_fw,31.2010
beta-r0-tor,tor,beta,rack,beta-r0,tor_os,
"""
UPDATES = """\
defaults:
  drain_minutes: {p50: 10, p90: 20}
  reboot_minutes: {p50: 9, p90: 16}
  verify_minutes: {p50: 12, p90: 20}
teams:
  - {id: nic, at_once: 20}
  - {id: host-os, at_once: 12}
updates:
  - id: nic-28.43
    title: NIC firmware
    owner_team: nic
    target: node
    component: nic_fw
    to_version: "28.43"
    applies_to: {sku: [H100, GB200], cluster: alpha, from_versions: ["28.39"]}
    impact: rebootful
    criticality: critical_security
    stage: production_ready
    released_at: "2025-12-19T00:00:00Z"
    not_before: null
    duration_minutes: {p50: 45, p90: 85}
    requires: [{component: ib_switch_fw, min_version: "31.2016"}]
    isolation: {by: percent, at_once: 50}
    rollback: eligible
  - id: leaf-31.2016
    title: Leaf switch firmware
    owner_team: nic
    target: ib_leaf
    component: ib_switch_fw
    to_version: "31.2016"
    applies_to: {}
    impact: impactful
    impact_seconds: 900
    criticality: regular
    stage: production_ready
    released_at: "2025-12-01T00:00:00Z"
    duration_minutes: {p50: 15, p90: 22}
    rollback: eligible
  - id: host-os-2026.1
    title: Host repave
    owner_team: host-os
    target: node
    component: host_os
    to_version: "2026.1.0"
    applies_to: {}
    impact: rebootful
    criticality: regular
    stage: production_ready
    released_at: "2025-12-10T00:00:00Z"
    not_before: "2026-03-10T00:00:00+01:00"
    duration_minutes: {p50: 40, p90: 70}
    after: [nic-28.43]
    conflicts_with: [leaf-31.2016]
    isolation: {by: fault_domain, at_once: 3}
    rollback: forward_only
  - id: host-os-2026.2-rc
    title: Host repave, next
    owner_team: host-os
    target: node
    component: host_os
    to_version: "2026.2.0"
    applies_to: {}
    impact: rebootful
    criticality: regular
    stage: flight_ready
    released_at: "2025-12-30T00:00:00Z"
    duration_minutes: {p50: 40, p90: 70}
    isolation: {by: none}
    rollback: inoperable
"""
POLICY = """\
customers:
  - id: lumen
    block: {deployments: all, repairs: impactful, except_criticality: [critical_security]}
    flighting: {allowed_roles: [test], max_nodes: 4}
    approvers: [lumen-capacity]
  - id: meridian
    block: {deployments: none, repairs: all}
    approvers: []
notice: {regular_update: 60, critical_repair: 2}
freezes:
  - {id: f1, customer: lumen, scope: {rack: alpha-r1}, reason: training run,
     start: "2026-01-09T00:00:00Z", end: "2026-01-14T00:00:00Z"}
"""
CAMPAIGN = """\
id: small
title: Small campaign
planned_as_of: "2026-01-02T20:00:00Z"
scope: {sku: [H100, GB200]}
updates: {all_production_ready: true}
timezone: America/Los_Angeles
first_day: "2026-01-03"
deadline: "2026-01-18"
extension_until: "2026-02-08"
daily_window: {start: "11:00", back_in_service_by: "19:00", hard_stop: "20:00"}
weekends: staffed
avoid_weekdays: [friday]
big_cluster_nodes: 400
rolling: {min_fraction_per_day: 0.05, max_fraction_per_day: 0.10}
limits:
  - {what: nodes_out, at_once: 1800}
  - {what: nodes_out, at_once_fraction: 0.21, where: {workload: api, geo: US}}
  - {what: whole_big_clusters, per_day: 2, until: "2026-01-18"}
  - {what: cluster_windows, at_once: 8, where: {division: [research, applied]}}
preferences:
  - finish_by_deadline
  - fewest_windows
  - {order: [small research, small applied, big research, big applied]}
  - {spread_evenly: {division: applied}, over: geo}
  - {avoid: friday}
fallout: {fraction: 0.015, mean_days_to_repair: 2}
return_threshold: 0.95
"""


class Small:
    """The scenario's folder, and ways to damage a file of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "fleet").mkdir()
        texts = {"fleet/clusters.csv": CLUSTERS, "fleet/nodes.csv": NODES, "fleet/devices.csv": DEVICES}
        texts |= {"updates.yaml": UPDATES, "policy.yaml": POLICY, "campaign.yaml": CAMPAIGN}
        for name, text in texts.items():
            self.write(name, text)

    def path(self, name: str) -> Path:
        return self.folder / name

    def write(self, name: str, text: str | bytes) -> Path:
        path = self.folder / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def text(self, name: str) -> str:
        return self.path(name).read_text()

    def replace(self, name: str, old: str, new: str) -> Path:
        text = self.text(name)
        assert old in text
        return self.write(name, text.replace(old, new, 1))


@pytest.fixture
def small(tmp_path: Path) -> Small:
    folder = tmp_path / "small"
    folder.mkdir()
    return Small(folder)


def faults_of(read: Callable[[], object]) -> tuple[Fault, ...]:
    with pytest.raises(BadInput) as caught:
        read()
    assert caught.value.total >= len(caught.value.faults) > 0
    return caught.value.faults


@pytest.fixture
def refused() -> Callable[[Callable[[], object]], tuple[Fault, ...]]:
    """Call a reader that must refuse its input; gives the faults."""
    return faults_of
