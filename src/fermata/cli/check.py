"""`fermata check`: judges a plan by every rule, independently of whoever made it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import typer

from fermata.cli import options, output
from fermata.cli.check_follow import Followed, ObservedFileOption, ParentFileOption, read_planned
from fermata.domain.ids import PlanId
from fermata.domain.plans import Plan
from fermata.planning.checker import check_plan, list_rules
from fermata.planning.inputs import Violation

TOLD_PER_RULE_MAX = 10  # on a terminal; --json tells all


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verdict:
    plan_id: PlanId
    plan: Plan | None  # None when the store judged a plan of its own
    violations: tuple[Violation, ...]
    seconds: float


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("check")(check)


def check(
    plan: Annotated[
        str, typer.Argument(help="A plan file (plan.json), or the id of a stored plan.", show_default=False)
    ],
    *,
    scenario: options.ScenarioOption = None,
    workloads: options.WorkloadsOption = None,
    parent: ParentFileOption = None,
    observed: ObservedFileOption = None,
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Judges a plan file against the files it was made from, or a stored plan against the consent of this moment.

    Exit code 0: no violation. 1: violations, or inputs that changed since. 2: a file that cannot be read.
    """
    is_file = Path(plan).suffix == ".json"
    if is_file and scenario is None:
        raise typer.BadParameter("say with --scenario which folder the plan file was made from")
    if workloads is not None and scenario is None:
        raise typer.BadParameter("--workloads goes with --scenario: a store has its own workload map")
    if not is_file and scenario is not None:
        raise typer.BadParameter(f"with --scenario name a plan file, such as plan.json, not {plan}")
    with output.err.status("Checking"):
        verdict = (
            _judge_file(Path(plan), scenario, workloads, Followed(parent=parent, observed=observed))
            if scenario
            else _judge_stored(PlanId(plan), store, server)
        )
    if as_json:
        output.print_json(_to_json(verdict))
    else:
        _tell(verdict)
    if verdict.violations:
        raise typer.Exit(output.REFUSED)


def _judge_file(path: Path, folder: Path, workloads: Path | None, followed: Followed) -> _Verdict:
    plan, inputs = read_planned(path, folder, workloads, followed)
    began = perf_counter()
    violations = check_plan(inputs, plan)
    return _Verdict(plan_id=plan.id, plan=plan, violations=violations, seconds=perf_counter() - began)


def _judge_stored(plan_id: PlanId, store: str, server: str | None) -> _Verdict:
    began = perf_counter()
    with options.opened_place(store, server) as place:
        violations = tuple(place.check_plan(plan_id))
    return _Verdict(plan_id=plan_id, plan=None, violations=violations, seconds=perf_counter() - began)


def _counts(plan: Plan) -> dict[str, int]:
    return {
        "windows": len(plan.windows),
        "nodes": len({name for window in plan.windows for name in window.nodes}),
        "unplanned": len({name for group in plan.unplanned for name in group.nodes}),
    }


def _to_json(verdict: _Verdict) -> dict[str, Any]:
    return {
        "plan": verdict.plan_id,
        "ok": not verdict.violations,
        "rules": len(list_rules()),
        **(_counts(verdict.plan) if verdict.plan else {}),
        "seconds": round(verdict.seconds, 3),
        "violations": [
            {"rule": v.rule, "sentence": v.sentence, "window": v.window, "nodes": list(v.nodes)}
            for v in verdict.violations
        ],
    }


def _tell(verdict: _Verdict) -> None:
    grouped: dict[str, list[Violation]] = {}
    for violation in verdict.violations:
        grouped.setdefault(violation.rule, []).append(violation)
    for rule in list_rules():
        if rule.code in grouped:
            _tell_rule(rule.code, rule.sentence, grouped[rule.code])
    found = len(verdict.violations)
    outcome = (output.count(found, "violation"), "bold red") if found else ("No violation", "bold green")
    counts = _counts(verdict.plan) if verdict.plan else {}
    parts = [output.count(len(list_rules()), "rule")]
    if counts:
        parts += [output.count(counts["windows"], "window"), output.count(counts["nodes"], "node")]
        parts += [f"{counts['unplanned']:,} unplanned"]
    output.out.print(
        output.styled(outcome, f" in {verdict.plan_id}: {', '.join(parts)} checked in {verdict.seconds:.1f} s"),
        soft_wrap=True,
    )


def _tell_rule(code: str, sentence: str, violations: Sequence[Violation]) -> None:
    output.say(f"{code}  {sentence}", style="bold red")
    for violation in violations[:TOLD_PER_RULE_MAX]:
        output.say(f"  {violation.sentence}")
    hidden = len(violations) - TOLD_PER_RULE_MAX
    if hidden > 0:
        output.out.print(f"  ... and {hidden:,} more; --json tells all", markup=False)
    output.out.print()
