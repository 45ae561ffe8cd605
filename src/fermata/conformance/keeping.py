"""Sentences about jobs: who is told to be on a node, and who is kept off ahead of a window. Neither kills anybody."""

from collections.abc import Callable, Iterable
from datetime import UTC, timedelta

from fermata.conformance.bench import NO_UNIT, ROUNDS_MAX, Bench, Broken, Mishap
from fermata.conformance.sentences import Sentence, Subject, expect
from fermata.domain.ahead import Ahead, Kept
from fermata.domain.ids import NodeId, RunId, WindowId
from fermata.domain.jobs import Job
from fermata.domain.observations import Accepted, Answer, Denied
from fermata.domain.routing import PortName
from fermata.ports import CALL_SIZE_MAX, Jobs, OutcomeUnknown, Refused, TryLater

AHEAD_OF = timedelta(hours=1)  # until the window begins, and how long it lasts: within what any target keeps off
TRIES_MAX = 5  # of a call whose answers get lost, before the connection is whole again
LOSING = (Mishap.LOST_BEFORE, Mishap.LOST_AFTER, Mishap.ERROR, Mishap.CUT)


def jobs_are_told_whole(bench: Bench, _subject: Subject, _mishap: Mishap | None) -> None:
    """Each once, with all of its nodes, and with an end in UTC or none."""
    if bench.start_job is not None and bench.may_write:
        bench.start_job(bench.nodes[0])
    found = _list(bench, bench.nodes)
    names = [job.id for job in found]
    expect(len(set(names)) == len(names), f"jobs are told twice: {sorted(names)}")
    for job in found:
        expect(bool(job.id), "a job is told without a name of its own")
        expect(bool(job.nodes), f"{job.id} is told without nodes, as one that waits in the queue")
        offset = job.ends_at.utcoffset() if job.ends_at is not None else UTC.utcoffset(None)
        expect(offset == UTC.utcoffset(None), f"{job.id} ends at {job.ends_at}, which is not in UTC")


def a_job_on_a_node_is_told(bench: Bench, _subject: Subject, _mishap: Mishap | None) -> None:
    """Whoever else is asked about: a node that is not there hides nobody."""
    node = bench.nodes[0]
    assert bench.start_job is not None
    started = bench.start_job(node)
    for asked in ([node], [NodeId(NO_UNIT), node], bench.nodes):
        found = {job.id: job for job in _list(bench, asked)}
        expect(started in found, f"asked about {', '.join(asked)}, the job {started} on {node} is not told")
        expect(node in found[started].nodes, f"{started} is told to be on {sorted(found[started].nodes)}, not {node}")


def long_lists_of_jobs_are_a_bug(bench: Bench, _subject: Subject, _mishap: Mishap | None) -> None:
    """The caller cuts to size, as for all ports; a full list is answered."""
    names = [NodeId(f"{NO_UNIT}-{number}") for number in range(CALL_SIZE_MAX + 1)]
    _list(bench, names[1:])
    try:
        _jobs(bench).list_jobs(names)
    except ValueError:
        return
    raise Broken(f"jobs of {len(names)} nodes are told: at most {CALL_SIZE_MAX} are allowed in a call")


def kept_off_once(bench: Bench, _subject: Subject, _mishap: Mishap | None) -> None:
    """All that is wanted is said each time; a restart in between is nothing new."""
    assert bench.count_kept is not None
    with_both = [_ahead(bench, "one", bench.nodes[:1]), _ahead(bench, "two", bench.nodes[1:])]
    _keep(bench, with_both)
    _keep(bench, with_both)
    _expect_kept(bench, 2)
    if bench.reopen is not None:
        bench.ports.close()
        bench.ports = bench.reopen()
        _keep(bench, with_both)
        _expect_kept(bench, 2)


