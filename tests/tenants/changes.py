"""An example call of every route by which who sees a part of the fleet may change something, or asks with a body."""

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from starlette.exceptions import HTTPException
from tests.tenants import world
from tests.tenants.calls import ARM, GROUP, MACHINE, TOPICS

from fermata.domain import arm
from fermata.domain.ids import CustomerId
from fermata.server.part_changes import changes_part

API = "/api/v1"
_SUBSCRIPTION = f"{GROUP}{TOPICS}/{{topic}}/eventSubscriptions/{{name}}"
_AT = f"{GROUP}{TOPICS}/topic-{{cluster}}"
_HEARS = f"{_AT}/eventSubscriptions/hears-{{cluster}}"
_BLOCKS = "/compute/v1/projects/{project}/zones/{zone}/reservations/{reservation}"
_BLOCK = "/compute/v1/projects/{customer}/zones/westus3/reservations/{supercomputer}"
_PULL = "/topics/{topic}/eventsubscriptions/{name}"
_PULLS = "/topics/topic-{cluster}/eventsubscriptions/hears-{cluster}"
_BY = {"actor": "{actor}"}


def _iso(days: int) -> str:
    return (world.NOW + timedelta(days=days)).isoformat()


def _orders(level: str, name: str, **more: Any) -> dict[str, Any]:
    order = {"scope": {"level": level, "name": name}, "reason": "as was said", **more}
    return {**_BY, "orders": [order]}


_ORDER = {"kind": "hardware", "target": {"level": "node", "name": "{cluster}-n1"}, "cause": "a fan"}
_PULLED = {
    "id": "new-{cluster}",
    "channel": "pull",
    "target": {"topic": "new", "key": "k" * 32},
    "customers": ["{customer}"],
}
_FREEZE = {"scope": {"level": "cluster", "name": "{cluster}"}, "start": _iso(40), "end": _iso(42), "reason": "y", **_BY}
_LOCKS = {"lockTokens": ["token-of-{cluster}"]}
_GRANT = {"role": "approver", "level": "cluster", "name": "{cluster}"}
_ROOM = f"{API}/windows/w-{{cluster}}/room"
_WORD = {"word": "approved", "scope": {"level": "cluster", "name": "{cluster}"}, **_BY}
Body = Mapping[str, Any] | None

