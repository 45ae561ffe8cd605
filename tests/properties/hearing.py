"""What a rule tells the planner, and what its check says of a plan: both asked directly, for the trials beside this."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from tests.unit.planning import bench as b

from fermata.domain.fleet import Cluster, Node
from fermata.domain.ids import PlanId, WindowId
from fermata.domain.pending import find_pending
from fermata.domain.plans import ConsentBasis, Mode, Plan, SolverNote, Step, Window
from fermata.planning.checker import build_case, list_rules
from fermata.planning.encoders import Encoder
from fermata.planning.encoding import Encoded, Facts
from fermata.planning.inputs import PlanningInput
from fermata.planning.reading import Reading

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def hear(encoder: Encoder, inputs: PlanningInput) -> Encoded:
    """What the rule tells of these inputs."""
    pending = find_pending(inputs.fleet, inputs.catalogue, inputs.campaign.updates)
    return encoder.encode(Facts(inputs=inputs, pending=pending))


def make_judge(code: str, inputs: PlanningInput) -> Callable[[Iterable[Window]], set[WindowId | None]]:
    """Tells which windows the rule's check faults in a plan of these; None for the plan as a whole."""
    case = build_case(inputs)
    (rule,) = (rule for rule in list_rules() if rule.code == code)

    def judge(windows: Iterable[Window]) -> set[WindowId | None]:
        reading = Reading(case=case, plan=make_plan(inputs, windows))
        return {violation.window for violation in rule.check(reading)}

    return judge


def make_plan(inputs: PlanningInput, windows: Iterable[Window]) -> Plan:
    return Plan(
        id=PlanId("plan_1"),
        parent=None,
        campaign=inputs.campaign.id,
        created_at=inputs.now,
        inputs=b.HASHES,
        consent=ConsentBasis.ASSUMED if inputs.ledger is None else ConsentBasis.RECORDED,
        windows=tuple(windows),
        unplanned=(),
        objective=(),
        solver=SolverNote(status="feasible", seconds=0, seed=1),
    )


def make_window(
    name: str,
    nodes: Sequence[Node],
    start: datetime,
    minutes: int,
    *,
    part: tuple[int, int] = (1, 1),
    steps: Sequence[Step] = (),
) -> Window:
    """A window as bare as the rule at hand needs it; whole unless it is one part of several."""
    return Window(
        id=WindowId(name),
        cluster=nodes[0].cluster,
        mode=Mode.WHOLE if part[1] == 1 else Mode.ROLLING,
        part=part[0],
        parts=part[1],
        start=start,
        end=start + minutes * MINUTE,
        nodes=tuple(sorted(node.name for node in nodes)),
        updates=(),
        steps=tuple(steps),
        reboots_per_node=0,
        end_confidence=0.9,
    )


def day_of(inputs: PlanningInput, start: datetime) -> date:
    """The calendar day a window belongs to: where the daily window runs past midnight, the day on which that began."""
    campaign = inputs.campaign
    local = start.astimezone(ZoneInfo(campaign.timezone))
    hours = campaign.daily_window
    is_of_yesterday = hours.back_in_service_by <= hours.start and local.time() < hours.back_in_service_by
    return local.date() - timedelta(days=1) if is_of_yesterday else local.date()


def local(day: date, hour: float, zone: str = "America/Los_Angeles") -> datetime:
    """That hour of a day, as an instant."""
    wall = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)) + timedelta(hours=hour)
    return wall.astimezone(UTC)


def nodes_of(inputs: PlanningInput, cluster: Cluster) -> tuple[Node, ...]:
    return inputs.fleet.nodes_by_cluster[cluster.name]
