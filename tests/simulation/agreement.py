"""What customers agreed to, read from their policies, freezes and last words without the code that conducts: the
invariants of consent and freezes, and the part of `cap` that approvals set.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from tests.simulation.facts import Effect, Truth, Words
from tests.simulation.mirror import OWN, Mirror

from fermata.domain.fleet import Fleet, Node
from fermata.domain.ids import NodeId
from fermata.domain.policy import ConsentEntry, Stance, Verdict
from fermata.domain.updates import NODE_TARGET, Stage, Update
from fermata.domain.versions import is_at_least
from fermata.domain.windows import calendar_day


def list_due(truth: Truth, target: str, mirror: Mirror) -> Iterator[Update]:
    only = mirror.campaign.updates
    for update in mirror.catalogue.production_ready:
        version = truth.versions.get(update.component)
        wanted = version is not None and update.target == target and (only is None or update.id in only)
        if wanted and not is_at_least(version or "", update.to_version):
            yield update


def list_lacking(truth: Truth, mirror: Mirror) -> Iterator[Update]:
    """What a node should run and does not: all that is due on it and was not rolled back."""
    undone = mirror.undone(truth.name)
    yield from (update for update in list_due(truth, NODE_TARGET, mirror) if update.id not in undone)


def is_agreed(update: Update, node: Node, fleet: Fleet, words: Words, now: datetime | None) -> bool:
    """True when the customer's policy or its last word lets `update` happen to `node` at `now`; None: at some time."""
    cluster = fleet.clusters[node.cluster]
    ruling = words.policy.judge_update(update, node, cluster)
    if ruling.stance is Stance.ALLOW:
        return True
    if ruling.stance is Stance.BLOCK:
        return False
    heard = [e for e in words.ledger if e.scope.covers(node, cluster) and _speaks(e, update)]
    last = max(heard, key=lambda e: e.seq, default=None)
    if last is not None and last.verdict is Verdict.APPROVED and update.id in last.updates:
        return True
    day = timedelta(days=2)
    return ruling.stance is Stance.ALLOW_IN_WINDOWS and (
        now is None
        or any(span.start <= now < span.end for w in ruling.windows for span in w.intervals(now - day, now + day))
    )


def _speaks(entry: ConsentEntry, update: Update) -> bool:
    """True when the word is about the update. A yes to everything says nothing of flights that it does not name."""
    if update.id in entry.updates | entry.excluded:
        return True
    is_yes = entry.verdict is Verdict.APPROVED
    return not entry.is_part and not (is_yes and update.stage is Stage.FLIGHT_READY)


def find_unagreed(effect: Effect, mirror: Mirror) -> Iterator[str]:
    fleet = mirror.fleet
    if effect.op == "lock":
        node = fleet.nodes[NodeId(effect.unit)]
        for update in list_lacking(effect.truth, mirror):
            if not is_agreed(update, node, fleet, effect.words, effect.now):
                yield f"{effect.unit} was locked, nobody agreed to {update.id}"
    if effect.op == "apply" and effect.update is not None:
        yield from (
            _find_unordered(effect, mirror) if effect.undoes else _find_unagreed_write(effect, effect.update, mirror)
        )


def _find_unordered(effect: Effect, mirror: Mirror) -> Iterator[str]:
    """What is rolled back needs no word of a customer, but an order: somebody's, or the gate's."""
    update = effect.update
    ordered = mirror.orders.get(effect.unit, {}).get(update.id) if update is not None else None
    if update is not None and ordered != update.to_version:
        yield f"{update.id} was rolled back to {update.to_version} on {effect.unit}, ordered: {ordered}"


def _find_unagreed_write(effect: Effect, update: Update, mirror: Mirror) -> Iterator[str]:
    names = [truth.name for truth in effect.behind] or [effect.unit]
    for name in names:
        node = mirror.fleet.nodes[NodeId(name)]
        if not is_agreed(update, node, mirror.fleet, effect.words, None):  # a late node is finished, not left
            yield f"{update.id} was written to {effect.unit}, nobody agreed for {name}"


def find_too_many(effect: Effect, mirror: Mirror) -> Iterator[str]:
    """The share of `cap` that approvals set: so many nodes a day. What is said of updates bounds the outages that are
    made for them; who goes to the people of an order goes by what is said of that, and is bound by this as soon as
    an update is written there too (on a later day than it went, that was judged before).
    """
    ledger = effect.words.ledger
    if all(entry.conditions.nodes_per_day is None for entry in ledger) or not _goes(effect, mirror):
        return
    last = {name: _last_word(node, mirror.fleet, ledger) for name, node in mirror.fleet.nodes.items()}
    today = calendar_day(effect.now, mirror.campaign.timezone)
    for entry in {last[NodeId(name)] for name in mirror.nodes_at(effect.unit)}:
        if entry is None or entry.conditions.nodes_per_day is None:
            continue
        went = mirror.taken_on({name for name, e in last.items() if e == entry}, today)
        if went > entry.conditions.nodes_per_day:
            yield f"{went} nodes of {entry.scope} went on {today}, {entry.conditions.nodes_per_day} a day are approved"


def _goes(effect: Effect, mirror: Mirror) -> bool:
    """True when by this call nodes go for updates that did not before."""
    if not effect.window.startswith(OWN):
        return effect.op == "lock"
    today = calendar_day(effect.now, mirror.campaign.timezone)
    return effect.op == "apply" and not effect.undoes and mirror.is_of_day(effect.window, today)


def _last_word(node: Node, fleet: Fleet, ledger: tuple[ConsentEntry, ...]) -> ConsentEntry | None:
    covering = [entry for entry in ledger if entry.scope.covers(node, fleet.clusters[node.cluster])]
    return max(covering, key=lambda entry: entry.seq, default=None)


def find_frozen(effect: Effect, mirror: Mirror) -> Iterator[str]:
    """A call that was on its way when the freeze came cannot be called back, as long as nobody has reached its target
    since: but then its row intends it still.
    """
    if effect.op != "lock":
        return
    node = mirror.fleet.nodes[NodeId(effect.unit)]
    cluster = mirror.fleet.clusters[node.cluster]
    row = mirror.row(effect.window, effect.unit)
    is_intended = row is not None and (row.state, row.step, row.attempt) == ("locked", effect.step, effect.attempt)
    for freeze in effect.words.policy.freezes:
        if freeze.id == effect.sent_before and is_intended:
            continue
        if freeze.start <= effect.now < freeze.end and freeze.scope.covers(node, cluster):
            yield f"{effect.unit} was locked at {effect.now:%m-%d %H:%M}, {freeze.id} ends {freeze.end:%m-%d %H:%M}"
