"""The codes about archives of the journal."""

from enum import StrEnum


class AuditCode(StrEnum):
    """Stable names, as those of `codes.Code`; each has a sentence and a line in docs/reasons.md, too."""

    ARCHIVE_EXISTS = "ARCHIVE_EXISTS"
    ARCHIVE_EMPTY = "ARCHIVE_EMPTY"
    ARCHIVE_NEEDED = "ARCHIVE_NEEDED"
    ARCHIVE_FORBIDDEN = "ARCHIVE_FORBIDDEN"
    ARCHIVE_BROKEN = "ARCHIVE_BROKEN"
    ARCHIVE_UNREADABLE = "ARCHIVE_UNREADABLE"
    ARCHIVE_UNSIGNED = "ARCHIVE_UNSIGNED"
    ARCHIVE_CHANGED = "ARCHIVE_CHANGED"
    ARCHIVE_MISSING = "ARCHIVE_MISSING"
    CUT_UNMET = "CUT_UNMET"
    CUT_UNSIGNED = "CUT_UNSIGNED"
