"""What every route of the JSON API needs. A route that stands in no table keeps the server from starting."""

from collections.abc import Mapping

from fermata.authority import bodies
from fermata.authority.actions import Action
from fermata.authority.needs_words import (
    Kind,
    Naming,
    Need,
    Sends,
    Speaks,
    by_path,
    by_query,
    campaign,
    intended,
    somewhere,
    whole_fleet,
)

V1 = "/api/v1"
Route = tuple[str, str]

LOOKS = (
    "/imports",
    "/inventory/sources",
    "/inventory/holds",
    "/updates",
    "/combinations",
    "/updates/{update_id}",
    "/piles",
    "/pending",
    "/requests",
    "/work-orders",
    "/policy",
    "/offers",
    "/freezes",
    "/plans",
    "/calendars/all.ics",
    "/why",
    "/board",
    "/run",
    "/rooms",
    "/forecasts",
    "/intents",
    "/brake",
    "/capacity",
    "/tail",
    "/report",
    "/report/values",
    "/subscriptions",
    "/notices",
    "/notices/{notice_id}",
    "/openapi.json",
    "/break-glass",
)
IN_PATH: Mapping[str, Naming] = {
    "/requests/{request_id}": by_path(Kind.REQUEST, "request_id"),
    "/plans/{plan_id}": by_path(Kind.PLAN, "plan_id"),
    "/plans/{plan_id}/violations": by_path(Kind.PLAN, "plan_id"),
    "/plans/{plan_id}/calendar": by_path(Kind.PLAN, "plan_id"),
    "/calendars/{of}/{name}.ics": somewhere,
    "/campaigns/{campaign}/run": campaign,
    "/windows/{window}/room": by_path(Kind.WINDOW, "window"),
    "/nodes/{node}/readmission": by_path(Kind.NODE, "node"),
    "/runs/{run}/forecasts": by_path(Kind.RUN, "run"),
    "/runs/{run}/gates": by_path(Kind.RUN, "run"),
    "/subscriptions/{subscription_id}": by_path(Kind.SUBSCRIPTION, "subscription_id"),
    "/policy/test": by_query(Kind.NODE, "node"),
    "/inventory/holds/{hold}": whole_fleet,
    "/inventory/sources/{source}/diff": whole_fleet,
}
READS = {
    **{("GET", V1 + path): Need(names=somewhere) for path in LOOKS},
    **{("GET", V1 + path): Need(names=names) for path, names in IN_PATH.items()},
    ("GET", f"{V1}/journal"): Need(action=Action.LOOK_AT_JOURNAL, names=somewhere),
    ("GET", f"{V1}/whoami"): Need(is_open=True),  # whoever is let in may know as whom
    ("GET", f"{V1}/tokens"): Need(action=Action.MANAGE_TOKENS, names=somewhere),
    ("POST", f"{V1}/query"): Need(names=somewhere),
    ("POST", f"{V1}/readmission"): Need(names=bodies.nodes, sends=Sends.JSON),
    ("POST", f"{V1}/runs/{{run}}/recovery/options"): Need(names=bodies.recovery, sends=Sends.JSON),
}


def _said(action: Action, names: Naming = whole_fleet, speaks: Speaks = Speaks.BODY) -> Need:
    """A change that comes as JSON, and says who speaks."""
    return Need(action=action, names=names, sends=Sends.JSON, speaks=speaks)


def _dropped(action: Action, names: Naming = whole_fleet) -> Need:
    """A removal: who speaks stands in the query."""
    return Need(action=action, names=names, speaks=Speaks.QUERY)


def _sent(action: Action) -> Need:
    """Files, which are about everything."""
    return Need(action=action, sends=Sends.FILES)


def _plain(action: Action, names: Naming = whole_fleet) -> Need:
    """What nothing is recorded of under anybody's name."""
    return Need(action=action, names=names)


_REQUEST, _RUN, _PLAN = by_path(Kind.REQUEST, "request_id"), by_path(Kind.RUN, "run"), by_path(Kind.PLAN, "plan_id")
_ORDER, _WINDOW = by_path(Kind.WORK_ORDER, "order_id"), by_path(Kind.WINDOW, "window")
_OFFER, _FREEZE = by_path(Kind.OFFER, "offer_id"), by_path(Kind.FREEZE, "freeze_id")
_SUBSCRIPTION, _UNIT = by_path(Kind.SUBSCRIPTION, "subscription_id"), by_path(Kind.UNIT, "unit")

