"""Measures cases side by side, every run of each in a process of its own, and prints the table. The scripts beside
this one name the cases.
"""

import argparse
import gc
import itertools
import json
import os
import platform
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Any, Self, TypeVar

from machine import describe_machine
from profiling import tell_profile

T = TypeVar("T")
Place = Mapping[str, str]  # what the cases of one run share: folders, files, database URLs by name
Figures = Mapping[str, float]
SCHEMA = "fermata.benchmark/1"  # schema.json beside this describes it
GC_THRESHOLD = (100_000, 20, 100)  # the command's own: a fleet is a million small objects
STARTED_VARIABLE = "FERMATA_BENCHMARK_STARTED"  # by the clock that processes share, from bench.py
STARTED = float(os.environ.get(STARTED_VARIABLE, time.monotonic()))  # what a script prepares counts against its budget


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the command line asked for; `nodes` None is the whole of January, or the script's own default.

    `times`: Januaries in one campaign, for the scripts that plan multiples. `budget`: seconds of the whole script,
    after which no case goes on. `profile`: the case whose profile is wanted in place of the table.
    """

    runs: int
    nodes: int | None
    json: Path | None
    times: int = 1
    budget: float | None = None
    profile: str | None = None


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What one run of a case took. `peak_mib` is of the whole process, its preparation included, unless the case says
    another: that of a server which it looks at.
    """

    seconds: float
    cpu_seconds: float
    figures: Figures
    peak_mib: float = 0.0


class RunFailed(SystemExit):
    """A run of a case ended without figures. Its code is a sentence."""


class OutOfTime(RunFailed):
    """A run of a case was ended, since the budget is spent."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One line of the table. `run` is a function of a module, or a partial of one: it goes to another process."""

    name: str
    run: Callable[[Place], Sample]
    baseline: str | None = None
    target_seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """Cases in the order in which each run takes them; `each_run` gives a run its place and clears it away."""

    name: str
    title: str
    cases: Sequence[Case]
    each_run: Callable[[], AbstractContextManager[Place]]
    versions: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()


class Watch:
    """Wall and CPU time of what happens inside a `with` block; the CPU time counts every thread of this process."""

    def __enter__(self) -> Self:
        self._cpu, self._began = cpu_seconds(), time.perf_counter()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.seconds = time.perf_counter() - self._began
        self.cpu_seconds = cpu_seconds() - self._cpu

    def sample(self, **figures: float) -> Sample:
        """What the block took, with what it did."""
        return Sample(seconds=self.seconds, cpu_seconds=self.cpu_seconds, figures=figures)


def collect_as_command() -> None:
    """From now on this process looks for garbage as seldom as the command does."""
    gc.set_threshold(*GC_THRESHOLD)


def cpu_seconds() -> float:
    """User and system time of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def peak_mib() -> float:
    """Most memory this process had resident. On Linux `ru_maxrss` keeps the parent's peak across fork and exec, the
    kernel's VmHWM does not; elsewhere the former is all there is, in KiB (macOS: in bytes).
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    unit = 1 << 20 if platform.system() == "Darwin" else 1 << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def read_options(about: str, *, runs: int = 5) -> Options:
    """The options that every benchmark has; `runs` is how often it runs unless told."""
    return to_options(options_parser(about, runs=runs).parse_args())


