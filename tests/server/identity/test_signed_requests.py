"""EC2's own client where people sign in: it signs with the access key of a token, and sees what that token sees."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from botocore.session import get_session
from tests.conftest import copy_sqlite
from tests.server.authority import world
from tests.server.authority.world import grant
from tests.server.conftest import QUICK, HandClock
from tests.server.identity.conftest import RealClock, Served, listening

from fermata.domain.access import AccessBook, GranteeKind, GrantLine
from fermata.domain.identity import LOCAL, Grant, GrantLevel, Role
from fermata.server.app import create_app
from fermata.server.identity.admission import Admission
from fermata.server.identity.signers import BYTES_MAX
from fermata.server.limits.bounds import BOUNDS, Bounds, Rate
from fermata.services.access_keys import AccessKey, find_signer
from fermata.services.identity import MadeToken, NewToken, list_tokens, make_token, revoke_token
from fermata.store.database import Database
from fermata.wiring.clocks import mint_id

MEADOW = grant(Role.VIEWER, GrantLevel.CUSTOMER, "meadow")
EVERYTHING = grant(Role.VIEWER)
BODY = b"Action=DescribeInstanceStatus"
Start = Callable[..., Served]


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Database]:
    path = tmp_path_factory.mktemp("signed") / "store.sqlite"
    copy_sqlite(sqlite_template, path)
    opened = Database(f"sqlite:///{path}")
    world.fill(opened)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def start(db: Database) -> Iterator[Start]:
    """A server that lets in whom a book of access grants something."""
    book = AccessBook(lines=(GrantLine(kind=GranteeKind.USER, name="ada", grant=EVERYTHING),))
    with ExitStack() as stack:

        def serve(bounds: Bounds = BOUNDS) -> Served:
            clock = RealClock()
            access = Admission(book=book, now=clock.now)
            app = create_app(db, HandClock(world.w.NOW), new_id=mint_id, timing=QUICK, access=access, bounds=bounds)
            return Served(url=stack.enter_context(listening(app)), db=db, clock=clock)

        yield serve


@pytest.fixture(scope="module")
def standing(start: Start) -> Served:
    return start()


@pytest.fixture
def served(standing: Served) -> Served:
    standing.clock.ahead = timedelta(0)
    return standing


def make(served: Served, *grants: Grant, days: int = 30) -> MadeToken:
    wanted = NewToken(label="of a client", grants=frozenset(grants), life=timedelta(days=days))
    return make_token(served.db, wanted, LOCAL, now=served.clock.now(), new_id=mint_id)


def key_of(served: Served, *grants: Grant) -> AccessKey:
    found = make(served, *grants).access_key
    assert found is not None
    return found


def ask(served: Served, key: AccessKey, **more: Any) -> list[str]:
    """The nodes that EC2's own client is told of."""
    client = get_session().create_client(
        "ec2",
        region_name="westus3",
        endpoint_url=served.url,
        aws_access_key_id=key.id,
        aws_secret_access_key=key.secret,
        config=Config(retries={"total_max_attempts": 1}),
    )
    try:
        pages = client.get_paginator("describe_instance_status").paginate(**more)
        return [each["InstanceId"] for page in pages for each in page["InstanceStatuses"]]
    finally:
        client.close()


def refusal(served: Served, key: AccessKey, **more: Any) -> str:
    """EC2's code for why not."""
    with pytest.raises(ClientError) as refused:
        ask(served, key, **more)
    return str(refused.value.response["Error"]["Code"])


def signed(served: Served, key: AccessKey, method: str = "POST", path: str = "/", body: bytes = BODY) -> dict[str, str]:
    request = AWSRequest(method, served.url + path, {"Content-Type": "application/x-www-form-urlencoded"}, body)
    SigV4Auth(Credentials(key.id, key.secret), "ec2", "westus3").add_auth(request)
    return dict(request.headers.items())


def test_a_client_that_signs_is_told_of_what_its_token_sees(served: Served) -> None:
    everything = ask(served, key_of(served, EVERYTHING))
    assert {name.partition("-")[0] for name in everything} > {"alpha", "gamma"}
    meadow = key_of(served, MEADOW)
    assert ask(served, meadow) == [name for name in everything if name.startswith("gamma-")]
    assert ask(served, meadow, InstanceIds=["gamma-n00"]) == ["gamma-n00"]
    assert refusal(served, meadow, InstanceIds=["alpha-n00"]) == refusal(served, meadow, InstanceIds=["nowhere"])


def test_an_access_key_has_a_form_that_clients_take_and_follows_from_its_token(served: Served) -> None:
    made, other = make(served, MEADOW), make(served, MEADOW)
    assert made.access_key is not None
    assert other.access_key is not None
    assert re.fullmatch(r"\w{16,128}", made.access_key.id, re.ASCII)
    assert (made.access_key.id, len(made.access_key.secret)) == (made.token.id, 44)
    assert other.access_key.secret != made.access_key.secret
    assert made.access_key.secret not in repr(made)
    path = Path(served.db.url.removeprefix("sqlite:///"))
    stored = b"".join(each.read_bytes() for each in path.parent.glob(f"{path.name}*"))
    assert made.access_key.secret.encode() not in stored


