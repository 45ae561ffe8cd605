"""Writes docs/access-roles.md from the policies that are shipped (`make roles`)."""

from pathlib import Path

from fermata.authority.actions import Action
from fermata.authority.engine import shipped
from fermata.authority.needs_elsewhere import NEEDS
from fermata.domain.identity import Role

HEAD = """# Who may do what

Read from the policies, `src/fermata/authority/policies.cedar`; written by `make roles`. Whatever has no mark is
forbidden. A role is granted on everything, a customer, a supercomputer or a cluster, and reaches what lies in it: a
request is let through when the role reaches *all* that it names. What a customer's policy says of its approvers stays
on top. Commands that work on a store, without `--server`, ask nobody: whoever can write to the store owns it.

"""
TAIL = """
## What takes two people

By name, whatever roles somebody has, and on the command line too.

| what | first | second | else |
|---|---|---|---|
| an update is promoted | who registered it, or imported a catalogue since | anybody else | `PROMOTED_BY_REGISTRANT` |
| something passes a freeze | who asks for the exemption | an approver of the customer confirms it | `SAME_PERSON` |

A node that is not proven goes back by nobody's word, not by two people's either ([readmission.md](readmission.md)).

## Breaking the glass

What somebody may take in an emergency is laid down beforehand. It is taken, for four hours at most, with

    fermata break-glass --role conductor --on customer:lumen --minutes 30 --why "chiller 2 fails"

It stands in the journal, the operator's own subscriptions are told at its beginning and its end, and every page of the
board says so while it lasts. It is over by itself, at once when it is no longer laid down, or with
`fermata break-glass end ID`. It adds a role for a while: what takes two people still does, and nobody makes a token or
tends subscriptions by it, which would outlast it ([decision 131](decisions/0131-what-a-broken-glass-makes-ends.md)).
"""
NOTES = {
    Action.MANAGE_TOKENS: "on everything alone",
    Action.BREAK_GLASS: "who has it laid down, see below",
    Action.START_OWN_EVENTS: "a client inside a node, of that node",
    Action.VERIFY_AUDIT: "by command",
}


def write_table() -> str:
    """The whole page."""
    engine = shipped()
    lines = [f"| action | {' | '.join(role.value.replace('_', ' ') for role in Role)} | routes |"]
    lines.append("|" + "---|" * (len(Role) + 2))
    for action in Action:
        may = set(engine.roles_of(action))
        marks = " | ".join("yes" if role in may else "" for role in Role)
        routes = sum(action in need.actions for need in NEEDS.values() if not need.is_open)
        told = NOTES.get(action, "")
        lines.append(f"| {action.value.replace('_', ' ')}{f' ({told})' if told else ''} | {marks} | {routes} |")
    return HEAD + "\n".join(lines) + "\n" + TAIL


if __name__ == "__main__":
    Path("docs/access-roles.md").write_text(write_table(), encoding="utf-8")
