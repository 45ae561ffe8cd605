"""What a sentence about adapters is, and what several of them do on a bench."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from fermata.conformance.bench import ROUNDS_MAX, Bench, Broken, Mishap, NotTried, Op
from fermata.domain.node_states import UnitKind
from fermata.domain.observations import Accepted, Answer, Failed, Later, NeverAsked, Progress, Succeeded, Unsure
from fermata.domain.routing import PortName

Subject = Op | PortName | None
Check = Callable[[Bench, Subject, Mishap | None], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """`about`: operations, "port" for each port that is observed, None for the adapter as a whole. `ports`: those that
    the adapter must serve for it. `needs`: handles of the bench. `mishaps`: a trial for each. `acts`: it changes
    something. What is about no units is tried once, whatever kinds of them an adapter serves.
    """

    text: str
    check: Check
    about: tuple[Op, ...] | Literal["port"] | None = None
    ports: tuple[PortName, ...] = ()
    needs: tuple[str, ...] = ()
    mishaps: tuple[Mishap, ...] = ()
    acts: bool = False

    @property
    def is_about_units(self) -> bool:
        """True of what is tried with nodes and with devices."""
        return self.acts or self.about is not None or PortName.INVENTORY in self.ports


def make_ready(bench: Bench, op: Op, *units: str) -> None:
    """Brings units to where `op` is allowed: as the bench says, else locked and drained, where there are workloads."""
    if op is Op.APPLY and not bench.may_be_written:
        raise NotTried("the bench names no version that may be written")
    if bench.make_ready is not None:
        for unit in units:
            bench.make_ready(op, unit)
        return
    if bench.ports.workloads is None or bench.kind is UnitKind.DEVICE or op in (Op.LOCK, Op.NOTIFY):
        return
    accept(bench, Op.LOCK, *units)
    if op is Op.DRAIN:
        return
    accept(bench, Op.DRAIN, *units)
    for unit in units:
        expect(isinstance(wait_for_end(bench, Op.DRAIN, unit), Succeeded), f"the drain of {unit} does not succeed")


def accept(bench: Bench, op: Op, *units: str, attempt: int = 1) -> None:
    """Asks, and expects that it is accepted."""
    for unit, answer in bench.ask(op, *units, attempt=attempt).items():
        expect_accepted(op, unit, answer)


def accept_in_the_end(bench: Bench, op: Op, unit: str) -> None:
    """Asks as the conductor does, again while it is told to wait or that nothing is sure, until it is accepted."""
    for _ in range(ROUNDS_MAX):
        answer = bench.ask(op, unit)[unit]
        if not isinstance(answer, Later | Unsure):
            expect_accepted(op, unit, answer)
            return
        bench.wait()
    raise Broken(f"{op} of {unit} is not accepted within {ROUNDS_MAX} moments, though nothing is wrong any more")


def expect_accepted(op: Op, unit: str, answer: Answer) -> None:
    """Raises Broken for any other answer."""
    expect(isinstance(answer, Accepted), f"{op} of {unit} is answered {answer}, not accepted")


def wait_for_end(bench: Bench, op: Op, unit: str, attempt: int = 1) -> Progress:
    """How the step ends. Raises Broken when it does not, or when its key is forgotten meanwhile."""
    for _ in range(ROUNDS_MAX):
        progress = bench.observe(op, unit, attempt)
        if isinstance(progress, Succeeded | Failed):
            return progress
        expect(not isinstance(progress, NeverAsked), f"{op} of {unit} was accepted, and is observed as never asked")
        bench.wait()
    raise Broken(f"{op} of {unit} does not end within {ROUNDS_MAX} moments")


def expect(holds: bool, otherwise: str) -> None:
    """Raises Broken, saying what is so instead."""
    if not holds:
        raise Broken(otherwise)


def expect_effects(bench: Bench, op: Op, unit: str, times: int) -> None:
    """The target itself did it so often; nothing is said where it cannot tell."""
    found = bench.effects(op, unit)
    expect(found is None or found == times, f"the target did {op} on {unit} {found} times, not {times}")
