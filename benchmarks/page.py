"""Writes the public page and its charts from what runs of bench.py kept: docs/benchmarks-results.md, docs/benchmarks/.
Of tables that several folders have, the last one's figures count.

    python benchmarks/page.py FOLDER [FOLDER...] [--docs docs]
"""

import argparse
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

import charts
from curves import STEEP, Fit, fit
from harness import number

HERE = Path(__file__).parent
PAGE, CHARTS = "benchmarks-results.md", "benchmarks"
NEAR = 0.1  # a fleet so much larger or smaller than a target's is judged by it
BUSY = 1.5  # processes for each core, above which a machine was busy
SIZES = (20_000, 1_000_000)
LATE = {
    "failed": "failed",
    "late": "not done in its time",
    "ended": "ended by hand",
    "partly": "some cases are missing",
}


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A table of a run: what the run says of it, and its figures; None where it has none."""

    told: Mapping[str, Any]
    figures: Mapping[str, Any] | None

    @property
    def nodes(self) -> int:
        """Of its fleet; 0 where there is none."""
        return int(self.told["nodes"])

    def case(self, name: str) -> Mapping[str, Any] | None:
        """The case of that name, if it was measured."""
        cases = self.figures["cases"] if self.figures else ()
        return next((case for case in cases if case["name"] == name), None)


@dataclass(frozen=True, kw_only=True)
class Page:
    """Everything that the page is made from."""

    runs: Sequence[Mapping[str, Any]]
    tables: Sequence[Measured]
    judged: Mapping[str, Any]

    def of_script(self, script: str) -> list[Measured]:
        """By size."""
        return sorted((one for one in self.tables if one.told["script"] == script), key=lambda one: one.nodes)

    @property
    def scripts(self) -> list[str]:
        """In the order of the plans."""
        return list(dict.fromkeys(one.told["script"] for one in self.tables))


def read(folders: Sequence[Path], judged: Path = HERE / "judged.yaml") -> Page:
    """What the folders keep, judged by that file. Raises FileNotFoundError for one that no run has written to."""
    runs, found = [], {}
    for folder in folders:
        run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        runs.append(run)
        for told in run["tables"]:
            file = folder / f"{told['name']}.json"
            figures = json.loads(file.read_text(encoding="utf-8")) if told["has_figures"] else None
            if figures is not None or told["name"] not in found:
                found[told["name"]] = Measured(told=told, figures=figures)
    return Page(runs=runs, tables=list(found.values()), judged=yaml.safe_load(judged.read_text(encoding="utf-8")))


def render(page: Page) -> str:
    """The whole page."""
    parts = (_head(page), _targets(page), _growth(page), _without(page), _tables(page))
    return "\n".join(line for part in parts for line in part).rstrip() + "\n"


def _head(page: Page) -> Iterator[str]:
    yield "# Benchmark results"
    yield ""
    yield "Written by `make bench-page` from the figures of `make bench` and `make bench-full`; not by hand. What each table measures, and how: [benchmarks](benchmarks.md)."  # noqa: E501
    yield ""
    for run in page.runs:
        yield f"- `{run['plan']}`: {run['started_at']} to {run['ended_at']}; {_count(run['tables'])}."
    machines = [one.figures["machine"] for one in page.tables if one.figures]
    constant = ("cpu", "cores", "memory_gib", "system", "python", "sqlite")
    for told in dict.fromkeys(tuple(machine[name] for name in constant) for machine in machines):
        cpu, cores, memory, system, python, sqlite = told
        yield f"- {cpu}, {cores} cores, {memory} GiB, {system}; Python {python}, SQLite {sqlite}{_others(machines, constant)}."  # noqa: E501
    commits = ", ".join(sorted({f"`{m['commit']}`" for m in machines if m["commit"]}))
    yield f"- Tree: {commits or 'not told'}. `-dirty`: with changes that no commit has."
    loads = sorted(machine["load_before"] for machine in machines)
    if loads:
        yield f"- Load before the tables: {loads[0]:g} to {loads[-1]:g} on {machines[0]['cores']} cores."
        if any(is_busy(machine) for machine in machines):
            yield "- **The machine was busy with other work.** Times by the clock count that work's turns: read them as upper bounds, and the CPU seconds beside them as what the work itself takes (on a shared core they, too, are more than alone)."  # noqa: E501
    yield "- No release came before this one, so nothing is compared with one."
    yield ""


def _count(tables: Sequence[Mapping[str, Any]]) -> str:
    done = sum(told["state"] == "done" for told in tables)
    return f"{done} of {len(tables)} tables whole"


def _others(machines: Sequence[Mapping[str, Any]], known: Sequence[str]) -> str:
    """Versions of databases and libraries."""
    names = dict.fromkeys(n for m in machines for n in m if n not in {*known, "commit", "load_before"})
    values = {name: dict.fromkeys(m[name] for m in machines if name in m) for name in names}
    return "".join(f", {name} {' and '.join(values[name])}" for name in sorted(values))


def _targets(page: Page) -> Iterator[str]:
    yield "## What was promised"
    yield ""
    yield "Medians. `met`, or by how much not; `open` where a busy machine took longer, and the CPU was within. A dash: nothing was promised."  # noqa: E501
    yield ""
    yield "| what | at 20,000 nodes | at 1,000,000 nodes | what bounds it |"
    yield "|---|---|---|---|"
    for target in page.judged["targets"]:
        cells = [_judge(page, target, size) for size in SIZES]
        why = page.judged["missed"].get(target["what"], "") if any("missed" in cell for cell in cells) else ""
        yield f"| {target['what']} | {' | '.join(cells)} | {why} |"
    yield ""


def _judge(page: Page, target: Mapping[str, Any], size: int) -> str:
    most, least = target.get("most", {}).get(size), target.get("least", {}).get(size)
    promised = most if most is not None else least
    if promised is None:
        return "-"
    asked = f"{'≤' if most is not None else '≥'} {number(promised)} {target['unit']}"
    found = _find(page, target["place"], size)
    if found is None:
        return f"{asked}: not measured"
    value, case, machine = found
    times = value / promised if most is not None else promised / max(value, 1e-9)
    is_time = target["place"][2] == "seconds"
    cpu = cpu_of(case) if is_time else None
    used = f", CPU {number(cpu)} s" if cpu is not None else ""
    verdict = "met" if times <= 1 else f"**missed, {times:.2g} times**"
    if times > 1 and is_busy(machine):
        load = f"at a load of {machine['load_before']:g}"
        is_open = cpu is not None and cpu <= promised
        verdict = f"**open**: {times:.2g} times {load}, its CPU is within" if is_open else f"{verdict} {load}"
    return f"{asked}: {number(value)} {target['unit']}{used}; {verdict}"


def _find(page: Page, place: Sequence[str], size: int) -> tuple[float, Mapping[str, Any], Mapping[str, Any]] | None:
    """The figure at the size, or near it, with its case and the machine."""
    script, name, figure = place
    tables = page.of_script(script)
    near = [one for one in tables if abs(one.nodes - size) <= NEAR * size or script in page.judged["any_size"]]
    for one in reversed(near):
        case = one.case(name)
        value = None if case is None else value_of(case, figure)
        if one.figures is not None and case is not None and value is not None:
            return value, case, one.figures["machine"]
    return None


def cpu_of(case: Mapping[str, Any]) -> float | None:
    """Seconds of all processes that worked for the case; None where a database server's are not known."""
    if case["name"].startswith("postgresql"):
        return None
    return float(case["cpu_seconds"] + case["figures"].get("worker_cpu_seconds", 0.0))


