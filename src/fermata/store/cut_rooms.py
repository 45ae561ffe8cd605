"""What is left of a line of a window's room for the customer whose window it is: who spoke, and what the window's own
figures say. Words of those who do the work are for each other, and may be of anybody's things.
"""

from dataclasses import replace

from fermata.domain.room import Answer, Bridge, Go, Handover, Message, Note, RoomLine, Said
from fermata.store.parts import Told
from fermata.store.tenancy.owners import SOMEBODY


def cut_line(line: RoomLine, tell: Told) -> RoomLine:
    """The line without its free words. `tell`: what may be read of a sentence that was made for the customer."""
    return replace(line, what=_cut(line.what, tell))


def _cut(said: Said, tell: Told) -> Said:
    match said:
        case Message():
            return _cut_message(said, tell)
        case Answer():
            return replace(said, text=SOMEBODY if said.text else "")
        case Go():
            return replace(said, why=SOMEBODY if said.why else "")
        case Note():
            return replace(said, text=SOMEBODY)
        case Handover():
            return replace(said, points=tuple(SOMEBODY for _ in said.points))
        case Bridge():
            return replace(said, url=_url(said.url, tell))


def _cut_message(said: Message, tell: Told) -> Message:
    """In the words that its customer is told, which are made of the window's own figures; the roll is of teams."""
    own = said.own
    title, *rest = own.lines if own is not None and own.lines else (f"Message {said.number}",)
    return replace(
        said,
        title=tell(title),
        done="",
        left=tell(" ".join(rest)),
        forecast="",
        needs=(),
        roll=tuple(tell(line) for line in said.roll),
        bridge=_url(said.bridge, tell),
        marks=replace(said.marks, bridge=_url(said.marks.bridge, tell)),
    )


def _url(said: str, tell: Told) -> str:
    told = tell(said)
    return "" if told == SOMEBODY else told
