"""Sentences about health checks: what an unhealthy node is told as, and that each attempt is a check of its own."""

from fermata.conformance.bench import Bench, Mishap, Op
from fermata.conformance.sentences import Sentence, Subject, accept, expect, expect_effects, make_ready, wait_for_end
from fermata.domain.ids import NodeId
from fermata.domain.observations import Failed, Succeeded


def an_unhealthy_node_fails_and_says_why(bench: Bench, _subject: Subject, _mishap: Mishap | None) -> None:
    """And it alone: the others of the call are healthy."""
    sick, *others = bench.nodes
    _sicken(bench, sick, True)
    make_ready(bench, Op.CHECK, *bench.nodes)
    accept(bench, Op.CHECK, *bench.nodes)
    found = wait_for_end(bench, Op.CHECK, sick)
    expect(isinstance(found, Failed), f"{sick} is unhealthy, and its check ends as {found}")
    expect(bool(getattr(found, "why", "").strip()), f"{sick} fails its check without a reason")
    for name in others:
        found = wait_for_end(bench, Op.CHECK, name)
        expect(isinstance(found, Succeeded), f"beside an unhealthy node {name} is told as {found}")


def each_attempt_is_a_check_of_its_own(bench: Bench, _subject: Subject, _mishap: Mishap | None) -> None:
    """What was mended is checked anew; what was found before stays found."""
    node = bench.nodes[0]
    make_ready(bench, Op.CHECK, node)
    _sicken(bench, node, True)
    accept(bench, Op.CHECK, node)
    first = wait_for_end(bench, Op.CHECK, node)
    _sicken(bench, node, False)
    accept(bench, Op.CHECK, node, attempt=2)
    again = wait_for_end(bench, Op.CHECK, node, attempt=2)
    expect(isinstance(again, Succeeded), f"{node} was mended, and its second check ends as {again}")
    now = wait_for_end(bench, Op.CHECK, node)
    expect(isinstance(first, Failed) and isinstance(now, Failed), f"its first check failed, and is told as {now} now")
    expect_effects(bench, Op.CHECK, node, 2)


def _sicken(bench: Bench, node: NodeId, is_sick: bool) -> None:
    assert bench.make_unhealthy is not None
    bench.make_unhealthy(node, is_sick)


_NEEDS = ("make_unhealthy",)
SENTENCES = (
    Sentence(
        text="an unhealthy node fails, and says why",
        check=an_unhealthy_node_fails_and_says_why,
        about=(Op.CHECK,),
        needs=_NEEDS,
        acts=True,
    ),
    Sentence(
        text="each attempt is a check of its own",
        check=each_attempt_is_a_check_of_its_own,
        about=(Op.CHECK,),
        needs=_NEEDS,
        acts=True,
    ),
)
