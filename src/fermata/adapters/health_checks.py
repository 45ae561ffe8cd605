"""What all runners of health checks have in common: which commands are run, how their outputs are judged, and the port.

Nothing is remembered here: the name of a job follows from the step's key, and all that is known of it stands on its
target. So a restart finds every check again, and asking twice runs it once.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fermata.adapters.health_parsers import PARSERS, Parser
from fermata.domain.baselines import Baseline, Better, FigureRule
from fermata.domain.health import Health, Unreadable, Verdict, judge_findings
from fermata.domain.ids import StepKey
from fermata.domain.observations import (
    Answer,
    Denied,
    Failed,
    Measured,
    NeverAsked,
    Progress,
    Running,
    Succeeded,
)
from fermata.ports import CALL_SIZE_MAX, Ask, Clock, Refused

OUTPUT_BYTES_MAX = 1 << 20  # of one check; what it prints beyond is dropped where it runs
TIME_LIMIT_SECONDS_MAX = 6 * 3600.0  # `dcgmi diag -r 4` takes up to two hours
BASELINES_BYTES_MAX = 64 << 20
DIGEST_CHARACTERS = 32


class FigureSettings(BaseModel):
    """How one figure of a check is judged: see FigureRule."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    figure: str = Field(min_length=1)
    better: Better
    limit: float = Field(allow_inf_nan=False)
    odd_share: float = Field(0.03, gt=0, lt=1)
    bad_share: float = Field(0.10, gt=0, lt=1)


class CheckSettings(BaseModel):
    """One command, and which parser reads it. `{node}` in a word stands for the node's name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    command: tuple[str, ...] = Field(min_length=1)
    parser: Parser = Parser.EXIT_CODE
    time_limit_seconds: float = Field(600, ge=1, le=TIME_LIMIT_SECONDS_MAX)
    figures: tuple[FigureSettings, ...] = ()


class PlanSettings(BaseModel):
    """Which checks a node passes. `deep` decides where `quick` doubts; without it, doubt is a no. `baselines`: what
    `fermata health learn` wrote; without it the fixed limits alone judge figures.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    quick: CheckSettings
    deep: CheckSettings | None = None
    baselines: Path | None = None
    nodes: tuple[str, ...] = Field(("*",), description="Patterns of the nodes that may be checked; others are refused")


class Stage(StrEnum):
    """Which of the two checks."""

    QUICK = "quick"
    DEEP = "deep"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One check of one node. `name`: of the job on its target, of letters, digits and dashes, at most 50."""

    name: str
    unit: str
    command: tuple[str, ...]
    time_limit: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent:
    """The target knows no such job."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Going:
    """Waits or runs. `why`: what it waits for, if the target says."""

    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """It ran to its end. `exit_code` None: its time was over."""

    at: datetime
    exit_code: int | None
    output: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """It will never end: the node rebooted under it, or its manager took it away."""

    at: datetime
    why: str


Seen = Absent | Going | Ended | Lost


class Runner(Protocol):
    """Runs jobs on one kind of target. Both calls may raise TryLater, Refused or OutcomeUnknown."""

    def start(self, jobs: Sequence[Job]) -> Mapping[str, Answer]:
        """By name. A job that is there already, in whatever state, is not started again."""
        ...

    def look(self, jobs: Sequence[Job]) -> Mapping[str, Seen]:
        """By name; those that cannot be asked now are left out."""
        ...


