"""Who speaks, for words that arrive without a name: the principal whose request is being answered."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_SPEAKER: ContextVar[str | None] = ContextVar("fermata_speaker", default=None)


@contextmanager
def speaking_as(name: str | None) -> Iterator[None]:
    """Within the block, and in threads that it begins work in, whoever says nothing else speaks as `name`."""
    token = _SPEAKER.set(name)
    try:
        yield
    finally:
        _SPEAKER.reset(token)


def find_speaker() -> str | None:
    """Who speaks; None where nobody signs in."""
    return _SPEAKER.get()
