"""Forecasts of windows and runs: the newest of each half hour is kept, so that a curve can be drawn for ever."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Column, Connection, ForeignKey, String, Table, bindparam, delete, func, select

from fermata.domain.forecasts import BackAt, Forecast, Help, Remedy
from fermata.domain.ids import RunId, WindowId
from fermata.domain.reasons import Reason, code_of
from fermata.store.asking import ask, change
from fermata.store.bulk import insert_rows
from fermata.store.parts import Told, part_of
from fermata.store.schema import Json, UtcTime, metadata

Latest = Mapping[WindowId | None, Forecast]
KEPT_EVERY = timedelta(minutes=30)  # a window of eight hours then has sixteen, and January two thousand
WHOLE_RUN = ""  # what stands in place of a window in the forecast of the run itself
LISTED_MAX = 20_000
_EPOCH = datetime(2020, 1, 1, tzinfo=UTC)

forecast = Table(
    "forecast",
    metadata,
    Column("run", ForeignKey("run.id"), primary_key=True),
    Column("window", String, primary_key=True),
    Column("slot", UtcTime, primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("body", Json, nullable=False),
)
_KEY = ("run", "window", "slot")
_DROP = delete(forecast).where(*(forecast.c[name] == bindparam(f"of_{name}") for name in _KEY))
_OF_RUN = forecast.c.run == bindparam("of_run")
_newest = (
    select(forecast.c.window, func.max(forecast.c.slot).label("slot"))
    .where(_OF_RUN)
    .group_by(forecast.c.window)
    .subquery()
)
_LATEST = select(forecast).join(
    _newest, (forecast.c.window == _newest.c.window) & (forecast.c.slot == _newest.c.slot) & _OF_RUN
)


def keep(conn: Connection, made: Iterable[Forecast]) -> None:
    """Keeps forecasts; one of the same half hour gives way."""
    rows = [_to_row(one) for one in made]
    for row in rows:
        change(conn, _DROP, **{f"of_{name}": row[name] for name in _KEY})
    insert_rows(conn, forecast, rows)


def latest(conn: Connection, run: RunId) -> Latest:
    """The newest forecast of each window of a run, and of the run itself under None."""
    return {one.window: one for one in _read(conn, lambda store: ask(store, _LATEST, of_run=run))}


def of_window(conn: Connection, run: RunId, window: WindowId | None) -> tuple[Forecast, ...]:
    """Every forecast that was kept of a window, or with None of the run itself, oldest first."""
    query = select(forecast).where(forecast.c.run == run, forecast.c.window == (window or WHOLE_RUN))
    query = query.order_by(forecast.c.slot).limit(LISTED_MAX)
    return _read(conn, lambda store: store.execute(query).all())


def _read(conn: Connection, select_: Callable[[Connection], Sequence[Any]]) -> tuple[Forecast, ...]:
    """The forecasts that it selects; for who sees a part of the fleet those in sight, without sentences that name
    others.
    """
    part, rows = part_of(conn), select_(conn)
    if part is None:
        return tuple(_from_row(row) for row in rows)
    seen, tell = {(row.window, row.slot) for row in rows}, part.teller()
    return tuple(_cut(_from_row(row), tell) for row in part.read(select_) if (row.window, row.slot) in seen)


def _cut(one: Forecast, tell: Told) -> Forecast:
    none = replace(one.none, sentence=tell(one.none.sentence)) if one.none is not None else None
    helps = tuple(help_ for help_ in one.helps if tell(help_.sentence) == help_.sentence)
    return replace(one, why=tell(one.why), helps=helps, none=none)


def _to_row(made: Forecast) -> dict[str, Any]:
    return {
        "run": made.run,
        "window": made.window or WHOLE_RUN,
        "slot": _EPOCH + (made.at - _EPOCH) // KEPT_EVERY * KEPT_EVERY,
        "at": made.at,
        "body": {
            "promised": made.promised.isoformat(),
            "planned_end": made.planned_end.isoformat(),
            "back": [_back_row(level) for level in made.back],
            "enough": _back_row(made.enough) if made.enough else None,
            "kept": made.kept,
            "kept_end": made.kept_end,
            "late_minutes": made.late_minutes,
            "why": made.why,
            "helps": [{"remedy": h.remedy.value, "kept": h.kept, "sentence": h.sentence} for h in made.helps],
            "is_alarming": made.is_alarming,
            "none": {"code": made.none.code.value, "sentence": made.none.sentence} if made.none else None,
        },
    }


def _back_row(level: BackAt) -> dict[str, Any]:
    return {
        "share": level.share,
        "nodes": level.nodes,
        "median": level.median.isoformat(),
        "bound": level.bound.isoformat(),
    }


def _from_row(row: Any) -> Forecast:
    body = row.body
    none = body["none"]
    return Forecast(
        run=RunId(row.run),
        window=WindowId(row.window) if row.window else None,
        at=row.at,
        promised=datetime.fromisoformat(body["promised"]),
        planned_end=datetime.fromisoformat(body["planned_end"]),
        back=tuple(_back(level) for level in body["back"]),
        enough=_back(body["enough"]) if body["enough"] else None,
        kept=body["kept"],
        kept_end=body["kept_end"],
        late_minutes=body["late_minutes"],
        why=body["why"],
        helps=tuple(Help(remedy=Remedy(h["remedy"]), kept=h["kept"], sentence=h["sentence"]) for h in body["helps"]),
        is_alarming=body["is_alarming"],
        none=Reason(code=code_of(none["code"]), sentence=none["sentence"]) if none else None,
    )


def _back(row: Mapping[str, Any]) -> BackAt:
    return BackAt(
        share=row["share"],
        nodes=row["nodes"],
        median=datetime.fromisoformat(row["median"]),
        bound=datetime.fromisoformat(row["bound"]),
    )
