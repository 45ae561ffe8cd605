"""The codes that say why nobody was let in, or a token was not made."""

from enum import StrEnum


class IdentityCode(StrEnum):
    """Stable names, as those of `codes.Code`; each has a sentence and a line in docs/reasons.md, too."""

    TOKEN_UNKNOWN = "TOKEN_UNKNOWN"
    TOKEN_EXCEEDS = "TOKEN_EXCEEDS"
    TOKEN_WITHOUT_GRANT = "TOKEN_WITHOUT_GRANT"
    TOKEN_LIFE = "TOKEN_LIFE"
    TOKEN_BY_TOKEN = "TOKEN_BY_TOKEN"
    SIGN_IN_IMPOSSIBLE = "SIGN_IN_IMPOSSIBLE"
    SIGN_IN_FAILED = "SIGN_IN_FAILED"
