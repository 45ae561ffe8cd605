"""How two versions of a component compare (2-formats: part by part)."""

from functools import lru_cache

_Part = tuple[int, int, str]


@lru_cache(maxsize=65536)
def _parts(version: str) -> tuple[_Part, ...]:
    return tuple((0, int(p), "") if p.isascii() and p.isdigit() else (1, 0, p.casefold()) for p in version.split("."))


@lru_cache(maxsize=65536)  # a fleet runs few versions on many nodes
def compare_versions(left: str, right: str) -> int:
    """-1, 0 or 1. Split at dots; two parts of digits compare as numbers, otherwise as text without case.

    A version that is a prefix of the other is the older one. Neither may be empty: unknown does not compare.
    """
    if not left or not right:
        raise ValueError("an unknown version does not compare")
    for a, b in zip(_parts(left), _parts(right), strict=False):
        outcome = _compare_part(a, b)
        if outcome:
            return outcome
    lengths = (len(_parts(left)), len(_parts(right)))
    return (lengths[0] > lengths[1]) - (lengths[0] < lengths[1])


def _compare_part(a: _Part, b: _Part) -> int:
    if a[0] == b[0]:
        return (a > b) - (a < b)
    text_a = a[2] or str(a[1])
    text_b = b[2] or str(b[1])
    return (text_a > text_b) - (text_a < text_b)


def is_newer(candidate: str, than: str) -> bool:
    """True when `candidate` is a later version than `than`."""
    return compare_versions(candidate, than) > 0


def is_at_least(version: str, minimum: str) -> bool:
    """True when `version` is known and not older than `minimum`; unknown is never enough."""
    return bool(version) and compare_versions(version, minimum) >= 0
