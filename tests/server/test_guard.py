"""What stands before every handler: headers, names, origins and sizes."""

import re

import httpx
import pytest

from fermata.server.guard import BODY_BYTES_MAX

PUBLISH = "/api/v1/plans/plan_none/publish"
BODY = {"actor": "operator-3"}


@pytest.mark.parametrize("path", ["/", "/static/board.css", "/api/v1/imports", "/nowhere", "/api/v1/openapi.json"])
def test_every_answer_carries_the_security_headers(client: httpx.Client, path: str) -> None:
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "same-origin"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_change_ordered_by_another_site_is_refused(client: httpx.Client, headers: dict[str, str]) -> None:
    answer = client.post(PUBLISH, json=BODY, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "CROSS_SITE")


def test_change_from_the_board_itself_or_a_command_line_reaches_its_handler(client: httpx.Client, url: str) -> None:
    own = {"Origin": url, "Sec-Fetch-Site": "same-origin"}
    for headers in ({}, own):
        assert client.post(PUBLISH, json=BODY, headers=headers).json()["code"] == "PLAN_UNKNOWN"


def test_reading_from_another_site_is_left_to_the_browser(client: httpx.Client) -> None:
    assert client.get("/api/v1/imports", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


@pytest.mark.parametrize("name", ["rebound.example", "[", "[x]:80", "a]b", "127.0.0.1@elsewhere", "[::1"])
def test_name_that_is_not_ours_gets_no_answer(client: httpx.Client, name: str) -> None:
    answer = client.get("/", headers={"Host": name})
    assert (answer.status_code, answer.json()["code"]) == (421, "HOST_UNKNOWN")


def test_body_over_the_limit_is_refused_whether_it_says_its_length_or_not(client: httpx.Client) -> None:
    chunk = b"x" * 65536
    chunks = BODY_BYTES_MAX // len(chunk) + 1
    said = client.post(PUBLISH, content=chunk * chunks, headers={"Content-Type": "application/json"})
    streamed = client.post(
        PUBLISH, content=(chunk for _ in range(chunks)), headers={"Content-Type": "application/json"}
    )
    assert [answer.status_code for answer in (said, streamed)] == [413, 413]
    assert said.json()["code"] == streamed.json()["code"] == "BODY_TOO_LARGE"


def test_a_body_over_the_limit_that_carries_a_key_is_refused_as_any_other(client: httpx.Client) -> None:
    chunks = BODY_BYTES_MAX // 65536 + 1
    headers = {"Content-Type": "application/json", "Idempotency-Key": "k1"}
    answer = client.post(PUBLISH, content=(b" " * 65536 for _ in range(chunks)), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "BODY_TOO_LARGE")


def test_page_has_no_inline_script_nor_style_nor_foreign_address(client: httpx.Client, in_progress: object) -> None:
    html = client.get("/").text
    assert not re.search(r"<script(?![^>]*\bsrc=)", html)
    assert not re.search(r"\sstyle=|<style|\son[a-z]+=", html)
    assert set(re.findall(r'(?:src|href)="(https?:)?//', html)) == set()
