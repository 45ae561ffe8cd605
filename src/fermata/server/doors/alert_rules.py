"""Prometheus's recording and alerting rules over the families of `/metrics`. What to do about an alert is the sentence
of the reason that an operator reads for the same thing.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fermata.domain.codes import Code
from fermata.domain.forecasts import KEPT_LEAST
from fermata.domain.reasons import ASTRAY
from fermata.domain.sentences import SENTENCES
from fermata.server.doors import metric_families as of
from fermata.services.figures import Measure

BEHIND_SECONDS = 15 * 60
STILL_SECONDS = 10 * 60
TAIL_SECONDS = 48 * 3600  # a node is repaired in two days on average
PENDING, APPROVED, OVERDUE = (of.MEASURED[m].name for m in (Measure.PENDING, Measure.APPROVED, Measure.OVERDUE))


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One series that is worked out ahead; `meaning` is for dashboards."""

    name: str
    expression: str
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """`code` gives the sentence that says what to do, and `words` what stands in it for names that no label has."""

    name: str
    expression: str
    lasts: str
    severity: str
    summary: str
    code: Code
    words: Mapping[str, str] = field(default_factory=dict)

    @property
    def what_to_do(self) -> str:
        """The sentence of its reason."""
        return _PLACEHOLDER.sub(lambda found: self.words[found[1]], SENTENCES[self.code])


_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_LABEL = "{{{{ $labels.{} }}}}".format