class Checks:
    """Verifier: a quick check of each node, and a deep one of those on which the quick one doubts."""

    def __init__(self, runner: Runner, plan: PlanSettings, clock: Clock) -> None:
        self._runner, self._plan, self._clock = runner, plan, clock

    def check(self, asks: Sequence[Ask]) -> Mapping[StepKey, Answer]:
        """Starts the quick check. Raises TryLater, Refused or OutcomeUnknown."""
        _check_size(asks)
        answers: dict[StepKey, Answer] = {}
        jobs: dict[str, StepKey] = {}
        starting: list[Job] = []
        for ask in asks:
            if not self._may_check(ask.unit):
                answers[ask.key] = Denied(why=f"{ask.unit} is none of the nodes that may be checked here")
                continue
            job = self._job(ask.key, ask.unit, Stage.QUICK)
            jobs[job.name] = ask.key
            starting.append(job)
        if starting:
            answers.update({jobs[name]: answer for name, answer in self._runner.start(starting).items()})
        return answers

    def observe(self, asks: Sequence[Ask]) -> Mapping[StepKey, Progress]:
        """How far each check is. A quick one that ended in doubt has the deep one started, under the same key, which
        is part of the check that was asked for. Raises TryLater, Refused or OutcomeUnknown.
        """
        _check_size(asks)
        found: dict[StepKey, Progress] = {}
        baselines = read_baselines(self._plan.baselines)
        quick = {ask.key: self._job(ask.key, ask.unit, Stage.QUICK) for ask in asks}
        seen = self._runner.look(tuple(quick.values())) if quick else {}
        doubted: dict[StepKey, tuple[Job, str]] = {}
        for key, job in quick.items():
            progress, doubt = self._judge(self._plan.quick, job, seen.get(job.name, Going()), baselines)
            found[key] = progress
            if doubt and self._plan.deep is not None:
                doubted[key] = (self._job(key, job.unit, Stage.DEEP), doubt)
        if doubted and self._plan.deep is not None:
            found.update(self._look_deep(self._plan.deep, doubted, baselines))
        return found

    def _look_deep(
        self, check: CheckSettings, doubted: Mapping[StepKey, tuple[Job, str]], baselines: "Baselines"
    ) -> Mapping[StepKey, Progress]:
        seen = self._runner.look([job for job, _ in doubted.values()])
        absent = [job for job, _ in doubted.values() if isinstance(seen.get(job.name), Absent)]
        answers = self._runner.start(absent) if absent else {}
        found: dict[StepKey, Progress] = {}
        for key, (job, doubt) in doubted.items():
            answer = answers.get(job.name)
            if isinstance(answer, Denied):
                why = f"the quick check doubts ({doubt}), and the deep one cannot run: {answer.why}"
                found[key] = Failed(at=self._clock.now(), why=why)
            elif job in absent:
                found[key] = Running()
            else:
                progress, still = self._judge(check, job, seen.get(job.name, Going()), baselines)
                found[key] = _after_doubt(progress, still, doubt)
        return found

    def _judge(self, check: CheckSettings, job: Job, seen: Seen, baselines: "Baselines") -> tuple[Progress, str]:
        """How far it is, and what it doubts, "" for nothing: a doubt is a failure as long as nobody looks deeper."""
        match seen:
            case Absent():
                return NeverAsked(), ""
            case Going():
                return Running(), ""
            case Lost(at=at, why=why):
                return Failed(at=at, why=f"the check was lost: {why}"), ""
            case Ended(at=at, exit_code=None):
                return Failed(at=at, why=f"the check did not end within {check.time_limit_seconds:.0f} s"), ""
            case Ended(at=at, exit_code=int(exit_code), output=output):
                verdict = _verdict(check, output, exit_code, baselines, baselines.skus.get(job.unit, ""))
                measured = {figure.name: figure.value for figure in verdict.figures}
                if verdict.health is Health.HEALTHY:
                    return Succeeded(at=at, measured=Measured(sentence=verdict.sentence, figures=measured)), ""
                doubt = verdict.sentence if verdict.health is Health.DOUBTFUL else ""
                return Failed(at=at, why=verdict.sentence), doubt
            case _:
                raise AssertionError(f"{job.name} is seen as {seen}")

    def _may_check(self, unit: str) -> bool:
        return any(fnmatchcase(unit, pattern) for pattern in self._plan.nodes)

    def _job(self, key: StepKey, unit: str, stage: Stage) -> Job:
        check = self._plan.deep if stage is Stage.DEEP and self._plan.deep is not None else self._plan.quick
        digest = hashlib.sha256(key.encode()).hexdigest()[:DIGEST_CHARACTERS]
        return Job(
            name=f"fermata-{digest}-{stage}",
            unit=unit,
            command=tuple(word.replace("{node}", unit) for word in check.command),
            time_limit=timedelta(seconds=check.time_limit_seconds),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Baselines:
    """What was learned of SKUs, by SKU and figure, and which SKU each node is of."""

    learned: Mapping[tuple[str, str], Baseline]
    skus: Mapping[str, str]

    def of(self, sku: str) -> Mapping[str, Baseline]:
        """Those of one SKU, by figure."""
        return {figure: baseline for (name, figure), baseline in self.learned.items() if name == sku}


class _BaselineModel(BaseModel):
    model_config = ConfigDict(extra="forbid")

    sku: str
    figure: str
    nodes: int = Field(ge=1)
    median: float = Field(allow_inf_nan=False)
    spread: float = Field(ge=0, allow_inf_nan=False)


class _BaselinesModel(BaseModel):
    model_config = ConfigDict(extra="ignore")

    baselines: list[_BaselineModel]
    nodes: dict[str, str]


def read_baselines(path: Path | None) -> Baselines:
    """Raises Refused for a file that is none: judging without it would be laxer than what was asked for."""
    if path is None:
        return Baselines(learned={}, skus={})
    try:
        with path.open("rb") as file:
            text = file.read(BASELINES_BYTES_MAX)
        read = _BaselinesModel.model_validate(json.loads(text))
    except (OSError, ValueError, ValidationError, RecursionError) as error:
        raise Refused(f"baselines cannot be read from {path}: {error}") from error
    learned = {(b.sku, b.figure): Baseline(**b.model_dump()) for b in read.baselines}
    return Baselines(learned=learned, skus=read.nodes)


def _verdict(check: CheckSettings, output: str, exit_code: int, baselines: Baselines, sku: str) -> Verdict:
    rules = [FigureRule(**figure.model_dump()) for figure in check.figures]
    try:
        findings = PARSERS[check.parser](output, exit_code)
    except Unreadable as unreadable:
        said = f"exit code {exit_code}, and its output cannot be read as {check.parser}: {unreadable}"
        return Verdict(health=Health.DOUBTFUL, sentence=said)
    return judge_findings(findings, exit_code, rules, baselines.of(sku), sku=sku)


def _after_doubt(progress: Progress, still: str, doubt: str) -> Progress:
    """What the deep check says, with what the quick one doubted."""
    if not isinstance(progress, Failed):
        return progress
    said = "the deep check doubts, too" if still else "the deep check fails"
    return Failed(at=progress.at, why=f"{said}: {progress.why}; the quick one doubted: {doubt}")


def _check_size(items: Sequence[object]) -> None:
    if len(items) > CALL_SIZE_MAX:
        raise ValueError(f"{len(items)} items in a call, at most {CALL_SIZE_MAX} are allowed")
