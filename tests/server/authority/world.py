"""Two customers who share a supercomputer, and a server that believes who is said to have sent a request."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import httpx
from fastapi import FastAPI
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send
from tests.constraints import world as w
from tests.server.signed_in import believe, say_caller

from fermata.domain.campaign import Where
from fermata.domain.identity import Grant, GrantLevel, Principal, PrincipalKind, Role
from fermata.domain.ids import ClusterId, CustomerId, SupercomputerId
from fermata.services.inventory import ImportSet, import_set
from fermata.store.database import Database

LUMEN, MEADOW = CustomerId("lumen"), CustomerId("meadow")
SHARED = SupercomputerId("sc-alpha")  # alpha is lumen's, gamma meadow's
BASE = "http://127.0.0.1"


def fill(db: Database) -> None:
    """The small scenario, with gamma as meadow's part of alpha's supercomputer."""
    made = w.scenario()
    clusters = dict(made.fleet.clusters)
    gamma = ClusterId("gamma")
    clusters[gamma] = replace(clusters[gamma], customer=MEADOW, supercomputer=SHARED)
    fleet = replace(made.fleet, clusters=clusters)
    lumen = made.policy.customers[LUMEN]
    policy = replace(made.policy, customers={LUMEN: lumen, MEADOW: replace(lumen, approvers=("mona", "max"))})
    campaign = replace(made.campaign, scope=Where())
    given = ImportSet(fleet=fleet, catalogue=made.catalogue, policy=policy, campaign=campaign)
    import_set(db, given, now=w.NOW, actor="operator")


def grant(role: Role, level: GrantLevel = GrantLevel.EVERYTHING, name: str = "") -> Grant:
    return Grant(role=role, level=level, name=name)


def person(name: str, *grants: Grant, emergencies: Iterable[Grant] = ()) -> Principal:
    return Principal(name=name, kind=PrincipalKind.PERSON, grants=frozenset(grants), emergencies=frozenset(emergencies))


@dataclass(frozen=True)
class SignedIn:
    """What stands before a server where people sign in: it says who sent a request."""

    app: FastAPI
    principal: Principal | None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        say_caller(scope, self.principal)
        await self.app(scope, receive, send)


def sign_in(app: FastAPI, principal: Principal | None) -> TestClient:
    """A client that the server takes for `principal`."""
    believe(app)
    return TestClient(
        SignedIn(app, principal), base_url=BASE, raise_server_exceptions=False, client=("127.0.0.1", 50000)
    )


def told(answer: httpx.Response) -> tuple[int, Any]:
    """Status and code of an answer."""
    is_problem = "json" in answer.headers.get("content-type", "")
    body = answer.json() if is_problem and answer.content else None
    return answer.status_code, body.get("code") if isinstance(body, dict) else None