RECORDINGS = (
    Recording(
        name="fermata:nodes_approved:ratio",
        expression=f"sum by (supercomputer) ({APPROVED}) / (sum by (supercomputer) ({PENDING}) > 0)",
        meaning="Share of nodes with pending work whose work may begin",
    ),
    Recording(
        name="fermata:nodes_in_service:ratio",
        expression=f"{of.RUN_IN_SERVICE.name} / ({of.RUN_BASELINE.name} > 0)",
        meaning="Share of the baseline that is in service",
    ),
    Recording(
        name="fermata:nodes_returned:ratio",
        expression=f"{of.RUN_RETURNED.name} / ({of.RUN_PLANNED.name} > 0)",
        meaning="Share of planned nodes that are back",
    ),
    Recording(
        name="fermata:limit_used:ratio",
        expression=f"{of.LIMIT_USED.name} / ({of.LIMIT_ALLOWED.name} > 0)",
        meaning="Share of each limit that is used",
    ),
)
ALERTS = (
    Alert(
        name="FermataSilent",
        expression=f"absent({of.MEASURED[Measure.NODES].name})",
        lasts="5m",
        severity="page",
        summary="Fermata gives no figures: nobody knows where maintenance stands.",
        code=Code.SERVER_UNREACHABLE,
        words={"url": "The server", "why": "no figures were scraped", "advice": "start it with fermata serve"},
    ),
    Alert(
        name="FermataConductorStandsStill",
        expression=f"(time() - {of.RUN_WORKED.name} > {STILL_SECONDS}) and on (campaign) {of.RUN_LIVE.name} == 1",
        lasts="5m",
        severity="page",
        summary=f"Nobody has conducted {_LABEL('campaign')} for {{{{ $value | humanizeDuration }}}}.",
        code=Code.SERVER_UNREACHABLE,
        words={
            "url": "The conductor",
            "why": "its run stands still",
            "advice": "start fermata worker, or fermata serve with --site",
        },
    ),
    Alert(
        name="FermataWindowBehind",
        expression=f"{of.WINDOW_BEHIND.name} > {BEHIND_SECONDS}",
        lasts="10m",
        severity="ticket",
        summary=f"{_LABEL('cluster')} is behind its plan by {{{{ $value | humanizeDuration }}}}.",
        code=Code.LATE,
        words={
            "unit": _LABEL("cluster"),
            "back_by": "the planned end",
            "step": "work (see fermata watch, or the board)",
        },
    ),
    Alert(
        name="FermataPromiseAtRisk",
        expression=f"{of.WINDOW_KEPT.name} < {KEPT_LEAST}",
        lasts="10m",
        severity="page",
        summary=f"{_LABEL('cluster')} is back as promised with {{{{ $value | humanizePercentage }}}} only.",
        code=Code.FORECAST_AT_RISK,
        words={
            "window": _LABEL("cluster"),
            "promised": "the promised time",
            "kept": "{{ $value | humanizePercentage }}",
            "least": f"{KEPT_LEAST:.0%}",
            "bound": "the time that fermata forecast tells",
            "share": "enough",
            "helps": f"What would help: fermata forecast {_LABEL('window')}.",
        },
    ),
    Alert(
        name="FermataDeadlineAtRisk",
        expression=f'{of.NEEDS.name}{{code="{Code.DEADLINE_AT_RISK}"}} > 0',
        lasts="10m",
        severity="ticket",
        summary=f"{_LABEL('campaign')} is likely to miss its deadline.",
        code=Code.DEADLINE_AT_RISK,
        words={
            "campaign": _LABEL("campaign"),
            "deadline": "as planned",
            "percent": "too many",
            "node_days": "some",
            "driver": "",
            "help": "The figures, and what would help: fermata status.",
        },
    ),
    Alert(
        name="FermataNodesOutOfOurHands",
        expression=f'sum by (campaign) ({of.TAIL.name}{{code=~"{"|".join(sorted(ASTRAY))}"}}) > 0',
        lasts="1m",
        severity="page",
        summary="{{ $value }} node(s) of " + _LABEL("campaign") + " serve workloads while work on them is not proven.",
        code=Code.NODE_ASTRAY,
        words={"unit": "A node", "window": "a window", "step": "some step (fermata tail names them)"},
    ),
    Alert(
        name="FermataLimitExceeded",
        expression=f"{of.LIMIT_USED.name} > {of.LIMIT_ALLOWED.name}",
        lasts="1m",
        severity="page",
        summary=f"More is out than {_LABEL('limit')} allows.",
        code=Code.LIMIT_FULL,
        words={
            "limit": _LABEL("limit"),
            "allowed": "less than what is out",
            "used": "even more",
            "others": "all that is out: chase the tail (fermata tail) before anything opens",
        },
    ),
    Alert(
        name="FermataTailOld",
        expression=f"{of.TAIL_OLDEST.name} > {TAIL_SECONDS}",
        lasts="30m",
        severity="ticket",
        summary=f"A node of {_LABEL('campaign')} is on the tail list for {{{{ $value | humanizeDuration }}}}.",
        code=Code.TAIL_IN_THE_WAY,
        words={"nodes": "The", "limit": "of nodes out", "allowed": "no more for them"},
    ),
    Alert(
        name="FermataRequestOverdue",
        expression=f"sum by (customer, supercomputer) ({OVERDUE}) > 0",
        lasts="30m",
        severity="ticket",
        summary=f"{{{{ $value }}}} node(s) of {_LABEL('supercomputer')} wait for a word of {_LABEL('customer')}.",
        code=Code.REQUEST_OVERDUE,
        words={
            "due": "the due date",
            "who": _LABEL("customer"),
            "lacking": f"{{{{ $value }}}} node(s) of {_LABEL('supercomputer')}",
        },
    ),
)


def rules() -> dict[str, Any]:
    """A file of rules, as Prometheus reads it."""
    recorded = [{"record": one.name, "expr": one.expression} for one in RECORDINGS]
    alerts = [
        {
            "alert": one.name,
            "expr": one.expression,
            "for": one.lasts,
            "labels": {"severity": one.severity, "code": one.code.value},
            "annotations": {"summary": one.summary, "what_to_do": one.what_to_do},
        }
        for one in ALERTS
    ]
    groups: Sequence[dict[str, Any]] = [
        {"name": "fermata-recordings", "rules": recorded},
        {"name": "fermata-alerts", "rules": alerts},
    ]
    return {"groups": groups}