def options_parser(about: str, *, runs: int) -> argparse.ArgumentParser:
    """A parser with these options, for a benchmark that has more of its own."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--runs", "--repeats", type=positive, default=runs, help=f"runs of each case (default {runs})")
    parser.add_argument("--nodes", type=positive, help="size of the fleet")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too, after every round")
    parser.add_argument("--budget", type=float, metavar="SECONDS", help="no round begins that would last longer")
    parser.add_argument("--profile", metavar="CASE", help="that case alone, once: where its time goes, and no figures")
    return parser


def to_options(asked: argparse.Namespace) -> Options:
    """What was asked for of a parser of `options_parser`."""
    times = getattr(asked, "times", 1)
    return Options(
        runs=asked.runs,
        nodes=asked.nodes,
        json=asked.json,
        times=times,
        budget=asked.budget,
        profile=asked.profile,
    )


def in_own_process(call: Callable[..., T], *given: Any, seconds: float | None = None) -> T:
    """The answer of `call`, made by a process of its own that has imported what this one has, shares nothing else with
    it, and ends with it.

    Raises RunFailed when that process failed, it has said why; OutOfTime when it took longer than `seconds`.
    """
    context = _context()
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(sender, call, given), daemon=True)
    process.start()
    sender.close()
    try:
        if seconds is not None and not receiver.poll(max(0.0, seconds)):
            process.kill()
            raise OutOfTime("ended, since the time of its table was over")
        answer: T = receiver.recv()
    except EOFError:
        process.join()
        raise RunFailed(f"a run ended with exit code {process.exitcode}") from None
    finally:
        receiver.close()
    process.join()
    return answer


@cache
def _context() -> ForkServerContext:
    """Processes are copies of one that did nothing but import: no figure has that in it, and it is done once."""
    context = get_context("forkserver")
    context.set_forkserver_preload([name for name in sys.modules if name.partition(".")[0] == "fermata"])
    return context


def _answer(sender: Connection, call: Callable[..., T], given: Sequence[Any]) -> None:
    collect_as_command()
    sender.send(call(*given))


def run(benchmark: Benchmark, options: Options) -> None:
    """Runs every case `options.runs` times, in turns, as far as the budget lets it; prints the table. The JSON file is
    written anew after every round.

    A case that fails is left out from then on. Raises SystemExit at the end when one did, or has no figures at all.
    """
    if options.profile is not None:
        print(_profile(benchmark, options.profile), end="")
        return
    machine = {**describe_machine(benchmark.versions), "load_before": round(os.getloadavg()[0], 1)}
    taken = _Taken(benchmark, options, machine)
    longest = 0.0
    for number in range(options.runs):
        began = time.monotonic()
        if number and _spent() + longest > (options.budget or float("inf")):
            break
        with benchmark.each_run() as place:
            is_over = taken.add_round(place)
        longest = max(longest, time.monotonic() - began)
        taken.write()
        if is_over:
            break
    print("\n".join(_render(taken.document())), flush=True)
    if taken.missing:
        raise SystemExit("; ".join(f"{one['name']}: {one['why']}" for one in taken.missing))


def _profile(benchmark: Benchmark, name: str) -> str:
    """The functions in which a case spends most of its first thread's time, by their own; cases before it that it needs
    have run. Raises SystemExit for a case that is none.
    """
    before = list(itertools.takewhile(lambda case: case.name != name, benchmark.cases))
    wanted = next((case for case in benchmark.cases if case.name == name), None)
    if wanted is None:
        raise SystemExit(f"no case is called {name}; they are {', '.join(case.name for case in benchmark.cases)}")
    with benchmark.each_run() as place:
        for case in before:
            in_own_process(_measure, case.run, place)
        return f"{benchmark.title}: {name}\n{in_own_process(tell_profile, wanted.run, place)}"


def _spent() -> float:
    """Seconds since the script began."""
    return time.monotonic() - STARTED


class _Taken:
    """What was measured until now, and what could not be."""

    def __init__(self, benchmark: Benchmark, options: Options, machine: Mapping[str, Any]) -> None:
        self._benchmark, self._options, self._machine = benchmark, options, machine
        self._samples: dict[str, list[Sample]] = {case.name: [] for case in benchmark.cases}
        self._failed: dict[str, str] = {}

    def add_round(self, place: Place) -> bool:
        """Each case once, but for those that failed; True when there is no time left."""
        for case in self._benchmark.cases:
            if case.name in self._failed:
                continue
            budget = self._options.budget
            left = None if budget is None else budget - _spent()
            try:
                self._samples[case.name].append(in_own_process(_measure, case.run, place, seconds=left))
            except OutOfTime:
                return True
            except RunFailed as failed:
                self._failed[case.name] = str(failed)
        return False

    @property
    def missing(self) -> list[dict[str, str]]:
        """Cases that failed, and those that no time was left for."""
        late = f"not done within {self._options.budget or 0:g} s"
        found = {name: late for name, samples in self._samples.items() if not samples} | self._failed
        return [{"name": name, "why": found[name]} for name in self._samples if name in found]

    def document(self) -> dict[str, Any]:
        """As the JSON file has it."""
        benchmark, options = self._benchmark, self._options
        return {
            "schema": SCHEMA,
            "benchmark": benchmark.name,
            "title": benchmark.title,
            "runs": options.runs,
            "machine": self._machine,
            "cases": [_summarise(case, self._samples) for case in benchmark.cases if self._samples[case.name]],
            "missing": self.missing,
            "notes": list(benchmark.notes),
        }

    def write(self) -> None:
        """All at once: who reads the file meanwhile has the round before."""
        if self._options.json is not None:
            beside = self._options.json.with_suffix(".part")
            beside.write_text(json.dumps(self.document(), indent=2) + "\n", encoding="utf-8")
            beside.replace(self._options.json)


@contextmanager
def nothing_shared() -> Iterator[Place]:
    """A place for cases that need none."""
    yield {}


def _measure(call: Callable[[Place], Sample], place: Place) -> Sample:
    taken = call(place)
    return replace(taken, figures=dict(taken.figures), peak_mib=taken.peak_mib or peak_mib())


def _summarise(case: Case, samples: Mapping[str, Sequence[Sample]]) -> dict[str, Any]:
    """Medians over the runs. The ratio is the median of each run's own, so that what slows one run slows both."""
    own = samples[case.name]
    seconds = [sample.seconds for sample in own]
    line: dict[str, Any] = {
        "name": case.name,
        "seconds": {"median": median(seconds), "min": min(seconds), "max": max(seconds), "all": seconds},
        "cpu_seconds": median(sample.cpu_seconds for sample in own),
        "peak_mib": max(sample.peak_mib for sample in own),
        "figures": {name: median(sample.figures[name] for sample in own) for name in own[0].figures},
        "baseline": case.baseline,
        "ratio": None,
        "target_seconds": case.target_seconds,
    }
    if case.baseline is not None and samples[case.baseline]:
        pairs = zip(own, samples[case.baseline], strict=False)  # the last round may have ended between the two
        line["ratio"] = median(sample.seconds / max(base.seconds, 1e-9) for sample, base in pairs)
    return line


