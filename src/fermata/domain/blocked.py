"""Which impacts a customer's policy blocks where no rule of its own fits."""

from enum import StrEnum

from fermata.domain.updates import Impact


class Blocked(StrEnum):
    """Which impacts a policy blocks until an approval lets them through."""

    ALL = "all"
    IMPACTFUL = "impactful"
    NONE = "none"

    def blocks(self, impact: Impact) -> bool:
        """True when work of this impact needs an approval."""
        match self:
            case Blocked.ALL:
                return True
            case Blocked.IMPACTFUL:
                return impact is not Impact.IMPACTLESS
            case Blocked.NONE:
                return False
