"""What nobody does alone, and roles that are taken in an emergency."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient
from tests.constraints import world as w
from tests.server.authority.world import grant, person, sign_in, told
from tests.server.conftest import HandClock

from fermata.authority.actions import Action
from fermata.authority.needs_elsewhere import NEEDS
from fermata.domain.identity import LOCAL, Grant, GrantLevel, Role
from fermata.domain.ids import SubscriptionId, UpdateId
from fermata.domain.subscriptions import ChannelKind, Subscription
from fermata.domain.updates import Stage
from fermata.services import updates
from fermata.services.emergencies import end_over
from fermata.services.errors import Refusal
from fermata.services.inventory import ImportSet, import_set
from fermata.services.speaking import speaking_as
from fermata.store import emergencies, inventory, journal, outbox, subscriptions
from fermata.store import identity as tokens
from fermata.store.database import Database

V1 = "/api/v1"
OWNER = grant(Role.UPDATE_OWNER)


def ripe(db: Database, registrant: str = "rita") -> UpdateId:
    """An update that rita registered as flight-ready, of which nothing but the word is missing."""
    name = UpdateId("agent")
    with db.begin() as conn:
        catalogue = inventory.load_catalogue(conn)
        found = {**catalogue.updates}
        found[name] = replace(found[name], stage=Stage.FLIGHT_READY)
        inventory.save_catalogue(conn, replace(catalogue, updates=found))
        about = f"update:{name}"
        if registrant:
            line = journal.Entry(at=w.NOW, actor=registrant, event="update.registered", subject=about, why="")
            journal.append(conn, line)
    return name


def codes(refusal: Refusal) -> set[str]:
    return {why.code.value for why in refusal.reasons}


def test_who_registered_an_update_does_not_promote_it_alone(app: FastAPI, db: Database) -> None:
    name = ripe(db)
    rita, paul = (sign_in(app, person(who, OWNER)) for who in ("rita", "paul"))
    alone = rita.post(f"{V1}/updates/{name}/promote", json={"why": "soaked"}).json()
    assert "PROMOTED_BY_REGISTRANT" in {why["code"] for why in alone["reasons"]}
    second = paul.post(f"{V1}/updates/{name}/promote", json={"why": "soaked"})
    assert "PROMOTED_BY_REGISTRANT" not in second.text
    with pytest.raises(Refusal) as refused:  # on the command line likewise
        updates.promote_update(db, name, now=w.NOW, actor="rita")
    assert "PROMOTED_BY_REGISTRANT" in codes(refused.value)


def test_who_imported_the_catalogue_may_have_brought_what_nobody_registered(db: Database) -> None:
    name = ripe(db, registrant="")
    with pytest.raises(Refusal) as refused:
        updates.promote_update(db, name, now=w.NOW, actor="operator")
    assert "PROMOTED_BY_REGISTRANT" in codes(refused.value)
    with pytest.raises(Refusal) as refused:
        updates.promote_update(db, name, now=w.NOW, actor="rita")
    assert "PROMOTED_BY_REGISTRANT" not in codes(refused.value)


def test_a_whole_catalogue_is_no_way_around_the_second_person(db: Database) -> None:
    name = ripe(db)
    with db.read() as conn:
        catalogue = inventory.load_catalogue(conn)
    ready = replace(catalogue.updates[name], stage=Stage.PRODUCTION_READY)
    other = replace(ready, to_version="99.0")
    for brought, actor in ((ready, "rita"), (other, "paul")):
        whole = replace(catalogue, updates={**catalogue.updates, name: brought})
        with speaking_as(actor), pytest.raises(Refusal) as refused:
            import_set(db, ImportSet(catalogue=whole), now=w.NOW, actor=actor)
        assert codes(refused.value) == {"REGISTERED_AS_READY"}
    with speaking_as("paul"):  # the second person, and nothing but the stage is different
        whole = replace(catalogue, updates={**catalogue.updates, name: ready})
        import_set(db, ImportSet(catalogue=whole), now=w.NOW, actor="paul")


def test_no_word_and_no_route_gives_a_node_back_without_proof() -> None:
    """What would is not there: readmission is asked about and never ordered, and no action is called so."""
    about = {key for key in NEEDS if re.search("readmi|return|force", key[1])}
    assert about == {("GET", f"{V1}/nodes/{{node}}/readmission"), ("POST", f"{V1}/readmission")}
    assert {NEEDS[key].actions for key in about} == {(Action.LOOK,)}


EVERY_ROLE = [grant(role) for role in Role if role is not Role.VIEWER]


def take(client: TestClient, role: str = "conductor", minutes: int = 30, **more: str) -> tuple[int, str]:
    return told(client.post(f"{V1}/break-glass", json={"role": role, "minutes": minutes, "why": "fire", **more}))


def may_release(client: TestClient) -> bool:
    return client.post(f"{V1}/brake/off", json={"why": "no fire"}).status_code != 403


def test_a_role_is_taken_for_a_while_is_loud_and_is_over_by_itself(
    app: FastAPI, db: Database, clock: HandClock
) -> None:
    with db.begin() as conn:
        ops = SubscriptionId("ops")
        hears = Subscription(id=ops, channel=ChannelKind.PULL, target={}, created_at=w.NOW, created_by="ops")
        subscriptions.save_subscription(conn, hears)
    gale = sign_in(app, person("gale", grant(Role.VIEWER), emergencies=[grant(Role.CONDUCTOR)]))
    vera = sign_in(app, person("vera", grant(Role.VIEWER)))
    assert not may_release(gale)
    assert take(gale, minutes=30)[0] == 201
    assert may_release(gale)
    assert not may_release(vera)
    assert [one["holder"] for one in vera.get(f"{V1}/break-glass").json()] == ["gale"]
    for path in ("/updates", "/requests", "/fleet"):
        page = vera.get(path).text
        assert ("gale broke the glass" in page, "fire" in page) == (True, True), path
    clock.at += timedelta(minutes=30)
    assert not may_release(gale)
    assert vera.get(f"{V1}/break-glass").json() == []
    assert "broke the glass" not in vera.get("/updates").text
    assert [one.holder for one in end_over(db, clock.now())] == ["gale"]
    assert end_over(db, clock.now()) == ()
    with db.read() as conn:
        told_of = [e.event for e in journal.read(conn) if e.subject.startswith("break_glass:")]
        heard = [notice.kind.value for notice in outbox.notices_after(conn, 0) if "glass" in notice.subject]
    assert told_of == ["break_glass.taken", "break_glass.ended"]
    assert heard == ["incident.opened", "incident.closed"]


def test_a_role_that_was_taken_for_a_while_is_handed_on_to_no_token(
    app: FastAPI, db: Database, clock: HandClock
) -> None:
    own = Grant(role=Role.CONDUCTOR, level=GrantLevel.CUSTOMER, name="lumen")
    gale = sign_in(app, person("gale", grant(Role.VIEWER), own, emergencies=[grant(Role.CONDUCTOR)]))

    def make(role: str, **where: str) -> tuple[int, str]:
        return told(gale.post(f"{V1}/tokens", json={"label": "kept", "grants": [{"role": role, **where}], "days": 366}))

    assert take(gale, minutes=1)[0] == 201
    assert may_release(gale)
    assert make("conductor") == (409, "TOKEN_EXCEEDS")
    assert make("conductor", level="customer", name="meadow") == (409, "TOKEN_EXCEEDS")
    assert make("viewer")[0] == 201
    assert make("conductor", level="customer", name="lumen")[0] == 201
    clock.at += timedelta(minutes=1)
    with db.read() as conn:
        kept = [one.grants for one in tokens.list_tokens(conn)]
    assert grant(Role.CONDUCTOR) not in frozenset().union(*kept)


def test_a_role_that_was_taken_for_a_while_lets_nobody_hear_for_longer(app: FastAPI) -> None:
    def hear(client: TestClient) -> tuple[int, str]:
        mine = {"id": "mine", "channel": "pull", "target": {"topic": "t", "key": "a key of sixteen letters"}}
        return told(client.post(f"{V1}/subscriptions", json={"subscriptions": [mine]}))

    gale = sign_in(app, person("gale", grant(Role.VIEWER), emergencies=[grant(Role.OPERATOR)]))
    assert take(gale, "operator", minutes=1)[0] == 201
    assert hear(gale) == (403, "NOT_ALLOWED")
    owner = person("olga", grant(Role.OPERATOR), emergencies=[grant(Role.CONDUCTOR)])
    assert take(sign_in(app, owner), minutes=1)[0] == 201
    assert hear(sign_in(app, owner))[0] == 201


def test_only_what_was_laid_down_is_taken(app: FastAPI) -> None:
    lumen = Grant(role=Role.OPERATOR, level=GrantLevel.CUSTOMER, name="lumen")
    gale = sign_in(app, person("gale", grant(Role.VIEWER), emergencies=[lumen]))
    here = {"level": "customer", "name": "lumen"}
    assert take(sign_in(app, person("vera", grant(Role.CONDUCTOR))), "operator") == (403, "NOT_ALLOWED")
    assert take(gale, "operator") == (403, "NOT_ALLOWED")  # everywhere
    assert take(gale, "operator", level="customer", name="meadow") == (403, "NOT_ALLOWED")
    assert take(gale, "conductor", **here) == (409, "BREAK_GLASS_NOT_LAID_DOWN")
    assert take(gale, "operator", 241, **here) == (422, "BAD_INPUT")
    assert take(gale, "operator", why="", **here) == (422, "BAD_INPUT")
    assert take(gale, "operator", **here)[0] == 201


def test_a_role_that_is_no_longer_laid_down_is_over_at_once(app: FastAPI) -> None:
    assert take(sign_in(app, person("gale", emergencies=[grant(Role.CONDUCTOR)])))[0] == 201
    assert may_release(sign_in(app, person("gale", emergencies=[grant(Role.CONDUCTOR)])))
    assert not may_release(sign_in(app, person("gale", emergencies=[grant(Role.AUDITOR)])))
    assert not may_release(sign_in(app, person("gale", grant(Role.VIEWER))))


def test_it_is_given_back_by_whoever_has_it(app: FastAPI, db: Database, clock: HandClock) -> None:
    gale = sign_in(app, person("gale", grant(Role.VIEWER), emergencies=[grant(Role.CONDUCTOR)]))
    assert take(gale)[0] == 201
    with db.read() as conn:
        (one,) = emergencies.load_open(conn)
    vera = sign_in(app, person("vera", *EVERY_ROLE))
    assert told(vera.post(f"{V1}/break-glass/{one.id}/end", json={})) == (409, "BREAK_GLASS_OF_ANOTHER")
    assert gale.post(f"{V1}/break-glass/{one.id}/end", json={}).status_code == 200
    assert not may_release(gale)
    assert told(gale.post(f"{V1}/break-glass/{one.id}/end", json={})) == (409, "BREAK_GLASS_OVER")
    assert told(gale.post(f"{V1}/break-glass/none/end", json={})) == (404, "BREAK_GLASS_UNKNOWN")
    assert take(gale)[0] == 201  # and again
    with db.read() as conn:
        (again,) = emergencies.load_open(conn)
    assert sign_in(app, LOCAL).post(f"{V1}/break-glass/{again.id}/end", json={}).status_code == 200


def test_broken_glass_makes_nobody_two_people(app: FastAPI, db: Database) -> None:
    name = ripe(db)
    rita = sign_in(app, person("rita", OWNER, emergencies=[grant(Role.CONDUCTOR)]))
    assert take(rita)[0] == 201
    alone = rita.post(f"{V1}/updates/{name}/promote", json={"why": "fire"})
    assert "PROMOTED_BY_REGISTRANT" in {why["code"] for why in alone.json()["reasons"]}
