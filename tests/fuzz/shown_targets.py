"""One target for each thing that callers show to be known, and for texts that name places: values alone, no server."""

import gzip
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
from joserfc import jwt
from joserfc.jwk import OKPKey
from tests.fuzz.target import Broken, Target, make, of_text
from tests.tenants import world

from fermata.authority.needs_words import Sends, Speaks
from fermata.client.link import parse_server
from fermata.domain import arm
from fermata.domain.access import NameField, NodeCertificates, WorkloadTokens
from fermata.domain.archives import Head
from fermata.domain.break_glass import BreakGlass
from fermata.domain.checkpoints import Checkpoint
from fermata.domain.identity import Grant, GrantLevel, Role
from fermata.domain.ids import BreakGlassId
from fermata.domain.reach import Reach, find_address_fault, find_host_fault, parse_networks
from fermata.domain.recurrence import BadRecurrence, parse_recurrence
from fermata.formats.archives import write_archive
from fermata.server.api.answers import AnswerUnreadable, read_answer
from fermata.server.identity import cookies, keyring, nodes, signatures
from fermata.server.identity.provider import Attempt
from fermata.server.said import URLENCODED, NotTheCaller, Unreadable, name_in_body, name_in_query, parse, parse_query
from fermata.services.archive_reading import Points, read_all
from fermata.store import cuts, journal

WORDS = (
    ".",
    "=",
    "%",
    "&",
    "/",
    "//",
    "\\",
    ";",
    "\0",
    "²",
    "9" * 30,
    "-1",
    "null",
    "{",
    "}",
    "[",
    '"',
    "é",
    "bnVsbA",
    "..",
)
NOW = world.NOW
SIGNER = OKPKey.generate_key("Ed25519", {"kid": "first", "use": "sig", "alg": "Ed25519"})
CLAIMS = {"iss": "https://issuer.example", "aud": "fermata", "sub": "ada", "exp": int(NOW.timestamp()) + 999}
TERMS = WorkloadTokens(issuer=CLAIMS["iss"], audience="fermata", claim=("k8s", "node", "name"))  # type: ignore[arg-type]
AT = datetime(2026, 1, 1, tzinfo=UTC)
_BROKEN = BreakGlass(
    id=BreakGlassId("glass_1"),
    holder="ada",
    grant=Grant(role=Role.VIEWER, level=GrantLevel.EVERYTHING),
    why="x",
    taken_at=AT,
    until=AT,
)


def _keys(found: Any) -> keyring.KeyRing:
    return keyring.KeyRing(fetch=lambda: found)


def _prove(text: str) -> object:
    keyring.unproven_issuer(text)
    claims = _keys({"keys": [SIGNER.as_dict(private=False)]}).prove(text)
    keyring.check_claims(claims, issuer=str(CLAIMS["iss"]), audience="fermata", now=NOW)
    return nodes.name_in_claims(TERMS, claims)


def _sign(claims: Mapping[str, Any]) -> str:
    return jwt.encode({"alg": "Ed25519", "kid": "first"}, dict(claims), SIGNER, algorithms=["Ed25519"])


def _believe_claims(data: bytes) -> object:
    """What a provider signed may still say anything."""
    try:
        claims = orjson.loads(data)
    except orjson.JSONDecodeError:
        claims = None
    if not isinstance(claims, dict):
        raise keyring.NotProven("no provider signs that")
    keyring.check_claims(claims, issuer=str(CLAIMS["iss"]), audience="fermata", now=NOW)
    return nodes.name_in_claims(TERMS, claims)


def _use_keys(data: bytes) -> object:
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise keyring.ProviderSilent("no JSON object")
    return _keys(found).prove(_sign(CLAIMS))


def _read_certificate(data: bytes) -> object:
    """As Python's `ssl` tells one, in JSON."""
    try:
        told = json.loads(data)
    except (ValueError, RecursionError):
        return None
    names = told.get("names") if isinstance(told, dict) else None
    alike = [("DNS", str(name)) for name in names] if isinstance(names, list) else []
    terms = NodeCertificates(ca_file=Path("ca.pem"), field=NameField.DNS, prefix="node-", suffix=".example")
    return nodes.name_in_certificate(terms, {"subjectAltName": alike})


def _attempt(text: str) -> object:
    found = cookies.unpack(text)
    if found is not None and not found[1].startswith("/"):
        raise Broken(f"it goes on to {found[1]!r}")
    return found


def _safe(text: str) -> object:
    found = cookies.safe_next(text)
    if not found.startswith("/") or found.startswith(("//", "/\\")):
        raise Broken(f"it goes on to {found!r}")
    return found


def _read_cookie(text: str) -> object:
    scope = {"headers": [(b"cookie", text.encode("utf-8"))], "scheme": "http"}
    return cookies.read(cookies.SESSION, scope), cookies.attempt_kind(text)


def _archive(data: bytes, *, is_packed: bool) -> object:
    with TemporaryDirectory(prefix="fermata-fuzz-") as folder:
        file = Path(folder, "a.journal.gz")
        file.write_bytes(data if is_packed else gzip.compress(data, 1))
        found = read_all([file], None, Points.of(()), lambda *_: None)
    if not found.read and not all(reason.sentence for reason in found.wrong):
        raise Broken("an archive was refused without a word")
    return found


