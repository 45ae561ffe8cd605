"""Files of pages: kept for ever under an address that names their content, and packed before they are asked for."""

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from fermata.server.web.assets import ASK_AGAIN, FOR_EVER, STATIC, asset_url

PACKED, PLAIN = {"Accept-Encoding": "gzip"}, {"Accept-Encoding": "identity"}
SHEET = (STATIC / "board.css").read_text()


@pytest.fixture
def asking(app: FastAPI) -> TestClient:
    """A server with an empty store."""
    return TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 50000))


@pytest.mark.parametrize("headers", [PACKED, PLAIN])
@pytest.mark.parametrize(
    ("address", "how"),
    [
        (asset_url("board.css"), FOR_EVER),
        ("/static/board.css", ASK_AGAIN),
        ("/static/board.css?v=of-another-release", ASK_AGAIN),
    ],
)
def test_only_an_address_that_names_the_content_is_kept_for_ever(
    asking: TestClient, address: str, how: str, headers: dict[str, str]
) -> None:
    answer = asking.get(address, headers=headers)
    assert answer.headers["cache-control"] == how
    assert answer.text == SHEET
    assert answer.headers["content-type"] == "text/css; charset=utf-8"


def test_a_file_is_packed_for_who_can_unpack_it_and_says_how_long_it_is(asking: TestClient) -> None:
    packed, plain = (asking.get(asset_url("board.css"), headers=headers) for headers in (PACKED, PLAIN))
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) / 2
    for name in ("etag", "last-modified", "content-security-policy", "x-content-type-options"):
        assert packed.headers[name] == plain.headers[name]
    assert "accept-encoding" in packed.headers["vary"].lower()


@pytest.mark.parametrize("headers", [PACKED, PLAIN])
def test_who_has_it_already_gets_no_body_and_who_asks_for_a_part_gets_that(
    asking: TestClient, headers: dict[str, str]
) -> None:
    whole = asking.get("/static/board.css", headers=headers)
    again = asking.get("/static/board.css", headers={**headers, "If-None-Match": whole.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    part = asking.get("/static/board.css", headers={**headers, "Range": "bytes=0-9"})
    assert (part.status_code, part.text) == (206, SHEET[:10])
    assert asking.head("/static/board.css", headers=headers).headers["etag"] == whole.headers["etag"]
