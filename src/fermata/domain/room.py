"""The room of a window: what people and the conductor say in it, who is called, and when a word of go is asked for.

Nothing here lets anything begin: a go is one condition more, beside consent, freezes and gates.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from urllib.parse import quote, urlsplit

from fermata.domain.ids import ClusterId, RunId, TeamId, UpdateId, WindowId
from fermata.domain.phases import GoPhase, Phases
from fermata.domain.plans import DeviceApplyStep, NodeApplyStep, Window
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.run_states import WindowState
from fermata.domain.updates import Update

START = "start"  # what a go is about: that the window opens; else the id of one of its updates
BRIDGE_MAX = 500
BRIDGE_SCHEMES = ("https", "http", "tel", "sip")
OVER = frozenset({WindowState.CLOSED, WindowState.MISSED, WindowState.SKIPPED, WindowState.CANCELLED})


class MessageKind(StrEnum):
    """Why a message was made. closed: the last one."""

    OPENED = "opened"
    CHANGED = "changed"
    UPDATE = "update"
    QUIET = "quiet"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The numbers of one message, as the status has them at its time: see `WindowStatus` for each. `left_out`: nodes.

    `median`, `bound`: when enough is back, as likely as not and nine times in ten; None: nothing can be said.
    """

    state: WindowState
    nodes: int
    taken: int
    returned: int
    kept_out: int
    working: int
    in_tail: int
    left_out: int
    behind_minutes: int | None
    median: datetime | None
    bound: datetime | None
    kept: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """What is told at once when it changes; all else waits for the next half hour."""

    state: WindowState
    code: str
    is_alarming: bool
    bridge: str
    holder: str
    words: tuple[tuple[str, bool], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnWords:
    """What the customer of the window is told along with a message, of the message's own figures: all of a window's
    nodes are of one cluster, which is one customer's. `waits`: for what, as far as it concerns a customer. `is_first`:
    it was told nothing of the window's day before.
    """

    lines: tuple[str, ...]
    waits: str
    is_first: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What is told of a window at one moment, the same wherever it is shown. `number` counts from 1 in its room.

    Times in the text are on the clock of `timezone`. `roll`: the teams, in the first message. Empty texts are left out.
    `own`: None where its customer is told nothing, since nothing changed for it.
    """

    number: int
    kind: MessageKind
    at: datetime
    timezone: str
    planned_start: datetime
    planned_end: datetime
    teams: tuple[TeamId, ...]
    title: str
    done: str
    left: str
    forecast: str
    needs: tuple[str, ...]
    roll: tuple[str, ...]
    bridge: str
    holder: str
    figures: Figures
    marks: Marks
    own: OwnWords | None = None

    @property
    def lines(self) -> tuple[str, ...]:
        """The whole message as plain lines, the title first."""
        needs = tuple(f"We need from you: {need}" for need in self.needs)
        body = (self.title, self.done, self.left, self.forecast, *needs, *self.roll)
        return tuple(line for line in body if line)

    @property
    def door(self) -> tuple[str, ...]:
        """Who has the room and where it meets, for whoever reads the message elsewhere; not in the quiet ones."""
        held = f"{self.holder} has the room." if self.holder else ""
        bridge = f"Bridge: {self.bridge}" if self.bridge else ""
        return () if self.kind is MessageKind.QUIET else tuple(line for line in (held, bridge) if line)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A team says that it is there. `text`: what it added."""

    team: TeamId
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Go:
    """A person's go or no-go. It was said of the window as it was planned then: a go is void once it starts otherwise.

    `topic`: START, or the id of one of the window's updates.
    """

    topic: str
    is_go: bool
    why: str
    planned_start: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something that others in the room should know."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """Who had the room ("" nobody), who has it from now on, and what is open."""

    before: str
    after: str
    points: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridge:
    """Where people of the room meet."""

    url: str


Said = Message | Answer | Go | Note | Handover | Bridge


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomLine:
    """One line of a room; lines are never changed. `seq` is 0 until stored."""

    run: RunId
    window: WindowId
    at: datetime
    actor: str
    what: Said
    seq: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A team of the window, and when it is to begin by the plan: the first step of one of its updates."""

    team: TeamId
    updates: tuple[UpdateId, ...]
    starts_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Called(Turn):
    """A team in the roll-call. `answered_at` None: it has not answered."""

    answered_at: datetime | None = None
    answered_by: str = ""
    text: str = ""

    def late_minutes(self, now: datetime) -> int:
        """How long after its start it answered, or has not answered by now; 0 in time."""
        late = (self.answered_at or now) - self.starts_at
        return max(0, int(late.total_seconds() // 60))


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What of a window may need a word, and the newest word on it. `by`, `at`: of that word."""

    topic: str
    is_asked: bool
    word: Go | None
    by: str
    at: datetime | None

    @property
    def is_open(self) -> bool:
        """True when a go is asked for and nobody said anything that counts."""
        return self.is_asked and self.word is None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomBook:
    """What people said in a room, the newest word of each thing."""

    bridge: str
    holder: str
    called: tuple[Called, ...]
    asked: tuple[Asked, ...]
    messages: tuple[Message, ...]


def find_turns(window: Window, updates: Mapping[UpdateId, Update]) -> tuple[Turn, ...]:
    """The teams of a window in the order in which they begin; updates that the catalogue has lost have none."""
    begins: dict[UpdateId, datetime] = {}
    for step in window.steps:
        if isinstance(step, DeviceApplyStep | NodeApplyStep):
            begins[step.update] = min(step.start, begins.get(step.update, step.start))
    of_team: dict[TeamId, list[UpdateId]] = {}
    for name in sorted(begins, key=lambda name: (begins[name], name)):
        if name in updates:
            of_team.setdefault(updates[name].owner_team, []).append(name)
    found = [
        Turn(team=team, updates=tuple(names), starts_at=min(begins[name] for name in names))
        for team, names in of_team.items()
    ]
    return tuple(sorted(found, key=lambda turn: (turn.starts_at, turn.team)))


def asked_topics(phases: Phases, updates: Collection[UpdateId], *, is_control: bool) -> tuple[str, ...]:
    """What of a window waits for a go: its start by its phase, and those of its updates that the campaign names."""
    phase = GoPhase.CONTROL if is_control else GoPhase.FULL
    start = (START,) if phase in phases.go_windows else ()
    return (*start, *sorted(phases.go_updates & frozenset(updates)))


def read_book(
    lines: Iterable[RoomLine], turns: Sequence[Turn], asked: Sequence[str], planned_start: datetime
) -> RoomBook:
    """What the lines of one room, oldest first, come to."""
    bridge, holder, messages = "", "", []
    answers: dict[TeamId, tuple[RoomLine, Answer]] = {}
    words: dict[str, tuple[RoomLine, Go]] = {}
    for line in lines:
        match line.what:
            case Message() as message:
                messages.append(message)
            case Answer() as answer:
                answers.setdefault(answer.team, (line, answer))
            case Go() as word:
                words[word.topic] = (line, word)
            case Handover(after=after):
                holder = after
            case Bridge(url=url):
                bridge = url
            case Note():
                pass
    return RoomBook(
        bridge=bridge,
        holder=holder,
        called=tuple(_call(turn, answers.get(turn.team)) for turn in turns),
        asked=tuple(
            _ask(topic, topic in asked, words.get(topic), planned_start)
            for topic in (*asked, *sorted(words.keys() - set(asked)))
        ),
        messages=tuple(messages),
    )


def _call(turn: Turn, found: tuple[RoomLine, Answer] | None) -> Called:
    at, by, text = (found[0].at, found[0].actor, found[1].text) if found is not None else (None, "", "")
    return Called(
        team=turn.team, updates=turn.updates, starts_at=turn.starts_at, answered_at=at, answered_by=by, text=text
    )


def _ask(topic: str, is_asked: bool, found: tuple[RoomLine, Go] | None, planned_start: datetime) -> Asked:
    if found is None or is_void(found[1], planned_start):
        return Asked(topic=topic, is_asked=is_asked, word=None, by="", at=None)
    return Asked(topic=topic, is_asked=is_asked, word=found[1], by=found[0].actor, at=found[0].at)


def is_void(word: Go, planned_start: datetime) -> bool:
    """True of a go that was said of another start; a no-go stands until the next word."""
    return word.is_go and word.planned_start != planned_start


def hold_without_go(
    window: WindowId, topic: str, said: RoomLine | None, *, is_asked: bool, planned_start: datetime
) -> Reason | None:
    """Why the topic waits for a person: a no-go, or no go where one is asked for. None: nobody is waited for."""
    word = said.what if said is not None and isinstance(said.what, Go) else None
    what = f"{window} does not open" if topic == START else f"{topic} does not begin in {window}"
    option = "" if topic == START else f" --update {topic}"
    if said is not None and word is not None and not word.is_go:
        return reason(Code.NO_GO, what=what, actor=said.actor, why=word.why, window=window, option=option)
    if is_asked and (word is None or is_void(word, planned_start)):
        return reason(Code.GO_AWAITED, what=what, window=window, option=option)
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class TailUnit:
    """A unit of the window that is not back, who sees to it, and why it is not."""

    unit: str
    owner: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How it went, as the report has it."""

    ready_at: datetime | None
    kept_promise: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Which window a room is of."""

    run: RunId
    window: WindowId
    cluster: ClusterId
    part: int
    parts: int
    timezone: str


def is_bridge(url: str) -> bool:
    """True of a link that a person can open: a page, a telephone number, a call."""
    if len(url) > BRIDGE_MAX or not url.isprintable() or any(char.isspace() for char in url):
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    if parts.scheme not in BRIDGE_SCHEMES:
        return False
    return bool(parts.hostname) if parts.scheme in ("http", "https") else bool(parts.path)


def fill_bridge(template: str, *, window: str, cluster: str) -> str:
    """The site's link for one window. Raises what `str.format` raises of another name in braces."""
    return template.format(window=quote(window, safe=""), cluster=quote(cluster, safe=""))
