"""Times at which nodes may not be out, in words: freezes, and all that no allowance opens."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from fermata.domain.allowances import Allowance, find_next
from fermata.domain.ids import CustomerId
from fermata.domain.policy import Freeze
from fermata.domain.reasons import Code, Reason, reason


def say_frozen(freeze: Freeze) -> Reason:
    """The freeze as a reason."""
    start, end = f"{freeze.start:%Y-%m-%d %H:%MZ}", f"{freeze.end:%Y-%m-%d %H:%MZ}"
    return reason(Code.FROZEN, freeze=freeze.id, scope=freeze.scope, start=start, end=end, why=freeze.reason)


def say_outside(
    allowances: Iterable[Allowance], customer: CustomerId, scope: object, *, after: datetime, length: timedelta
) -> Reason:
    """That work on `scope` is not allowed at `after`, and when it is next for as long as `length`."""
    known = tuple(allowances)
    found = find_next(known, after, length)
    return reason(
        Code.OUTSIDE_WINDOWS,
        customer=customer,
        scope=scope,
        windows=" and ".join(sorted(map(str, known))),
        next=f"open at {found.start:%Y-%m-%d %H:%MZ}" if found else "which is never open for so long",
    )
