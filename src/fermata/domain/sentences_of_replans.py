"""Sentences about planning again while a campaign is conducted: what differs, what is proposed, what is at risk."""

from fermata.domain.codes import Code
from fermata.domain.plan_codes import PlanCode

OF_REPLANS = {
    Code.WINDOW_NOT_RUN: "{window} was {fate}: {nodes} node(s) need another window. {why}",
    Code.WINDOW_LEFT_NODES: (
        "{window} is over and left {nodes} node(s) as they were, {example} among them: they need another window."
    ),
    Code.NODES_BARRED: (
        "{nodes} node(s) of {window}, which is still to come, may not go any more, {example} among them: {why}"
    ),
    Code.CLUSTER_LOST_NODES: "{cluster} has lost {nodes} planned node(s), {example} among them.",
    Code.CLUSTER_GOT_NODES: "{cluster} has {nodes} node(s) with work that the plan does not know, as {example}.",
    PlanCode.DEVICE_GOT_NODES: (
        "{device} also carries {nodes} node(s) that this window was not planned with, {example} among them: all behind"
        " it go together, by a plan that knows them."
    ),
    PlanCode.NOT_WHERE_PLANNED: (
        "{unit} is not where the plan has it: by the inventory it {place}. It waits for a plan that knows that."
    ),
    Code.CONSENT_CAME: "{nodes} node(s) of {cluster} that were left out for want of consent may go now, as {example}.",
    Code.WINDOWS_LONGER: "{windows} windows are over, and most took {percent} % longer than planned, or more.",
    Code.TAIL_IN_THE_WAY: (
        "{nodes} node(s) on the tail list take room under the limit {limit}, which allows {allowed}: chase the repairs."
    ),
    Code.REPLAN_WAITS: (
        "{plan} is ready to follow the plan in force: publish it with fermata replan --publish --campaign {campaign}."
    ),
    Code.PROPOSAL_OVERTAKEN: (
        "This proposal is none any more: {plan} is in force (by {by}).{newer} Look at what changed, then plan again if"
        " something is left to change."
    ),
    Code.CHANGE_UNUSABLE: "{field} cannot be {value}: {why} Change that, then plan both again.",
    Code.REPLAN_BREAKS_DATES: (
        "The new plan takes back {windows} date(s) inside the notice, {example} at {start} first ({why}): a person has"
        " to say so, with fermata replan --publish --campaign {campaign}."
    ),
    Code.REPLAN_NO_PLAN: (
        "No plan exists for what is left: {clash} {help} Change that, then ask again with fermata replan --campaign"
        " {campaign}."
    ),
    Code.RUN_BEHIND: (
        "{run} conducts {plan}, and {current} is in force: let it go over with fermata start, then ask again."
    ),
    Code.PROMISE_AT_RISK: (
        "{window} could open at {opens_at}, and would be back by {back_by} in {percent} % of rehearsals, not in the"
        " {wanted} % that it has to be (overrunning: {late}): it stays shut today, {nodes} node(s) need another day."
    ),
    Code.PROMISE_NEEDS_TEAMS: (
        "{window} waits: with the teams that {late} leave it would be back by {back_by} in {percent} % of rehearsals,"
        " not in the {wanted} % that it has to be. Chase those first."
    ),
    Code.DEADLINE_AT_RISK: (
        "{campaign} misses its deadline, {deadline}, in {percent} % of plays, with {node_days} late node-days on"
        " average{driver}. {help}"
    ),
}
