"""What `/metrics` gives, once: the door fills these families, and dashboards and rules ask for nothing else."""

from dataclasses import dataclass

from fermata.services.figures import Measure

OF_CLUSTER = ("customer", "supercomputer", "cluster")
OF_RUN = ("campaign",)
OF_WINDOW = ("campaign", "cluster", "window")


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One gauge: its name, what it counts, and by what it is told apart."""

    name: str
    meaning: str
    labels: tuple[str, ...]


def _of_cluster(measure: Measure, meaning: str) -> Family:
    name = "fermata_nodes" if measure is Measure.NODES else f"fermata_nodes_{measure}"
    return Family(name=name, meaning=meaning, labels=OF_CLUSTER)


MEASURED = {
    Measure.NODES: _of_cluster(Measure.NODES, "Nodes of the cluster"),
    Measure.PENDING: _of_cluster(Measure.PENDING, "Nodes with work that is due on them or on a device they hang on"),
    Measure.APPROVED: _of_cluster(Measure.APPROVED, "Nodes with pending work, all of which consent covers"),
    Measure.UNAPPROVED: _of_cluster(Measure.UNAPPROVED, "Nodes with pending work that waits for consent"),
    Measure.OVERDUE: _of_cluster(Measure.OVERDUE, "Nodes with unapproved work whose time to choose is over"),
    Measure.HELD: _of_cluster(Measure.HELD, "Nodes whose approval was taken back, or whose work a policy keeps off"),
    Measure.FROZEN: _of_cluster(Measure.FROZEN, "Nodes with pending work that a freeze keeps in service now"),
    Measure.IN_MAINTENANCE: _of_cluster(Measure.IN_MAINTENANCE, "Nodes that are being worked on"),
}
BLOCKED = Family(
    name="fermata_nodes_blocked", meaning="Nodes that wait because of a rule or a freeze", labels=(*OF_CLUSTER, "rule")
)
UPDATE_NODES = Family(name="fermata_update_nodes", meaning="Nodes with the update pending", labels=("update",))
REQUEST_DUE = Family(
    name="fermata_request_due_timestamp_seconds", meaning="When the request is due", labels=("request",)
)

RUN_LIVE = Family(name="fermata_run_live", meaning="1 while the run of the campaign is not over", labels=OF_RUN)
RUN_WORKED = Family(
    name="fermata_run_worked_timestamp_seconds",
    meaning="The instant up to which the conductor has worked on the run",
    labels=OF_RUN,
)
RUN_PLANNED = Family(name="fermata_run_nodes_planned", meaning="Nodes that the plan takes", labels=OF_RUN)
RUN_RETURNED = Family(name="fermata_run_nodes_returned", meaning="Nodes given back with proof", labels=OF_RUN)
RUN_OUT = Family(name="fermata_run_nodes_out", meaning="Nodes that the run has out now, tail included", labels=OF_RUN)
RUN_BASELINE = Family(name="fermata_run_nodes_baseline", meaning="Nodes in service when the run began", labels=OF_RUN)
RUN_IN_SERVICE = Family(
    name="fermata_run_nodes_in_service", meaning="Nodes of the baseline that are in service now", labels=OF_RUN
)
LIMIT_USED = Family(
    name="fermata_limit_used", meaning="What of the limit is used now, in its own count", labels=(*OF_RUN, "limit")
)
LIMIT_ALLOWED = Family(
    name="fermata_limit_allowed", meaning="What the limit allows, in its own count", labels=(*OF_RUN, "limit")
)
WINDOW_BEHIND = Family(
    name="fermata_window_behind_seconds",
    meaning="How late the open window is foretold to end against its plan, negative when early",
    labels=OF_WINDOW,
)
WINDOW_BACK = Family(
    name="fermata_window_back_timestamp_seconds",
    meaning="When enough of the open window is foretold to be back: median, and bound, nine times in ten",
    labels=(*OF_WINDOW, "sure"),
)
WINDOW_KEPT = Family(
    name="fermata_window_promise_kept_ratio",
    meaning="How likely the open window is back as promised",
    labels=OF_WINDOW,
)
TAIL = Family(
    name="fermata_tail_units", meaning="Units on the tail list by the code of their reason", labels=(*OF_RUN, "code")
)
TAIL_OLDEST = Family(
    name="fermata_tail_oldest_seconds", meaning="Since when the unit that is longest on the tail list is there",
    labels=OF_RUN,
)  # fmt: skip
NEEDS = Family(
    name="fermata_needs_person", meaning="What waits for a person, by the code of its reason", labels=(*OF_RUN, "code")
)

FAMILIES = (
    *MEASURED.values(), BLOCKED, UPDATE_NODES, REQUEST_DUE, RUN_LIVE, RUN_WORKED, RUN_PLANNED, RUN_RETURNED, RUN_OUT,
    RUN_BASELINE, RUN_IN_SERVICE, LIMIT_USED, LIMIT_ALLOWED, WINDOW_BEHIND, WINDOW_BACK, WINDOW_KEPT, TAIL, TAIL_OLDEST,
    NEEDS,
)  # fmt: skip
