"""Who sent a request. Whatever knows callers writes it into the request's scope before anything else looks; nobody
else does. A request of which nothing is known has no principal, and is served nothing.
"""

from typing import Annotated

from fastapi import Depends, Request
from starlette.types import Scope

from fermata.domain.identity import Principal

KEY = "fermata.principal"


def note_principal(scope: Scope, principal: Principal) -> None:
    """Says who sent the request of that scope."""
    scope[KEY] = principal


def find_principal(scope: Scope) -> Principal | None:
    """Who sent it; None when nobody is known."""
    found = scope.get(KEY)
    return found if isinstance(found, Principal) else None


def principal_of(request: Request) -> Principal:
    """Who sent a request that was let in. Raises LookupError for one that nobody let in."""
    found = find_principal(request.scope)
    if found is None:
        raise LookupError("a request without a principal reached a handler")
    return found


Caller = Annotated[Principal, Depends(principal_of)]
