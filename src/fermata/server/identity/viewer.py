"""Who looks at the page that is being made: the templates ask here, and no handler has to hand it through.

It is a variable of the request's own context, which worker threads take over; outside of a request it is nobody.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """`speaks`: under whose name the changes go on record; "" where whoever changes something names themselves.
    `csrf` "": nothing has to be shown with changes. `others`: whom the demo can show, by their keys.
    """

    name: str = ""
    speaks: str = ""
    csrf: str = ""
    can_leave: bool = False
    is_demo: bool = False
    others: Sequence[tuple[str, str]] = ()


NOBODY = Viewer()
_CURRENT: ContextVar[Viewer] = ContextVar("fermata_viewer", default=NOBODY)


def viewer() -> Viewer:
    """Who it is."""
    return _CURRENT.get()


@contextmanager
def seen_by(found: Viewer) -> Iterator[None]:
    """Pages made in the block are made for that one."""
    token = _CURRENT.set(found)
    try:
        yield
    finally:
        _CURRENT.reset(token)
