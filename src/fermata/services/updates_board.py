"""The catalogue as people ask about it: where each update is blocked and by what, and how long its steps took."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from fermata.domain.combinations import Pair, PairStanding
from fermata.domain.durations import Measured, measure
from fermata.domain.ids import ClusterId, SupercomputerId, UpdateId
from fermata.domain.pending import UnitPending
from fermata.domain.reasons import Code, Reason
from fermata.domain.request_basis import Basis
from fermata.domain.scripts import DRAIN
from fermata.planning.forecast.evidence import IDLE_DRAIN_MINUTES, kind_of
from fermata.planning.forecast.learning import claims_of
from fermata.services.errors import Refusal, refusing_unknown
from fermata.services.gates import GateView, find_run, show_gates
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


@dataclass(kw_only=True)
class _Counted:
    """Of one update and code. `reasons`: how many units lack something for each, those that may be the commonest."""

    nodes: int = 0
    devices: int = 0
    reasons: Counter[Reason] = field(default_factory=Counter)
    places: set[SupercomputerId] = field(default_factory=set)


def list_lines(db: Database, *, now: datetime) -> tuple[UpdateLine, ...]:
    """Every update of the catalogue, by release, then id. Raises Refusal before all is imported."""
    inputs = read_inputs(db, now)
    blocks = _find_blocks(inputs.basis)
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


_Counts = Mapping[tuple[UpdateId, str], _Counted]  # by update and code


def _find_blocks(basis: Basis) -> Mapping[UpdateId, tuple[Block, ...]]:
    counted: dict[UpdateId, dict[str, _Counted]] = defaultdict(dict)
    for cluster, on in sorted(basis.fleet.clusters.items()):
        for (update, code), part in basis.once("blocks", cluster, lambda name: _count_blocks(basis, name)).items():
            found = counted[update].setdefault(code, _Counted())
            found.nodes += part.nodes
            found.devices += part.devices
            found.reasons.update(part.reasons)
            found.places.add(on.supercomputer)
    return {update: tuple(map(_block, _most_first(codes))) for update, codes in counted.items()}


def _count_blocks(basis: Basis, cluster: ClusterId) -> _Counts:
    """Of one cluster. Many of its units have the same due and lack the same; a device's own reason is no other's."""
    counted: dict[tuple[UpdateId, str], _Counted] = {}
    for unit, why, is_device, count in _list_kinds(basis, cluster):
        for item in unit.due:
            found = counted.setdefault((item.update.id, why.code), _Counted())
            found.nodes += 0 if is_device else count
            found.devices += count if is_device else 0
            found.reasons[why] += count
    for (_, code), found in counted.items():
        if code == Code.SHARED_DEVICE_UNAPPROVED:
            found.reasons = Counter(dict(found.reasons.most_common(1)))
    return counted


def _list_kinds(basis: Basis, cluster: ClusterId) -> Iterator[tuple[UnitPending, Reason, bool, int]]:
    """What is pending on so many units that lack something, what they lack, and whether they are devices."""
    fleet, pending, judged = basis.fleet, basis.pending, basis.judged
    names, devices = fleet.names_in(cluster), [device.name for device in fleet.devices_by_cluster[cluster]]
    nodes = [(pending.nodes.get(name), judged.consent.gaps.get(name), False) for name in names]
    shared = [(pending.devices.get(name), judged.device_gaps.get(name), True) for name in devices]
    lacking = [(unit, why, kind) for unit, why, kind in (*nodes, *shared) if unit is not None and why is not None]
    kinds = Counter((id(unit), id(why), kind) for unit, why, kind in lacking)
    for key, (unit, why, kind) in {(id(each[0]), id(each[1]), each[2]): each for each in lacking}.items():
        yield unit, why, kind, kinds[key]


def _most_first(codes: Mapping[str, _Counted]) -> list[_Counted]:
    return sorted(codes.values(), key=lambda one: -(one.nodes + one.devices))


def _block(found: _Counted) -> Block:
    ((example, _),) = found.reasons.most_common(1)
    return Block(
        example=example,
        nodes=found.nodes,
        devices=found.devices,
        supercomputers=tuple(sorted(found.places)),
    )


def _gates(db: Database) -> Mapping[UpdateId, GateView]:
    """Of the newest run; none before the first."""
    try:
        run = find_run(db, None)
    except Refusal:
        return {}
    return {view.gate.update: view for view in show_gates(db, run).gates}
