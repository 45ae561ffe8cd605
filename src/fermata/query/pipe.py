"""What goes through the worker's pipe: frames of bytes, and questions and answers as JSON. Nothing else is read."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import IO, Any

import orjson

from fermata.query.answers import Answer, Column, Fault, FaultKind, QueryFault, Question

LENGTH_BYTES = 8
FRAME_BYTES_MAX = 4 * 2**30  # tables of tens of millions of nodes; a longer one is no frame of ours


class PipeEnded(Exception):
    """The other side is gone."""


def write_frame(stream: IO[bytes], body: bytes) -> None:
    """One frame. Raises PipeEnded."""
    try:
        stream.write(len(body).to_bytes(LENGTH_BYTES, "big"))
        stream.write(body)
        stream.flush()
    except (OSError, ValueError) as error:
        raise PipeEnded from error


def read_frame(stream: IO[bytes]) -> bytes:
    """One frame, whole. Raises PipeEnded."""
    length = int.from_bytes(_read(stream, LENGTH_BYTES), "big")
    if length > FRAME_BYTES_MAX:
        raise PipeEnded
    return _read(stream, length)


def question_to_bytes(question: Question, seconds: float) -> bytes:
    """A question and how long its answer may take."""
    asked = {"text": question.text, "now": question.now, "limit": question.limit, "skip": question.skip}
    return orjson.dumps({**asked, "by_id": question.by_id, "seconds": seconds})


def question_from_bytes(body: bytes) -> tuple[Question, float]:
    """The other way."""
    told = orjson.loads(body)
    question = Question(
        text=told["text"],
        now=datetime.fromisoformat(told["now"]),
        limit=told["limit"],
        skip=told["skip"],
        by_id=told["by_id"],
    )
    return question, told["seconds"]


def answer_to_bytes(answer: Answer) -> bytes:
    """An answer with its rows."""
    columns = [[column.name, column.kind] for column in answer.columns]
    return orjson.dumps({"columns": columns, "rows": answer.rows, "total": answer.total, "skip": answer.skip})


def fault_to_bytes(fault: Fault) -> bytes:
    """A fault in the place of an answer."""
    return orjson.dumps({"fault": asdict(fault)})


def answer_from_bytes(body: bytes) -> Answer:
    """The answer. Raises QueryFault when it is a fault, ValueError or KeyError when it is neither."""
    told: Mapping[str, Any] = orjson.loads(body)
    if "fault" in told:
        fault = told["fault"]
        raise QueryFault(Fault(**{**fault, "kind": FaultKind(fault["kind"])}))
    columns = tuple(Column(name=name, kind=kind) for name, kind in told["columns"])
    return Answer(columns=columns, rows=told["rows"], total=told["total"], skip=told["skip"])


def _read(stream: IO[bytes], length: int) -> bytes:
    parts, missing = [], length
    while missing:
        part = stream.read(min(missing, 1 << 20))
        if not part:
            raise PipeEnded
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)
