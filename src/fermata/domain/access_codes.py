"""The codes that say why somebody may not do alone what takes two, or may not take a role for a while."""

from enum import StrEnum


class AccessCode(StrEnum):
    """Stable names, as those of `codes.Code`; each has a sentence and a line in docs/reasons.md, too."""

    PROMOTED_BY_REGISTRANT = "PROMOTED_BY_REGISTRANT"
    REGISTERED_AS_READY = "REGISTERED_AS_READY"
    BREAK_GLASS_NOT_LAID_DOWN = "BREAK_GLASS_NOT_LAID_DOWN"
    BREAK_GLASS_REASON_MISSING = "BREAK_GLASS_REASON_MISSING"
    BREAK_GLASS_TOO_LONG = "BREAK_GLASS_TOO_LONG"
    BREAK_GLASS_UNKNOWN = "BREAK_GLASS_UNKNOWN"
    BREAK_GLASS_OVER = "BREAK_GLASS_OVER"
    BREAK_GLASS_OF_ANOTHER = "BREAK_GLASS_OF_ANOTHER"
