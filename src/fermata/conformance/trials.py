"""Sentences that every adapter keeps, and one adapter tried with one of them. Needs no test framework: pytest
parametrises over `list_trials`, and `fermata adapters try` runs them where no pytest is installed.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from fermata.conformance import acting, checking, keeping, reading
from fermata.conformance.bench import OBSERVING, OF_DEVICES, PORT_OF, Bench, Broken, Mishap, NotTried, Op
from fermata.conformance.sentences import Sentence, Subject
from fermata.domain.node_states import UnitKind
from fermata.domain.routing import PortName

SENTENCES: tuple[Sentence, ...] = (*reading.SENTENCES, *acting.SENTENCES, *checking.SENTENCES, *keeping.SENTENCES)


@dataclass(frozen=True, slots=True)
class Trial:
    """One sentence about one subject: an operation, a port, or the adapter as a whole; some with one mishap. `of`: the
    kind of units that it is tried with.
    """

    sentence: Sentence
    subject: Subject
    mishap: Mishap | None = None
    of: UnitKind = UnitKind.NODE

    def __str__(self) -> str:
        subject = str(self.subject) if self.subject is not None else ""
        if self.of is UnitKind.DEVICE and self.sentence.is_about_units:
            subject = f"{subject} of devices".strip()
        about = f"{subject}: " if subject else ""
        when = f" ({self.mishap})" if self.mishap is not None else ""
        return f"{about}{self.sentence.text}{when}"

    def run(self, bench: Bench) -> None:
        """Raises Broken when the adapter does not keep the sentence, NotTried when the bench lacks what it takes."""
        for name in (str(self), self.sentence.text):
            if name in bench.cannot:
                raise NotTried(bench.cannot[name])
        if self.sentence.acts and not bench.may_write:
            raise NotTried("it changes something, and this bench may only read")
        if self.mishap is not None and self.mishap not in bench.mishaps:
            raise NotTried(f"the bench cannot make this happen: {self.mishap}")
        bench.kind = self.of
        needs = (*self.sentence.needs, "units") if self.sentence.acts else self.sentence.needs
        missing = [f"{self.of}s" if name == "units" else name for name in needs if not getattr(bench, name)]
        if missing:
            raise NotTried(f"the bench has no {' and no '.join(missing)}")
        bench.window = f"{self.sentence.check.__name__}-{self.mishap.name if self.mishap else 'calm'}".lower()
        try:
            self.sentence.check(bench, self.subject, self.mishap)
        finally:
            if bench.strike is not None:
                bench.strike(None)
            if self.sentence.acts and bench.tidy is not None:
                bench.tidy()


def list_trials(
    ports: Iterable[PortName], *, of: Sequence[UnitKind] = (UnitKind.NODE,), reading_only: bool = False
) -> Sequence[Trial]:
    """Every sentence about everything that an adapter of these ports does. `of`: the kinds of units that it serves."""
    served = frozenset(ports)
    found: list[Trial] = []
    for sentence in SENTENCES:
        if reading_only and sentence.acts:
            continue
        for kind in of if sentence.is_about_units else of[:1]:
            narrowed = served.intersection(OF_DEVICES) if kind is UnitKind.DEVICE else served
            for subject in _subjects(sentence, narrowed):
                found += [Trial(sentence, subject, mishap, kind) for mishap in (sentence.mishaps or (None,))]
    return found


def _subjects(sentence: Sentence, served: frozenset[PortName]) -> Iterable[Subject]:
    if not served.issuperset(sentence.ports):
        return ()
    match sentence.about:
        case None:
            return (None,)
        case "port":
            return [port for port in OBSERVING if port in served]
        case ops:
            return [op for op in ops if PORT_OF[op] in served]


class Verdict(Enum):
    """What came of a trial."""

    KEPT = "kept"
    BROKEN = "broken"
    NOT_TRIED = "not tried"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """`why`: what the adapter did instead, or what the bench lacks; "" where the sentence is kept."""

    trial: Trial
    verdict: Verdict
    why: str = ""


def try_all(trials: Iterable[Trial], make_bench: Callable[[Trial], Bench]) -> Iterable[Outcome]:
    """Runs one after the other, each on a bench of its own, and tells each as it ends."""
    for trial in trials:
        bench = make_bench(trial)
        try:
            yield _try(trial, bench)
        finally:
            bench.ports.close()


def _try(trial: Trial, bench: Bench) -> Outcome:
    try:
        trial.run(bench)
    except NotTried as why:
        return Outcome(trial=trial, verdict=Verdict.NOT_TRIED, why=str(why))
    except Broken as broken:
        return Outcome(trial=trial, verdict=Verdict.BROKEN, why=str(broken))
    except Exception as error:  # noqa: BLE001 - a fault of one trial does not end the others
        return Outcome(trial=trial, verdict=Verdict.BROKEN, why=f"it raises {type(error).__name__}: {error}")
    return Outcome(trial=trial, verdict=Verdict.KEPT)


__all__ = ["SENTENCES", "Op", "Outcome", "Trial", "Verdict", "list_trials", "try_all"]
