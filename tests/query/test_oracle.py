"""What we take for KQL is KQL: the official parser, from npm, is asked about every query that ours lets through."""

import re

import duckdb_kql
import pytest
from tests.npm import clients
from tests.query import test_kql as kql

from fermata.query.answers import QueryFault
from fermata.query.text import prepare

TOKEN = re.compile(r"\w+|[^\w\s]")
QUERIES = (kql.EVENTS, kql.UPDATES, kql.JOINED, kql.ASSIGNMENTS, kql.APPLIED, *(query for query, _ in kql.ANSWERED))
FEWEST_LET_THROUGH = 100  # of some 500: with less the test would prove nothing


def faulted(prepared: list[str]) -> list[tuple[str, list[str]]]:
    """Queries that the official parser finds faults with."""
    faults = clients.ask("oracle.mjs", said=prepared)
    return [(query, found) for query, found in zip(prepared, faults, strict=True) if found]


@pytest.mark.slow
def test_what_is_put_in_keeps_a_query_kql() -> None:
    assert faulted([prepare(query).kql for query in QUERIES]) == []


@pytest.mark.slow
def test_no_query_with_a_token_left_out_is_let_through_that_is_not_kql() -> None:
    through = []
    for query in QUERIES:
        for token in TOKEN.finditer(query):
            try:
                prepared = prepare(query[: token.start()] + query[token.end() :]).kql
                duckdb_kql.to_sql(prepared, allow_write=False)
            except (QueryFault, duckdb_kql.KqlError):
                continue
            through.append(prepared)
    assert len(through) > FEWEST_LET_THROUGH
    assert faulted(through) == []
