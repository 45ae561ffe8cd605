"""How errors look in the API's description. `server.errors` writes them."""

from typing import Any

from pydantic import BaseModel, Field

MEDIA_TYPE = "application/problem+json"


class Fault(BaseModel):
    """One fault of a request: where it is and what is wrong. The rest is filled in for a fault of an uploaded file."""

    where: str
    sentence: str
    kind: str
    file: str | None = None
    line: int | None = None
    column: int | None = None
    field: str | None = None
    suggestion: str | None = None


class Refused(BaseModel):
    """One reason why a verb was refused."""

    code: str
    sentence: str


class Problem(BaseModel):
    """RFC 9457 problem document with Fermata's reason code."""

    type: str = "about:blank"
    title: str
    status: int
    code: str = Field(description="Stable reason code, see docs/reasons.md")
    detail: str = Field(description="The sentence an operator reads")
    total: int | None = Field(None, description="How many faults or reasons there are; at most 50 are listed")
    faults: list[Fault] | None = None
    reasons: list[Refused] | None = None
    line: int | None = Field(None, description="Of a query: where it is at fault, from 1")
    column: int | None = Field(None, description="Likewise")
    token: str | None = Field(None, description="What stands there")


def describe_problem() -> dict[str, Any]:
    """The schemas that answers of `RESPONSES` refer to, by name. A model for each of them on each route would be worked
    out anew thousands of times while the server starts.
    """
    described = Problem.model_json_schema(ref_template="#/components/schemas/{model}", mode="serialization")
    return {**described.pop("$defs"), Problem.__name__: described}


def _response(description: str) -> dict[str, Any]:
    return {"description": description, "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}


AGAIN = {
    "Retry-After": {"description": "Seconds after which to ask again", "schema": {"type": "integer", "minimum": 0}}
}
RESPONSES: dict[int | str, dict[str, Any]] = {
    400: _response("The body or a header cannot be read; nothing was changed"),
    401: _response("Nobody is known to call; nothing was changed"),
    403: _response("The caller may not; nothing was changed"),
    404: _response("There is no such thing"),
    409: _response("Refused with a reason; nothing was changed"),
    412: _response("If-Match names another version than there is; nothing was changed"),
    413: _response("The body is too large; nothing was changed"),
    414: _response("Path and query are too long; nothing was changed"),
    415: _response("The body is packed, or of a kind that is not read; nothing was changed"),
    422: _response("Faults in the request, all of them listed; nothing was changed"),
    429: {**_response("The caller asks too much; nothing was changed"), "headers": AGAIN},
    503: {**_response("The store does not answer; nothing was changed"), "headers": AGAIN},
}
