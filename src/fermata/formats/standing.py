"""Writes standing plans, schema `fermata.standing/1`, and reads back the outages that customers were told of."""

import json
import os
from itertools import groupby
from pathlib import Path
from typing import Any

from fermata.domain.ids import ClusterId, NodeId, UpdateId
from fermata.formats.faults import FaultLog, raise_faults
from fermata.formats.fields import Document, Fields, check_choice
from fermata.formats.jsontext import read_json
from fermata.formats.spots import Spot
from fermata.planning.standing.outages import SCHEMA, ClusterStanding, Outage, StandingPlan, Trouble

ROOT_KEYS = ("schema", "made_at", "first_day", "last_day", "totals", "supercomputers")
CLUSTER_KEYS = (
    "cluster",
    "outages",
    "without_outage",
    "troubles",
    "node_outages",
    "node_outages_bound",
    "one_per_update",
)
OUTAGE_KEYS = ("day", "nodes", "updates", "forced_by", "due")


def standing_to_json(plan: StandingPlan) -> dict[str, Any]:
    """JSON-ready, with the clusters of each supercomputer by name."""
    ordered = sorted(plan.clusters, key=lambda cluster: (cluster.supercomputer, cluster.cluster))
    return {
        "schema": SCHEMA,
        "made_at": f"{plan.made_at:%Y-%m-%dT%H:%M:%SZ}",
        "first_day": str(plan.first_day),
        "last_day": str(plan.last_day),
        "totals": {
            "outages": plan.outages,
            "node_outages": plan.node_outages,
            "node_outages_bound": plan.node_outages_bound,
            "one_per_update": _separate(plan.clusters),
        },
        "supercomputers": [
            {"supercomputer": name, "clusters": [_cluster(cluster) for cluster in clusters]}
            for name, clusters in groupby(ordered, key=lambda cluster: cluster.supercomputer)
        ],
    }


def write_standing(plan: StandingPlan, path: Path) -> None:
    """Write the file whole or not at all. Raises OSError when there is no room or no right."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        unfinished.write_bytes(json.dumps(standing_to_json(plan), ensure_ascii=False, indent=2).encode() + b"\n")
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def read_outages(path: Path) -> tuple[Outage, ...]:
    """The outages of a standing plan's file. Raises BadInput with all its faults, each with a JSON pointer."""
    document = Document(log=FaultLog(path))
    root = read_json(path, document.log)
    outages: list[Outage] = []
    if root is not None:
        top = Fields(document, root, required=ROOT_KEYS)
        schema = top.spot("schema")
        if schema is not None:
            check_choice(schema, document.log, (SCHEMA,))
        for group in top.items("supercomputers"):
            fields = Fields(document, group, required=("supercomputer", "clusters"))
            outages.extend(outage for spot in fields.items("clusters") for outage in _read_cluster(document, spot))
    raise_faults([document.log])
    return tuple(outages)


def _cluster(standing: ClusterStanding) -> dict[str, Any]:
    return {
        "cluster": standing.cluster,
        "outages": [
            {
                "day": str(outage.day),
                "nodes": list(outage.nodes),
                "updates": list(outage.updates),
                "forced_by": outage.forced_by,
                "due": str(outage.due),
            }
            for outage in standing.outages
        ],
        "without_outage": [{"update": quiet.update, "day": str(quiet.day)} for quiet in standing.quiet],
        "troubles": [_trouble(trouble) for trouble in standing.troubles],
        "node_outages": standing.node_outages,
        "node_outages_bound": standing.node_outages_bound,
        "one_per_update": _separate((standing,)),
    }


def _separate(clusters: tuple[ClusterStanding, ...]) -> dict[str, int]:
    return {
        "outages": sum(cluster.separate for cluster in clusters),
        "node_outages": sum(cluster.separate_node_outages for cluster in clusters),
    }


def _trouble(trouble: Trouble) -> dict[str, Any]:
    return {
        "update": trouble.update,
        "due": str(trouble.due) if trouble.due else None,
        "day": str(trouble.day) if trouble.day else None,
        "units": trouble.units,
        "reason": trouble.reason.code.value,
        "sentence": trouble.reason.sentence,
    }


def _read_cluster(document: Document, spot: Spot) -> list[Outage]:
    fields = Fields(document, spot, required=CLUSTER_KEYS)
    cluster = ClusterId(fields.name("cluster"))
    return [_read_outage(Fields(document, item, required=OUTAGE_KEYS), cluster) for item in fields.items("outages")]


def _read_outage(fields: Fields, cluster: ClusterId) -> Outage:
    return Outage(
        cluster=cluster,
        day=fields.day("day"),
        nodes=tuple(NodeId(name) for name in fields.listed_names("nodes")),
        updates=tuple(UpdateId(name) for name in fields.listed_names("updates")),
        forced_by=UpdateId(fields.name("forced_by")),
        due=fields.day("due"),
    )
