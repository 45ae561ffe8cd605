"""Gates of a run: what is known of every update, and a person's word on one of them."""

from typing import Annotated, Literal

from pydantic import Field

from fermata.domain.gates import GateSaid, GateState, GateWord
from fermata.domain.ids import RunId, UpdateId
from fermata.server.api.bodies import TEXT_MAX, Body, Name
from fermata.server.api.nouns import open_noun
from fermata.server.context import Given
from fermata.services import gates

router = open_noun("runs")


class WordBody(Body):
    """Who says so, and why: it goes into the journal."""

    actor: Name
    why: Annotated[str, Field(min_length=1, max_length=TEXT_MAX)]


@router.get("/runs/{run}/gates")
def get_gates(given: Given, run: str) -> gates.GatesView:
    """Every update of the run: verdict and reason, evidence, the terms it is judged by, how many units wait."""
    return gates.show_gates(given.db, RunId(run))


@router.post("/runs/{run}/gates/{update}/{word}")
def post_word(
    given: Given, run: str, update: str, word: Literal["proceed", "hold", "roll_back"], body: WordBody
) -> GateState:
    """Proceed takes what failed so far as known; hold and roll back stand until the next word."""
    said = GateSaid(word=GateWord(word), actor=body.actor, why=body.why, at=given.now())
    return gates.say(given.db, RunId(run), UpdateId(update), said)
