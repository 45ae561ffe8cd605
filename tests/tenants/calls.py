"""An example call of every route that reads, with the names of anybody's things in it, and queries that try to see
more. `{cluster}` and its like stand for what is in each cluster of the fleet, whoever calls.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import FastAPI
from tests.tenants import world

from fermata.domain import arm
from fermata.domain.ids import CustomerId

PLACES = (
    {"cluster": "zqalpha", "supercomputer": "zqshared", "customer": "zqlumen", "device": "zqalpha-su0-leaf"},
    {"cluster": "zqbeta", "supercomputer": "zqapart", "customer": "zqmeridian labs", "device": "zqbeta-leaf"},
    {"cluster": "zqgamma", "supercomputer": "zqshared", "customer": "zqmeridian labs", "device": "zqgamma-leaf"},
)
NOWHERE = {"cluster": "zqnowhere", "supercomputer": "zqnosuper", "customer": "zqnobody", "device": "zqnowhere-leaf"}
ARM = "/subscriptions/{subscription}"
GROUP = f"{ARM}/resourceGroups/{{group}}"
MACHINE = f"{GROUP}/providers/Microsoft.Compute/virtualMachines/{{cluster}}-n0"
TOPICS = "/providers/Microsoft.EventGrid/systemTopics"
_RUN, _PLAN, _CAMPAIGN = "run_doors", "plan_doors", "january-repave"

CALLS: Mapping[str, tuple[str, ...]] = {
    "/api/v1/openapi.json": ("/api/v1/openapi.json",),
    "/api/v1/imports": ("/api/v1/imports",),
    "/api/v1/inventory/sources": ("/api/v1/inventory/sources",),
    "/api/v1/inventory/sources/{source}/diff": ("/api/v1/inventory/sources/site/diff",),
    "/api/v1/inventory/holds": ("/api/v1/inventory/holds?over=true",),
    "/api/v1/inventory/holds/{hold}": ("/api/v1/inventory/holds/hold_1",),
    "/api/v1/updates": ("/api/v1/updates",),
    "/api/v1/combinations": (
        "/api/v1/combinations",
        "/api/v1/combinations?supercomputer={supercomputer}",
        f"/api/v1/combinations?plan={_PLAN}",
    ),
    "/api/v1/updates/{update_id}": (
        "/api/v1/updates/host-os-2026.1",
        "/api/v1/updates/nic-28.43",
        "/api/v1/updates/leaf-31.2016",
    ),
    "/api/v1/piles": ("/api/v1/piles", "/api/v1/piles?freeze=freeze_{cluster}_3"),
    "/api/v1/pending": ("/api/v1/pending", "/api/v1/pending?cluster={cluster}", "/api/v1/pending?customer={customer}"),
    "/api/v1/requests": (
        "/api/v1/requests",
        "/api/v1/requests?customer={customer}",
        "/api/v1/requests?ended=true&limit=1",
    ),
    "/api/v1/requests/{request_id}": (
        "/api/v1/requests/req_{supercomputer}_deployment",
        "/api/v1/requests/req_{supercomputer}_repair",
    ),
    "/api/v1/work-orders": ("/api/v1/work-orders", "/api/v1/work-orders?ended=true"),
    "/api/v1/policy/test": ("/api/v1/policy/test?node={cluster}-n1&update=host-os-2026.1&at=2026-02-15T12:00:00Z",),
    "/api/v1/policy": ("/api/v1/policy",),
    "/api/v1/offers": ("/api/v1/offers",),
    "/api/v1/freezes": ("/api/v1/freezes?over=true", "/api/v1/freezes?limit=1"),
    "/api/v1/plans": ("/api/v1/plans", f"/api/v1/plans?campaign={_CAMPAIGN}&limit=1"),
    "/api/v1/plans/{plan_id}": (f"/api/v1/plans/{_PLAN}", "/api/v1/plans/plan_none"),
    "/api/v1/plans/{plan_id}/violations": (f"/api/v1/plans/{_PLAN}/violations",),
    "/api/v1/plans/{plan_id}/calendar": (f"/api/v1/plans/{_PLAN}/calendar",),
    "/api/v1/calendars/all.ics": ("/api/v1/calendars/all.ics",),
    "/api/v1/calendars/{of}/{name}.ics": (
        "/api/v1/calendars/cluster/{cluster}.ics",
        "/api/v1/calendars/customer/{customer}.ics",
        "/api/v1/calendars/team/nic.ics",
    ),
    "/api/v1/why": (
        "/api/v1/why?name={cluster}-n1",
        "/api/v1/why?name=w-{cluster}",
        "/api/v1/why?name=zqbet",
    ),
    "/api/v1/board": ("/api/v1/board",),
    "/api/v1/run": ("/api/v1/run",),
    "/api/v1/campaigns/{campaign}/run": (f"/api/v1/campaigns/{_CAMPAIGN}/run",),
    "/api/v1/rooms": ("/api/v1/rooms",),
    "/api/v1/windows/{window}/room": ("/api/v1/windows/w-{cluster}/room",),
    "/api/v1/nodes/{node}/readmission": ("/api/v1/nodes/{cluster}-n1/readmission",),
    "/api/v1/runs/{run}/forecasts": (
        f"/api/v1/runs/{_RUN}/forecasts",
        f"/api/v1/runs/{_RUN}/forecasts?window=w-{{cluster}}",
    ),
    "/api/v1/forecasts": ("/api/v1/forecasts", "/api/v1/forecasts?window=w-{cluster}"),
    "/api/v1/runs/{run}/gates": (f"/api/v1/runs/{_RUN}/gates",),
    "/api/v1/intents": ("/api/v1/intents",),
    "/api/v1/brake": ("/api/v1/brake",),
    "/api/v1/capacity": tuple(
        f"/api/v1/capacity?by={by}" for by in ("customer", "supercomputer", "window", "sku", "region")
    ),
    "/api/v1/tail": ("/api/v1/tail", "/api/v1/tail?owner=nic"),
    "/api/v1/journal": (
        "/api/v1/journal",
        "/api/v1/journal?subject=node:{cluster}-n1",
        "/api/v1/journal?subject=cluster:{cluster}",
        "/api/v1/journal?subject=request:req_{supercomputer}_repair",
    ),
    "/api/v1/report": ("/api/v1/report",),
    "/api/v1/report/values": ("/api/v1/report/values",),
    "/api/v1/subscriptions": ("/api/v1/subscriptions",),
    "/api/v1/subscriptions/{subscription_id}": ("/api/v1/subscriptions/hears-{cluster}",),
    "/api/v1/notices": ("/api/v1/notices", "/api/v1/notices?customer={customer}"),
    "/api/v1/notices/{notice_id}": tuple(f"/api/v1/notices/{number}" for number in range(1, 14)),
    "/v1/rest/auth/metadata": ("/v1/rest/auth/metadata",),
    f"{GROUP}{TOPICS}/{{topic}}": (f"{GROUP}{TOPICS}/topic-{{cluster}}",),
    f"{ARM}{TOPICS}": (f"{ARM}{TOPICS}",),
    f"{GROUP}{TOPICS}": (f"{GROUP}{TOPICS}",),
    f"{GROUP}{TOPICS}/{{topic}}/eventSubscriptions/{{name}}": (
        f"{GROUP}{TOPICS}/topic-{{cluster}}/eventSubscriptions/hears-{{cluster}}",
    ),
    f"{GROUP}{TOPICS}/{{topic}}/eventSubscriptions": (f"{GROUP}{TOPICS}/topic-{{cluster}}/eventSubscriptions",),
    "/notices/consent/{name}": ("/notices/consent/hears-{cluster}?code=none",),
    "/subscriptions/{rest:path}": (
        f"{ARM}/providers/Microsoft.Maintenance/applyUpdates?api-version=2023-10-01-preview",
        f"{ARM}/providers/Microsoft.Maintenance/scheduledevents?api-version=2025-04-01",
        f"{GROUP}/providers/Microsoft.Maintenance/maintenanceConfigurations?api-version=2023-10-01-preview",
        f"{ARM}/providers/Microsoft.Maintenance/maintenanceConfigurations?api-version=2023-10-01-preview",
        f"{MACHINE}/providers/Microsoft.Maintenance/updates?api-version=2023-10-01-preview",
        f"{MACHINE}/providers/Microsoft.Maintenance/applyUpdates/default?api-version=2023-10-01-preview",
        f"{GROUP}?api-version=2024-08-01",
        f"{ARM}/resourceGroups?api-version=2024-08-01",
    ),
    "/compute/v1/projects/{project}/zones/{zone}/instances/{instance}": (
        "/compute/v1/projects/{customer}/zones/westus3/instances/{cluster}-n0",
        "/compute/v1/projects/{customer}/zones/uksouth/instances/{cluster}-n0",
    ),
    "/compute/v1/projects/{project}/zones/{zone}/operations/{operation}": (
        "/compute/v1/projects/{customer}/zones/westus3/operations/operation-{cluster}-n0",
    ),
    "/api/v1/whoami": ("/api/v1/whoami",),
    "/api/v1/tokens": ("/api/v1/tokens",),
    "/api/v1/break-glass": ("/api/v1/break-glass", "/api/v1/break-glass?over=true"),
    "/sign-in": ("/sign-in", "/sign-in?next=/nodes/{cluster}-n0&lost=true"),
    "/sign-in/start": ("/sign-in/start?next=/nodes/{cluster}-n0",),
    "/sign-in/callback": ("/sign-in/callback", "/sign-in/callback?code=a&state={cluster}"),
    "/sign-in/program": ("/sign-in/program",),
    "/sign-in/no-access": ("/sign-in/no-access",),
    "/session": ("/session",),
    "/session/back": ("/session/back",),
    "/metrics": ("/metrics",),
    "/metrics/rows.json": ("/metrics/rows.json",),
    "/metrics/grafana.json": ("/metrics/grafana.json",),
    "/": ("/", "/?page=2"),
    "/board/stream": (),  # without end: `test_stream`
    "/board/days": ("/board/days",),
    "/board/tail": ("/board/tail", "/board/tail?page=1"),
    "/windows/{window_id}": ("/windows/w-{cluster}",),
    "/plans/{plan_id}": (f"/plans/{_PLAN}",),
    "/windows/{window_id}/room": ("/windows/w-{cluster}/room",),
    "/windows/{window_id}/room/body": ("/windows/w-{cluster}/room/body",),
    "/campaign": ("/campaign",),
    "/campaign/curves": ("/campaign/curves",),
    "/campaign/what-if": ("/campaign/what-if",),
    "/campaign/what-if/work": (f"/campaign/what-if/work?campaign={_CAMPAIGN}",),
    "/campaign/replan": ("/campaign/replan",),
    "/campaign/replan/work": (f"/campaign/replan/work?campaign={_CAMPAIGN}",),
    "/campaign/replan/publish": (f"/campaign/replan/publish?campaign={_CAMPAIGN}&proposal=1",),
    "/policy": ("/policy",),
    "/fleet": (
        *(f"/fleet?shade={shade}" for shade in ("state", "pending", "consent", "version")),
        "/fleet?cluster={cluster}",
        "/fleet?counted=true",
    ),
    "/fleet/cells": ("/fleet/cells?shade=state", "/fleet/cells?shade=pending&cluster={cluster}"),
    "/fleet/names": ("/fleet/names", "/fleet/names?cluster={cluster}"),
    "/nodes/{name}": ("/nodes/{cluster}-n0", "/nodes/{cluster}-n1"),
    "/nodes/{name}/why": ("/nodes/{cluster}-n1/why",),
    "/capacity": ("/capacity", "/capacity?by=customer", "/capacity?by=window&owner=nic"),
    "/requests": ("/requests", "/requests?request=req_{supercomputer}_deployment"),
    "/requests/grove": ("/requests/grove", "/requests/grove?request=req_{supercomputer}_repair"),
    "/requests/branches": (
        "/requests/branches?level=supercomputer&name={supercomputer}",
        "/requests/branches?level=cluster&name={cluster}&cluster={cluster}",
        "/requests/branches?level=rack&name={cluster}-r0&cluster={cluster}",
    ),
    "/updates": ("/updates", "/updates?whole=true"),
    "/updates/known": ("/updates/known",),
    "/journal": ("/journal", "/journal?subject=node:{cluster}-n1"),
    "/query": ("/query", "/query?q=resources"),
    "/query.csv": ("/query.csv?q=resources", "/query.csv?q=pendingupdates", "/query.csv?q=maintenanceresources"),
}

NASTY = (
    "resources",
    "maintenanceresources",
    "pendingupdates",
    "resources | union maintenanceresources",
    "resources | union pendingupdates | summarize count() by tostring(pack_all())",
    "resources | join kind=fullouter (maintenanceresources) on id",
    "resources | where name contains 'beta' or name contains 'alpha' or name contains 'gamma'",
    "search *",
    "search 'zq'",
    "union *",
    "externaldata(x:string)['/etc/passwd']",
    "externaldata(x:string)['file:///dev/shm']",
    "information_schema.tables",
    "duckdb_tables()",
    "sqlite_master",
    "raw.nodes",
    "raw.clusters",
    "main.resources",
    "database('main').resources",
    "cluster('x').database('main').resources",
    "let t = resources; t | project name, properties",
    "resources | extend x = tostring(properties) | project x",
    "resources | summarize make_set(name), make_list(tostring(properties)), count()",
    "resources | project name | order by name asc | serialize n = row_number()",
    "pendingupdates | summarize dcount(unit), count(), make_set(cluster)",
    "pendingupdates | where cluster !in ('zqalpha')",
    "maintenanceresources | mv-expand u = properties.value | project u",
    "print x = toscalar(resources | summarize make_set(name))",
    "resources | getschema",
    ".show tables",
    "evaluate python(typeof(*), 'x')",
    "read_csv('/etc/passwd')",
    "range x from 1 to 3 step 1 | extend y = toscalar(resources | count)",
)


def expand(template: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    """The call for each cluster of the fleet, and for one that there is not, with the names that it gives."""
    if "{" not in template:
        yield template, {}
        return
    for place in (*PLACES, NOWHERE):
        names = {
            **place,
            "subscription": arm.subscription_id(CustomerId(place["customer"])),
            "group": place["supercomputer"],
        }
        yield template.format(**names), names


def routes_of(app: FastAPI) -> Iterator[tuple[frozenset[str], str]]:
    """Methods and path of every route, as far as it has one."""

    def walk(routes: Any) -> Iterator[Any]:
        for route in routes:
            inner = getattr(route, "effective_route_contexts", None)
            if inner is None:
                yield route
            else:
                yield from inner()

    for route in walk(app.routes):
        methods = frozenset(getattr(route, "methods", None) or ()) - {"HEAD"}
        if methods:
            yield methods, route.path


def others_of(customer: CustomerId) -> tuple[str, ...]:
    """Words that nobody else may read."""
    return tuple(word for other, words in world.WORDS.items() if other != customer for word in words)


def ask_elsewhere(query: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The same query at the other doors that answer some."""
    guids = [arm.subscription_id(customer) for customer in world.WORDS]
    yield "/v2/rest/query", {"csl": query, "db": "fermata"}
    yield "/v1/rest/query", {"csl": query, "db": "fermata"}
    facet = {"expression": "name", "options": {"sortBy": "name"}}  # counts that are equal have no order of their own
    yield (
        "/providers/Microsoft.ResourceGraph/resources",
        {"query": query, "subscriptions": guids, "facets": [facet], "options": {"$top": 1000}},
    )


_NUMBERS = re.compile(
    r"""; the nearest is [\w-]+|"(?:id|seq|next)":"?\d+|_sha256":"\w+|<td class="num">\d+|<code>[0-9a-f]{12}"""
    r"""|(?:process|python_gc)_\S+ \S+|(?:seen=|data-version=")[0-9a-f]+-\d+"""
    r"""|[\w/.-]*\.sqlite|fermata;[\w-]+|\w{8}(?:-\w{4}){3}-\w{12}"""
)


def settle(text: str, place: Mapping[str, str] | None = None) -> str:
    """An answer without what numbers the lines of a whole store, or is of the process; and without those names."""
    for name in sorted((place or {}).values(), key=len, reverse=True):
        text = text.replace(name, "NAME")
    return _NUMBERS.sub("", text.partition("\nHeaders(")[0])
