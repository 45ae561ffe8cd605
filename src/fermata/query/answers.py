"""What a query gives back: an answer, or a fault with its place in the text. Both sides of the worker's pipe use it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class FaultKind(StrEnum):
    """Why a query got no answer. The first six are faults of its text; the rest is what answering it would cost."""

    UNPARSABLE = "unparsable"
    UNKNOWN_FUNCTION = "unknown_function"
    UNKNOWN_NAME = "unknown_name"
    UNSUPPORTED = "unsupported"
    FORBIDDEN = "forbidden"
    INVALID = "invalid"
    OVER_LIMIT = "over_limit"
    STOPPED = "stopped"
    BUSY = "busy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault. `line` counts from 1, `column` from 0, both None when the fault has no place; `token` stands there.
    `is_worker_spent`: the process that met it ran out of memory, what it says next cannot be relied on.
    """

    kind: FaultKind
    sentence: str
    line: int | None = None
    column: int | None = None
    token: str | None = None
    is_worker_spent: bool = False


class QueryFault(Exception):
    """No answer; nothing was changed, since nothing can be."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.sentence)
        self.fault = fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """`kind` is Kusto's word: string, long, int, real, bool, datetime, timespan, decimal, guid, dynamic."""

    name: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Rows from `skip` on, at most `limit` of them; `total` counts all. Values are as JSON has them, times ISO 8601."""

    columns: tuple[Column, ...]
    rows: Sequence[Sequence[Any]]
    total: int
    skip: int = 0

    @property
    def is_cut(self) -> bool:
        """True when rows are left after these."""
        return self.skip + len(self.rows) < self.total


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A query and which of its rows are wanted. `now` is what the query's own now() says, aware UTC. `by_id`: rows of
    an unsorted answer come in the order of their ids, so that pages fit together.
    """

    text: str
    now: datetime
    limit: int
    skip: int = 0
    by_id: bool = False


def refuse(
    kind: FaultKind,
    sentence: str,
    *,
    line: int | None = None,
    column: int | None = None,
    token: str | None = None,
) -> QueryFault:
    """The exception to raise."""
    return QueryFault(Fault(kind=kind, sentence=sentence, line=line, column=column, token=token))


def refuse_for_memory() -> QueryFault:
    """The exception to raise where memory ran out."""
    sentence = "it needs more memory than it may take, ask for less at once."
    return QueryFault(Fault(kind=FaultKind.STOPPED, sentence=sentence, is_worker_spent=True))