def what_is_not_wanted_is_given_up(bench: Bench, _subject: Subject, _mishap: Mishap | None) -> None:
    """Window by window, and what is still wanted stays."""
    one, two = _ahead(bench, "one", bench.nodes[:1]), _ahead(bench, "two", bench.nodes[1:])
    for wanted in ([one, two], [two], []):
        kept = _keep(bench, wanted)
        expect(not kept.left, f"with {len(wanted)} windows wanted, {', '.join(kept.left)} is told to stand still")
        _expect_kept(bench, len(wanted))


def other_runs_keep_theirs(bench: Bench, _subject: Subject, _mishap: Mishap | None) -> None:
    """Two campaigns on one target, each with a conductor that knows its own alone; one's name begins as the other's."""
    assert bench.count_kept is not None
    other = f"{bench.run}0"
    try:
        _keep(bench, [_ahead(bench, "one", bench.nodes[:1])], run=other)
        _keep(bench, [_ahead(bench, "one", bench.nodes[1:])])
        _keep(bench, [])
        found = bench.count_kept(other)
        expect(found == 1, f"another run has {found} windows kept free, not 1, after this one gave up its own")
    finally:
        _keep(bench, [], run=other)


def nobody_is_killed(bench: Bench, _subject: Subject, _mishap: Mishap | None) -> None:
    """A job that is there stays, though it runs into the window: its drain is the window's business."""
    node = bench.nodes[0]
    assert bench.start_job is not None
    started = bench.start_job(node)
    _keep(bench, [_ahead(bench, "one", [node])])
    bench.wait()
    found = {job.id for job in _list(bench, [node])}
    expect(started in found, f"{started} ran on {node}, and is gone once the node is kept free for a window")


def who_would_run_into_it_does_not_begin(bench: Bench, _subject: Subject, _mishap: Mishap | None) -> None:
    """One that is over before it may: a node that stands idle until the window would be lost to its customer."""
    node = bench.nodes[0]
    assert bench.begins_job is not None
    _keep(bench, [_ahead(bench, "one", [node])])
    expect(not bench.begins_job(node, 2 * AHEAD_OF), f"a job that would run into the window begins on {node}")
    expect(bench.begins_job(node, AHEAD_OF / 6), f"a job that would be over before the window does not begin on {node}")
    _keep(bench, [])
    expect(bench.begins_job(node, 2 * AHEAD_OF), f"a job does not begin on {node}, which is not kept free any more")


def kept_off_once_whatever_becomes_of_the_answer(bench: Bench, _subject: Subject, mishap: Mishap | None) -> None:
    """Nothing is kept twice, and nothing that was promised is missing."""
    assert bench.count_kept is not None
    assert bench.strike is not None
    wanted = [_ahead(bench, "one", bench.nodes)]
    bench.strike(mishap)
    for _ in range(TRIES_MAX):
        answer = _answer_of(bench, wanted)
        stands = bench.count_kept(bench.run)
        expect(stands <= 1, f"{mishap}: one window is wanted, and {stands} are kept free")
        if isinstance(answer, Accepted):
            expect(stands == 1, f"{mishap}: told as kept free, and the target keeps nothing free")
    bench.strike(None)
    _keep_in_the_end(bench, wanted)
    _expect_kept(bench, 1)


def _jobs(bench: Bench) -> Jobs:
    found = bench.ports.jobs
    assert found is not None
    return found


def _list(bench: Bench, nodes: Iterable[NodeId]) -> list[Job]:
    return list(_jobs(bench).list_jobs(list(nodes)))


def _ahead(bench: Bench, window: str, nodes: Iterable[NodeId]) -> Ahead:
    """In whole minutes: targets know no finer time."""
    starts_at = (bench.clock.now() + AHEAD_OF).replace(second=0, microsecond=0)
    return Ahead(
        window=WindowId(f"{bench.window}-{window}"),
        nodes=frozenset(nodes),
        starts_at=starts_at,
        ends_at=starts_at + AHEAD_OF,
    )


