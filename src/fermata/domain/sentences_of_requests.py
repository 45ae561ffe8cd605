"""What an operator reads of requests and work orders, by the code of the reason."""

from types import MappingProxyType

from fermata.domain.codes import Code

OF_REQUESTS = MappingProxyType(
    {
        Code.REQUEST_PENDING: "No word yet of {who} on {waiting}, and time to choose until {due}: notify them.",
        Code.REQUEST_NOTIFIED: "No word yet on {waiting}: {who} heard of it at {told} and can choose until {due}.",
        Code.REQUEST_PARTLY_APPROVED: "{approved} may go, no word yet of {who} on {waiting}: approve them by {due}.",
        Code.REQUEST_APPROVED: "All of {units} may go, {unscheduled} without a time yet: plan and publish.",
        Code.REQUEST_MAY_BEGIN: "All of {units} may go: begin the work orders (fermata requests start ORDER).",
        Code.REQUEST_SCHEDULED: "All of {units} may go and have a time to come: nothing is needed until then.",
        Code.REQUEST_IN_PROGRESS: "Work is under way on {in_work}: what was taken comes back once it is proven.",
        Code.REQUEST_COMPLETED: "Nothing it asked for is left to do.",
        Code.REQUEST_DECLINED: "{who} said no until {until} to all that has no approval: ask again then.",
        Code.REQUEST_SUPERSEDED: "Other work took the place of what it asked for: nothing is left to do.",
        Code.REQUEST_CANCELLED: "What it asked for was cancelled before it was done.",
        Code.REQUEST_OVERDUE: (
            "The time to choose ended at {due} without a word of {who} on {lacking}: escalate to them, nothing begins"
            " before they answer."
        ),
        Code.REQUEST_PROCEEDS: (
            "The time to choose ended at {due} without a word of {who} on {proceeding}, and by their own policy that"
            " proceeds in their windows: plan it, or begin the work orders."
        ),
        Code.REQUEST_MOVE_ILLEGAL: "{name} is {state}, which {event} does not follow: what can is {moves}.",
        Code.HELD_BY_ORDER: (
            "{unit} is held by work order {order} ({kind}, {state}): one request at a time holds a node, plan it again"
            " when that is done."
        ),
        Code.LEAVES_BY_ORDER: (
            "{unit} leaves by work order {order} ({kind}, {state}): nothing more is done on it, or cancel the"
            " order first."
        ),
        Code.ORDER_FIRST: (
            "{unit} waits for work order {order} ({kind}, {state}): parts come before their firmware, so have it"
            " done or cancel it, then plan again."
        ),
        Code.ORDER_DECLINED: "{actor} said no to {order} on {scope} until {until}: ask again then (request {request}).",
        Code.ORDER_UNKNOWN: "There is no work order {order}{nearest}.",
        Code.ORDER_EXISTS: (
            "{kind} of {target} is asked for already by work order {order}: it stands in {request}, cancel it or wait"
            " for its end."
        ),
        Code.ORDER_TOO_EARLY: "{order} may not begin before {at} ({why}): wait for that, or have it approved sooner.",
        Code.ORDER_AFTER_DEVICE: (
            "{unit} goes to the people of {order} when the work on {device}, which it hangs on, is over: until then"
            " nobody may touch either."
        ),
        Code.ORDER_AFTER_REBOOT: (
            "{unit} goes to the people of {order} after its next reboot: firmware is written there that only that"
            " makes active."
        ),
        Code.ORDER_NODE_BUSY: (
            "{order} cannot begin: {nodes} are held by {holder}. One request at a time holds a node, begin it when"
            " they are back."
        ),
        Code.ORDER_NOT_DRAINED: (
            "By the inventory {nodes} serve, and {order} would interrupt what runs there: drain first, then say so when"
            " it begins (--drained)."
        ),
        Code.ORDER_NODES_REMAIN: (
            "{order} is done when the inventory no longer has its nodes, and {nodes} are there: import a fleet without"
            " them first."
        ),
        Code.ORDER_TARGET_GONE: "The fleet holds no node of {target} any more: cancel work order {order}.",
        Code.ORDER_KIND_WRONG: (
            "Request {request} asks for updates, which are approved by scope (fermata approve): this is for work"
            " orders."
        ),
        Code.DECLINE_UNTIL_WRONG: (
            "A no holds until a date that is still to come, and not past {due}, when the time to choose is over:"
            " {until} is not such a date."
        ),
    }
)
