"""Measures cases side by side, every run of each in a process of its own, and prints the table. The scripts beside
this one name the cases.
"""

import argparse
import json
import os
import platform
import resource
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")
Place = Mapping[str, str]  # what the cases of one run share: folders, files, database URLs by name
Figures = Mapping[str, float]
SCHEMA = "fermata.benchmark/1"


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the command line asked for; `nodes` None is the whole of January, or the script's own default.

    `times`: Januaries in one campaign, for the scripts that plan multiples.
    """

    runs: int
    nodes: int | None
    json: Path | None
    times: int = 1


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What one run of a case took. `peak_mib` is of the whole process, its preparation included."""

    seconds: float
    cpu_seconds: float
    figures: Figures
    peak_mib: float = 0.0


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


def read_options(about: str, *, runs: int = 5, has_multiples: bool = False) -> Options:
    """The options that every benchmark has; `runs` is how often it runs unless told."""
    parser = options_parser(about, runs=runs)
    if has_multiples:
        parser.add_argument("--times", type=positive, default=1, help="Januaries in one campaign (default 1)")
    return to_options(parser.parse_args())


def options_parser(about: str, *, runs: int) -> argparse.ArgumentParser:
    """A parser with these options, for a benchmark that has more of its own."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--runs", "--repeats", type=positive, default=runs, help=f"runs of each case (default {runs})")
    parser.add_argument("--nodes", type=positive, help="size of the fleet")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    return parser


def to_options(asked: argparse.Namespace) -> Options:
    """What was asked for of a parser of `options_parser`."""
    return Options(runs=asked.runs, nodes=asked.nodes, json=asked.json, times=getattr(asked, "times", 1))


def in_own_process(call: Callable[..., T], *given: Any) -> T:
    """The answer of `call`, made by a fresh interpreter that shares nothing with this one and ends with it.

    Raises SystemExit when that interpreter failed; it has said why.
    """
    context = get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(sender, call, given), daemon=True)
    process.start()
    sender.close()
    try:
        answer: T = receiver.recv()
    except EOFError:
        process.join()
        raise SystemExit(f"a run ended with exit code {process.exitcode}") from None
    finally:
        receiver.close()
    process.join()
    return answer


def _answer(sender: Connection, call: Callable[..., T], given: Sequence[Any]) -> None:
    sender.send(call(*given))


def run(benchmark: Benchmark, options: Options) -> None:
    """Runs every case `options.runs` times, in turns, then prints the table and writes the JSON file."""
    samples: dict[str, list[Sample]] = {case.name: [] for case in benchmark.cases}
    load_before = os.getloadavg()[0]
    for _ in range(options.runs):
        with benchmark.each_run() as place:
            for case in benchmark.cases:
                samples[case.name].append(in_own_process(_measure, case.run, place))
    machine = {**describe_machine(benchmark.versions), "load_before": round(load_before, 1)}
    lines = [_summarise(case, samples) for case in benchmark.cases]
    print("\n".join(_render(benchmark, options, machine, lines)), flush=True)
    if options.json:
        told = {"schema": SCHEMA, "benchmark": benchmark.name, "title": benchmark.title, "runs": options.runs}
        document = {**told, "machine": machine, "cases": lines, "notes": list(benchmark.notes)}
        options.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def describe_machine(versions: Mapping[str, str]) -> dict[str, Any]:
    """What the figures depend on; nothing that says whose machine it is."""
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30), 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        **versions,
    }


@contextmanager
def nothing_shared() -> Iterator[Place]:
    """A place for cases that need none."""
    yield {}


def _measure(call: Callable[[Place], Sample], place: Place) -> Sample:
    taken = call(place)
    return Sample(
        seconds=taken.seconds, cpu_seconds=taken.cpu_seconds, figures=dict(taken.figures), peak_mib=peak_mib()
    )


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
    if case.baseline is not None:
        pairs = zip(own, samples[case.baseline], strict=True)
        line["ratio"] = median(sample.seconds / max(base.seconds, 1e-9) for sample, base in pairs)
    return line


HEADS = ("case", "median", "min - max", "CPU", "peak memory", "against baseline", "target")


def _render(
    benchmark: Benchmark, options: Options, machine: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    rows = [HEADS, *(_row(line) for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADS))]
    yield f"== {benchmark.name}: {benchmark.title}; {options.runs} {'run' if options.runs == 1 else 'runs'} of each"
    databases = "".join(f", {name} {version}" for name, version in benchmark.versions.items())
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
            told = ", ".join(f"{name.replace('_', ' ')} {_number(value)}" for name, value in line["figures"].items())
            yield f"  {line['name']}: {told}"
    yield from (f"  {note}" for note in benchmark.notes)
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


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.3g}" if abs(value) < 100 else f"{value:,.0f}"


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def positive(text: str) -> int:
    """A number of the command line, at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number
