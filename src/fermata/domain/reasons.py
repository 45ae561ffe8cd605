"""Every wait, refusal, hold and violation: a code for machines and the sentence an operator reads."""

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Code(StrEnum):
    """Stable names; each has a sentence below and a line in docs/reasons.md."""

    # Consent
    APPROVAL_MISSING = "APPROVAL_MISSING"
    APPROVAL_OUTDATED = "APPROVAL_OUTDATED"
    APPROVAL_WITHDRAWN = "APPROVAL_WITHDRAWN"
    SHARED_DEVICE_UNAPPROVED = "SHARED_DEVICE_UNAPPROVED"
    FROZEN = "FROZEN"
    # Evidence
    VERSION_UNKNOWN = "VERSION_UNKNOWN"
    REQUIREMENT_UNMET = "REQUIREMENT_UNMET"
    # Planning
    NO_ROOM = "NO_ROOM"
    TOO_LONG_FOR_A_DAY = "TOO_LONG_FOR_A_DAY"
    # Checking a plan
    PLAN_INPUTS_CHANGED = "PLAN_INPUTS_CHANGED"
    # Server, demo and report
    NOT_LOOPBACK = "NOT_LOOPBACK"
    PORT_TAKEN = "PORT_TAKEN"
    DEMO_RUNNING = "DEMO_RUNNING"
    DEMO_HAS_STATE = "DEMO_HAS_STATE"
    DEMO_SEED_FIXED = "DEMO_SEED_FIXED"
    NOTHING_TO_REPORT = "NOTHING_TO_REPORT"
    CAMPAIGN_NOT_NAMED = "CAMPAIGN_NOT_NAMED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """A code with its sentence filled in."""

    code: Code
    sentence: str

    def __str__(self) -> str:
        return f"{self.code}: {self.sentence}"


SENTENCES = MappingProxyType(
    {
        Code.APPROVAL_MISSING: "{customer} has not approved {updates} on {scope}: approve request {request}.",
        Code.APPROVAL_OUTDATED: (
            "{customer} approved request {request} before {updates} joined it: approve incarnation {incarnation}."
        ),
        Code.APPROVAL_WITHDRAWN: "{actor} withdrew the approval of {scope} at {at}: approve request {request} again.",
        Code.SHARED_DEVICE_UNAPPROVED: (
            "{device} also carries {nodes} node(s) without approval, {example} among them: all behind it go together."
        ),
        Code.FROZEN: "{freeze} forbids work on {scope} from {start} to {end} ({why}).",
        Code.VERSION_UNKNOWN: "{unit} does not report the version of {components}: unknown blocks, mend inventory.",
        Code.REQUIREMENT_UNMET: "{update} needs {requirement}, which {unit} neither runs nor gets in this campaign.",
        Code.NO_ROOM: "No day up to {extension_until} has room for {cluster} under the limits: raise one or extend.",
        Code.PLAN_INPUTS_CHANGED: "{plan} was made from other inputs ({inputs} changed since): plan again.",
        Code.TOO_LONG_FOR_A_DAY: "{cluster} needs {minutes} minutes, more than a day's {room}: allow rolling.",
        Code.NOT_LOOPBACK: (
            "{host} can be reached from other machines and there is no sign-in yet: use 127.0.0.1 and a tunnel."
        ),
        Code.PORT_TAKEN: "Port {port} of {host} is taken by another process: stop it, or name a free one with --port.",
        Code.DEMO_RUNNING: "A demo runs in {folder} (process {process}): stop it, or name another folder with --dir.",
        Code.DEMO_HAS_STATE: "{folder} holds a demo: go on with --resume, or delete it and start anew with --fresh.",
        Code.DEMO_SEED_FIXED: "The demo in {folder} was started with seed {seed}: leave --seed out, or start --fresh.",
        Code.NOTHING_TO_REPORT: "{campaign} has no published plan: nothing was taken, so there is nothing to report.",
        Code.CAMPAIGN_NOT_NAMED: "The store holds several campaigns, say which: {campaigns}.",
    }
)


def reason(code: Code, **fields: object) -> Reason:
    """The reason with its sentence filled in. Raises KeyError when a field of the sentence is missing."""
    return Reason(code=code, sentence=SENTENCES[code].format_map(fields))
