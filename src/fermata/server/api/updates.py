"""The update catalogue: its life, its signals, and which updates ran together before."""

from datetime import UTC
from typing import Annotated

from fastapi import Query, UploadFile, status
from pydantic import Field

from fermata.domain.combinations import Combination
from fermata.domain.ids import FreezeId, PlanId, SupercomputerId, UpdateId
from fermata.domain.piles import Pile
from fermata.domain.qualification import QualificationRule, Result, Ring, Signal
from fermata.server.api.bodies import NAME_MAX, TEXT_MAX, Body, Instant, Name, Text
from fermata.server.api.nouns import open_noun
from fermata.server.api.uploads import ActorField, WhyField, saved_files
from fermata.server.context import Given
from fermata.services import together, updates

UPDATES_MAX = 100
NODES_MAX = 10**7
UPDATES_FILE, RULES_FILE = "updates.yaml", "qualification.yaml"

router = open_noun("updates")

Asked = Annotated[str | None, Query(max_length=NAME_MAX)]


class WordBody(Body):
    """Who changes the catalogue, and why."""

    actor: Name
    why: Text = ""


class SignalBody(Body):
    """What was seen: `updates`, together, on `nodes` nodes of `sku` ("": not said). `at` null: now."""

    actor: Name
    updates: Annotated[list[Name], Field(min_length=1, max_length=UPDATES_MAX)]
    ring: Annotated[Ring, Field(strict=False)]
    name: Name
    result: Annotated[Result, Field(strict=False)]
    nodes: Annotated[int, Field(ge=1, le=NODES_MAX)]
    sku: Annotated[str, Field(max_length=NAME_MAX)] = ""
    at: Instant | None = None
    note: Text = ""


@router.get("/updates")
def get_updates(given: Given) -> list[updates.UpdateView]:
    """The catalogue by release: on how many units each update is due, and what it lacks to be production-ready."""
    return list(updates.list_updates(given.db))


@router.post("/updates", status_code=status.HTTP_201_CREATED)
def post_updates(given: Given, file: UploadFile, actor: ActorField, why: WhyField = "") -> updates.CatalogueChanged:
    """Registers the updates of a file in the form of `updates.yaml`; those of a known id are replaced."""
    with saved_files({UPDATES_FILE: file}) as folder:
        return updates.register_updates(given.db, folder / UPDATES_FILE, now=given.now(), actor=actor, why=why)


@router.get("/combinations")
def get_combinations(given: Given, supercomputer: Asked = None, plan: Asked = None) -> list[Combination]:
    """Sets of updates that are pending on the same nodes, those first that never ran together well."""
    return list(
        together.list_combinations(
            given.db,
            supercomputer=SupercomputerId(supercomputer) if supercomputer else None,
            plan=PlanId(plan) if plan else None,
        )
    )


@router.put("/qualification")
def put_rules(given: Given, file: UploadFile, actor: ActorField, why: WhyField = "") -> list[QualificationRule]:
    """Replaces the rules of qualification by those of a file, `qualification.yaml`."""
    with saved_files({RULES_FILE: file}) as folder:
        return list(updates.save_rules(given.db, folder / RULES_FILE, now=given.now(), actor=actor, why=why))


@router.post("/signals", status_code=status.HTTP_201_CREATED)
def post_signal(given: Given, body: SignalBody) -> Signal:
    """Records what was seen of updates in a ring."""
    order = updates.SignalOrder(
        updates=frozenset(UpdateId(name) for name in body.updates),
        ring=body.ring,
        name=body.name,
        result=body.result,
        nodes=body.nodes,
        sku=body.sku,
        at=body.at.astimezone(UTC) if body.at else None,
        note=body.note,
    )
    return updates.record_signal(given.db, order, now=given.now(), actor=body.actor, new_id=given.new_id)


@router.get("/updates/{update_id}")
def get_update(given: Given, update_id: str) -> updates.UpdateView:
    """One update with its signals."""
    return updates.show_update(given.db, UpdateId(update_id))


@router.delete("/updates/{update_id}")
def delete_update(
    given: Given,
    update_id: str,
    actor: Annotated[str, Query(min_length=1, max_length=NAME_MAX)],
    why: Annotated[str, Query(max_length=TEXT_MAX)] = "",
) -> updates.CatalogueChanged:
    """Takes an update out of the catalogue."""
    return updates.withdraw_update(given.db, UpdateId(update_id), now=given.now(), actor=actor, why=why)


@router.post("/updates/{update_id}/promote")
def post_promote(given: Given, update_id: str, body: WordBody) -> updates.CatalogueChanged:
    """Makes an update production-ready, when it has every signal that its rule names."""
    return updates.promote_update(given.db, UpdateId(update_id), now=given.now(), actor=body.actor, why=body.why)


@router.post("/updates/{update_id}/demote")
def post_demote(given: Given, update_id: str, body: WordBody) -> updates.CatalogueChanged:
    """Makes an update flight-ready again: it is pending nowhere."""
    return updates.demote_update(given.db, UpdateId(update_id), now=given.now(), actor=body.actor, why=body.why)


@router.get("/piles")
def get_piles(given: Given, freeze: Asked = None) -> list[Pile]:
    """What piled up during each freeze that has begun: updates, nodes, age, pairs that never ran together."""
    return list(together.list_piles(given.db, now=given.now(), freeze=FreezeId(freeze) if freeze else None))
