"""What an operator reads of gates and recovery, by the code of the reason."""

from types import MappingProxyType

from fermata.domain.codes import Code

OF_GATES = MappingProxyType(
    {
        Code.WAITS_AT_GATE: (
            "{unit} does not begin {update}: {why} See `fermata gates`, then proceed, hold or roll back."
        ),
        Code.GATE_PASSED: "{update} has passed: {bad} of {known} node(s) failed. Nothing is needed.",
        Code.GATE_UNDECIDED: (
            "{update} goes on: {bad} of {known} node(s) failed, too few to say more. Nothing is needed."
        ),
        Code.GATE_NEEDS_MORE: (
            "{update} waits for evidence: the outcome of {known} node(s) is known, {at_least} are asked for, {open}"
            " are under way. It goes on by itself."
        ),
        Code.GATE_OPEN: (
            "{update} waits for evidence: {open} node(s) have begun it and their outcome is not known ({known} are)."
            " It goes on by itself."
        ),
        Code.GATE_BAKES: "{update} bakes: {baking} node(s) have not been back long enough, the last until {until}.",
        Code.GATE_UNMEASURED: (
            "{update} waits for metrics: {unmeasured} node(s) are proven, and their metrics have not been seen fine"
            " since ({why}). It goes on by itself once they are; see docs/health-checks.md."
        ),
        Code.GATE_TOO_LATE: (
            "{update} is held: its evidence was due by {until} and has not come. Look at the nodes that are open."
        ),
        Code.GATE_FAILED: (
            "{update} is stopped: {bad} of {tried} node(s) failed, against {base} in ordinary outages ({source}; a"
            " good update is stopped in {false_stop} of cases). Look at the failures, then roll back or proceed."
        ),
        Code.GATE_FIRST_FAILED: (
            "{update} is stopped: {bad} of its first {tried} node(s) failed. Look at them, then roll back or proceed."
        ),
        Code.GATE_RACK_FAILED: (
            "{update} is stopped: {bad} of {tried} node(s) in rack {rack} failed. Look at the rack, then roll back or"
            " proceed."
        ),
        Code.GATE_HELD: "{update} is held by {actor}: {why}",
        Code.GATE_ROLLED_BACK: "{update} is rolled back by {actor}: {why}",
        Code.RUN_UNKNOWN: "The store holds no run {run}: `fermata status` names the newest.",
        Code.RECOVERY_ROLL_BACK: "{update} on {unit} can be rolled back to {version}, which ran there well.",
        Code.RECOVERY_NOT_EMPTIED: (
            "{update} on {unit} needs all nodes behind it empty, and its window does not have {nodes} of them,"
            " {example} among them: plan the older version as an update instead."
        ),
        Code.RECOVERY_HELD_UNDER: (
            "{update} on {unit} stays under {other} on {place}, which builds on it and cannot be rolled back: bring"
            " both forward."
        ),
        Code.RECOVERY_NO_PATH: "{update} has no way back and none forward: {unit} goes to repair.",
        Code.RECOVERY_UNREACHABLE: "{unit} cannot be reached, so {update} stays until it is repaired.",
        Code.RECOVERY_FORWARD_ONLY: "{update} cannot be rolled back: bring {unit} to a newer version.",
        Code.RECOVERY_NO_LAST_GOOD: (
            "No version of {component} before {update} is on record as good on {unit}: bring it to a newer one."
        ),
        Code.RECOVERY_OUT_OF_REACH: (
            "{unit} ran {version} before {update}, which nothing in the catalogue brings or starts from: bring it to a"
            " newer version."
        ),
        Code.RECOVERING: "{update} is rolled back on {unit} by {actor}: {why}",
        Code.RECOVERY_WAITS: (
            "{update} on {unit} is not rolled back yet: {why} It is looked at again within five minutes."
        ),
        Code.RECOVERY_IN_TURN: (
            "{update} on {unit} is rolled back after {other} on {place}, which builds on it: it goes on by itself."
        ),
        Code.RECOVERY_LEFT_OUT: "{update} is rolled back, so {unit}, which has not begun it, goes on without it.",
        Code.RECOVERY_REASON_MISSING: "A roll-back needs a reason: say why, it goes into the journal.",
        Code.NODE_NOT_TAKEN: "{run} never took a node {unit}{nearest}.",
        Code.DEVICE_NOT_TAKEN: "{run} never had a shared device {unit} in a window{nearest}.",
        Code.NOTHING_TO_RECOVER: "None of that was begun on any of these units: `fermata gates` says what was.",
        Code.GATE_UNKNOWN: "{run} brings no update {update}{nearest}.",
        Code.GATE_REASON_MISSING: "A word at the gate of {update} needs a reason: say why, it goes into the journal.",
    }
)
