"""Trying a policy, reading the stored one, and putting another in its place."""

from datetime import UTC
from typing import Annotated

from fastapi import Query, Response, UploadFile

from fermata.domain.policy_trial import Trial
from fermata.formats.policy import read_policy
from fermata.server.api.bodies import NAME_MAX, Instant
from fermata.server.api.nouns import open_noun
from fermata.server.api.tags import IfMatch, refuse_other
from fermata.server.api.uploads import ActorField, WhyField, saved_files
from fermata.server.context import Given
from fermata.services import policy

router = open_noun("consent")

FILE = "policy.yaml"
Name = Annotated[str, Query(min_length=1, max_length=NAME_MAX)]


@router.get("/policy/test")
def get_policy_test(given: Given, node: Name, update: Name, at: Instant | None = None) -> Trial:
    """What would happen to `update` on `node` at that time (now, if none is named), which rule decides, and why.
    Nothing is done.
    """
    return policy.try_update(given.db, node, update, at=at.astimezone(UTC) if at else given.now())


@router.get("/policy")
def get_policy(given: Given, response: Response) -> policy.PolicyView:
    """The stored policy, with an ETag that names its content: freezes added by hand are at `/freezes`."""
    found = policy.show_policy(given.db)
    response.headers["ETag"] = _tag(found.sha256)
    return found


@router.post("/policy/preview")
def post_preview(given: Given, file: UploadFile) -> policy.PolicyPreview:
    """What a policy, `policy.yaml`, would change in the place of the stored one. Nothing is done."""
    with saved_files({FILE: file}) as folder:
        wanted = read_policy(folder / FILE)
    return policy.preview_policy(given.db, wanted, now=given.now())


@router.put("/policy")
def put_policy(
    given: Given,
    response: Response,
    file: UploadFile,
    actor: ActorField,
    why: WhyField = "",
    if_match: IfMatch = None,
) -> policy.PolicyPreview:
    """Puts a policy, `policy.yaml`, in the place of the stored one, and says what that changed."""
    with saved_files({FILE: file}) as folder:
        wanted = read_policy(folder / FILE)
    done = policy.replace_policy(
        given.db,
        wanted,
        now=given.now(),
        actor=actor,
        why=why,
        check=lambda sha256: refuse_other(if_match, _tag(sha256)),
    )
    response.headers["ETag"] = _tag(done.sha256)
    return done


def _tag(sha256: str) -> str:
    return f'"{sha256}"'
