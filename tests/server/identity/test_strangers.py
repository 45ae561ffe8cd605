"""Requests of nobody who is known are few, whoever else came from the same address without showing anything."""

from collections.abc import Mapping
from dataclasses import replace

from tests.server.identity.conftest import Serve, get
from tests.server.identity.test_callers import ASKED

from fermata.domain.access import AccessBook
from fermata.server.limits.bounds import BOUNDS, Rate

FEW = replace(BOUNDS, strangers=Rate(burst=3, a_second=0.001), pause_seconds=0.0)
NOTHING: Mapping[str, str] = {}
ANYTHING = {"Cookie": "a=b"}


def test_a_scrape_from_this_machine_lets_no_stranger_ask_on(serve: Serve, book: AccessBook) -> None:
    served = serve(book, bounds=FEW)
    for shown in (NOTHING, ANYTHING):
        assert get(f"{served.url}/metrics", headers=shown).status_code == 200
    statuses = [get(served.url + ASKED).status_code for _ in range(6)]
    assert (statuses[0], statuses[-1]) == (401, 429)
    for shown in (NOTHING, ANYTHING):
        refused = get(served.url + ASKED, headers=shown)
        assert (refused.status_code, refused.json()["code"]) == (429, "TOO_MANY_STRANGERS")
    assert get(f"{served.url}/metrics").status_code == 200, "figures stay readable meanwhile"
