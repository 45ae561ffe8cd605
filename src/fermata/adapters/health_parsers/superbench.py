"""SuperBench's results-summary.jsonl (or .json of one node): a line a node, its name under `node`, then metrics.

Documented in SuperBench's user tutorial, "Result Summary" and "Data Diagnosis" (microsoft.github.io/superbenchmark):
a metric is called benchmark/metric, with the rank after a colon where there are several, and benchmark/return_code
is 0 of a benchmark that ran.
"""

from collections.abc import Iterator
from typing import Any

from fermata.adapters.health_parsers.reading import as_number, bounded, read_json
from fermata.domain.health import FIGURES_MAX, Figure, Findings, Unreadable, shorten

RETURN_CODE = "return_code"


def parse(text: str, _exit_code: int) -> Findings:
    """A return code that is not 0 is a fault; figures are the metrics by their own names, those by rank with the
    rank. Raises Unreadable, of the lines of several nodes too: a check is of one.
    """
    answer = read_json(bounded(text))
    if not isinstance(answer, dict) or not answer:
        raise Unreadable("it is no object of metrics")
    faults = [f"{shorten(name)} is {code:.0f}" for name, code in _codes(answer) if code]
    figures = tuple(_figures(answer))
    doubts = [] if any(True for _ in _codes(answer)) else ["it names no benchmark that ran"]
    return Findings(faults=tuple(faults), doubts=tuple(doubts), figures=figures)


def _codes(answer: dict[str, Any]) -> Iterator[tuple[str, float]]:
    for name, value in answer.items():
        if name.partition(":")[0].rpartition("/")[2] == RETURN_CODE:
            code = as_number(value)
            if code is None:
                raise Unreadable(f"{shorten(name)} is no number")
            yield name, code


def _figures(answer: dict[str, Any]) -> Iterator[Figure]:
    count = 0
    for name, value in answer.items():
        number = as_number(value)
        if number is None or RETURN_CODE in name:
            continue
        count += 1
        if count > FIGURES_MAX:
            raise Unreadable(f"it has more than {FIGURES_MAX} metrics")
        yield Figure(name=shorten(name), value=number)
