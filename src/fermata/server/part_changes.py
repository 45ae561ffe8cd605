"""What may be changed by who sees a part of the fleet. Everything else is of the whole: plans, publishing, conducting,
inventory, updates and policy would be decided on a part of what they are about.
"""

import re
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.types import Scope

_ARM = r"/subscriptions/[^/]+/.*"
_ASKS = (  # sent like a change, and changes nothing: answered from the part alone
    r"/api/v1/(query|readmission|policy/preview)",
    r"/providers/Microsoft\.ResourceGraph/resources",
    r"/v[12]/rest/(query|mgmt)",
    r"/requests/cost",
    r"/compute/v1/projects/[^/]+/zones/[^/]+/operations/[^/]+/wait",
    r"/",  # EC2's one action tells
)
_OWN = (  # of who asks, whatever it sees of the fleet
    r"/sign-out",
    r"/demo/user",
    r"/api/v1/tokens(/[^/]+)?",
    r"/api/v1/break-glass(/[^/]+/end)?",
)
_CHANGES = (
    r"/api/v1/(approvals|withdrawals|declines|offers|freezes|intents|work-orders|subscriptions)",
    r"/api/v1/offers/[^/]+/(accept|refuse)",
    r"/api/v1/freezes/[^/]+(/exemptions)?",
    r"/api/v1/exemptions/[^/]+/confirm",
    r"/api/v1/requests/[^/]+/(words|told)",
    r"/api/v1/work-orders/[^/]+/(start|complete|cancel)",
    r"/api/v1/windows/[^/]+/room/(answers|words|notes|handovers|bridge)",
    r"/api/v1/tail/[^/]+/(assign|retry)",
    r"/api/v1/subscriptions/[^/]+(/validate)?",
    r"/api/v1/notices/[^/]+/(replay|dismiss)",
    r"/api/v1/looks",
    r"/api/v1/brake/on",  # whoever operates anything may stop everything
    r"/topics/[^/]+/eventsubscriptions/[^/]+",
    r"/notices/consent/[^/]+",
    _ARM,
    r"/compute/v1/projects/.*",
    r"/policy/freezes(/end)?",
    r"/requests/word",
    *_OWN,
)
_ASK, _CHANGE = (re.compile("|".join(f"(?:{path})" for path in paths), re.IGNORECASE) for paths in (_ASKS, _CHANGES))
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_AGREES = "/notices/consent/"  # whoever opens such an address agrees by that


def changes_part(scope: Scope) -> bool:
    """Whether the request may change something. Raises HTTPException for what takes somebody who sees all."""
    path: str = scope["path"]
    if scope["method"] in _READING:
        return path.startswith(_AGREES)
    if _ASK.fullmatch(path):
        return False
    if not _CHANGE.fullmatch(path):
        raise HTTPException(HTTPStatus.FORBIDDEN, "This is of the whole fleet, and you see a part of it.")
    return True