CHANGES: Mapping[str, Need] = {
    "POST /imports": _sent(Action.IMPORT),
    "DELETE /workloads": _dropped(Action.IMPORT),
    "POST /inventory/sources/{source}/sync": _said(Action.SEND_INVENTORY),
    "POST /inventory/sources/{source}/push": _said(Action.SEND_INVENTORY),
    "DELETE /inventory/sources/{source}": _dropped(Action.DECIDE_HOLD),
    "POST /inventory/holds/{hold}/accept": _said(Action.DECIDE_HOLD),
    "POST /inventory/holds/{hold}/drop": _said(Action.DECIDE_HOLD),
    "POST /updates": _sent(Action.REGISTER_UPDATE),
    "DELETE /updates/{update_id}": _dropped(Action.REGISTER_UPDATE),
    "PUT /qualification": _sent(Action.PROMOTE_UPDATE),
    "POST /signals": _said(Action.RECORD_SIGNAL),
    "POST /updates/{update_id}/promote": _said(Action.PROMOTE_UPDATE),
    "POST /updates/{update_id}/demote": _said(Action.DEMOTE_UPDATE),
    "POST /looks": _plain(Action.TAKE_STOCK),
    "POST /requests/{request_id}/words": _said(Action.SAY_CONSENT, bodies.words, Speaks.WORDS),
    "POST /requests/{request_id}/told": _said(Action.TELL_CUSTOMERS, _REQUEST),
    "POST /work-orders": _said(Action.OPEN_WORK_ORDER, bodies.work_orders),
    "POST /work-orders/{order_id}/start": _said(Action.WORK_ON_ORDER, _ORDER),
    "POST /work-orders/{order_id}/complete": _said(Action.WORK_ON_ORDER, _ORDER),
    "POST /work-orders/{order_id}/cancel": _said(Action.WORK_ON_ORDER, _ORDER),
    "POST /policy/preview": _sent(Action.PROPOSE_POLICY),
    "PUT /policy": _sent(Action.REPLACE_POLICY),
    "POST /approvals": _said(Action.SAY_CONSENT, bodies.orders_of_consent, Speaks.ORDERS),
    "POST /withdrawals": _said(Action.SAY_CONSENT, bodies.orders_of_consent, Speaks.ORDERS),
    "POST /declines": _said(Action.SAY_CONSENT, bodies.orders_of_consent, Speaks.ORDERS),
    "POST /offers": _said(Action.SAY_CONSENT, bodies.orders_of_consent, Speaks.ORDERS),
    "POST /offers/{offer_id}/accept": _said(Action.ANSWER_OFFER, _OFFER),
    "POST /offers/{offer_id}/refuse": _said(Action.ANSWER_OFFER, _OFFER),
    "POST /freezes": _said(Action.FREEZE, bodies.freeze),
    "DELETE /freezes/{freeze_id}": _dropped(Action.FREEZE, _FREEZE),
    "POST /freezes/{freeze_id}/exemptions": _said(Action.EXEMPT_FROM_FREEZE, _FREEZE),
    "POST /exemptions/{exemption_id}/confirm": _said(Action.CONFIRM_EXEMPTION, by_path(Kind.EXEMPTION, "exemption_id")),
    "POST /campaigns/{campaign}/plan": _plain(Action.PLAN, campaign),
    "POST /plans/{plan_id}/simulation": _plain(Action.PLAN, _PLAN),
    "POST /plans/{plan_id}/publish": _said(Action.PUBLISH, _PLAN),
    "POST /plans": _sent(Action.PUBLISH),
    "POST /standing": _plain(Action.PLAN),
    "POST /runs/{run}/gates/{update}/{word}": _said(Action.SAY_AT_GATE, _RUN),
    "POST /runs/{run}/recovery": _said(Action.RECOVER, bodies.recovery),
    "POST /intents": Need(action=intended, names=bodies.intent, sends=Sends.JSON, speaks=Speaks.BODY),
    "POST /brake/on": _said(Action.PULL_BRAKE, somewhere),
    "POST /brake/off": _said(Action.RELEASE_BRAKE),
    "POST /tail/{unit}/assign": _said(Action.TEND_TAIL, _UNIT),
    "POST /tail/{unit}/retry": _said(Action.TEND_TAIL, _UNIT),
    **{
        f"POST /windows/{{window}}/room/{said}": _said(Action.SPEAK_IN_ROOM, _WINDOW)
        for said in ("answers", "words", "notes", "handovers")
    },
    "PUT /windows/{window}/room/bridge": _said(Action.SPEAK_IN_ROOM, _WINDOW),
    "POST /subscriptions": _said(Action.SUBSCRIBE, bodies.subscriptions),
    "DELETE /subscriptions/{subscription_id}": _dropped(Action.SUBSCRIBE, _SUBSCRIPTION),
    "POST /subscriptions/{subscription_id}/validate": _said(Action.SUBSCRIBE, _SUBSCRIPTION),
    "POST /subscriptions/{subscription_id}/test": _said(Action.SUBSCRIBE, _SUBSCRIPTION),
    "POST /notices/{notice_id}/replay": _said(Action.SUBSCRIBE),
    "POST /notices/{notice_id}/dismiss": _said(Action.SUBSCRIBE),
    "POST /tokens": _plain(Action.MANAGE_TOKENS, somewhere),
    "DELETE /tokens/{token_id}": _plain(Action.MANAGE_TOKENS, somewhere),
    "POST /break-glass": _said(Action.BREAK_GLASS, bodies.break_glass, Speaks.NOBODY),
    "POST /break-glass/{name}/end": _said(Action.LOOK, somewhere, Speaks.NOBODY),
}
RUN_WORDS = {
    "start": Action.CONDUCT,
    "pause": Action.PAUSE,
    "resume": Action.CONDUCT,
    "stop": Action.STOP,
    "abort": Action.STOP,
    "replan": Action.CONDUCT,
    "replan-mode": Action.CONDUCT,
}
OF_RUNS: Mapping[Route, Need] = {
    ("POST", f"{V1}{run}/{word}"): _said(action, campaign)
    for run in ("/run", "/campaigns/{campaign}/run")
    for word, action in RUN_WORDS.items()
}


def _route(text: str) -> Route:
    method, _, path = text.partition(" ")
    return method, V1 + path


OF_API: Mapping[Route, Need] = {**READS, **{_route(text): need for text, need in CHANGES.items()}, **OF_RUNS}