def _keep(bench: Bench, wanted: list[Ahead], *, run: str = "") -> Kept:
    """Raises Broken unless every window of it is kept free, and none else told."""
    kept = _jobs(bench).keep_ahead(RunId(run or bench.run), wanted)
    names = {ahead.window for ahead in wanted}
    expect(set(kept.answers) == names, f"windows {sorted(names)} are wanted, answered are {sorted(kept.answers)}")
    for window, answer in kept.answers.items():
        expect(isinstance(answer, Accepted), f"{window}, which begins in an hour, is answered {answer}")
    return kept


def _answer_of(bench: Bench, wanted: list[Ahead]) -> Answer | None:
    """None: an error, as the port may raise it. Raises Broken for other errors, and for a no: nothing speaks against
    what is wanted.
    """
    try:
        answer = _jobs(bench).keep_ahead(RunId(bench.run), wanted).answers.get(wanted[0].window)
    except (TryLater, Refused, OutcomeUnknown):
        return None
    except Exception as error:
        raise Broken(f"keep_ahead raises {type(error).__name__} ({error}); only three errors are allowed") from error
    return answer


def _keep_in_the_end(bench: Bench, wanted: list[Ahead]) -> None:
    """As the conductor does, again and again. Some targets say no to what they have, until it is looked at anew."""
    answer: Answer | None = None
    for _ in range(ROUNDS_MAX):
        answer = _answer_of(bench, wanted)
        if isinstance(answer, Accepted):
            return
        bench.wait()
    why = answer.why if isinstance(answer, Denied) else str(answer)
    raise Broken(f"nothing is kept free within {ROUNDS_MAX} moments, though nothing is wrong any more: {why}")


def _expect_kept(bench: Bench, count: int) -> None:
    assert bench.count_kept is not None
    found = bench.count_kept(bench.run)
    expect(found == count, f"{count} windows are wanted, the target keeps nodes free for {found}")


def _tidied(check: Callable[[Bench, Subject, Mishap | None], None]) -> Callable[[Bench, Subject, Mishap | None], None]:
    """Nothing is kept free after it, whatever became of it."""

    def tried(bench: Bench, subject: Subject, mishap: Mishap | None) -> None:
        try:
            check(bench, subject, mishap)
        finally:
            if bench.strike is not None:
                bench.strike(None)
            _jobs(bench).keep_ahead(RunId(bench.run), [])

    tried.__name__ = check.__name__
    return tried


_J = (PortName.JOBS,)
_KEPT = ("count_kept",)


def _acting(text: str, check: Callable[[Bench, Subject, Mishap | None], None], *needs: str) -> Sentence:
    return Sentence(text=text, check=_tidied(check), ports=_J, needs=needs, acts=True)


SENTENCES = (
    Sentence(text="jobs are told whole, each once", check=jobs_are_told_whole, ports=_J, needs=("units",)),
    Sentence(text="a longer list of jobs is a bug", check=long_lists_of_jobs_are_a_bug, ports=_J),
    Sentence(
        text="a job on a node is told",
        check=a_job_on_a_node_is_told,
        ports=_J,
        needs=("start_job",),
        acts=True,
    ),
    _acting("jobs are kept off once, a restart in between included", kept_off_once, *_KEPT),
    _acting("jobs are not kept off any more when that is not wanted", what_is_not_wanted_is_given_up, *_KEPT),
    _acting("jobs are kept off for other runs as before", other_runs_keep_theirs, *_KEPT),
    _acting("keeping jobs off kills none", nobody_is_killed, "start_job"),
    _acting("who would run into a window does not begin", who_would_run_into_it_does_not_begin, "begins_job"),
    Sentence(
        text="whatever becomes of the answer, jobs are kept off once",
        check=_tidied(kept_off_once_whatever_becomes_of_the_answer),
        ports=_J,
        needs=("strike", "count_kept"),
        mishaps=LOSING,
        acts=True,
    ),
)