EXAMPLES: Mapping[tuple[str, str], tuple[tuple[str, Body], ...]] = {
    ("POST", f"{API}/looks"): ((f"{API}/looks", {}),),
    ("POST", f"{API}/requests/{{request_id}}/words"): (
        (f"{API}/requests/req_{{supercomputer}}_repair/words", {"words": [_WORD]}),
        (f"{API}/requests/req_{{supercomputer}}_deployment/words", {"words": [{"word": "approved", **_BY}]}),
    ),
    ("POST", f"{API}/requests/{{request_id}}/told"): ((f"{API}/requests/req_{{supercomputer}}_deployment/told", _BY),),
    ("POST", f"{API}/work-orders"): ((f"{API}/work-orders", {**_BY, "orders": [_ORDER]}),),
    ("POST", f"{API}/work-orders/{{order_id}}/start"): (
        (f"{API}/work-orders/wo_{{cluster}}_2/start", {**_BY, "drained": True}),
    ),
    ("POST", f"{API}/work-orders/{{order_id}}/complete"): ((f"{API}/work-orders/wo_{{cluster}}_2/complete", _BY),),
    ("POST", f"{API}/work-orders/{{order_id}}/cancel"): ((f"{API}/work-orders/wo_{{cluster}}_2/cancel", _BY),),
    ("POST", f"{API}/policy/preview"): ((f"{API}/policy/preview", {}),),
    ("POST", f"{API}/approvals"): (
        (f"{API}/approvals", _orders("node", "{cluster}-n0")),
        (f"{API}/approvals", _orders("group", "{device}")),
        (f"{API}/approvals", _orders("supercomputer", "{supercomputer}")),
    ),
    ("POST", f"{API}/withdrawals"): ((f"{API}/withdrawals", _orders("rack", "{cluster}-r0")),),
    ("POST", f"{API}/declines"): ((f"{API}/declines", _orders("node", "{cluster}-n1", until=_iso(9))),),
    ("POST", f"{API}/offers"): (
        (f"{API}/offers", _orders("cluster", "{cluster}", conditions={"not_before": _iso(3)})),
    ),
    ("POST", f"{API}/offers/{{offer_id}}/accept"): ((f"{API}/offers/appr_{{cluster}}_1/accept", _BY),),
    ("POST", f"{API}/offers/{{offer_id}}/refuse"): ((f"{API}/offers/appr_{{cluster}}_1/refuse", _BY),),
    ("POST", f"{API}/freezes"): ((f"{API}/freezes", _FREEZE),),
    ("POST", f"{API}/freezes/{{freeze_id}}/exemptions"): (
        (f"{API}/freezes/freeze_{{cluster}}_3/exemptions", {**_BY, "updates": ["nic-28.43"], "reason": "urgent"}),
    ),
    ("DELETE", f"{API}/freezes/{{freeze_id}}"): ((f"{API}/freezes/freeze_{{cluster}}_3?actor={{actor}}", None),),
    ("POST", f"{API}/exemptions/{{exemption_id}}/confirm"): ((f"{API}/exemptions/ex_{{cluster}}_1/confirm", _BY),),
    ("POST", f"{API}/windows/{{window}}/room/answers"): ((f"{_ROOM}/answers", {**_BY, "team": "nic", "text": "yes"}),),
    ("POST", f"{API}/windows/{{window}}/room/words"): ((f"{_ROOM}/words", {**_BY, "go": False, "why": "no"}),),
    ("POST", f"{API}/windows/{{window}}/room/notes"): ((f"{_ROOM}/notes", {**_BY, "text": "hello"}),),
    ("POST", f"{API}/windows/{{window}}/room/handovers"): ((f"{_ROOM}/handovers", {**_BY, "to": "ann"}),),
    ("PUT", f"{API}/windows/{{window}}/room/bridge"): ((f"{_ROOM}/bridge", {**_BY, "url": "https://meet.example"}),),
    ("POST", f"{API}/readmission"): ((f"{API}/readmission", {"nodes": ["{cluster}-n0", "{cluster}-n1"]}),),
    ("POST", f"{API}/intents"): (
        (f"{API}/intents", {**_BY, "why": "y", "desired": "pause", "nodes": ["{cluster}-n0"]}),
        (f"{API}/intents", {**_BY, "why": "y", "desired": "pause", "window": "w-{cluster}"}),
    ),
    ("POST", f"{API}/tail/{{unit}}/assign"): ((f"{API}/tail/{{cluster}}-n1/assign", {**_BY, "owner": "nic"}),),
    ("POST", f"{API}/tail/{{unit}}/retry"): ((f"{API}/tail/{{cluster}}-n1/retry", {**_BY, "why": "again"}),),
    ("POST", f"{API}/query"): ((f"{API}/query", {"query": "resources", "customers": ["{customer}"]}),),
    ("POST", f"{API}/subscriptions"): ((f"{API}/subscriptions", {**_BY, "subscriptions": [_PULLED]}),),
    ("DELETE", f"{API}/subscriptions/{{subscription_id}}"): (
        (f"{API}/subscriptions/hears-{{cluster}}?actor={{actor}}", None),
    ),
    ("POST", f"{API}/subscriptions/{{subscription_id}}/validate"): (
        (f"{API}/subscriptions/hears-{{cluster}}/validate", _BY),
    ),
    ("POST", f"{API}/notices/{{notice_id}}/replay"): ((f"{API}/notices/7/replay", _BY),),
    ("POST", f"{API}/notices/{{notice_id}}/dismiss"): ((f"{API}/notices/8/dismiss", _BY),),
    ("POST", "/providers/Microsoft.ResourceGraph/resources"): (
        ("/providers/Microsoft.ResourceGraph/resources", {"query": "resources", "subscriptions": ["{subscription}"]}),
    ),
    ("POST", "/v2/rest/query"): (("/v2/rest/query", {"csl": "maintenanceresources", "db": "x"}),),
    ("POST", "/v1/rest/query"): (("/v1/rest/query", {"csl": "pendingupdates", "db": "x"}),),
    ("POST", "/v1/rest/mgmt"): (("/v1/rest/mgmt", {"csl": ".show tables", "db": "x"}),),
    **{
        ("POST", f"{_PULL}:{verb}"): ((f"{_PULLS}:{verb}", _LOCKS),)
        for verb in ("receive", "acknowledge", "reject", "release", "renewLock")
    },
    ("PUT", f"{GROUP}{TOPICS}/{{topic}}"): ((_AT, {"location": "global", "properties": {}}),),
    ("DELETE", f"{GROUP}{TOPICS}/{{topic}}"): ((_AT, None),),
    ("PUT", _SUBSCRIPTION): ((_HEARS, {"properties": {}}),),
    ("PATCH", _SUBSCRIPTION): ((_HEARS, {}),),
    ("DELETE", _SUBSCRIPTION): ((_HEARS, None),),
    ("POST", f"{_SUBSCRIPTION}/getFullUrl"): ((f"{_HEARS}/getFullUrl", {}),),
    **{
        (method, "/subscriptions/{rest:path}"): (
            (
                f"{MACHINE}/providers/Microsoft.Maintenance/applyUpdates/default?api-version=2023-10-01-preview",
                {},
            ),
            (f"{ARM}/providers/Microsoft.Maintenance/maintenanceConfigurations/x?api-version=2023-04-01", {}),
        )
        for method in ("PUT", "PATCH", "POST", "DELETE")
    },
    ("POST", "/notices/consent/{name}"): (("/notices/consent/hears-{cluster}?code=none", None),),
    ("POST", "/compute/v1/projects/{project}/zones/{zone}/instances/{instance}/performMaintenance"): (
        ("/compute/v1/projects/{customer}/zones/westus3-dc1/instances/{cluster}-n0/performMaintenance", {}),
    ),
    ("POST", f"{_BLOCKS}/performMaintenance"): ((f"{_BLOCK}/performMaintenance", {}),),
    ("POST", f"{_BLOCKS}/reservationBlocks/{{block}}/performMaintenance"): (
        (f"{_BLOCK}/reservationBlocks/{{cluster}}/performMaintenance", {}),
    ),
    ("POST", f"{_BLOCKS}/reservationBlocks/{{block}}/reservationSubBlocks/{{subblock}}/performMaintenance"): (
        (f"{_BLOCK}/reservationBlocks/{{cluster}}/reservationSubBlocks/{{cluster}}-r0/performMaintenance", {}),
    ),
    ("POST", "/compute/v1/projects/{project}/zones/{zone}/operations/{operation}/wait"): (
        ("/compute/v1/projects/{customer}/zones/westus3/operations/operation-{cluster}-n0/wait", {}),
    ),
    ("POST", "/sign-out"): (("/sign-out", None),),
    ("POST", "/demo/user"): (("/demo/user", {"user": "{customer}"}),),
    ("POST", f"{API}/tokens"): ((f"{API}/tokens", {"label": "of {cluster}", "grants": [_GRANT], "days": 7}),),
    ("DELETE", f"{API}/tokens/{{token_id}}"): ((f"{API}/tokens/tok_{{cluster}}", None),),
    ("POST", f"{API}/break-glass"): ((f"{API}/break-glass", {**_GRANT, "minutes": 30, "why": "{cluster} burns"}),),
    ("POST", f"{API}/break-glass/{{name}}/end"): ((f"{API}/break-glass/glass_{{cluster}}/end", {}),),
    ("POST", "/"): (("/?Action=DescribeInstanceStatus&InstanceId.1={cluster}-n0", None),),
    ("POST", "/policy/freezes"): (("/policy/freezes", {}),),
    ("POST", "/policy/freezes/end"): (("/policy/freezes/end", {}),),
    ("POST", "/requests/cost"): (("/requests/cost", {}),),
    ("POST", "/requests/word"): (("/requests/word", {}),),
    ("POST", f"{API}/brake/on"): ((f"{API}/brake/on", {**_BY, "why": "smoke"}),),
}


