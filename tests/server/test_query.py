"""Queries over HTTP: our own door, Resource Graph's and Kusto's with the clients that people run, and the screen."""

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError
from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.kusto.data import KustoClient, KustoConnectionStringBuilder
from azure.kusto.data.exceptions import KustoApiError, KustoMultiApiError
from azure.mgmt.resourcegraph import ResourceGraphClient
from azure.mgmt.resourcegraph.models import FacetRequest, FacetRequestOptions, QueryRequest, QueryRequestOptions
from fastapi import FastAPI
from tests.formats.conftest import Small, small
from tests.npm import clients
from tests.server import world

from fermata.domain import arm
from fermata.domain.ids import CustomerId
from fermata.formats.scenario import read_scenario
from fermata.server.quota import CLIENTS_MAX, Quota
from fermata.services import inventory
from fermata.store.database import Database

__all__ = ["small"]
GRAPH = "/providers/Microsoft.ResourceGraph/resources?api-version=2021-03-01"
NODES = "where type == 'fermata/nodes' | project id, name"
LUMEN = arm.subscription_id(CustomerId("lumen"))
pytestmark = pytest.mark.usefixtures("imported")


class Token:
    """A credential that nobody asks for anything."""

    def get_token(self, *_scopes: str, **_options: Any) -> AccessToken:
        return AccessToken("token", int(time.time()) + 3600)


@pytest.fixture
def imported(db: Database, small: Small) -> None:
    read = read_scenario(small.folder)
    given = inventory.ImportSet(fleet=read.fleet, catalogue=read.catalogue, policy=read.policy)
    inventory.import_set(db, given, now=world.NOW, actor="tests")


@pytest.fixture
def graph(url: str) -> Iterator[ResourceGraphClient]:
    with ResourceGraphClient(Token(), base_url=url, authentication_policy=SansIOHTTPPolicy()) as client:
        yield client


@pytest.fixture
def kusto(url: str) -> Iterator[KustoClient]:
    with KustoClient(KustoConnectionStringBuilder.with_no_authentication(url)) as client:
        yield client


def test_our_own_door_answers_columns_rows_and_how_many_there_are(client: httpx.Client) -> None:
    body = {
        "query": "resources | where type == 'fermata/nodes' | project name | sort by name asc",
        "limit": 2,
        "skip": 2,
    }
    assert client.post("/api/v1/query", json=body).json() == {
        "columns": [{"name": "name", "kind": "string"}],
        "rows": [["alpha-n2"], ["beta-n0"]],
        "total": 5,
        "skip": 2,
    }
    body = {"query": "resources | where type == 'fermata/nodes' | count", "customers": ["lumen"]}
    assert client.post("/api/v1/query", json=body).json()["rows"] == [[3]]


@pytest.mark.parametrize(
    ("body", "status", "code", "place"),
    [
        ({"query": "resources\n| wherre x"}, 400, "QUERY_UNREADABLE", {"line": 2, "column": 1, "token": "|"}),
        ({"query": "resources | where f(1)"}, 400, "QUERY_UNKNOWN_NAME", {"line": 1, "column": 19, "token": "f"}),
        ({"query": ".show tables"}, 400, "QUERY_NOT_ANSWERED", {"line": 1, "column": 1, "token": "."}),
        ({"query": "print '" + "x" * 17_000 + "'"}, 400, "QUERY_OVER_LIMIT", {}),
        ({"query": "print x=strrep('a', 3000000000)"}, 400, "QUERY_STOPPED", {}),
        ({"query": "resources", "customers": ["nobody"]}, 409, "SCOPE_UNKNOWN", {}),
        ({"query": "resources", "limit": 0}, 422, "BAD_INPUT", {}),
        ({"kql": "resources"}, 422, "BAD_INPUT", {}),
    ],
)
def test_refusals_of_our_own_door(
    client: httpx.Client, body: dict[str, Any], status: int, code: str, place: dict[str, Any]
) -> None:
    answer = client.post("/api/v1/query", json=body)
    told = answer.json()
    assert (answer.status_code, told["code"]) == (status, code)
    assert {name: told.get(name) for name in place} == place


def test_resource_graph_counts_facets_beside_the_answer(graph: ResourceGraphClient) -> None:
    options = FacetRequestOptions(sort_by="type", sort_order="asc", filter="type contains 'nodes'", top=1)
    facets = [
        FacetRequest(expression="type"),
        FacetRequest(expression="location, type", options=options),
        FacetRequest(expression="nothing_of_the_kind"),
    ]
    found = graph.resources(QueryRequest(query="resources | project id, type, location;", facets=facets))
    every, filtered, wrong = found.facets
    assert (every.result_type, every.expression, every.count) == ("FacetResult", "type", every.total_records)
    counts = [row["count"] for row in every.data]
    assert (sum(counts), counts) == (found.total_records, sorted(counts, reverse=True))
    assert (filtered.count, [row["type"] for row in filtered.data]) == (1, ["fermata/nodes"])
    assert (wrong.result_type, wrong.errors[0].code) == ("FacetError", "InvalidQuery")


