"""What the parts of the client share."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from fermata.client.link import Params, ServerLink
from fermata.domain.ids import (
    CampaignId,
)
from fermata.domain.policy import Scope


@dataclass(frozen=True, slots=True)
class Part:
    """Verbs over one link."""

    link: ServerLink


def campaign_params(campaign: CampaignId | None) -> Params:
    return [] if campaign is None else [("campaign", campaign)]


def path_part(name: str) -> str:
    """As one part of a path, whatever it holds."""
    return quote(name, safe="")


def iso(at: datetime | None) -> str | None:
    return at.isoformat() if at is not None else None


def scope_body(scope: Scope) -> dict[str, Any]:
    return {"level": scope.level, "name": scope.name}
