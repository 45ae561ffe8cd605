"""What must hold whatever goes wrong: each invariant has a name, a sentence, and pure functions that look for a breach.

They are asked about what changed: a row, a call that a target carried out, everything done at one instant, the end.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from tests.simulation.agreement import find_frozen, find_too_many, find_unagreed, list_lacking
from tests.simulation.facts import Effect, Instant, Planned
from tests.simulation.mirror import HELD, AnyRow, Mirror, Row, SampleRow, WindowRow, find_written
from tests.simulation.undone import find_rolled_back_since, find_wrongly_proven

from fermata.domain.campaign import LimitKind
from fermata.domain.ids import DeviceId, NodeId, UpdateId
from fermata.domain.policy import Verdict
from fermata.domain.updates import IsolationBy, Stage
from fermata.domain.versions import is_at_least

MINUTE = timedelta(minutes=1)
LONGEST_SLEEP = timedelta(days=4)  # over a weekend without staff: whoever sleeps longer was forgotten
OVERDUE = timedelta(hours=1)
BUSY = ("locked", "draining", "applying", "recovering", "rebooting", "resetting", "verifying")
LISTINGS = ("unit.failed", "unit.tail", "unit.handed_over", "node.recovering", "device.recovering")
LEFT = {"returned": "node.returned", "kept_out": "node.kept_out", "left_out": "node.left_out"}
OF_ORDERS = "rep-"  # windows of work orders: no update is written in them
OVER = ("closed", "missed", "skipped", "cancelled")


Check = Callable[..., Iterator[str]]


def _nothing(*_: object) -> Iterator[str]:
    yield from ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Invariant:
    """`of_move(before, after, mirror, now)`, `of_effect(effect, mirror)`, `of_instant(instant)`, `of_end(instant,
    planned)`: what is wrong, in words, or nothing.
    """

    name: str
    sentence: str
    of_move: Check = _nothing
    of_effect: Check = _nothing
    of_instant: Check = _nothing
    of_end: Check = _nothing


def _cap(before: AnyRow | None, after: AnyRow, mirror: Mirror, now: datetime) -> Iterator[str]:
    if isinstance(after, WindowRow) and after.state == "open" and (before is None or before.state != "open"):
        yield from _over(mirror, now, {LimitKind.CLUSTER_WINDOWS, LimitKind.WHOLE_BIG_CLUSTERS})
    elif isinstance(after, Row):
        if after.state in HELD and (before is None or before.state not in HELD):
            yield from _over(mirror, now, {LimitKind.NODES_OUT})
        written = find_written(after)
        if written is not None and (before is None or (before.state, before.step) != (after.state, after.step)):
            yield from _crowd(after, written, mirror)


def _over(mirror: Mirror, now: datetime, kinds: set[LimitKind]) -> Iterator[str]:
    for index, (limit, _) in enumerate(mirror.limits):
        if limit.what in kinds and (used := mirror.used(index, now)) > mirror.allowed(index):
            yield f"{used} of {limit.what}, {mirror.allowed(index)} are allowed"


def _crowd(row: Row, written: str, mirror: Mirror) -> Iterator[str]:
    """Teams' limits and isolation, when one more begins to write."""
    update = mirror.catalogue.updates[UpdateId(written)]
    team, most = update.owner_team, mirror.catalogue.team_limits.get(update.owner_team)
    if most is not None and mirror.teams[team] > most:
        yield f"team {team} works on {mirror.teams[team]} units, {most} are allowed"
    domains = {domain: n for domain, n in mirror.writing[row.window, update.id].items() if n > 0}
    isolation = update.isolation
    if isolation.by is IsolationBy.FAULT_DOMAIN and len(domains) > isolation.at_once:
        yield f"{update.id} is written in {len(domains)} fault domains of {row.window}, {isolation.at_once} are allowed"
    if isolation.by is IsolationBy.PERCENT:
        planned = max(mirror.sizes[row.window], mirror.windows[row.window].nodes)
        if sum(domains.values()) > max(1, planned * isolation.at_once // 100):
            yield f"{update.id} is written on {sum(domains.values())} of {planned} nodes, {isolation.at_once} % may be"


def _shared_device(effect: Effect, mirror: Mirror) -> Iterator[str]:
    if effect.op != "apply" or effect.update is None or not effect.behind:
        return
    for node in effect.behind:
        if effect.update.needs_drain and not (node.drained and node.locked):
            yield f"{effect.update.id} was written to {effect.unit} while {node.name} behind it was not drained"
        if node.busy_with and frozenset({node.busy_with, effect.update.id}) in mirror.catalogue.conflicts:
            yield f"{effect.update.id} was written to {effect.unit} while {node.name} behind it got {node.busy_with}"


def _one_owner(before: AnyRow | None, after: AnyRow, mirror: Mirror, now: datetime) -> Iterator[str]:
    if isinstance(after, Row) and len(mirror.held[after.unit]) > 1:
        windows = sorted(mirror.rows[id_].window for id_ in mirror.held[after.unit])
        yield f"{after.unit} is held by {' and '.join(windows)}"
    if before is not None and isinstance(after, Row) and isinstance(before, Row) and after.version <= before.version:
        yield f"{after.unit} in {after.window} went from version {before.version} to {after.version}"


def _only_its_owner_acts(effect: Effect, mirror: Mirror) -> Iterator[str]:
    row = mirror.row(effect.window, effect.unit)
    if row is None or row.finished_at is not None:
        yield f"{effect.op} on {effect.unit} for {effect.window}, which does not hold it"
    elif effect.op not in ("lock", "apply") and row.kind == "node" and not effect.truth.locked:
        yield f"{effect.op} on {effect.unit}, which is not locked"


def _one_flight(effect: Effect, mirror: Mirror) -> Iterator[str]:
    if effect.op != "apply" or effect.update is None or effect.update.stage is not Stage.FLIGHT_READY or effect.undoes:
        return
    fleet = mirror.fleet
    home = {name: cluster.supercomputer for name, cluster in fleet.clusters.items()}
    unit = fleet.nodes.get(NodeId(effect.unit)) or fleet.devices[DeviceId(effect.unit)]
    flying = {effect.update.id}
    for row in mirror.rows.values():
        update = mirror.catalogue.updates.get(UpdateId(row.step.removeprefix("apply:")))
        is_near = home[row.cluster] == home[unit.cluster] and row.finished_at is None  # type: ignore[index]
        if update is not None and is_near and update.stage is Stage.FLIGHT_READY:
            flying.add(update.id)
    if len(flying) > 1:
        yield f"{' and '.join(sorted(flying))} fly in {home[unit.cluster]} at the same time"
    node = fleet.nodes.get(NodeId(effect.unit))
    if node is None:
        return
    cluster = fleet.clusters[node.cluster]
    given = [e for e in effect.words.ledger if e.flight == effect.update.id and e.verdict is Verdict.APPROVED]
    if not any(entry.scope.covers(node, cluster) for entry in given):
        yield f"{effect.update.id} is a flight that nobody approved on {node.name}"
    roles = effect.words.policy.customers[cluster.customer].flighting.allowed_roles
    if node.role not in roles:
        yield f"{effect.update.id} flies on {node.name}, a {node.role} node, the policy says {sorted(roles)}"


def _proof_of_return(effect: Effect, mirror: Mirror) -> Iterator[str]:
    if effect.op not in ("give_back", "release"):
        return
    truth = effect.truth
    of_order = effect.window.startswith(OF_ORDERS)
    for update in () if of_order else list_lacking(truth, mirror):
        yield f"{effect.unit} went back without {update.id}: it runs {truth.versions[update.component]}"
    if truth.staged:
        yield f"{effect.unit} went back with {sorted(truth.staged)} written and not running"
    if truth.healthy_at is None:
        yield f"{effect.unit} went back without a health check"
    elif truth.changed_at is not None and truth.healthy_at < truth.changed_at:
        yield f"{effect.unit} went back, its last passed health check is older than its last change"
    for device in effect.over:
        yield from find_rolled_back_since(effect, device, mirror)


def _returned_is_given_back(before: AnyRow | None, after: AnyRow, mirror: Mirror, now: datetime) -> Iterator[str]:
    if isinstance(after, Row) and after.state in ("returned", "kept_out"):
        was = before.state if isinstance(before, Row) else "nothing"
        if was != "proven":
            yield f"{after.unit} became {after.state} from {was}"


def _no_lost_work(before: AnyRow | None, after: AnyRow, mirror: Mirror, now: datetime) -> Iterator[str]:
    if isinstance(after, WindowRow):
        if after.state not in OVER and after.recheck_at is None:
            yield f"{after.window} is {after.state} and nobody will look at it again"
    elif isinstance(after, Row) and after.finished_at is None:
        if after.next_at is None:
            yield f"{after.unit} is {after.state} and nobody will look at it again"
        elif after.next_at > now + LONGEST_SLEEP:
            yield f"{after.unit} is {after.state} and sleeps until {after.next_at:%m-%d %H:%M}"


def _nobody_overdue(instant: Instant) -> Iterator[str]:
    row = instant.mirror.longest_due() if instant.is_done else None
    if row is not None and row.next_at is not None and row.next_at < instant.now - OVERDUE:
        yield f"{row.unit} is {row.state} and was due at {row.next_at:%m-%d %H:%M}"


def _all_accounted(instant: Instant, planned: tuple[Planned, ...]) -> Iterator[str]:
    mirror = instant.mirror
    for window in planned:
        row = mirror.windows.get(window.window)
        if row is None or (row.state not in OVER and row.state != "open"):
            yield f"{window.window} ended as {row.state if row else 'nothing'}"
            continue
        units = {r.unit: r for r in mirror.of_window(window.window) if r.kind == "node"}
        left = {name for group in json.loads(row.left_out) for name in group["nodes"]}
        if row.opened_at is None:
            continue
        if units.keys() & left or window.nodes != units.keys() | left:
            odd = sorted(window.nodes ^ (units.keys() | left) | (units.keys() & left))
            yield f"{odd} of {window.window} are in no account, or in two"
        for unit in units.values():
            if unit.finished_at is None and unit.tail_since is None:
                yield f"{unit.unit} of {window.window} is {unit.state} and on no list"


def _no_double_effect(effect: Effect, mirror: Mirror) -> Iterator[str]:
    truth, update = effect.truth, effect.update
    if truth.busy_with and effect.op != "reset":
        yield f"{effect.op} on {effect.unit} while {truth.busy_with} goes on there"
    if update is not None and effect.undoes:
        known = (truth.versions, truth.targets)
        if not truth.staged and all(found.get(update.component) == update.to_version for found in known):
            yield f"{update.id} was rolled back on {effect.unit} again"
    elif update is not None and is_at_least(truth.versions.get(update.component, ""), update.to_version):
        yield f"{update.id} was written to {effect.unit} again"
    if update is not None and truth.staged.get(update.component) == update.to_version:
        yield f"{update.id} was written to {effect.unit} again, before the reboot"


def _intent_first(effect: Effect, mirror: Mirror) -> Iterator[str]:
    """Asked about rows as they were committed when the call was made."""
    row = mirror.row(effect.window, effect.unit)
    if row is not None and (row.step, row.attempt) != (effect.step, effect.attempt):
        yield f"{effect.step}/{effect.attempt} was done to {effect.unit}, its row intends {row.step}/{row.attempt}"
    elif row is not None and row.asked not in ("intended", "unsure"):
        yield f"{effect.step}/{effect.attempt} was done to {effect.unit} without an intent, its call is {row.asked}"


def _every_move_is_told(instant: Instant) -> Iterator[str]:
    numbers = [line.seq for line in instant.lines]
    if numbers and numbers != list(range(instant.last_line + 1, instant.last_line + 1 + len(numbers))):
        yield f"lines {numbers[0]} to {numbers[-1]} after {instant.last_line} have gaps"
    told, begun = instant.subjects(), instant.begun()
    for before, after in instant.moves:
        if isinstance(after, WindowRow):
            is_new = before is not None and before.state != after.state
            event = "window.opened" if after.state == "open" else f"window.{after.state}"
            if is_new and not told[event, f"window:{after.window}"]:
                yield f"nobody was told that {after.window} is {after.state}"
        elif isinstance(after, Row):
            yield from _untold(before if isinstance(before, Row) else None, after, told, begun)


def _untold(
    before: Row | None, after: Row, told: Counter[tuple[str, str]], begun: frozenset[tuple[str, str, int, str]]
) -> Iterator[str]:
    subject = f"{after.kind}:{after.unit}"
    if before is None:
        return
    action = (after.step, after.attempt)
    is_new = (before.state, before.step, before.attempt) != (after.state, *action)
    if (
        is_new
        and after.state in BUSY
        and after.asked == "intended"
        and (after.window, *action, after.unit) not in begun
    ):
        yield f"nobody was told that {after.unit} begins {after.step}/{after.attempt}"
    ended = is_new and before.state in BUSY and before.state != "locked"
    if ended and not any(told[event, subject] for event in ("step.ended", "step.failed", "unit.proven", "unit.failed")):
        yield f"nobody was told how {before.step}/{before.attempt} of {after.unit} ended"
    if before.state != after.state:
        wanted = {"proven": "unit.proven", "failed": "unit.failed", **LEFT}.get(after.state)
        if after.kind == "device" and wanted == LEFT["left_out"]:
            wanted = "device.left_out"
        if wanted is not None and not told[wanted, subject]:
            yield f"nobody was told that {after.unit} is {after.state}"
    is_listed = before.tail_since is None and after.tail_since is not None
    if is_listed and not any(told[event, subject] for event in LISTINGS):
        yield f"nobody was told that {after.unit} is on the tail list"


def _no_unobserved_forecast(before: AnyRow | None, after: AnyRow, mirror: Mirror, now: datetime) -> Iterator[str]:
    if isinstance(after, SampleRow):
        yield from _samples_count_rows(after, mirror)
    if not isinstance(after, WindowRow) or after.behind_minutes is None:
        return
    if after.opened_at is None:
        yield f"{after.window} has a forecast and has not opened"
    is_new = before is None or before.behind_minutes != after.behind_minutes  # type: ignore[union-attr]
    if after.state == "open" and is_new and before is not None and before.state == "open":
        end = after.planned_end + after.behind_minutes * MINUTE
        working = sum(
            r.kind == "node" and r.finished_at is None and r.tail_since is None and r.state != "proven"
            for r in mirror.of_window(after.window)
        )
        if end < now - MINUTE and working > after.taken * (1 - mirror.campaign.return_threshold) + 1:
            yield f"{after.window} is told to be back at {end:%m-%d %H:%M}, which is over, and {working} nodes are not"


def _samples_count_rows(sample: SampleRow, mirror: Mirror) -> Iterator[str]:
    if sample.nodes_out != mirror.held_nodes:
        yield f"{sample.nodes_out} nodes were told to be out at {sample.at:%m-%d %H:%M}, {mirror.held_nodes} are"


def _no_early_ready(instant: Instant) -> Iterator[str]:
    taken_back = {  # listed by an order to roll them back, not by a window that calls itself done
        (after.window, after.unit)
        for before, after in instant.moves
        if isinstance(after, Row) and isinstance(before, Row) and before.state == "returned" != after.state
    }
    for before, after in instant.moves:
        if (
            not isinstance(after, WindowRow)
            or after.state != "closed"
            or (before is not None and before.state == "closed")
        ):
            continue
        nodes = [r for r in instant.mirror.of_window(after.window) if r.kind == "node"]
        truths = {r.unit: instant.truth_of(r.unit) for r in nodes if r.state == "returned"}
        back = sum(t.in_service and not any(list_lacking(t, instant.mirror)) for t in truths.values())
        need = after.in_service_at_open * instant.mirror.campaign.return_threshold - 1e-9
        was_listed = all(r.finished_at is not None or r.tail_since is not None for r in nodes)
        on_time = after.closed_at is not None and after.closed_at < after.back_by
        listed_now = any(
            r.tail_since == after.closed_at
            and r.state not in ("failed", "in_repair")
            and (r.window, r.unit) not in taken_back
            for r in nodes
        )
        if back < need and on_time and (listed_now or not was_listed):
            yield f"{after.window} was called done with {back} of {after.in_service_at_open} nodes back"


INVARIANTS: tuple[Invariant, ...] = (
    Invariant(
        name="consent",
        sentence="No node is locked and nothing written unless its customer's policy or last word agrees.",
        of_effect=find_unagreed,
    ),
    Invariant(name="freeze", sentence="No node is locked while a freeze on record covers it.", of_effect=find_frozen),
    Invariant(
        name="cap",
        sentence="Nodes out, open windows, teams, isolated updates and approvals by the day stay within their limits.",
        of_move=_cap,
        of_effect=find_too_many,
    ),
    Invariant(
        name="shared_device",
        sentence="A shared device gets what workloads would feel only when every node behind it is locked and drained.",
        of_effect=_shared_device,
    ),
    Invariant(
        name="one_owner",
        sentence="A node is held by one window at a time, rows only grow newer, and nobody else acts on the node.",
        of_move=_one_owner,
        of_effect=_only_its_owner_acts,
    ),
    Invariant(
        name="one_flight",
        sentence="A flight-ready update is written only as an approved flight, and one at a time in a supercomputer.",
        of_effect=_one_flight,
    ),
    Invariant(
        name="proof_of_return",
        sentence=(
            "A node goes back only when it runs every target, or what was ordered back, and passed a health check after"
            " its last change and any roll-back over it."
        ),
        of_move=_returned_is_given_back,
        of_effect=_proof_of_return,
        of_instant=find_wrongly_proven,
    ),
    Invariant(
        name="no_lost_work",
        sentence="Every planned node is in exactly one account in the end, and nothing unfinished is ever forgotten.",
        of_move=_no_lost_work,
        of_instant=_nobody_overdue,
        of_end=_all_accounted,
    ),
    Invariant(
        name="no_double_effect",
        sentence="Nothing is written twice, and nothing begins on a unit on which something else goes on.",
        of_effect=_no_double_effect,
    ),
    Invariant(
        name="journal_complete",
        sentence="Every change of a row has its line, lines have no gaps, every call had its intent on record before.",
        of_effect=_intent_first,
        of_instant=_every_move_is_told,
    ),
    Invariant(
        name="no_unobserved_forecast",
        sentence="No forecast before a window opened, none that lies in the past, no count that rows do not give.",
        of_move=_no_unobserved_forecast,
    ),
    Invariant(
        name="no_early_ready",
        sentence="No window is over before its promised end unless enough of its nodes are proven and back in service.",
        of_instant=_no_early_ready,
    ),
)

BY_NAME = {invariant.name: invariant for invariant in INVARIANTS}
