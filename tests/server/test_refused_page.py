"""Who goes to a page by browser and gets none reads why on a page; programs get a problem document."""

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

BROWSER = {"Accept": "text/html,*/*;q=0.8", "Sec-Fetch-Mode": "navigate"}
NOT_SHOWN = [
    ("/updates", 409, "There is nothing to show yet"),
    ("/nodes/nowhere", 404, "Not found"),
    ("/plans/none", 404, "Not found"),
    ("/nothing/here", 404, "Not found"),
]


@pytest.fixture
def asking(app: FastAPI) -> TestClient:
    """A server with an empty store."""
    return TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 50000))


@pytest.mark.parametrize(("path", "status", "head"), NOT_SHOWN)
def test_a_person_reads_on_a_page_why_there_is_none(asking: TestClient, path: str, status: int, head: str) -> None:
    told = asking.get(path).json()
    shown = asking.get(path, headers=BROWSER)
    assert shown.status_code == told["status"] == status
    assert shown.headers["content-type"] == "text/html; charset=utf-8"
    assert f'<h1 class="page-title">{head}</h1>' in shown.text
    assert told["code"] in shown.text
    assert told["detail"].split("'")[0].split("&")[0] in shown.text
    assert shown.headers["content-security-policy"] == asking.get("/journal").headers["content-security-policy"]


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/nodes/nowhere", {}),
        ("/nodes/nowhere", {**BROWSER, "HX-Request": "true"}),
        ("/nodes/nowhere", {**BROWSER, "Sec-Fetch-Mode": "cors"}),
        ("/api/v1/nodes/nowhere", BROWSER),
    ],
)
def test_what_is_no_person_on_the_way_to_a_page_gets_a_problem_document(
    asking: TestClient, path: str, headers: dict[str, str]
) -> None:
    answer = asking.get(path, headers=headers)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_what_is_long_and_packed_is_a_page_all_the_same(asking: TestClient) -> None:
    shown = asking.get("/nodes/" + "n" * 1500, headers=BROWSER)
    assert shown.status_code == 404
    assert "content-encoding" not in shown.headers
    assert "n" * 1500 in shown.text