def is_busy(machine: Mapping[str, Any]) -> bool:
    """True when others' work is in the times by the clock."""
    return bool(machine["load_before"] > BUSY * machine["cores"])


def value_of(case: Mapping[str, Any], figure: str) -> float | None:
    """A median of the case by its name."""
    if figure == "seconds":
        return float(case["seconds"]["median"])
    found = case[figure] if figure in {"cpu_seconds", "peak_mib"} else case["figures"].get(figure)
    return None if found is None else float(found)


def curves_of(page: Page, script: str) -> dict[str, dict[int, float]]:
    """Median seconds by nodes, for each case of a script that was measured at two sizes or more."""
    found: dict[str, dict[int, float]] = {}
    for one in page.of_script(script):
        for case in one.figures["cases"] if one.figures and one.nodes else ():
            found.setdefault(case["name"], {})[one.nodes] = case["seconds"]["median"]
    return {name: seconds for name, seconds in found.items() if len(seconds) > 1}


def _growth(page: Page) -> Iterator[str]:
    yield "## How it grows"
    yield ""
    if not any(curves_of(page, script) for script in page.scripts):
        yield "Nothing was measured at two sizes."
        yield ""
        return
    yield f"Seconds are fitted to *a · nodes^exponent*, least squares over logarithms, through as many sizes as are told; two sizes are a line, and no evidence of one. ⚠ marks an exponent above {STEEP}. Cases that do the same work whatever the fleet, such as a fixed number of requests, stay near 0."  # noqa: E501
    yield ""
    yield "| table | case | sizes | exponent | why, where steep |"
    yield "|---|---|---|---|---|"
    for script in page.scripts:
        for name, seconds in curves_of(page, script).items():
            found = fit(seconds)
            if found is not None:
                yield f"| {script} | {name} | {found.points} | {_exponent(found)} | {_why(page, script, name, found)} |"
    yield ""
    for script in page.scripts:
        if curves_of(page, script):
            yield f"![{script}: seconds by nodes]({CHARTS}/{script}.svg)"
    yield ""


