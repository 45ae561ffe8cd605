"""What an operator reads of consent, of orders that give or take it, and of freezes, by the code of the reason."""

from types import MappingProxyType

from fermata.domain.codes import Code

OF_CONSENT = MappingProxyType(
    {
        Code.APPROVAL_MISSING: "{customer} has not approved {updates} on {scope}: approve request {request}.",
        Code.APPROVAL_OUTDATED: (
            "{customer} approved incarnation {incarnation} of request {request}, before {updates} joined it:"
            " approve what it holds now."
        ),
        Code.APPROVAL_WITHDRAWN: "{actor} withdrew the approval of {scope} at {at}: approve request {request} again.",
        Code.APPROVAL_DECLINED: "{actor} declined work on {scope} until {until} ({why}): {then}.",
        Code.DECLINE_OVER: "{actor} declined work on {scope} until {until} ({why}), and not after that.",
        Code.APPROVAL_EXCLUDES: "{actor} approved {scope} without {updates}: approve request {request} with it, too.",
        Code.OFFER_OPEN: ("{actor} offered another time for {scope}, {terms}: accept offer {offer} or refuse it."),
        Code.OFFER_REFUSED: (
            "{actor} refused the time that was offered for {scope} ({why}): approve request {request}, or offer"
            " another."
        ),
        Code.TOGETHER_UNMET: (
            "{actor} approved {scope} only together with {updates}, not all of which is done in the same outage here:"
            " plan that too, or ask for an approval without it."
        ),
        Code.COMPANIONS_MISSING: (
            "{actor} approved {scope} only together with all of {other}, of which {nodes} node(s) cannot go, {example}"
            " among them: clear those first, or ask for an approval without it."
        ),
        Code.COMPANION_STAYS: (
            "{node} was approved only together with {example}, which stays: both wait for a window that takes both."
        ),
        Code.APPROVED_PER_DAY: (
            "{actor} approved {scope} for at most {most} node(s) a day, {used} of which went on {day}: the rest waits"
            " for another day."
        ),
        Code.APPROVED_SOME: (
            "{actor} approved {scope} for at most {most} node(s) a day: which of them go is chosen as the window opens,"
            " and jobs are kept off none before."
        ),
        Code.NOTICE_NOT_DELIVERED: (
            "No notice of {updates} on {cluster} has reached {customer}, so what was promised has not begun to run: see"
            " what became of it (fermata notices list --customer {customer}), or ask for an approval."
        ),
        Code.POLICY_BLOCKS: (
            "Policy rule {rules} of {customer} blocks {updates} on {cluster}, whatever is approved: change the policy"
            " first, then ask."
        ),
        Code.POLICY_ALLOWS: "Policy rule {rule} of {customer} lets {update} through on {node}: nobody has to be asked.",
        Code.NOT_PRODUCTION_READY: (
            "{update} is {stage}: only production-ready updates may be rolled out, others are offered as flights."
        ),
        Code.TARGET_MISSING: "{node} hangs on no {target} that {update} is for: there is nothing to do on it.",
        Code.NO_SUCH_UPDATE: "The catalogue holds no update {update}{nearest}.",
        Code.OUTSIDE_WINDOWS: (
            "{customer} allows work on {scope} only {windows}, {next}: wait for that, or ask for an approval."
        ),
        Code.SHARED_DEVICE_UNAPPROVED: (
            "{device} also carries {nodes} node(s) without approval, {example} among them: all behind it go together."
        ),
        Code.FROZEN: "{freeze} forbids work on {scope} from {start} to {end} ({why}).",
        Code.FROZEN_BEFORE_LOCK: (
            "{unit} was taken into {window} and not locked yet when a freeze came, so it stays as it is. {freeze} Plan"
            " it again for later, or ask its customer to end the freeze."
        ),
        Code.WAITS_FOR_FREEZE: (
            "{unit} was taken and is not known to be locked, and nobody asks for its lock in a freeze: {because}."
            " {freeze} It goes on then, or when its customer ends the freeze."
        ),
        Code.NOT_LOCKED: (
            "{unit} was taken into {window} and could not be locked, so it stays as it is ({why}): plan it again."
        ),
        Code.SCOPE_UNKNOWN: "The fleet has no {level} {name}{nearest}.",
        Code.SCOPE_AMBIGUOUS: "Rack {name} stands in {supercomputers}: name the cluster or the nodes instead.",
        Code.NOTHING_PENDING: "Nothing is pending on {scope}: there is nothing to say yes or no to.",
        Code.APPROVER_UNKNOWN: (
            "{actor} does not decide for {customer}, whose approvers are {approvers}: pass one with --as."
        ),
        Code.REQUEST_UNKNOWN: "There is no request {request}{nearest}.",
        Code.REQUEST_CHANGED: (
            "Request {request} is at incarnation {current}, not {seen}: look at it again (fermata requests --request"
            " {request}) before deciding."
        ),
        Code.SAID_MEANWHILE: (
            "Since request {request} was looked at, {actor} {verdict} {scope} at {at}{more}: look at what stands there"
            " now before deciding."
        ),
        Code.WORK_STARTED: "Work on {nodes} has started: consent can be withdrawn until then; stop the run instead.",
        Code.TIME_WITHOUT_ZONE: "{member} is {time}, which has no zone: say it in UTC, with Z.",
        Code.TIME_PAST: "{member} is {time}, which is over already: name a time to come.",
        Code.TERM_MISPLACED: "{member} does not go with work that is {verdict}: leave it out, or give the other word.",
        Code.ITEM_UNKNOWN: "Request {request} does not hold {updates}: it holds {items}.",
        Code.ITEMS_EMPTY: "This says nothing about any item of request {request}: name one, or leave both lists out.",
        Code.FLIGHT_NOT_OFFERED: "{update} is no flight: the catalogue has no flight-ready update of that name.",
        Code.FLIGHT_OTHER: (
            "{other} is in flight here already, and a supercomputer tries one at a time: withdraw it before {update}."
        ),
        Code.FLIGHT_TOO_WIDE: (
            "The policy of {customer} tries flights on at most {most} node(s), of role {roles}, and {update} would fly"
            " on {nodes}, {example} among them: name fewer nodes, or others."
        ),
        Code.FLIGHT_ROLE: (
            "{node} is a {role} node, and the policy of {customer} tries flights on nodes of role {roles}: {update}"
            " does not fly there."
        ),
        Code.FLIGHT_UNDONE: (
            "{update} was rolled back on {node} at {at}, after it was approved there: approve it anew to try it again."
        ),
        Code.FLIGHT_NOT_FOR: "{update} does not apply to {node}, which lacks what it is for: there is nothing to try.",
        Code.FLIGHT_UNQUALIFIED: (
            "{node} runs {versions}, not known to be qualified for production, and {update} flies only where all else"
            " is: bring that to a production-ready version first."
        ),
        Code.FLIGHT_SHARED: (
            "{update} is for {device}, which also carries {nodes} node(s) on which it may not fly, {example} among"
            " them: it flies with all nodes behind or not at all."
        ),
        Code.FLIGHT_FULL: (
            "The policy of {customer} tries flights on at most {most} node(s), and {update} flies on as many already:"
            " this one waits."
        ),
        Code.FLIGHT_HERE: "{update} is tried on {node} as a flight, before it is ready for production.",
        Code.FLIGHT_GROUNDED: "{update} was to fly on {node} in this window and may not any more: plan again.",
        Code.CONDITIONS_EMPTY: "The conditions say nothing: name one, or approve without any.",
        Code.CONDITIONS_CONTRADICT: "The conditions cannot be kept: {clash}.",
        Code.TOGETHER_UNFELT: (
            "No workload feels {updates}, done on a shared device: it takes no node out, so nothing goes together with"
            " it."
        ),
        Code.COMPANIONS_ELSEWHERE: (
            "{scope} and {other} do not lie in one cluster, and no window takes nodes of several: name a part of"
            " {cluster}."
        ),
        Code.UNTIL_MISSING: "A decline says until when: name a time.",
        Code.REASON_MISSING: "{what} needs a reason, which stays on record: say why.",
        Code.DECLINE_PAST_DUE: (
            "{until} is later than {due}, when the time to choose is over in request {request}: decline until then at"
            " most, or say what follows, escalate or proceed."
        ),
        Code.OFFER_WITHOUT_TIME: "A counter-offer names a time: say not_before and not_after.",
        Code.OFFER_PAST_DUE: (
            "The time offered ends at {end}, later than {due}, when the time to choose is over in request {request}:"
            " offer one before that."
        ),
        Code.OFFER_UNKNOWN: "No counter-offer {offer} is on record{nearest}.",
        Code.OFFER_OVER: "Counter-offer {offer} can no longer be answered: {why}.",
        Code.FREEZE_OF_GROUP: (
            "A freeze is for a supercomputer, cluster, rack or node, not for what hangs on {device}: name one of those."
        ),
        Code.FREEZE_UNKNOWN: "No freeze {freeze} is in force or to come{nearest}.",
        Code.FREEZE_EMPTY: "A freeze from {start} to {end} lasts no time: its end must come after its start.",
        Code.FREEZE_NOT_EXEMPT: (
            "{update} is {criticality}, and the policy of {customer} lets {exempt} pass a freeze: wait for its end, or"
            " ask {customer} to end it."
        ),
        Code.EXEMPTION_NAMES_NOTHING: (
            "An exemption from {freeze} names updates, work orders, or the kinds repair and decommission: name at least"
            " one of them, and updates one by one."
        ),
        Code.EXEMPTION_UNKNOWN: "There is no exemption {exemption}{nearest}.",
        Code.EXEMPTION_CONFIRMED: "{exemption} was confirmed by {actor} at {at}: there is nothing left to say.",
        Code.SAME_PERSON: (
            "{actor} asked for {exemption}: a second person, who decides for {customer}, has to confirm it."
        ),
        Code.POLICY_CHANGED: (
            "The stored policy is {current}, you looked at {seen}: read it again, and say it of that one."
        ),
        Code.RULE_NOT_YOURS: (
            "Rule {rule} of {customer} is about {scope}, where {customer} holds nothing: leave it out."
        ),
        Code.FREEZE_NOT_YOURS: "{scope} is not {customer}'s alone: a customer freezes only what it holds.",
    }
)
