"""Long work that a page begins: it goes on when the page is left, and whoever comes back finds how far it is, or its
outcome. In memory only: what has to outlast the server is stored by the work itself.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from fermata.formats.faults import BadInput
from fermata.planning.stages import Stage, Watch
from fermata.server.errors import ServerBusy
from fermata.server.long_work import LongWork
from fermata.services.board import StoreUnavailable
from fermata.services.errors import Refusal

_log = logging.getLogger("fermata.board")

KEPT_MOST = 24  # outcomes of so many questions; each is two plans of January at most, some megabytes


class State(StrEnum):
    """How far a piece of work is."""

    ON = "on"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Cancelled(Exception):
    """Somebody ended the work."""


@dataclass(slots=True)
class Kept:
    """One piece of work. `told`: what it said of itself last; `value` once it is done, `why` once it failed."""

    name: str
    begun: float
    state: State = State.ON
    told: str = ""
    steps: int = 0
    value: object = None
    why: str = ""
    ended: float | None = None
    _cancelled: threading.Event = field(default_factory=threading.Event)

    @property
    def is_cancelled(self) -> bool:
        """True from the moment on at which somebody asked for its end."""
        return self._cancelled.is_set()

    @property
    def seconds(self) -> int:
        """How long it took, or takes by now."""
        return int((self.ended if self.ended is not None else time.monotonic()) - self.begun)

    def watch(self, stage: Stage, detail: str) -> None:
        """Takes in what is told; raises Cancelled where the work is to end."""
        if self.is_cancelled:
            raise Cancelled
        self.told = f"{stage}, {detail}" if detail else str(stage)
        self.steps += 1

    def cancel(self) -> None:
        """Ends it with the next stage that it tells."""
        self._cancelled.set()


Work = Callable[[Watch, Callable[[], bool]], object]  # is told to watch stages, and asked whether to hurry to its end


class KeptWork:
    """Begins work in the place that LongWork has for one piece at a time, and keeps what came of the last ones.

    Safe for many threads.
    """

    def __init__(self, place: LongWork) -> None:
        self._place = place
        self._lock = threading.Lock()
        self._kept: dict[str, Kept] = {}

    def find(self, name: str) -> Kept | None:
        """The work of that name, on or over; None when it was never begun, or is forgotten."""
        with self._lock:
            return self._kept.get(name)

    def begin(self, name: str, work: Work) -> Kept:
        """The work of that name if it is on, else new work in the place of what came of it before. Raises ServerBusy
        while other work is on.
        """
        with self._lock:
            there = self._kept.get(name)
            if there is not None and there.state is State.ON:
                return there
            if not self._place.take():
                raise ServerBusy
            made = Kept(name=name, begun=time.monotonic())
            self._kept.pop(name, None)
            self._kept[name] = made
            for old in list(self._kept)[:-KEPT_MOST]:
                del self._kept[old]
        threading.Thread(target=self._do, args=(made, work), name="fermata-kept-work", daemon=True).start()
        return made

    def _do(self, made: Kept, work: Work) -> None:
        try:
            made.value = work(made.watch, lambda: made.is_cancelled)
            state = State.DONE
        except Cancelled:
            state = State.CANCELLED
        except (Refusal, BadInput, StoreUnavailable) as error:
            state, made.why = State.FAILED, str(error)
        except Exception:  # noqa: BLE001  # told on the page, and in full in the log
            _log.exception("kept_work.failed name=%s", made.name)
            state, made.why = State.FAILED, "The server failed while it worked on this; the cause is in its log."
        finally:
            self._place.give_back()
        made.ended = time.monotonic()
        made.state = state