def test_nobody_comes_in_with_a_key_of_another_or_the_name_of_a_customer(served: Served) -> None:
    meadow, everything = key_of(served, MEADOW), key_of(served, EVERYTHING)
    assert refusal(served, AccessKey(id="meadow", secret="nothing")) == "AuthFailure"
    assert refusal(served, AccessKey(id=mint_id("tok"), secret=meadow.secret)) == "AuthFailure"
    assert refusal(served, AccessKey(id=everything.id, secret=meadow.secret)) == "SignatureDoesNotMatch"
    assert refusal(served, AccessKey(id=meadow.id, secret=make(served, MEADOW).secret)) == "SignatureDoesNotMatch"


def test_an_access_key_ends_with_its_token(served: Served) -> None:
    revoked = key_of(served, MEADOW)
    assert ask(served, revoked)
    revoke_token(served.db, revoked.id, LOCAL, now=served.clock.now())
    assert refusal(served, revoked) == "AuthFailure"
    short = make(served, MEADOW, days=1).access_key
    assert short is not None
    served.clock.ahead = timedelta(days=1, seconds=1)
    assert refusal(served, short) == "AuthFailure"


def test_what_was_signed_long_ago_is_not_answered(served: Served) -> None:
    key = key_of(served, MEADOW)
    for minutes in (-16, 16):
        served.clock.ahead = timedelta(minutes=minutes)
        assert refusal(served, key) == "RequestExpired"


def test_the_last_use_of_a_token_is_noted_when_its_access_key_is_used(served: Served) -> None:
    key = key_of(served, MEADOW)

    def used() -> object:
        return next(each.used_at for each in list_tokens(served.db, LOCAL) if each.id == key.id)

    assert refusal(served, replace(key, secret="wrong")) == "SignatureDoesNotMatch"
    assert used() is None, "a wrong signature is no use of it"
    ask(served, key)
    assert used() is not None


def test_a_body_that_was_changed_on_its_way_is_refused(served: Served) -> None:
    headers = signed(served, key_of(served, MEADOW))
    assert httpx.post(served.url, content=BODY, headers=headers).status_code == 200
    for body in (BODY + b"&InstanceId.1=alpha-n00", b"", BODY[:-1]):
        answer = httpx.post(served.url, content=body, headers=headers)
        assert (answer.status_code, "SignatureDoesNotMatch" in answer.text) == (403, True)


def test_no_more_of_a_body_is_read_than_the_door_takes(served: Served) -> None:
    body = BODY + b"&x=" + b"y" * BYTES_MAX
    answer = httpx.post(served.url, content=body, headers=signed(served, key_of(served, EVERYTHING), body=body))
    assert (answer.status_code, "<Code>RequestEntityTooLarge</Code>" in answer.text) == (400, True)


def test_a_signature_lets_in_by_its_own_door_alone(served: Served) -> None:
    key = key_of(served, EVERYTHING)
    for method, path in (("GET", "/api/v1/whoami"), ("GET", "/"), ("POST", "/api/v1/query"), ("POST", "/policy")):
        answer = httpx.request(method, served.url + path, headers=signed(served, key, method, path, b""))
        assert answer.status_code == 401, path


def test_an_address_that_was_signed_beforehand_is_not_served(served: Served) -> None:
    said = signed(served, key_of(served, EVERYTHING))["Authorization"].partition("Signature=")[2]
    answer = httpx.post(served.url, params={"X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Signature": said})
    assert (answer.status_code, "<Code>AuthFailure</Code>" in answer.text) == (401, True)


def test_wrong_signatures_are_counted_as_requests_of_strangers(start: Start) -> None:
    served = start(replace(BOUNDS, strangers=Rate(burst=3, a_second=0.001), pause_seconds=0.0))
    key = key_of(served, MEADOW)
    codes = [refusal(served, AccessKey(id=key.id, secret="guessed")) for _ in range(6)]
    assert codes[0] == "SignatureDoesNotMatch"
    assert codes[-1] == "RequestLimitExceeded"


def test_a_new_key_of_the_store_leaves_access_keys_good_as_long_as_the_old_one_stands_below_it(served: Served) -> None:
    key = key_of(served, MEADOW)
    file = Path(f"{served.db.url.removeprefix('sqlite:///')}.seal")
    old, new = file.read_text(), "A" * 85 + "g==\n"
    try:
        file.write_text(new + old)
        assert ask(served, key)
        fresh = key_of(served, MEADOW)
        assert ask(served, fresh)
        file.write_text(new)
        assert ask(served, fresh)
        assert refusal(served, key) == "SignatureDoesNotMatch"
        file.unlink()
        assert refusal(served, key) == "AuthFailure", "there is nothing to check it with"
    finally:
        file.write_text(old)


def test_without_a_key_of_the_store_a_token_has_no_access_key_and_says_why(served: Served, tmp_path: Path) -> None:
    without = Database(served.db.url, seal_key=tmp_path / "nowhere" / "key")
    made = make(replace(served, db=without), MEADOW)
    assert (made.access_key, "no key can be written" in made.no_access_key) == (None, True)
    assert made.secret
    without.close()


def test_a_token_is_found_by_the_whole_id_of_its_access_key_alone(served: Served) -> None:
    key, now = key_of(served, MEADOW), served.clock.now()
    assert find_signer(served.db, key.id, now=now) is not None
    for other in (key.id.lower(), key.id[:-1], f"{key.id}0", "%", ""):
        assert find_signer(served.db, other, now=now) is None
