"""What a health check found of one node: healthy, doubtful or unhealthy, in words, with the figures it measured.

A cheap check that doubts has a deep one decide; doubt after that is a no.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from fermata.domain.baselines import Baseline, Better, FigureRule, Grade, judge_figure

FIGURES_MAX = 512  # of one check: a benchmark suite measures some hundred
TOLD_MAX = 3  # faults told of one check; the rest is counted
WORDS_MAX = 200  # characters of what a check says of one fault


class Unreadable(ValueError):
    """The output is none of what the parser reads, or only a part of it: it says nothing of the node."""


class Health(StrEnum):
    """What is believed of a node."""

    HEALTHY = "healthy"
    DOUBTFUL = "doubtful"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured number; `name` is the tool's own word. Finite."""

    name: str
    value: float
    unit: str = ""

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise Unreadable(f"{self.name} is {self.value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What a parser reads from an output. faults: the tool says that something is broken. doubts: that it cannot
    tell, or that something is odd. Both empty: it found nothing wrong.
    """

    faults: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one check says of one node, and why. `figures`: what was measured, of any verdict."""

    health: Health
    sentence: str
    figures: tuple[Figure, ...] = ()


def judge_findings(
    findings: Findings,
    exit_code: int,
    rules: Sequence[FigureRule],
    baselines: Mapping[str, Baseline],
    *,
    sku: str,
) -> Verdict:
    """`baselines`: of the node's SKU, by figure. A tool that ends with an error and names no fault is doubted, and so
    is one that did not measure what a rule asks for.
    """
    faults, doubts = list(findings.faults), list(findings.doubts)
    praise: list[str] = []
    if exit_code != 0 and not faults:
        doubts.append(f"it ended with exit code {exit_code} and names no fault")
    for rule in rules:
        found = [figure for figure in findings.figures if rule.names(figure.name)]
        if not found:
            doubts.append(f"it measured no {rule.figure}")
            continue
        worst = (min if rule.better is Better.HIGHER else max)(found, key=lambda figure: figure.value)
        grade, words = judge_figure(rule, worst.value, worst.unit, baselines.get(rule.figure), sku=sku)
        {Grade.BAD: faults, Grade.ODD: doubts, Grade.FINE: praise}[grade].append(words)
    if faults:
        return Verdict(health=Health.UNHEALTHY, sentence=_tell(faults), figures=findings.figures)
    if doubts:
        return Verdict(health=Health.DOUBTFUL, sentence=_tell(doubts), figures=findings.figures)
    return Verdict(health=Health.HEALTHY, sentence=_tell(praise) or "nothing is wrong", figures=findings.figures)


def shorten(words: str) -> str:
    """What a tool says, on one line and bounded."""
    line = " ".join("".join(c if c.isprintable() else " " for c in words[: WORDS_MAX * 4]).split())
    return line if len(line) <= WORDS_MAX else f"{line[: WORDS_MAX - 1]}…"


def _tell(words: Sequence[str]) -> str:
    told = "; ".join(shorten(each) for each in words[:TOLD_MAX])
    return f"{told}; and {len(words) - TOLD_MAX} more" if len(words) > TOLD_MAX else told
