"""The catalogue as people ask about it: where each update is blocked and by what, and how long its steps took."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from fermata.domain.combinations import Pair, PairStanding
from fermata.domain.durations import Measured, measure
from fermata.domain.ids import SupercomputerId, UpdateId
from fermata.domain.pending import UnitPending
from fermata.domain.reasons import Reason
from fermata.domain.scripts import DRAIN
from fermata.planning.forecast.evidence import IDLE_DRAIN_MINUTES, kind_of
from fermata.planning.forecast.learning import claims_of
from fermata.services.errors import Refusal, refusing_unknown
from fermata.services.gates import GateView, find_run, show_gates
from fermata.services.request_record import Inputs
from fermata.services.requests import read_inputs
from fermata.services.together import list_pairs
from fermata.services.updates import UpdateView, list_updates
from fermata.store import inventory, journal
from fermata.store.database import Database, recall, remember

_MINUTES = "minutes that steps took"
ENDED = ("step.ended", "unit.proven")  # the last step of a unit ends with its proof


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Nodes and devices on which an update is due and may not be done, by one code: `example` is its commonest reason.
    `supercomputers`: where, by name.
    """

    example: Reason
    nodes: int
    devices: int
    supercomputers: tuple[SupercomputerId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateLine:
    """One update, what blocks it, most first, and its gate in the newest run, if that brings it."""

    view: UpdateView
    blocks: tuple[Block, ...]
    gate: GateView | None


@dataclass(frozen=True, kw_only=True)
class _Counted:
    """Of one update and code."""

    nodes: Counter[Reason]
    devices: Counter[Reason]
    places: set[SupercomputerId]


def list_lines(db: Database, *, now: datetime) -> tuple[UpdateLine, ...]:
    """Every update of the catalogue, by release, then id. Raises Refusal before all is imported."""
    inputs = read_inputs(db, now)
    blocks = _find_blocks(inputs)
    gates = _gates(db)
    return tuple(
        UpdateLine(view=view, blocks=blocks.get(view.update.id, ()), gate=gates.get(view.update.id))
        for view in list_updates(db, (inputs.fleet, inputs.basis.pending))
    )


def list_pairs_known(db: Database, *, now: datetime) -> Mapping[Pair, PairStanding]:
    """What is known of each pair of updates. Raises Refusal before all is imported."""
    inputs = read_inputs(db, now)
    return list_pairs(db, (inputs.fleet, inputs.basis.pending))


def list_durations(db: Database) -> tuple[Measured, ...]:
    """How long each kind of step took in all runs, beside what is claimed. Read on from where the last look ended.
    Raises Refusal before the first import.
    """
    with refusing_unknown(), db.read() as conn:
        catalogue = inventory.load_catalogue(conn)
        seq, known = recall(conn, _MINUTES) or (0, {})
        minutes: dict[str, Counter[int]] = {kind: Counter(counts) for kind, counts in known.items()}
        for line in journal.read_events(conn, ENDED, seq):
            seq = line.seq
            kind, took = kind_of(str(line.data.get("step") or "")), line.data.get("minutes")
            if kind is not None and took is not None and not (kind == DRAIN and took <= IDLE_DRAIN_MINUTES):
                minutes.setdefault(kind, Counter())[max(1, took)] += 1
        remember(conn, _MINUTES, (seq, minutes))
    return measure(minutes, claims_of(catalogue))


def _find_blocks(inputs: Inputs) -> Mapping[UpdateId, tuple[Block, ...]]:
    judged, fleet, pending = inputs.basis.judged, inputs.fleet, inputs.basis.pending
    groups: Counter[tuple[int, int, SupercomputerId, bool]] = Counter()
    units: dict[int, UnitPending] = {}
    reasons: dict[int, Reason] = {}

    def note(unit: UnitPending, why: Reason | None, supercomputer: SupercomputerId, *, is_device: bool) -> None:
        if why is not None:
            units[id(unit)], reasons[id(why)] = unit, why
            groups[id(unit), id(why), supercomputer, is_device] += 1

    gaps, device_gaps = judged.consent.gaps, judged.device_gaps
    for node, unit in pending.nodes.items():
        note(unit, gaps.get(node), fleet.clusters[fleet.nodes[node].cluster].supercomputer, is_device=False)
    for device, unit in pending.devices.items():
        at = fleet.clusters[fleet.devices[device].cluster].supercomputer
        note(unit, device_gaps.get(device), at, is_device=True)
    counted: dict[UpdateId, dict[str, _Counted]] = defaultdict(dict)
    for (unit_key, why_key, supercomputer, is_device), count in groups.items():
        why = reasons[why_key]
        for item in units[unit_key].due:
            found = counted[item.update.id].setdefault(
                why.code, _Counted(nodes=Counter(), devices=Counter(), places=set())
            )
            (found.devices if is_device else found.nodes)[why] += count
            found.places.add(supercomputer)
    return {update: tuple(map(_block, _most_first(codes))) for update, codes in counted.items()}


def _most_first(codes: Mapping[str, _Counted]) -> list[_Counted]:
    return sorted(codes.values(), key=lambda one: -(one.nodes.total() + one.devices.total()))


def _block(found: _Counted) -> Block:
    ((example, _),) = (found.nodes + found.devices).most_common(1)
    return Block(
        example=example,
        nodes=found.nodes.total(),
        devices=found.devices.total(),
        supercomputers=tuple(sorted(found.places)),
    )


def _gates(db: Database) -> Mapping[UpdateId, GateView]:
    """Of the newest run; none before the first."""
    try:
        run = find_run(db, None)
    except Refusal:
        return {}
    return {view.gate.update: view for view in show_gates(db, run).gates}