def expand(place: Mapping[str, str], actor: str) -> Iterator[tuple[str, str, Body]]:
    """Each call with the names of one cluster."""
    names = {
        **place,
        "actor": actor,
        "subscription": arm.subscription_id(CustomerId(place["customer"])),
        "group": place["supercomputer"],
    }
    for (method, _), examples in EXAMPLES.items():
        for address, body in examples:
            yield method, address.format(**names), _fill(body, names)


def _fill(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return re.sub(r"\{(\w+)\}", lambda found: names[found[1]], value)
    if isinstance(value, list):
        return [_fill(part, names) for part in value]
    return {key: _fill(part, names) for key, part in value.items()} if isinstance(value, dict) else value


def changes_something(method: str, address: str) -> bool:
    """False for what asks, for looks and the brake, which are of everything, and for who the caller's browser is."""
    path = address.partition("?")[0]
    is_of_a_part = "looks" not in path and path not in {"/sign-out", "/demo/user", f"{API}/brake/on"}
    return is_of_a_part and changes_part({"method": method, "path": path})


def may_change_a_part(method: str, path: str) -> bool:
    """Whether who sees a part is let through at all."""
    try:
        changes_part({"method": method, "path": path.replace("{rest:path}", "of/things")})
    except HTTPException:
        return False
    return True