def _exponent(found: Fit) -> str:
    return f"⚠ {found.exponent:.2f}" if found.is_steep else f"{found.exponent:.2f}"


def _why(page: Page, script: str, name: str, found: Fit) -> str:
    if not found.is_steep:
        return ""
    reasons = page.judged["growth"].get(script, {})
    return str(reasons.get(name) or reasons.get("*") or "not explained yet")


def _without(page: Page) -> Iterator[str]:
    late = [one for one in page.tables if one.told["state"] != "done"]
    if not late:
        return
    yield "## What has no figures"
    yield ""
    yield "| table | what became of it | seconds, of at most | missing |"
    yield "|---|---|---|---|"
    for one in late:
        missing = "; ".join(f"{m['name']}: {m['why']}" for m in (one.figures or {"missing": ()})["missing"])
        said = missing or _last_line(one.told["said"])
        yield f"| {one.told['name']} | {LATE[one.told['state']]} | {one.told['seconds']:.0f}, {one.told['budget_seconds']} | {said} |"  # noqa: E501
    yield ""


def _last_line(said: str) -> str:
    """What a table said at the end, without paths of the machine."""
    line = said.splitlines()[-1] if said else ""
    return re.sub(r"(?<!\w)/\S+", "PATH", line).replace("|", "/")[:200]


def _tables(page: Page) -> Iterator[str]:
    yield "## All tables"
    for script in page.scripts:
        tables = [one for one in page.of_script(script) if one.figures and one.figures["cases"]]
        if not tables:
            continue
        yield ""
        yield f"### {script}"
        for one in tables:
            yield from _table(one)


def _table(one: Measured) -> Iterator[str]:
    figures = one.figures
    assert figures is not None
    yield ""
    yield f"{figures['title']}; load before {figures['machine']['load_before']:g}"
    yield ""
    yield "```sh"
    yield one.told["command"]
    yield "```"
    yield ""
    yield "| case | runs | median | least - most | CPU | peak memory | to baseline | other figures |"
    yield "|---|---|---|---|---|---|---|---|"
    yield from (_row(case) for case in figures["cases"])
    if figures["notes"]:
        yield ""
        yield from (f"- {note}" for note in figures["notes"])


def _row(case: Mapping[str, Any]) -> str:
    seconds = case["seconds"]
    others = ", ".join(f"{name.replace('_', ' ')} {number(value)}" for name, value in case["figures"].items())
    cells = (
        case["name"],
        str(len(seconds["all"])),
        f"{_time(seconds['median'])}",
        f"{_time(seconds['min'])} - {_time(seconds['max'])}",
        f"{_time(case['cpu_seconds'])}",
        f"{case['peak_mib']:,.0f} MiB",
        "-" if case["ratio"] is None else f"{case['ratio']:.2f} × {case['baseline']}",
        others,
    )
    return f"| {' | '.join(cells)} |"


def _time(seconds: float) -> str:
    """With three digits, in a unit that suits."""
    return f"{seconds:,.3g} s" if seconds >= 0.1 else f"{seconds * 1000:.3g} ms"


def write(page: Page, docs: Path) -> None:
    """The page and a chart for each script that was measured at several sizes; charts of others are removed."""
    (docs / PAGE).write_text(render(page), encoding="utf-8")
    folder = docs / CHARTS
    folder.mkdir(exist_ok=True)
    for file in folder.glob("*.svg"):
        file.unlink()
    for script in page.scripts:
        curves = curves_of(page, script)
        if curves:
            charts.draw(script, curves, folder / f"{script}.svg")


def main() -> None:
    """Writes it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="that bench.py wrote to")
    parser.add_argument("--docs", type=Path, default=HERE.parent / "docs", help="where the page goes (default docs)")
    asked = parser.parse_args()
    lacking = [str(folder) for folder in asked.folders if not (folder / "run.json").exists()]
    if lacking:
        parser.error(f"no run has written to {', '.join(lacking)}: name what `make bench` printed as its folder")
    write(read(asked.folders), asked.docs)


if __name__ == "__main__":
    main()
