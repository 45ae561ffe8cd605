"""Values as the driver of a database takes and gives them, for statements that are handed to it as they are."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Dialect
from sqlalchemy.types import TypeEngine

from fermata.store.schema import UtcTime

Fitting = tuple[tuple[int, Callable[[Any], Any]], ...]  # by place in the row, where another value is wanted


def fit(fitting: Fitting, values: Sequence[Any]) -> tuple[Any, ...]:
    """The values of one row, on their way in or out."""
    fitted = list(values)
    for place, change in fitting:
        fitted[place] = change(fitted[place])
    return tuple(fitted)


def to_driver(dialect: Dialect, kinds: Iterable[TypeEngine[Any]]) -> Fitting:
    """What makes of a value what the driver takes."""
    is_text = dialect.name == "sqlite"
    return _places(
        _utc_text if is_text and isinstance(kind, UtcTime) else kind.dialect_impl(dialect).bind_processor(dialect)
        for kind in kinds
    )


def from_driver(dialect: Dialect, kinds: Iterable[TypeEngine[Any]]) -> Fitting:
    """What makes of what the driver gives a value. SQLite's alone: it gives the same however a column came about."""
    return _places(
        _utc_time if isinstance(kind, UtcTime) else kind.dialect_impl(dialect).result_processor(dialect, None)
        for kind in kinds
    )


def _places(found: Iterable[Callable[[Any], Any] | None]) -> Fitting:
    return tuple((place, change) for place, change in enumerate(found) if change is not None)


@lru_cache(maxsize=4096)  # the rows of a step have few times between them
def _utc_text(value: datetime | None) -> str | None:
    """A time as SQLAlchemy writes it for SQLite, at a fraction of the price."""
    if value is None:
        return None
    if value.tzinfo is None:
        raise ValueError("a stored time must be aware")
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")


@lru_cache(maxsize=4096)
def _utc_time(text: str | None) -> datetime | None:
    """The time that was written so."""
    return None if text is None else datetime.fromisoformat(text).replace(tzinfo=UTC)
