"""Queries in KQL over everything the store holds."""

from typing import Annotated, Any

from pydantic import BaseModel, Field

from fermata.server.api.bodies import NAME_MAX, Body
from fermata.server.api.nouns import open_noun
from fermata.server.api.problems import MEDIA_TYPE
from fermata.server.context import Given
from fermata.services import query as queries

CUSTOMERS_MAX = 100
TEXT_MAX = 64 * 1024  # far beyond what is answered: the refusal should come from the one place that says what is
REFUSED: dict[str, Any] = {
    "description": "The query cannot be read or is not answered; `line` and `column` say where",
    "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}

router = open_noun("query")


class QueryBody(Body):
    """What is asked, and which rows of the answer are wanted. Without `customers` all of them are looked at."""

    query: Annotated[str, Field(max_length=TEXT_MAX, description="KQL; see docs/query.md for the tables")]
    limit: Annotated[int, Field(ge=1, le=queries.ROWS_MAX)] = queries.ROWS_USUAL
    skip: Annotated[int, Field(ge=0, lt=2**53)] = 0
    customers: Annotated[list[Annotated[str, Field(max_length=NAME_MAX)]], Field(max_length=CUSTOMERS_MAX)] = Field(
        default_factory=list
    )


class AnswerColumn(BaseModel):
    """`kind`: string, long, int, real, bool, datetime, timespan, decimal, guid or dynamic."""

    name: str
    kind: str


class QueryAnswer(BaseModel):
    """Rows from `skip` on, each in the order of `columns`; `total` counts all there are."""

    columns: list[AnswerColumn]
    rows: list[list[Any]]
    total: int
    skip: int


@router.post("/query", responses={400: REFUSED, 429: REFUSED})
def post_query(given: Given, body: QueryBody) -> QueryAnswer:
    """Answers one read-only query over resources, maintenanceresources and pendingupdates."""
    customers = queries.name_customers(given.db, body.customers)
    question = queries.Question(text=body.query, now=given.now(), limit=body.limit, skip=body.skip)
    answer = given.desk.ask(question, customers)
    columns = [AnswerColumn(name=column.name, kind=column.kind) for column in answer.columns]
    return QueryAnswer(columns=columns, rows=[list(row) for row in answer.rows], total=answer.total, skip=answer.skip)
