"""What is pushed, in our own words, as facts like those of any other source: so that it is read by the same rules."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from fermata.domain.ids import DeviceId, NodeId, SourceId
from fermata.domain.inventory_mapping import DEVICE_COLUMNS, GPUS, NODE_COLUMNS, VERSION
from fermata.domain.inventory_reports import Facts
from fermata.domain.sources import Rule, UnitRules

SORT = "sort"
COMPONENT = "component."


@dataclass(frozen=True, kw_only=True)
class Pushed:
    """What somebody sent for a source: the columns of nodes and devices by name, versions of nodes by component.

    `observed_at` None: now. Complete, or only what is named: see `Report`.
    """

    source: SourceId
    observed_at: datetime | None = None
    complete: bool
    nodes: tuple[Facts, ...] = ()
    versions: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    devices: tuple[Facts, ...] = ()
    gone_nodes: frozenset[NodeId] = frozenset()
    gone_devices: frozenset[DeviceId] = frozenset()


def facts_of(pushed: Pushed) -> tuple[Facts, ...]:
    """Nodes and devices with everything said of them."""
    nodes = [
        Facts(name=n.name, fields={**n.fields, **_prefixed(pushed.versions.get(n.name, {})), SORT: "node"})
        for n in pushed.nodes
    ]
    devices = [Facts(name=d.name, fields={**d.fields, SORT: "device"}) for d in pushed.devices]
    return (*nodes, *devices)


def rules_of(pushed: Pushed) -> tuple[UnitRules, UnitRules]:
    """For nodes and devices: each column is what was sent under its name."""
    components = sorted({component for versions in pushed.versions.values() for component in versions})
    nodes = UnitRules(
        only=(_is("node"),),
        columns={column: _as_sent(column) for column in (*NODE_COLUMNS, GPUS)},
        components={component: _as_sent(f"{COMPONENT}{component}") for component in components},
    )
    devices = UnitRules(
        only=(_is("device"),), columns={column: _as_sent(column) for column in (*DEVICE_COLUMNS, VERSION)}
    )
    return nodes, devices


def _prefixed(versions: Mapping[str, str]) -> dict[str, str]:
    return {f"{COMPONENT}{component}": version for component, version in versions.items()}


def _as_sent(column: str) -> Rule:
    return Rule(text=f"{{{column}}}")


def _is(sort: str) -> Rule:
    return Rule(text=f"{{{SORT}}}", match=f"^{sort}$")
