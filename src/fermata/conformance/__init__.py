"""The suite that every adapter passes, ours and those of others: what an adapter owes the conductor, as sentences.

    @pytest.mark.parametrize("trial", list_trials(PORTS), ids=str)
    def test_conforms(trial: Trial) -> None:
        with make_bench() as bench:
            trial.run(bench)

A `Bench` is the adapter over a target, with the handles that the target offers: time that passes, effects that are
counted, mishaps. `open_proxy` makes mishaps between an adapter and a server that speaks HTTP.
"""

from fermata.conformance.bench import Bench, Broken, Mishap, NotTried, Op, Write
from fermata.conformance.live import make_live_bench
from fermata.conformance.proxy import RETRY_AFTER, Fault, FaultKind, FaultProxy, open_proxy
from fermata.conformance.trials import Outcome, Trial, Verdict, list_trials, try_all

__all__ = [
    "RETRY_AFTER",
    "Bench",
    "Broken",
    "Fault",
    "FaultKind",
    "FaultProxy",
    "Mishap",
    "NotTried",
    "Op",
    "Outcome",
    "Trial",
    "Verdict",
    "Write",
    "list_trials",
    "make_live_bench",
    "open_proxy",
    "try_all",
]