@cache
def _archived() -> bytes:
    """One that was written, unpacked."""
    previous, lines = bytes(32), []
    for seq in (1, 2):
        entry = journal.Entry(
            at=AT, actor="ann", event="consent.approved", subject="node:n", why="", data={"a": 1.5}, seq=seq
        )
        carried = journal.hash_of(entry, previous)
        lines.append(cuts.to_plain(journal.Linked(entry, carried)))
        previous = carried
    point = Checkpoint(seq=2, head=previous.hex(), at=AT)
    with TemporaryDirectory(prefix="fermata-fuzz-") as folder:
        file = Path(folder, "a.journal.gz")
        write_archive(file, Head(first=1, previous=bytes(32).hex(), point=point, signature=""), lines, [{"id": 1}])
        return gzip.decompress(file.read_bytes())


def _text(name: str, read: Callable[[str], object], *seeds: str, refusals: tuple[type[Exception], ...] = ()) -> Target:
    return make(name, of_text(read), *(seed.encode() for seed in seeds), refusals=refusals, words=WORDS)


def _bytes(
    name: str, run: Callable[[bytes], object], *seeds: bytes, refusals: tuple[type[Exception], ...] = ()
) -> Target:
    return make(name, run, *seeds, refusals=refusals, words=WORDS)


def _shown_targets_first() -> tuple[Target, ...]:
    unproven = (keyring.NotProven, keyring.ProviderSilent)
    return (
        _bytes(
            "form", lambda data: parse(Sends.FORM, data, URLENCODED), b"request=a&word=approved", refusals=(Unreadable,)
        ),
        _bytes(
            "json of a change",
            lambda data: name_in_body(parse(Sends.JSON, data, ""), Speaks.WORDS, "ann"),
            b'{"words": [{"word": "approved", "actor": "ann"}]}',
            refusals=(Unreadable, NotTheCaller),
        ),
        _text("token of a provider", _prove, _sign(CLAIMS | {"k8s": {"node": {"name": "n1"}}}), refusals=unproven),
        _bytes(
            "claims of a provider",
            _believe_claims,
            json.dumps(CLAIMS | {"k8s": {"node": {"name": "n1"}}, "nbf": 1, "iat": 1}).encode(),
            refusals=unproven,
        ),
        _bytes(
            "keys of a provider",
            _use_keys,
            json.dumps({"keys": [SIGNER.as_dict(private=False)]}).encode(),
            refusals=unproven,
        ),
    )


def _shown_targets_second() -> tuple[Target, ...]:
    machine = f"/subscriptions/{arm.subscription_id(world.LUMEN)}/resourceGroups/a/providers/Microsoft.Compute/b/c"
    return (
        _bytes("certificate of a node", _read_certificate, b'{"names": ["node-n1.example", "other"]}'),
        _text(
            "attempt to sign in",
            _attempt,
            cookies.pack(Attempt(state="s", nonce="n", verifier="v", redirect_uri="http://127.0.0.1/x"), "/nodes/a"),
        ),
        _text("where a browser goes on", _safe, "/nodes/a?b=c", "//evil.example", "/\\evil.example"),
        _text(
            "signature of aws",
            signatures.parse_authorization,
            f"{signatures.ALGORITHM} Credential=tok_01J/20260101/westus3/ec2/aws4_request,"
            f" SignedHeaders=host;x-amz-date, Signature={'0' * 64}",
            refusals=(signatures.NotSigned,),
        ),
        _text("cookies", _read_cookie, "fermata=abc; fermata-in-x=y"),
        _bytes(
            "query by name",
            lambda data: (parse_query(data), name_in_query(data, "ann")),
            b"a=b&actor=ann",
            refusals=(Unreadable, NotTheCaller),
        ),
        _bytes("archive in lines", partial(_archive, is_packed=False), _archived()),
        _bytes("archive.journal.gz", partial(_archive, is_packed=True), gzip.compress(_archived())),
        _text(
            "recurrence",
            parse_recurrence,
            "Week Saturday,Sunday",
            "Month Third Sunday Offset-2",
            "3Days",
            refusals=(BadRecurrence,),
        ),
        _text("networks", parse_networks, "10.0.0.0/8, 192.168.1.1 fd00::/8", refusals=(ValueError,)),
        _text(
            "host to call",
            lambda text: (find_host_fault(text, Reach()), find_address_fault(text, Reach())),
            "hooks.example",
            "0x7f.1",
            "::ffff:10.0.0.1%x",
        ),
        _text("id of arm", arm.read_id, machine),
        _text("url of a server", parse_server, "http://127.0.0.1:8321/", refusals=(ValueError,)),
        _bytes(
            "answer of a server",
            partial(read_answer, list[BreakGlass]),
            b"[]",
            orjson.dumps([_BROKEN]),
            refusals=(AnswerUnreadable,),
        ),
    )


def list_shown_targets() -> tuple[Target, ...]:
    """In no order."""
    return (*_shown_targets_first(), *_shown_targets_second())
