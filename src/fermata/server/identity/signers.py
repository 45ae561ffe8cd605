"""Who signed a request to EC2's door: the token whose access key it was, or nobody."""

import logging
from datetime import datetime
from http import HTTPStatus

from starlette.types import Scope

from fermata.server.identity.known import Known, Unknown, known_by
from fermata.server.identity.signatures import (
    Fault,
    FaultCode,
    NotSigned,
    Sent,
    find_fault,
    is_signature,
    parse_authorization,
)
from fermata.services import identity
from fermata.services.access_keys import NoAccessKeys, find_signer
from fermata.services.board import Database

BYTES_MAX = 100_000  # of a body: more is not read to find out who signed it
STATUSES = {
    FaultCode.AUTH_FAILURE: HTTPStatus.UNAUTHORIZED,
    FaultCode.INCOMPLETE: HTTPStatus.BAD_REQUEST,
    FaultCode.WRONG: HTTPStatus.FORBIDDEN,
    FaultCode.EXPIRED: HTTPStatus.BAD_REQUEST,
}
TOO_LARGE = Unknown(
    status=HTTPStatus.BAD_REQUEST,
    code="RequestEntityTooLarge",
    sentence=f"A request holds at most {BYTES_MAX:,} bytes.",
    wants_sign_in=False,
)
_STRANGER = Fault(
    FaultCode.AUTH_FAILURE, "This access key is unknown, over or revoked: it is of a token of this server."
)
_log = logging.getLogger("fermata.identity")


def is_signed(scope: Scope) -> bool:
    """Whether it is for the one door whose clients sign, and means to be signed."""
    return scope["method"] == "POST" and scope["path"] == "/" and is_signature(_authorization(scope))


def find(db: Database, scope: Scope, body: bytes, now: datetime) -> Known | Unknown:
    """Who signed it. Blocks: it reads the store."""
    try:
        claimed = parse_authorization(_authorization(scope))
    except NotSigned as why:
        return _refused(Fault(FaultCode.INCOMPLETE, f"{why}."))
    try:
        found = find_signer(db, claimed.key_id, now=now)
    except NoAccessKeys as why:
        _log.warning("identity.no_access_keys why=%s", why)
        return _refused(Fault(FaultCode.AUTH_FAILURE, "This server cannot check signatures: see its log."))
    if found is None:
        return _refused(_STRANGER)
    token, secrets = found
    fault = find_fault(_sent(scope, body), claimed, secrets, now)
    if fault is not None:
        _log.info("identity.signature_refused token=%s code=%s", token.id, fault.code)
        return _refused(fault)
    identity.note_use(db, token, now=now)
    return known_by(token)


def _sent(scope: Scope, body: bytes) -> Sent:
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    return Sent(method=scope["method"], path=raw, query=scope["query_string"], headers=scope["headers"], body=body)


def _authorization(scope: Scope) -> str:
    headers: dict[bytes, bytes] = dict(scope["headers"])
    return headers.get(b"authorization", b"").decode("latin-1")


def _refused(fault: Fault) -> Unknown:
    return Unknown(status=STATUSES[fault.code], code=fault.code.value, sentence=fault.sentence, wants_sign_in=False)
