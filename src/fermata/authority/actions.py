"""Everything that somebody may be let do, in the words of the field; docs/access-roles.md says who may."""

from enum import StrEnum


class Action(StrEnum):
    """What a route or a command does."""

    LOOK = "look"
    LOOK_AT_JOURNAL = "look_at_journal"
    VERIFY_AUDIT = "verify_audit"  # the proof of the journal, and signing its heads
    SAY_CONSENT = "say_consent"  # yes, no, another time, or taking a word back, for a customer
    FREEZE = "freeze"
    EXEMPT_FROM_FREEZE = "exempt_from_freeze"
    CONFIRM_EXEMPTION = "confirm_exemption"
    PROPOSE_POLICY = "propose_policy"
    REPLACE_POLICY = "replace_policy"
    REGISTER_UPDATE = "register_update"
    RECORD_SIGNAL = "record_signal"
    PROMOTE_UPDATE = "promote_update"
    DEMOTE_UPDATE = "demote_update"
    PLAN = "plan"
    PUBLISH = "publish"
    CONDUCT = "conduct"  # start and resume a run, and let it plan again by itself
    PAUSE = "pause"
    STOP = "stop"
    SAY_AT_GATE = "say_at_gate"
    RECOVER = "recover"
    PULL_BRAKE = "pull_brake"
    RELEASE_BRAKE = "release_brake"
    SPEAK_IN_ROOM = "speak_in_room"
    OPEN_WORK_ORDER = "open_work_order"
    WORK_ON_ORDER = "work_on_order"  # begin, complete and cancel one
    TEND_TAIL = "tend_tail"
    ANSWER_OFFER = "answer_offer"
    TELL_CUSTOMERS = "tell_customers"
    TAKE_STOCK = "take_stock"  # have moved requests put on record
    SEND_INVENTORY = "send_inventory"
    DECIDE_HOLD = "decide_hold"
    IMPORT = "import"
    SUBSCRIBE = "subscribe"
    MANAGE_TOKENS = "manage_tokens"
    BREAK_GLASS = "break_glass"
    START_OWN_EVENTS = "start_own_events"  # from inside a node, of that node alone
