"""Bugs to plant in production code, at least one of the kind that each invariant is there for. The list is run: see
`test_mutations`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

from sqlalchemy import bindparam, update

from fermata.domain import decide, decide_begin, decisions, readmission, undoing_devices
from fermata.domain.consent import Consent
from fermata.domain.decisions import EndStep, Prove, Watch
from fermata.domain.node_states import UnitEvent, UnitState
from fermata.domain.openings import Capacity
from fermata.domain.operations import Asked
from fermata.domain.tally import Tally
from fermata.domain.updates import Catalogue
from fermata.execution import batch, closing, forecasting, observe, opening, perform, wake
from fermata.execution.ownership import Ownership
from fermata.planning.constraints import flights
from fermata.store import unit_ops


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """A bug: what it does, the invariant that has to catch it, and how it is planted. `seed`: one that found it, which
    is played first.
    """

    name: str
    invariant: str
    plant: Callable[[], AbstractContextManager[object]]
    seed: int = 0


def _patched(*targets: tuple[object, str, object]) -> Callable[[], AbstractContextManager[object]]:
    @contextmanager
    def plant() -> Iterator[None]:
        with ExitStack() as stack:
            for where, name, what in targets:
                stack.enter_context(patch.object(where, name, what))
            yield

    return plant


def _everything_agreed(*_: object) -> Consent:
    return Consent(gaps={}, times={}, companions={})


_BLOCKED = opening._blocked  # noqa: SLF001


def _without_freezes(row: Any, live: Any, nodes: Any, consented: Any, now: Any) -> Any:
    return _BLOCKED(row, live, nodes, replace(consented, policy=replace(consented.policy, freezes=())), now)


def _no_freeze(*_: object) -> dict[object, object]:
    return {}


def _nobody(_: object) -> bool:
    return False


def _always_room(*_: object, **__: object) -> None:
    return None


def _always_first(*_: object) -> int:
    return 1


def _nobody_blocks(*_: object) -> tuple[()]:
    return ()


def _save_over(conn: Any, ops: Sequence[tuple[int, Any]]) -> None:
    """Whoever comes last wins."""
    table = unit_ops.unit_op
    if ops:
        rows = [{"b_id": op.id, **unit_ops._moving(op), "version": op.version} for _, op in ops]  # noqa: SLF001
        moving = {name: bindparam(name) for name in rows[0] if name != "b_id"}
        statement = update(table).where(table.c.id == bindparam("b_id")).values(moving)
        conn.execute(statement, rows)


def _every_update(catalogue: Catalogue) -> tuple[Any, ...]:
    return tuple(sorted(catalogue.updates.values(), key=lambda found: found.id))


def _believe(op: Any, seen: Any, facts: Any) -> Any:
    """The updater's word is enough."""
    own = facts.script.nodes[op.unit]
    if op.state is UnitState.VERIFYING:
        return Prove(active=own.due)
    active = op.active | facts.script.activates[op.position] & op.applied
    return EndStep(event=UnitEvent.STEP_ENDED, applied=op.applied, active=active, retries=op.retries)


_JUDGE = decide._judge  # noqa: SLF001


def _ignore_health(op: Any, seen: Any, facts: Any) -> Any:
    """A failed health check is as good as a passed one."""
    if op.state is UnitState.VERIFYING and type(seen.progress).__name__ == "Failed":
        return Prove(active=facts.script.nodes[op.unit].due)
    return _JUDGE(op, seen, facts)


_STAY = decisions._stay  # noqa: SLF001


def _forget(op: Any, decision: Any, now: Any) -> Any:
    """Whoever waits for a repair is never looked at again."""
    after = _STAY(op, decision, now)
    return replace(after, next_at=None) if isinstance(decision, Watch) and op.state is UnitState.FAILED else after


def _leave_nobody_out(_reasons: Mapping[Any, Any]) -> tuple[()]:
    return ()


_KEY_OF = perform.key_of


@contextmanager
def _fresh_keys() -> Iterator[None]:
    """A write that is asked for again after a restart is asked for under a new key."""
    asked: set[str] = set()

    def key_of(op: Any) -> Any:
        key = _KEY_OF(op)
        if op.state is not UnitState.APPLYING or op.asked is not Asked.INTENDED:
            return key
        if key in asked:
            return _KEY_OF(replace(op, attempt=op.attempt + 50))
        asked.add(key)
        return key

    with patch.object(perform, "key_of", key_of), patch.object(observe, "key_of", key_of):
        yield


