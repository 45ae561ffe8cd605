"""What nobody does alone, whatever roles they have: the second person is somebody else by name. Pure."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from fermata.domain.access_codes import AccessCode
from fermata.domain.ids import UpdateId
from fermata.domain.reasons import Reason, reason
from fermata.domain.updates import Stage, Update


def judge_promoter(update: UpdateId, registrants: Collection[str], actor: str) -> Reason | None:
    """Why `actor` does not promote the update, or None. `registrants`: everybody who may have brought it as it is."""
    if actor not in registrants:
        return None
    return reason(AccessCode.PROMOTED_BY_REGISTRANT, update=update, actor=actor)


def judge_registration(
    changed: Iterable[Update],
    known: Mapping[UpdateId, Update],
    registrants: Mapping[UpdateId, Collection[str]],
    actor: str,
) -> tuple[Reason, ...]:
    """Why these are not registered by `actor`: each that would be production-ready as nobody else has seen it. One that
    somebody else registered as flight-ready, and that a file only calls production-ready, is promoted by two.
    """
    return tuple(
        reason(AccessCode.REGISTERED_AS_READY, update=update.id, actor=actor)
        for update in changed
        if update.stage is Stage.PRODUCTION_READY and not _is_second(update, known, registrants, actor)
    )


def _is_second(
    update: Update, known: Mapping[UpdateId, Update], registrants: Mapping[UpdateId, Collection[str]], actor: str
) -> bool:
    before = known.get(update.id)
    if before is None or replace(before, stage=update.stage) != update:
        return False
    return actor not in registrants.get(update.id, ())