HEADS = ("case", "median", "min - max", "CPU", "peak memory", "against baseline", "target")


def _render(document: Mapping[str, Any]) -> Iterator[str]:
    machine, lines, runs = document["machine"], document["cases"], document["runs"]
    rows = [HEADS, *(_row(line) for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADS))]
    yield f"== {document['benchmark']}: {document['title']}; {runs} {'run' if runs == 1 else 'runs'} of each"
    told = {"cpu", "cores", "memory_gib", "system", "commit", "python", "sqlite", "load_before"}
    databases = "".join(f", {name} {version}" for name, version in machine.items() if name not in told)
    yield (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, {machine['system']}, "
        f"Python {machine['python']}, SQLite {machine['sqlite']}{databases}; load before {machine['load_before']}"
    )
    for row in rows:
        first, last = f"{row[0]:<{widths[0]}}", row[-1]
        middle = (f"{cell:>{width}}" for cell, width in zip(row[1:-1], widths[1:-1], strict=True))
        yield "  ".join((first, *middle, last)).rstrip()
    for line in lines:
        if line["figures"]:
            told_of = ", ".join(f"{name.replace('_', ' ')} {number(value)}" for name, value in line["figures"].items())
            yield f"  {line['name']}: {told_of}"
        if len(line["seconds"]["all"]) < runs:
            yield f"  {line['name']}: {len(line['seconds']['all'])} of {runs} runs"
    yield from (f"  {missing['name']}: no figures, {missing['why']}" for missing in document["missing"])
    yield from (f"  {note}" for note in document["notes"])
    yield ""


def _row(line: Mapping[str, Any]) -> tuple[str, ...]:
    seconds, target = line["seconds"], line["target_seconds"]
    told = "met" if target is not None and seconds["median"] < target else "MISSED"
    verdict = "" if target is None else f"< {target:g} s {told}"
    return (
        line["name"],
        f"{seconds['median']:.3f} s",
        f"{seconds['min']:.3f} - {seconds['max']:.3f}",
        f"{line['cpu_seconds']:.3f} s",
        f"{line['peak_mib']:.0f} MiB",
        "-" if line["ratio"] is None else f"{line['ratio']:.2f} x",
        verdict,
    )


def number(value: float) -> str:
    """With three digits, or whole."""
    return f"{value:,.0f}" if value == int(value) else f"{value:,.3g}" if abs(value) < 100 else f"{value:,.0f}"


def positive(text: str) -> int:
    """A number of the command line, at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number