def test_resource_graph_as_objects_as_table_and_by_pages(graph: ResourceGraphClient) -> None:
    found = graph.resources(QueryRequest(query="Resources | summarize count() by type | sort by type asc"))
    assert (found.total_records, found.count, found.result_truncated, found.facets) == (6, 6, "false", [])
    assert found.data[2] == {"type": "fermata/nodes", "count_": 5}
    options = QueryRequestOptions(top=2, result_format="table")
    page = graph.resources(QueryRequest(query=NODES, options=options))
    assert page.data["columns"] == [{"name": "id", "type": "string"}, {"name": "name", "type": "string"}]
    names = [row[1] for row in page.data["rows"]]
    while page.skip_token:
        assert page.result_truncated == "true"
        options = QueryRequestOptions(top=2, skip_token=page.skip_token)
        page = graph.resources(QueryRequest(query=NODES, options=options))
        names += [row["name"] for row in page.data]
    assert sorted(names) == ["alpha-n0", "alpha-n1", "alpha-n2", "beta-n0", "beta-n1"]
    assert (page.total_records, page.result_truncated) == (5, "false")


def test_resource_graph_keeps_to_the_subscriptions_that_are_named(graph: ResourceGraphClient) -> None:
    count = "resources | where type == 'fermata/nodes' | summarize n=count()"
    for subscriptions, nodes in (([], 5), ([LUMEN], 3), ([LUMEN.upper()], 3), (["x"], 0)):
        found = graph.resources(QueryRequest(query=count, subscriptions=subscriptions))
        assert found.data == [{"n": nodes}]


