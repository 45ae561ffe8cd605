"""The codes that say why a secret cannot be read."""

from enum import StrEnum


class SecretCode(StrEnum):
    """Stable names, as those of `codes.Code`; each has a sentence and a line in docs/reasons.md, too."""

    SECRET_ABSENT = "SECRET_ABSENT"
    SECRET_UNDESCRIBED = "SECRET_UNDESCRIBED"
    SECRET_NOT_GIVEN = "SECRET_NOT_GIVEN"
    SECRET_SOURCE_AWAY = "SECRET_SOURCE_AWAY"
    SECRET_UNFIT = "SECRET_UNFIT"
