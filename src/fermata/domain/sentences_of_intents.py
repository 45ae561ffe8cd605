"""What an operator reads of words that hold, end or pace work, by the code of the reason."""

from types import MappingProxyType

from fermata.domain.codes import Code

OF_INTENTS = MappingProxyType(
    {
        Code.RUN_PAUSED: "The run is paused ({who}), so nothing new begins on {unit}: `fermata resume` lets it go on.",
        Code.HELD_BY_OPERATOR: (
            "{place} is paused ({who}), so nothing new begins on {unit}: `fermata resume {option}` lets it go on."
        ),
        Code.ENDED_BY_OPERATOR: "{unit} is not taken: {desired} of {place} ({who}). Plan it again when it may go.",
        Code.BRAKE_ON: (
            "The brake is on ({who}), so nothing new begins on {unit}: `fermata brake off --reason ...` releases it."
        ),
        Code.BRAKE_NOT_ON: "The brake is not on: nothing to release.",
        Code.GIVEN_BACK: "{unit} was given back {how} after the abort of {place} ({who}): plan it again for the rest.",
        Code.NOT_PROVEN_YET: (
            "{unit} cannot go back after the abort of {place}: {updates} was begun and is not seen to run."
            " `fermata {verb}` lets it be finished."
        ),
        Code.CHANGED_MEANWHILE: (
            "{unit} cannot go back after the abort of {place}: its {component} is {found}, not {before}, and nothing"
            " proves that. `fermata {verb}` lets it be finished."
        ),
        Code.STILL_WRITES: (
            "{unit} is still at {step} after {minutes} minutes, and an abort cuts no write: `fermata {verb}` lets it be"
            " power cycled and finished."
        ),
        Code.ALONG_LEFT: "{update} of {device} does not come along in this window: {why}",
        Code.BEHIND_RETURNED: "{unit} is not touched: {example} behind it is back with its workloads. Plan it again.",
        Code.WAITS_FOR_TRAIN: (
            "{unit} waits its turn on the train of {cluster} ({rate}): {at_once} nodes of one fault domain write at"
            " once, in service. It is next for {update}."
        ),
        Code.TRAIN_STOPPED: (
            "{unit} stays as it is: after {failed} failed tries and {proven} proven nodes, no train carries"
            " {update} any more. Windows take it."
        ),
        Code.RIDE_FAILED: "{unit} failed {step} {tries} time(s) in service, last with: {why}. Its next window does it.",
        Code.RIDE_HANGS: (
            "{unit} is in service and still at {step} after {minutes} minutes: look at it, a node in service is not"
            " power cycled. Once it is repaired the rest follows by itself."
        ),
        Code.RIDE_ENDS: "{unit} leaves the train: {why} A later train, or its next window, does the rest.",
        Code.RIDES_ALONG: (
            "{window} waits for {nodes} node(s) that still write in service, {example} among them: looked at again at"
            " {until}."
        ),
        Code.WINDOW_TAKES: "{unit} leaves the train: {window} does the rest.",
        Code.RUN_WINDOW_UNKNOWN: "{run} has no window {window}{nearest}.",
        Code.WINDOW_OVER: "{window} is {state}: there is nothing left of it to {verb}.",
        Code.FLEET_STOPPED: "The fleet is to {desired} ({who}): `fermata resume --fleet` first.",
        Code.GO_AWAITED: (
            "{what} until a person says go: `fermata room go {window}{option} --reason ...`. Whatever else is asked"
            " of it still has to hold then."
        ),
        Code.NO_GO: (
            "{what}: {actor} said no-go ({why}). `fermata room go {window}{option} --reason ...` takes that back."
        ),
        Code.GO_OF_NOTHING: "{window} brings no update {update}{nearest}: its updates are {updates}.",
        Code.GO_TOO_LATE: (
            "{window} is open already: `fermata pause --window {window} --reason ...` holds what has not begun."
        ),
        Code.TEAM_NOT_CALLED: "{team} has no step in {window}{nearest}: its teams are {teams}.",
        Code.BRIDGE_UNUSABLE: (
            "{url} is no bridge: a link of at most {most} characters that begins with one of {schemes} is."
        ),
        Code.WHY_MISSING: "Say why ({verb} is read by others at night): add --reason.",
        Code.WAITS_FOR_PACE: (
            "{unit} waits its turn: after {failed} failed tries, {at_once} of at most {bound} nodes of the window"
            " write {update} at once. Every {pays} that succeed double that."
        ),
        Code.RUN_STOPPED: (
            "The run was stopped ({who}) before {window} was taken: publish a plan for its nodes and start again."
        ),
    }
)