_LINES = batch.journal_lines


def _swallow(event: str) -> Callable[..., list[Any]]:
    def journal_lines(marks: Any, now: Any) -> list[Any]:
        return [line for line in _LINES(marks, now) if line.event != event]

    return journal_lines


_FORECAST = forecasting.forecast_window


def _ten_hours_early(*args: Any) -> Any:
    return replace(_FORECAST(*args), late_minutes=-600)


def _enough_in_any_case(*_: object, **__: object) -> bool:
    return True


_OUT = unit_ops.nodes_out


def _all_but_one(conn: Any) -> frozenset[Any]:
    return frozenset(sorted(_OUT(conn))[1:])


MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        name="a window opens whatever customers say",
        invariant="consent",
        plant=_patched((opening, "find_consent", _everything_agreed)),
        seed=3,
    ),
    Mutation(
        name="a window opens in a freeze",
        invariant="freeze",
        plant=_patched((opening, "_blocked", _without_freezes), (batch, "find_frozen", _no_freeze)),
        seed=2,
    ),
    Mutation(
        name="a lock is asked for again whatever froze since",
        invariant="freeze",
        plant=_patched((batch, "find_frozen", _no_freeze), (batch, "awaits_lock", _nobody)),
        seed=276,
    ),
    Mutation(
        name="limits are not asked at the opening",
        invariant="cap",
        plant=_patched((Capacity, "first_full", _always_room)),
        seed=10,
    ),
    Mutation(
        name="teams and isolation are not counted", invariant="cap", plant=_patched((Tally, "admit", _always_room))
    ),
    Mutation(
        name="a switch is written while nodes behind it serve",
        invariant="shared_device",
        plant=_patched((decide_begin, "blocking_nodes", _nobody_blocks), (wake, "is_blocked", _nobody_blocks)),
        seed=1,
    ),
    Mutation(
        name="a switch is rolled back while nodes behind it serve",
        invariant="shared_device",
        plant=_patched((undoing_devices, "nodes_in_the_way", _nobody_blocks)),
        seed=44,
    ),
    Mutation(
        name="the last writer of a row wins",
        invariant="one_owner",
        plant=_patched((unit_ops, "save_ops", _save_over), (Ownership, "check", _always_room)),
        seed=1,
    ),
    Mutation(
        name="whoever takes over calls under the generation of the one before",
        invariant="one_owner",
        plant=_patched((Ownership, "generation", _always_first)),
        seed=61,
    ),
    Mutation(
        name="flights go with the rest",
        invariant="one_flight",
        plant=_patched(
            (Catalogue, "production_ready", property(_every_update)),
            (flights._Judge, "flown_in", _nobody_blocks),  # noqa: SLF001
        ),
    ),
    Mutation(
        name="the updater's word is proof",
        invariant="proof_of_return",
        plant=_patched((decide, "_judge_versions", _believe), (readmission, "_lacking_versions", _nobody_blocks)),
        seed=2,
    ),
    Mutation(
        name="a failed health check is proof",
        invariant="proof_of_return",
        plant=_patched((decide, "_judge", _ignore_health), (readmission, "_lacking_check", _nobody_blocks)),
    ),
    Mutation(
        name="nobody looks at who waits for a repair",
        invariant="no_lost_work",
        plant=_patched((decisions, "_stay", _forget)),
    ),
    Mutation(
        name="who was left out is not written down",
        invariant="no_lost_work",
        plant=_patched((opening, "group_left_out", _leave_nobody_out)),
        seed=2,
    ),
    Mutation(name="a repeated call has a new key", invariant="no_double_effect", plant=_fresh_keys, seed=1),
    Mutation(
        name="ends of steps are not told",
        invariant="journal_complete",
        plant=_patched((batch, "journal_lines", _swallow("step.ended"))),
        seed=1,
    ),
    Mutation(
        name="beginnings of steps are not told",
        invariant="journal_complete",
        plant=_patched((batch, "journal_lines", _swallow("step.begun"))),
    ),
    Mutation(
        name="a window is always early",
        invariant="no_unobserved_forecast",
        plant=_patched((forecasting, "forecast_window", _ten_hours_early)),
    ),
    Mutation(
        name="a node that is out is not counted",
        invariant="no_unobserved_forecast",
        plant=_patched((unit_ops, "nodes_out", _all_but_one)),
    ),
    Mutation(
        name="a late window is over whoever is back",
        invariant="no_early_ready",
        plant=_patched((closing, "is_enough", _enough_in_any_case)),
    ),
)
