"""What an operator reads about nodes that may not go back yet, went back behind our back, or are in other hands."""

from types import MappingProxyType

from fermata.domain.codes import Code

OF_RETURN = MappingProxyType(
    {
        Code.RETURN_NOT_READ: (
            "{unit} has not said what it runs since its last change: it is asked by itself when its steps are over; if"
            " it cannot be reached for long, repair it."
        ),
        Code.RETURN_READ_EARLY: (
            "{unit} said at {read_at} what it runs, before its last change ended at {changed_at}: it is asked again"
            " by itself."
        ),
        Code.RETURN_READ_STALE: (
            "{unit} said at {read_at} what it runs, more than {limit} min before {now}: it is asked again by itself."
        ),
        Code.RETURN_READ_AHEAD: (
            "{unit} said at {read_at} what it runs, and here it is {now}: the clocks differ. Set right whichever is"
            " wrong; it is asked again by itself."
        ),
        Code.RETURN_VERSION: (
            "{unit} reports {component} {version}, {update} wants {target}: it is written again by itself, then"
            " repaired."
        ),
        Code.RETURN_NOT_AS_BEFORE: (
            "{unit} reports {component} {version}, and was taken with {before}; nothing here changed it. Find out who"
            " did, then resume its work or release it by hand."
        ),
        Code.RETURN_UNCHECKED: "{unit} has no health check on record in this window: it is checked by itself.",
        Code.RETURN_UNHEALTHY: (
            "{unit} failed its health check at {checked_at}: it is reset and checked again by itself."
        ),
        Code.RETURN_CHECK_EARLY: (
            "{unit} passed its health check at {checked_at}, before its last change ended at {changed_at}: it is"
            " checked again by itself."
        ),
        Code.RETURN_CHECK_STALE: (
            "{unit} passed its health check at {checked_at}, more than {limit} h ago: it is checked again by itself."
        ),
        Code.RETURN_UNLOCKED: (
            "{unit} is not seen under our lock: whoever took it off, leave it; it is locked and drained again by"
            " itself."
        ),
        Code.RETURN_IN_SERVICE: (
            "{unit} is in service already, and was not given back: find who scaled it in; it is locked and drained"
            " again by itself."
        ),
        Code.RETURN_CONSENT_UNASKED: (
            "Nobody looked whether what was written on {unit} is still approved: it is looked at by itself when"
            " everything else is there."
        ),
        Code.RETURN_CONSENT: (
            "What was written on {unit} is not approved any more: {why} Have it approved again, or rolled back; the"
            " node waits."
        ),
        Code.RETURN_DEVICE: (
            "{unit} hangs on {device}, which is {state} and not proven: it waits for it, or for its repair."
        ),
        Code.RETURN_UNDER_WAY: "{unit} is still at {step}: wait for its end.",
        Code.RETURN_ASTRAY: (
            "{unit} was out of our hands at {at} and is not drained again yet: it is locked, drained and proven anew"
            " by itself."
        ),
        Code.RETURN_NOT_TAKEN: "{unit} waits to be taken by {window}: nothing was done to it yet.",
        Code.RETURN_OF_NOBODY: "{unit} is {state} and no window has it: nothing is asked of it.",
        Code.RETURN_MAY: "{unit} may go back: all that {window} took it for is proven.",
        Code.RETURN_MAY_NOT: "{unit} may not go back: {pieces} missing.",
        Code.RETURN_DONE: "{unit} {went} at {at}: all that {window} took it for was proven.",
        Code.NODE_UNKNOWN: "No node {unit} is on record{nearest}.",
        Code.NODE_ASTRAY: (
            "{unit} is in service without proof, while {window} has it at {step}: somebody scaled it in. Find out"
            " who; no step begins on it before it is locked and drained again, which happens by itself."
        ),
        Code.NODE_UNLOCKED: (
            "{unit} lost our lock, while {window} has it at {step}: somebody took it off. Find out who; no step begins"
            " on it before it is locked and drained again, which happens by itself."
        ),
        Code.NODE_REGAINED: (
            "{unit} was out of our hands at {at}; it is locked and drained again, and proven anew by itself. Find out"
            " who scaled it in, or took the lock off."
        ),
        Code.NODE_UNSEEN: (
            "{unit} waits: who looks at {nodes} does not answer, or not all of them do: a dead controller is enough."
            " Nothing is touched unseen. See to the controller or the adapter; it is asked again by itself."
        ),
        Code.ASTRAY_STUCK: (
            "{unit} came into service at {step}, which hangs or failed there: nothing more is done to it while"
            " workloads may be on it. Empty it, repair it, the rest follows by itself."
        ),
        Code.UNIT_OVERTAKEN: (
            "The target of {unit} does nothing for {run}: it has heard of a newer owner than this store knows. Look for"
            " another conductor at work there, or whether the store was put back from a copy, and stop what is wrong."
        ),
    }
)
