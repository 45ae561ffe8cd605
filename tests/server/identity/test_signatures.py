"""Signatures of AWS's Version 4, made by botocore: what was signed is taken, and nothing that was touched since."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from fermata.server.identity.signatures import FaultCode, NotSigned, Sent, find_fault, parse_authorization

ID, SECRET = "tok_01JAZZZZZZZZZZZZZZZZZZZZZZ", "c2VjcmV0IG9mIHRlc3RzLCBsb25nIGVub3VnaCBieSBmYXI="
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
WORD = st.text(LETTERS, min_size=1, max_size=12)
BODY = b"Action=DescribeInstanceStatus&Version=2016-11-15"


def sign(
    path: str = "/",
    query: str = "",
    body: bytes = BODY,
    *,
    headers: Mapping[str, str] | None = None,
    region: str = "westus3",
    token: str | None = None,
) -> Sent:
    """What botocore sends, signed just now."""
    url = f"http://fermata.example{path}" + (f"?{query}" if query else "")
    request = AWSRequest("POST", url, dict(headers or {}), body)
    SigV4Auth(Credentials(ID, SECRET, token), "ec2", region).add_auth(request)
    lines = [(b"host", b"fermata.example"), *((n.lower().encode(), v.encode()) for n, v in request.headers.items())]
    return Sent(method="POST", path=urlsplit(url).path.encode(), query=query.encode(), headers=lines, body=body)


def header(sent: Sent, name: str) -> str:
    return dict(sent.headers)[name.encode()].decode()


def put(sent: Sent, name: str, value: str) -> Sent:
    """The same request with another header of that name; "" takes it away."""
    lines = [(each, text) for each, text in sent.headers if each != name.encode()]
    return replace(sent, headers=[*lines, (name.encode(), value.encode())] if value else lines)


def judge(sent: Sent, *secrets: str, ahead: timedelta = timedelta(0)) -> FaultCode | None:
    """The fault's code; none for what is taken."""
    try:
        claimed = parse_authorization(header(sent, "authorization"))
    except NotSigned:
        return FaultCode.INCOMPLETE
    fault = find_fault(sent, claimed, secrets or (SECRET,), datetime.now(UTC) + ahead)
    return fault.code if fault else None


@settings(deadline=None, max_examples=60)
@given(
    path=st.lists(st.text(LETTERS + "-_.~ %+:", min_size=1, max_size=8), max_size=3),
    query=st.lists(st.tuples(WORD, st.text(LETTERS + "-_.~", max_size=8)), max_size=4),
    body=st.binary(max_size=200),
    spoken=st.dictionaries(WORD.map(lambda name: f"x-{name}"), st.text(LETTERS + " =,;:/", min_size=1), max_size=3),
    region=st.from_regex(r"[a-z]{2}-[a-z]{4,9}-[0-9]", fullmatch=True),
)
def test_what_botocore_signs_is_taken(
    path: list[str], query: list[tuple[str, str]], body: bytes, spoken: dict[str, str], region: str
) -> None:
    where = "/" + "/".join(part for part in path if part.strip(".") == part and part.strip())
    sent = sign(
        path=where.replace("%", "%25").replace(" ", "%20"),
        query="&".join(f"{name}={value}" for name, value in query),
        body=body,
        headers={"Content-Type": "application/x-www-form-urlencoded; charset=utf-8", **spoken},
        region=region,
    )
    assert judge(sent) is None
    assert judge(sent, "another secret", SECRET) is None, "whichever key of the store it was derived from"
    assert judge(sent, "another secret") is FaultCode.WRONG


def other(text: str, at: int, by: int) -> str:
    """One letter of it is another one."""
    at %= len(text)
    found = LETTERS.index(text[at]) if text[at] in LETTERS else 0
    put_in = LETTERS[(found + 1 + by % (len(LETTERS) - 1)) % len(LETTERS)]
    return text[:at] + put_in + text[at + 1 :]


