"""What went out as a credential does not come back as text, however it is written."""

import base64
import json
from urllib.parse import quote

import pytest

from fermata.domain.hiding import find_credentials, hide, hide_bytes

SECRET = 'p/w"&ä 7Q9xZ2'


@pytest.mark.parametrize(
    "written",
    [
        SECRET,
        json.dumps(SECRET),
        json.dumps(SECRET, ensure_ascii=False),
        json.dumps(SECRET).replace("/", "\\/"),
        quote(SECRET),
        quote(SECRET, safe=""),
        base64.b64encode(SECRET.encode()).decode(),
        base64.b64encode(SECRET.encode()).decode().rstrip("="),
        "p/w&quot;&amp;ä 7Q9xZ2",
    ],
)
def test_a_secret_is_hidden_however_it_is_written(written: str) -> None:
    assert "7Q9xZ2" not in hide(f"no: {written}.", SECRET)
    assert hide(f"no: {written}.", SECRET).startswith("no: ")
    assert b"..." in hide_bytes(written.encode(), [SECRET], 401)


def test_good_answers_keep_short_words_and_errors_do_not() -> None:
    assert hide_bytes(b"the root of all", ["root"], 200) == b"the root of all"
    assert hide_bytes(b"the root of all", ["root"], 401) == b"the ... of all"
    assert hide_bytes(b"a longersecret", ["longersecret"], 200) == b"a ..."


def test_credentials_are_found_in_the_headers_of_a_request() -> None:
    entry = base64.b64encode(b"ann:pass:word").decode()
    found = find_credentials(
        {"authorization": f"Basic {entry}", "X-Auth-Token": "t1", "Cookie": "a=c1; b=c2", "Accept": "text/plain"}
    )
    assert found == (entry, "pass:word", "t1", "c1", "c2")
    assert find_credentials({"Authorization": "Bearer abc"}) == ("abc",)
    assert hide("nothing", "") == "nothing"
