"""A notifier that is waited for so long and no longer: telling people may not hold up who brings nodes back."""

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, wait
from datetime import timedelta
from threading import Lock, Thread

from fermata.domain.ids import StepKey
from fermata.domain.observations import Answer, Later
from fermata.ports import CALL_SIZE_MAX, Notice, Notifier

PATIENCE = timedelta(seconds=2)  # a fifth of a lease: whoever waits for longer loses the batch to another worker
AGAIN = timedelta(minutes=1)  # until somebody who is still at it is asked again
_log = logging.getLogger("fermata.site")


class InTime:
    """The port Notifier, over another. Calls are made one at a time by a thread of their own. One that takes too long
    goes on there: its notices are answered Later, and whatever came of them is the answer when they are asked for
    again, so that nothing is told twice. Until it is over, nobody else is told anything, and nobody waits for that.
    """

    def __init__(self, notifier: Notifier, *, patience: timedelta = PATIENCE) -> None:
        self._notifier = notifier
        self._patience = patience
        self._lock = Lock()
        self._late: Future[Mapping[StepKey, Answer]] | None = None
        self._told: dict[StepKey, Answer] = {}

    def notify(self, notices: Sequence[Notice]) -> Mapping[StepKey, Answer]:
        """See the port. Raises what the call raised, if that was in time."""
        with self._lock:
            self._take_late()
            known = {notice.key: self._told[notice.key] for notice in notices if notice.key in self._told}
            rest = [notice for notice in notices if notice.key not in known]
            answers = {**known, **(self._ask(rest) if rest else {})}
            for key in known:  # only now: had the call raised, nobody would have heard of these
                del self._told[key]
            return answers

    def _ask(self, notices: Sequence[Notice]) -> Mapping[StepKey, Answer]:
        if self._late is None:
            call = self._begin(notices)
            if wait([call], self._patience.total_seconds()).done:
                return call.result()
            self._late = call
        return {notice.key: Later(after=AGAIN) for notice in notices}

    def _take_late(self) -> None:
        """Keeps what came of a call that was late, if it is over. What it raised leaves its notices to be asked for."""
        if self._late is None or not self._late.done():
            return
        error = self._late.exception()
        if error is None:
            self._told |= self._late.result()
            while len(self._told) > CALL_SIZE_MAX:  # never asked for again: what they were about has moved on
                del self._told[next(iter(self._told))]
        else:
            _log.warning("notifier_failed_late error=%s why=%s", type(error).__name__, error)
        self._late = None

    def _begin(self, notices: Sequence[Notice]) -> Future[Mapping[StepKey, Answer]]:
        call: Future[Mapping[StepKey, Answer]] = Future()
        Thread(target=self._run, args=(call, notices), name="fermata-notifier", daemon=True).start()
        return call

    def _run(self, call: Future[Mapping[StepKey, Answer]], notices: Sequence[Notice]) -> None:
        try:
            call.set_result(self._notifier.notify(notices))
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is raised where the call was asked for
            call.set_exception(error)