def test_resource_graph_without_ids_says_that_rows_are_missing_and_gives_no_token(graph: ResourceGraphClient) -> None:
    page = graph.resources(QueryRequest(query="project name", options=QueryRequestOptions(top=1, skip=1)))
    assert (page.result_truncated, page.skip_token, page.count) == ("true", None, 1)


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        (
            "resources | wherre",
            {
                "code": "ParserFailure",
                "message": "ParserFailure",
                "line": 1,
                "characterPositionInLine": 10,
                "token": "|",
            },
        ),
        (
            "resources | where f(1)",
            {"code": "UnknownFunction", "message": "there is no function f().", "line": 1, "token": "f"}
            | {"characterPositionInLine": 18},
        ),
        ("nosuch", {"code": "UnknownName"}),
        ("resources; resources", {"code": "DisallowedQuery"}),
        ("resources" + " | join (resources) on id" * 4, {"code": "LimitsExceeded"}),
    ],
)
def test_resource_graph_tells_faults_in_the_documented_shape(
    client: httpx.Client, graph: ResourceGraphClient, query: str, detail: dict[str, Any]
) -> None:
    answer = client.post(GRAPH.replace("ResourceGraph", "resourcegraph"), json={"query": query})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "BadRequest")
    assert error["message"].startswith("Please provide below info when asking for support: timestamp = ")
    assert error["details"][0]["code"] == "InvalidQuery"
    assert error["details"][1] | detail == error["details"][1]
    with pytest.raises(HttpResponseError) as raised:
        graph.resources(QueryRequest(query=query))
    assert raised.value.model.error.details[1].code == detail["code"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[1]",
        b'{"query": 5}',
        b'{"query": "resources", "options": {"$top": 1001}}',
        b'{"query": "resources", "options": {"$skip": -1}}',
        b'{"query": "resources", "options": {"$skipToken": "abc"}}',
        b'{"query": "resources", "options": {"$skipToken": "WzIsIm5vdCBvdXJzIl0="}}',
        b'{"query": "resources", "options": {"resultFormat": "xml"}}',
    ],
)
def test_resource_graph_refuses_bad_requests_in_its_own_shape(client: httpx.Client, body: bytes) -> None:
    answer = client.post(GRAPH, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error"]["details"][0]["code"] in {"InvalidRequest", "InvalidSkipToken"}


def test_resource_graph_counts_queries_and_asks_for_patience(client: httpx.Client) -> None:
    answers = [client.post(GRAPH, json={"query": "print 1"}) for _ in range(40)]
    assert answers[0].headers["x-ms-user-quota-remaining"] == "14"
    assert answers[0].headers["x-ms-user-quota-resets-after"] == "00:00:05"
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json()["error"]["code"] == "RateLimiting"
    assert 1 <= int(refused.headers["Retry-After"]) <= 6


def test_a_quota_forgives_with_time_and_forgets_who_is_long_gone() -> None:
    quota = Quota(most=2, seconds=5)
    assert [quota.take("a", at).allowed for at in (0, 1, 4.9, 5, 5.1, 6)] == [True, True, False, True, False, True]
    assert quota.take("b", 6).remaining == 1
    for number in range(CLIENTS_MAX):
        quota.take(str(number), 6)
    assert quota.take("a", 6).remaining == 1


def test_kusto_gives_typed_values_to_its_own_client(kusto: KustoClient) -> None:
    asked = "resources | where name == 'alpha' | project name, properties, at=now(), d=1d+2h, n=properties.nodes, s=sku"
    answer = kusto.execute("fermata", asked)
    (row,) = answer.primary_results[0]
    assert row["name"] == "alpha"
    assert row["properties"]["rollingAllowed"] is True
    assert row["at"] == world.NOW
    assert row["d"].total_seconds() == 26 * 3600
    assert (row["n"], row["s"]) == (3, None)
    assert answer.errors_count == 0


@pytest.mark.parametrize("query", ["nosuch | count", ".show tables", "resources | wherre x", "a; b"])
def test_kusto_refuses_with_a_sentence(kusto: KustoClient, query: str) -> None:
    with pytest.raises(KustoApiError) as raised:
        kusto.execute("fermata", query)
    assert "quer" in str(raised.value)


def test_kusto_never_passes_off_a_part_as_the_whole(kusto: KustoClient) -> None:
    with pytest.raises(KustoMultiApiError, match=r"10,000 at most"):
        kusto.execute("fermata", "range x from 1 to 10001 step 1")
    assert len(kusto.execute("fermata", "range x from 1 to 10000 step 1").primary_results[0]) == 10_000


def test_kusto_v1_and_what_clients_look_for_first(client: httpx.Client) -> None:
    answer = client.post("/v1/rest/query", json={"db": "x", "csl": "print a=1, b='x'"}).json()
    assert answer["Tables"][0]["Columns"][1] == {"ColumnName": "b", "DataType": "String", "ColumnType": "string"}
    assert answer["Tables"][0]["Rows"] == [[1, "x"]]
    assert client.post("/v2/rest/query", content=b"{").json()["error"]["code"] == "General_BadRequest"
    assert client.get("/v1/rest/auth/metadata").status_code == 404


def test_the_screen_shows_examples_answers_and_refusals(client: httpx.Client) -> None:
    page = client.get("/query").text
    assert "What is due, by update" in page
    answer = client.get("/query", params={"q": "resources\r\n| where name == 'alpha-n0'\r\n| project name, n=1"})
    assert answer.status_code == 200
    assert '<td><div>alpha-n0</div></td><td class="num"><div>1</div></td>' in answer.text
    refused = client.get("/query", params={"q": "print '<script>' | wherre"})
    assert refused.status_code == 400
    assert "QUERY_UNREADABLE" in refused.text
    assert "<script>'" not in refused.text


def test_every_example_of_the_screen_has_an_answer(client: httpx.Client) -> None:
    page = client.get("/query").text
    links = [part.split('"')[0] for part in page.split('<li><a href="')[1:]]
    assert len(links) == 7
    for link in links:
        answer = client.get(link.replace("&amp;", "&"))
        assert answer.status_code == 200, answer.text
        assert "aria-current" in answer.text


def test_the_screen_gives_csv(client: httpx.Client) -> None:
    answer = client.get(
        "/query.csv",
        params={"q": "resources | where type == 'fermata/clusters' | project name, sku, t=tags | sort by name asc"},
    )
    assert answer.headers["content-disposition"] == 'attachment; filename="fermata-query.csv"'
    assert answer.text == "name,sku,t\nalpha,,\nbeta,,\n"


def test_doors_of_others_stand_outside_our_description(app: FastAPI) -> None:
    paths = app.openapi()["paths"]
    assert "/api/v1/query" in paths
    assert not any("ResourceGraph" in path or "/rest/" in path or path == "/query" for path in paths)


@pytest.mark.slow
def test_resource_graph_answers_its_client_from_npm(url: str) -> None:
    answer = clients.ask("resourcegraph.mjs", url, f"resources | {NODES} | sort by name asc", "2")
    assert [row["name"] for row in answer["data"]] == ["alpha-n0", "alpha-n1"]
    assert (answer["count"], answer["totalRecords"]) == (2, 5)
    wrong = clients.ask("resourcegraph.mjs", url, "resources | wherre x")
    assert (wrong["error"]["status"], wrong["error"]["code"]) == (400, "BadRequest")


@pytest.mark.slow
def test_kusto_answers_its_client_from_npm(url: str) -> None:
    answer = clients.ask("kusto.mjs", url, f"resources | {NODES} | sort by name desc | take 1 | project name")
    assert answer == {"columns": [["name", "string"]], "rows": [["beta-n1"]]}
    assert clients.ask("kusto.mjs", url, "resources | wherre x")["error"]["status"] == 400
