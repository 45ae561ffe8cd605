"""Statements that are asked all the time find the same through SQLAlchemy and as the driver gets them."""

import importlib
import pkgutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import Integer, Select, bindparam, select, update
from sqlalchemy.sql.compiler import SQLCompiler
from tests.constraints import world as w
from tests.store.test_append_only import ENTRY, WORD

import fermata.store
from fermata.domain.ids import CampaignId, ClusterId, PlanId, RunId, WindowId
from fermata.domain.node_states import UnitKind
from fermata.domain.operations import Run, UnitOp
from fermata.domain.reasons import Code, Reason
from fermata.domain.run_states import Desired, RunState
from fermata.store import consent, inventory, journal, runs, unit_ops
from fermata.store.asking import ask, ask_value, change
from fermata.store.database import Database, StoreUnavailable
from fermata.store.schema import UtcTime

RUN = RunId("run_1")
AT = datetime(2026, 3, 29, 1, 30, 0, 123456, tzinfo=UTC)
ELSEWHERE = timezone(timedelta(hours=5, minutes=30))
TIMES = runs.run.c.started_at, runs.run.c.stands_at, runs.run.c.ended_at
OF_RUN = select(*TIMES).where(runs.run.c.id == bindparam("of_run"))
SINCE = select(runs.run.c.id).where(runs.run.c.started_at >= bindparam("since"))
AMONG = select(runs.run.c.id).where(runs.run.c.state.in_(["running", "paused"]), runs.run.c.id == bindparam("of_run"))
TOUCH = update(runs.run).where(runs.run.c.id == bindparam("of_run")).values(stands_at=bindparam("at"))
NO_TABLE = select(consent.freeze.c.id, consent.freeze.c.start)


def fill(db: Database) -> None:
    """A bit of every kind of value: times, JSON, true, false, and nothing at all."""
    made = Run(
        id=RUN,
        campaign=CampaignId("c"),
        plan=PlanId("p"),
        state=RunState.RUNNING,
        desired=Desired.RUN,
        started_at=AT,
        ended_at=None,
        clock_at=AT.astimezone(ELSEWHERE),
        baseline_nodes=2,
        baseline_in_service=2,
        limits_allowed=(1, 2),
        version=1,
    )
    plain = UnitOp(
        id=0,
        run=RUN,
        window=WindowId("w"),
        unit="alpha-n00",
        kind=UnitKind.NODE,
        cluster=ClusterId("alpha"),
        fault_domain="0",
        rank=0,
        in_service_before=True,
    )
    why = Reason(code=Code.WAITS_FOR_CAPACITY, sentence="no room")
    full = replace(plain, unit="alpha-n01", in_service_before=False, next_at=AT, tail_since=AT, reason=why)
    with db.begin() as conn:
        inventory.save_fleet(conn, w.fleet())
        runs.create_run(conn, made, [])
        unit_ops.insert_ops(conn, [plain, replace(full, retries={"drain": 1}, versions_before={"nic_fw": "1.0"})])
        journal.append_many(conn, [ENTRY])
        consent.append_entry(conn, WORD)


def parameters(statement: Select[Any]) -> dict[str, Any]:
    """A value for each that has none, by its type."""
    compiled = statement.compile()
    assert isinstance(compiled, SQLCompiler)
    kinds = {name: bind.type for name, bind in compiled.binds.items() if bind.required}
    return {
        name: AT - timedelta(days=1) if isinstance(kind, UtcTime) else 0 if isinstance(kind, Integer) else RUN
        for name, kind in kinds.items()
    }


def takes_lists(statement: Select[Any]) -> bool:
    compiled = statement.compile()
    assert isinstance(compiled, SQLCompiler)
    return any(bind.expanding and bind.required for bind in compiled.binds.values())


def kept() -> list[Select[Any]]:
    """Every SELECT that a module of the store keeps and that takes no list."""
    modules = [m for m in pkgutil.iter_modules(fermata.store.__path__) if not m.ispkg]
    return [
        value
        for module in modules
        for value in vars(importlib.import_module(f"fermata.store.{module.name}")).values()
        if isinstance(value, Select) and not takes_lists(value)
    ]


def test_every_statement_that_is_kept_finds_the_same_either_way(db: Database) -> None:
    fill(db)
    statements = kept()
    assert len(statements) > 30
    with db.read() as conn:
        for statement in statements:
            given = parameters(statement)
            asked = [tuple(row) for row in ask(conn, statement, **given)]
            assert asked == [tuple(row) for row in conn.execute(statement, given)], statement


def test_rows_are_named_after_their_columns(db: Database) -> None:
    fill(db)
    with db.read() as conn:
        (row,) = ask(conn, OF_RUN, of_run=RUN)
        listed = unit_ops.ops_of_run(conn, RUN)
    assert (row.started_at, row.stands_at, row.ended_at) == (AT, AT, None)
    assert [at.tzinfo for at in (row.started_at, row.stands_at)] == [UTC, UTC]
    assert [op.in_service_before for op in listed] == [True, False]
    assert [op.reason.sentence if op.reason else None for op in listed] == [None, "no room"]


def test_a_time_of_any_zone_is_asked_by_as_the_moment_that_it_is(db: Database) -> None:
    fill(db)
    with db.read() as conn:
        assert ask_value(conn, SINCE, since=(AT - timedelta(microseconds=1)).astimezone(ELSEWHERE)) == RUN
        assert ask_value(conn, SINCE, since=AT + timedelta(microseconds=1)) is None


def test_a_time_without_a_zone_is_refused(db: Database) -> None:
    with pytest.raises(Exception, match="a stored time must be aware"), db.read() as conn:
        ask(conn, SINCE, since=AT.replace(tzinfo=None))


def test_a_fixed_list_stays_what_it_is(db: Database) -> None:
    fill(db)
    with db.read() as conn:
        assert ask_value(conn, AMONG, of_run=RUN) == RUN
        assert ask_value(conn, AMONG, of_run="another") is None


def test_a_change_says_how_many_rows_it_met_and_goes_with_its_transaction(db: Database) -> None:
    def fail() -> None:
        with db.begin() as conn:
            assert change(conn, TOUCH, of_run=RUN, at=AT + timedelta(hours=1)) == 1
            assert change(conn, TOUCH, of_run="another", at=AT) == 0
            raise ZeroDivisionError

    fill(db)
    with pytest.raises(ZeroDivisionError):
        fail()
    with db.read() as conn:
        assert ask(conn, OF_RUN, of_run=RUN)[0].stands_at == AT


def test_what_the_database_refuses_is_a_clear_error(db: Database) -> None:
    with db.engine.begin() as conn:
        conn.exec_driver_sql('ALTER TABLE "freeze" RENAME TO freezing')
    with pytest.raises(StoreUnavailable, match="freeze"), db.read() as conn:
        ask(conn, NO_TABLE)
