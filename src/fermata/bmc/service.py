"""The HTTP face of one controller: who asks, what for, and with which headers it is answered (DSP0266)."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import orjson

from fermata.bmc import actions, resources
from fermata.bmc.access import Caller
from fermata.bmc.actions import Call, Outcome
from fermata.bmc.controller import Controller
from fermata.bmc.messages import Complaint, error
from fermata.bmc.metadata import METADATA, service_document
from fermata.bmc.tasks import TaskState
from fermata.bmc.views import Json, Resource, View

METHODS = frozenset({"GET", "HEAD", "POST", "PATCH", "DELETE"})
KNOWN_ELSEWHERE = frozenset({"PUT", "OPTIONS"})  # methods of Redfish that no resource here allows
OPEN_TO_ALL = ((), ("odata",), ("$metadata",))
EXPANSIONS = frozenset({".", ".($levels=1)"})
COMMON = {"OData-Version": "4.0", "Cache-Control": "no-cache"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """`path` are the parts below the service root; `headers` have lower-case names. `image`: name of a pushed file."""

    method: str
    path: Sequence[str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""
    json: Json | None = None
    image: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What goes out. `changed`: something was begun or altered."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    changed: bool = False


def answer(controller: Controller, root: str, request: Request, now: datetime) -> Answer:
    """Settles the controller and asks it."""
    view = View(controller=controller, now=now, root=root)
    try:
        return _answer(view, request)
    except Complaint as complaint:
        return complain(complaint)


def complain(complaint: Complaint, allow: Sequence[str] = ()) -> Answer:
    """An error as an answer."""
    headers = dict(COMMON) | {"Content-Type": "application/json"}
    if complaint.status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="Redfish"'
    if complaint.retry_after_seconds is not None:
        headers["Retry-After"] = str(complaint.retry_after_seconds)
    if allow:
        headers["Allow"] = ", ".join(allow)
    return Answer(status=complaint.status, body=orjson.dumps(error(complaint.key, *complaint.words)), headers=headers)


def _answer(view: View, request: Request) -> Answer:
    if request.method not in METHODS | KNOWN_ELSEWHERE:
        raise Complaint("NotImplemented")
    if request.headers.get("odata-version", "4.0") != "4.0":
        raise Complaint("HeaderInvalid", "OData-Version")
    caller = _caller(view, request)
    plain = _plain(view, request)
    if plain is not None:
        return plain
    found = resources.find(view, request.path)
    if request.method in ("GET", "HEAD"):
        return _read(view, request, found)
    return _change(view, request, found, caller)


def _caller(view: View, request: Request) -> Caller | None:
    """Raises Complaint where nobody may come in."""
    is_open = request.method in ("GET", "HEAD") and tuple(request.path) in OPEN_TO_ALL
    is_login = request.method == "POST" and tuple(request.path[:2]) == ("SessionService", "Sessions")
    token, word = request.headers.get("x-auth-token"), request.headers.get("authorization")
    if is_login:
        return None
    if is_open:
        return None
    caller = view.controller.access.caller(view.now, token, word)
    if caller is None:
        raise Complaint("ResourceAtUriUnauthorized", view.path(*request.path), "nobody says who asks")
    if caller.account.must_change_password and not _is_own(request, caller):
        at = view.path("AccountService", "Accounts", caller.account.id)
        raise Complaint("PasswordChangeRequired", at)
    return caller


def _is_own(request: Request, caller: Caller) -> bool:
    """True where an account may go before it changed its password."""
    path = tuple(request.path)
    if caller.session is not None and path == ("SessionService", "Sessions", caller.session.id):
        return request.method in ("GET", "DELETE")
    return path == ("AccountService", "Accounts", caller.account.id) and request.method in ("GET", "HEAD", "PATCH")


def _plain(view: View, request: Request) -> Answer | None:
    """The two documents of OData that are no resources."""
    if tuple(request.path) not in (("odata",), ("$metadata",)):
        return None
    if request.method not in ("GET", "HEAD"):
        return complain(Complaint("OperationNotAllowed"), ("GET", "HEAD"))
    headers = dict(COMMON) | {"Allow": "GET, HEAD"}
    if request.path[0] == "odata":
        body = orjson.dumps(service_document(view.root))
        return Answer(status=200, body=body, headers=headers | {"Content-Type": "application/json"})
    return Answer(status=200, body=METADATA, headers=headers | {"Content-Type": "application/xml"})


def _read(view: View, request: Request, found: Resource | None) -> Answer:
    if found is None:
        if actions.takes_post(view.controller.name, request.path):
            return complain(Complaint("OperationNotAllowed"), ("POST",))
        raise Complaint("ResourceMissingAtURI", view.path(*request.path))
    body = _expand(view, request, found.body)
    if found.task is not None:
        return _monitor(view, found)
    headers = _headers(body, found.allow)
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Answer(status=304, headers=headers)
    return Answer(status=200, body=orjson.dumps(body), headers=headers)


def _expand(view: View, request: Request, body: Json) -> Json:
    for name, value in request.query.items():
        if name == "$expand" and value not in EXPANSIONS:
            raise Complaint("QueryParameterValueFormatError", value, name)
        if name.startswith("$") and name != "$expand":
            raise Complaint("QueryNotSupported")
    if "$expand" not in request.query or "Members" not in body:
        return body
    start = len(view.root) + 1
    members = (resources.find(view, link["@odata.id"][start:].split("/")) for link in body["Members"])
    return {**body, "Members": [member.body for member in members if member is not None]}


def _monitor(view: View, found: Resource) -> Answer:
    assert found.task is not None
    headers = _headers(found.body, found.allow)
    if not found.task.is_over:
        headers["Location"] = view.path("TaskService", "TaskMonitors", found.task.id)
        headers["Retry-After"] = str(view.controller.profile.retry_after_seconds)
        return Answer(status=202, body=orjson.dumps(found.body), headers=headers)
    if found.task.state is TaskState.EXCEPTION:
        body = error("InternalError")
        body["error"]["@Message.ExtendedInfo"] = [*found.task.messages, *body["error"]["@Message.ExtendedInfo"]]
        return Answer(status=500, body=orjson.dumps(body), headers=headers)
    return Answer(status=200, body=orjson.dumps(found.body), headers=headers)


def _change(view: View, request: Request, found: Resource | None, caller: Caller | None) -> Answer:
    allow = list(found.allow) if found is not None else []
    if found is None and actions.takes_post(view.controller.name, request.path):
        allow = ["POST"]
    if not allow:
        raise Complaint("ResourceMissingAtURI", view.path(*request.path))
    if request.method not in allow:
        return complain(Complaint("OperationNotAllowed"), allow)
    if found is not None and request.method == "PATCH":
        wanted = request.headers.get("if-match")
        if wanted is not None and wanted not in ("*", _headers(found.body, allow)["ETag"]):
            raise Complaint("PreconditionFailed")
    call = Call(view=view, body=_body(request), caller=caller, image=request.image)
    act = {"POST": actions.post, "PATCH": actions.patch, "DELETE": actions.delete}[request.method]
    return _say(view, act(request.path, call), allow)


def _body(request: Request) -> Json:
    if request.json is not None:
        return request.json
    if request.method == "DELETE" or not request.body:
        return {}
    if not request.headers.get("content-type", "application/json").startswith("application/json"):
        raise Complaint("UnsupportedMediaType")
    try:
        body = orjson.loads(request.body)
    except orjson.JSONDecodeError as fault:
        raise Complaint("MalformedJSON") from fault
    if not isinstance(body, dict):
        raise Complaint("MalformedJSON")
    return body


def _say(view: View, outcome: Outcome, allow: Sequence[str]) -> Answer:
    headers = dict(COMMON)
    if outcome.body is not None:
        headers |= _headers(outcome.body, allow)
    headers |= outcome.headers
    if outcome.task is not None:
        headers["Location"] = view.path("TaskService", "TaskMonitors", outcome.task.id)
        headers["Retry-After"] = str(view.controller.profile.retry_after_seconds)
    body = b"" if outcome.body is None else orjson.dumps(outcome.body)
    return Answer(status=outcome.status, body=body, headers=headers, changed=True)


def _headers(body: Json, allow: Sequence[str]) -> dict[str, str]:
    schema = body["@odata.type"].lstrip("#").rpartition(".")[0]
    etag = body.get("@odata.etag")
    if etag is None:
        etag = f'W/"{hashlib.blake2b(orjson.dumps(body), digest_size=8).hexdigest()}"'
    return {
        **COMMON,
        "Content-Type": "application/json",
        "Allow": ", ".join(allow),
        "ETag": etag,
        "Link": f"<http://redfish.dmtf.org/schemas/v1/{schema}.json>; rel=describedby",
    }