@settings(deadline=None, max_examples=60)
@given(
    part=st.sampled_from(
        ["method", "path", "query", "body", "host", "content-type", "x-amz-date", "x-told", "region", "signature"]
    ),
    at=st.integers(0, 200),
    by=st.integers(0, 200),
)
def test_what_was_changed_anywhere_since_it_was_signed_is_refused(part: str, at: int, by: int) -> None:
    sent = sign(path="/abc/def", query="ab=cd&ef=gh", headers={"Content-Type": "text/plain", "X-Told": "some words"})
    assert judge(sent) is None
    said = header(sent, "authorization")
    match part:
        case "method":
            changed = replace(sent, method=("PUT", "GET", "post", "POSTS")[by % 4])
        case "path":
            changed = replace(sent, path=b"/" + other("abc/def", at, by).encode())
        case "query":
            changed = replace(sent, query=other("ab=cd&ef=gh", at, by).encode())
        case "body":
            place = at % len(BODY)
            changed = replace(sent, body=BODY[:place] + bytes([BODY[place] ^ (1 + by % 255)]) + BODY[place + 1 :])
        case "region":
            changed = put(sent, "authorization", said.replace("westus3", other("westus3", at, by)))
        case "signature":
            right = said[-64:]
            wrong = right[: at % 64] + "0123456789abcdef"[(int(right[at % 64], 16) + 1 + by % 15) % 16]
            changed = put(sent, "authorization", said[:-64] + wrong + right[at % 64 + 1 :])
        case name:
            changed = put(sent, name, other(header(sent, name), at, by))
    assert changed != sent
    assert judge(changed) is not None


@settings(deadline=None, max_examples=60)
@given(at=st.integers(0, 10_000), put_in=st.characters(codec="latin-1"))
def test_no_letter_of_the_header_can_be_another_one_but_those_of_the_keys_id(at: int, put_in: str) -> None:
    sent = sign()
    said = header(sent, "authorization")
    at %= len(said)
    changed = said[:at] + put_in + said[at + 1 :]
    if changed == said or (said.index(ID) <= at < said.index(ID) + len(ID) and "/" not in put_in):
        return  # another id is another secret's
    lines = [(name, value) for name, value in sent.headers if name != b"authorization"]
    try:
        claimed = parse_authorization(changed)
    except NotSigned:
        return
    touched = replace(sent, headers=[*lines, (b"authorization", changed.encode("latin-1"))])
    assert find_fault(touched, claimed, (SECRET,), datetime.now(UTC)) is not None


@pytest.mark.parametrize(
    ("minutes", "said"), [(14, None), (-14, None), (16, FaultCode.EXPIRED), (-16, FaultCode.EXPIRED)]
)
def test_a_request_is_good_for_a_quarter_of_an_hour(minutes: int, said: FaultCode | None) -> None:
    assert judge(sign(), ahead=timedelta(minutes=minutes)) is said


def authorized(old: str, new: str) -> Sent:
    """The header with one text in another's place."""
    sent = sign()
    said = header(sent, "authorization")
    assert old in said
    return put(sent, "authorization", said.replace(old, new, 1))


REFUSED = {
    "without its date": (lambda: put(sign(), "x-amz-date", ""), FaultCode.INCOMPLETE),
    "a date of no calendar": (lambda: put(sign(), "x-amz-date", "20261399T000000Z"), FaultCode.INCOMPLETE),
    "a date in another form": (lambda: put(sign(), "x-amz-date", "2026-01-01T00:00:00Z"), FaultCode.INCOMPLETE),
    "two hosts": (lambda: replace(sign(), headers=[*sign().headers, (b"host", b"x")]), FaultCode.INCOMPLETE),
    "a session token": (lambda: sign(token="of a session"), FaultCode.AUTH_FAILURE),
    "a header of AWS's that is not signed": (lambda: put(sign(), "x-amz-target", "x"), FaultCode.INCOMPLETE),
    "a type that is not signed": (lambda: put(sign(), "content-type", "text/plain"), FaultCode.INCOMPLETE),
    "a signed header that did not come": (
        lambda: put(sign(headers={"X-Told": "x"}), "x-told", ""),
        FaultCode.INCOMPLETE,
    ),
    "an unsigned body": (lambda: sign(headers={"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}), FaultCode.WRONG),
    "another service": (lambda: authorized("/ec2/", "/s3/"), FaultCode.INCOMPLETE),
    "nothing": (lambda: put(sign(), "authorization", "AWS4-HMAC-SHA256"), FaultCode.INCOMPLETE),
    "a part twice": (lambda: authorized(", Signature=", ", Signature=x, Signature="), FaultCode.INCOMPLETE),
    "headers out of order": (lambda: authorized("host;x-amz-date", "x-amz-date;host"), FaultCode.INCOMPLETE),
    "without its host": (lambda: authorized("host;x-amz-date", "x-amz-date"), FaultCode.INCOMPLETE),
    "another day": (lambda: authorized("/20", "/19"), FaultCode.INCOMPLETE),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_not_served_is_refused_by_its_name(what: str) -> None:
    made, code = REFUSED[what]
    assert judge(made()) is code


def test_who_has_no_secret_signed_nothing() -> None:
    sent = sign()
    claimed = parse_authorization(header(sent, "authorization"))
    assert find_fault(sent, claimed, (), datetime.now(UTC)) is not None
