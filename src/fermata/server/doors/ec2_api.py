"""EC2's DescribeInstanceStatus, as far as it tells scheduled events of instances, for clients outside nodes.

Where people sign in, a request is signed with the access key of a token, which the doorkeeper has looked at, and tells
of the nodes that the token sees. Where nobody does, the access key's id names the customer, and no signature is looked
at.
"""

import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl
from uuid import uuid4
from xml.etree.ElementTree import Element, SubElement, tostring

from fastapi import Request, Response

from fermata.domain import arm
from fermata.domain.fleet import Node
from fermata.domain.identity import PrincipalKind
from fermata.domain.ids import NodeId
from fermata.domain.scheduled_events import AT_ONCE, ScheduledEvent, tell
from fermata.server.context import Context, context_of
from fermata.server.doors.aws_metadata import code_of, short_id
from fermata.server.doors.routing import AnyCaseRoute
from fermata.server.identity.signers import BYTES_MAX, TOO_LARGE
from fermata.server.metering import run_in_threadpool
from fermata.server.principals import principal_of
from fermata.services.maintenance import Picture
from fermata.services.places import Places

ACTION = "DescribeInstanceStatus"
NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15/"
LEAST, PAGE, IDS_MAX = 5, 1000, 1000
RUNNING = ("16", "running")
EVENT_CODE = "event.code"
_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/")


class _Refused(Exception):
    def __init__(self, code: str, sentence: str, *, status: int = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(sentence)
        self.code = code
        self.status = status


async def post_action(request: Request) -> Response:
    """The one action there is."""
    body = await request.body()
    try:
        root = await run_in_threadpool(_answer, request, body)
    except _Refused as refused:
        return _xml(_error(refused), refused.status)
    return _xml(root, HTTPStatus.OK)


def _answer(request: Request, body: bytes) -> Element:
    given = context_of(request)
    if len(body) > BYTES_MAX:
        raise _Refused(TOO_LARGE.code, TOO_LARGE.sentence)
    asked = dict(parse_qsl(body.decode("utf-8", errors="replace"), keep_blank_values=True))
    if asked.get("Action") != ACTION:
        raise _Refused("InvalidAction", f"The action {asked.get('Action', '')} is not answered here: {ACTION} is.")
    picture = given.maintenance.look()
    is_known = principal_of(request).kind is not PrincipalKind.LOCAL
    nodes = picture.fleet.nodes if is_known else _nodes(picture, request.headers.get("authorization", ""))
    wanted = [NodeId(name) for name in _numbered(asked, "InstanceId")]
    if wanted:
        missing = [name for name in wanted if name not in nodes]
        if missing or len(wanted) > IDS_MAX:
            raise _Refused("InvalidInstanceID.NotFound", f"The instance IDs '{', '.join(missing[:5])}' do not exist")
        nodes = {name: nodes[name] for name in wanted}
    codes = _event_codes(asked)
    start, size = _page(asked)
    root = Element(f"{ACTION}Response", xmlns=NAMESPACE)
    SubElement(root, "requestId").text = str(uuid4())
    found = SubElement(root, "instanceStatusSet")
    rows = _rows(given, picture, nodes, codes)
    told = [row for number, row in zip(range(start + size + 1), rows, strict=False) if number >= start]
    for node, events in told[:size]:
        _write(found, picture, node, events)
    if len(told) > size:
        SubElement(root, "nextToken").text = str(start + size)
    return root


def _nodes(picture: Picture, authorization: str) -> Mapping[NodeId, Node]:
    """Every node of the customer that the access key names, where nobody signs in."""
    key = _CREDENTIAL.search(authorization)
    name = key[1].lower() if key else ""
    groups = [g for g in Places(fleet=picture.fleet).groups.values() if g.customer.lower() == name]
    if not groups:
        sentence = "The access key's id must be the name of a customer."
        raise _Refused("AuthFailure", sentence, status=HTTPStatus.UNAUTHORIZED)
    clusters = (cluster.name for group in groups for cluster in group.clusters)
    return {node.name: node for cluster in clusters for node in picture.fleet.nodes_by_cluster[cluster]}


def _rows(
    given: Context, picture: Picture, nodes: Mapping[NodeId, Node], codes: frozenset[str] | None
) -> Iterator[tuple[Node, tuple[ScheduledEvent, ...]]]:
    now = given.now()
    for name in sorted(nodes):
        node = nodes[name]
        events = tell(picture.outlook(node.name), now, AT_ONCE).events
        if codes is None or any(code_of(event) in codes for event in events):
            yield node, events


def _event_codes(asked: Mapping[str, str]) -> frozenset[str] | None:
    """What the filter names; None without one."""
    codes: frozenset[str] | None = None
    for name, value in asked.items():
        found = re.fullmatch(r"Filter\.(\d+)\.Name", name)
        if found is None:
            continue
        if value != EVENT_CODE:
            raise _Refused("InvalidParameterValue", f"The filter '{value}' is invalid: {EVENT_CODE} is answered.")
        codes = frozenset(_numbered(asked, f"Filter.{found[1]}.Value"))
    return codes


def _page(asked: Mapping[str, str]) -> tuple[int, int]:
    start, size = asked.get("NextToken", "0"), asked.get("MaxResults")
    if not (start.isdecimal() and len(start) < 10):
        raise _Refused("InvalidNextToken", "NextToken is of no answer that was given here.")
    if size is None:
        return int(start), PAGE
    if not (size.isdecimal() and len(size) < 10 and LEAST <= int(size) <= PAGE):
        raise _Refused("InvalidParameterValue", f"MaxResults must be from {LEAST} to {PAGE}.")
    return int(start), int(size)


def _numbered(asked: Mapping[str, str], name: str) -> list[str]:
    return [value for key, value in asked.items() if re.fullmatch(rf"{re.escape(name)}\.\d+", key)]


def _write(parent: Element, picture: Picture, node: Node, events: tuple[ScheduledEvent, ...]) -> None:
    item = SubElement(parent, "item")
    SubElement(item, "instanceId").text = node.name
    SubElement(item, "availabilityZone").text = picture.fleet.clusters[node.cluster].datacenter
    told = SubElement(item, "eventsSet")
    for event in events:
        each = SubElement(told, "item")
        lines: dict[str, Any] = {
            "instanceEventId": short_id(event),
            "code": code_of(event),
            "description": _printable(event.description),
            "notBefore": arm.iso(event.not_before),
        }
        if event.ends_at is not None:
            lines["notAfter"] = arm.iso(event.ends_at)
        for name, text in lines.items():
            SubElement(each, name).text = text
    state = SubElement(item, "instanceState")
    SubElement(state, "code").text, SubElement(state, "name").text = RUNNING


def _error(refused: _Refused) -> Element:
    root = Element("Response")
    error = SubElement(SubElement(root, "Errors"), "Error")
    SubElement(error, "Code").text = refused.code
    SubElement(error, "Message").text = _printable(str(refused))
    SubElement(root, "RequestID").text = str(uuid4())
    return root


def _printable(text: str) -> str:
    """XML has no place for some characters, which callers may send."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _xml(root: Element, status: int) -> Response:
    body = tostring(root, encoding="utf-8", xml_declaration=True)
    return Response(body, status_code=status, media_type="text/xml", headers={"Cache-Control": "no-store"})


ROUTES = (AnyCaseRoute("/", post_action, method="POST"),)
