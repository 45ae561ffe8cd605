"""Readmission: may a node go back, and what is missing if not."""

from typing import Annotated

from pydantic import Field

from fermata.server.api.bodies import Body, Name
from fermata.server.api.nouns import open_noun
from fermata.server.context import Given
from fermata.services import readmission
from fermata.services.readmission import NodeReturn

NODES_MAX = 50_000  # of one question: more than any fleet has out

router = open_noun("readmission")


class ReadmissionBody(Body):
    """Which nodes are asked about."""

    nodes: Annotated[list[Name], Field(min_length=1, max_length=NODES_MAX)]


@router.get("/nodes/{node}/readmission")
def get_readmission(given: Given, node: str) -> NodeReturn:
    """Whether the node may go back now: the answer, what is proven, and everything that is missing."""
    (found,) = readmission.judge_nodes(given.db, [node], now=given.now())
    return found


@router.post("/readmission")
def post_readmission(given: Given, body: ReadmissionBody) -> list[NodeReturn]:
    """The same of many nodes at once, in their order, each once. Nothing is changed."""
    return list(readmission.judge_nodes(given.db, body.nodes, now=given.now()))
