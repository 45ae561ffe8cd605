"""What an operator reads for each code of a forecast, and of jobs ahead of a window."""

from types import MappingProxyType

from fermata.domain.codes import Code

OF_FORECASTS = MappingProxyType(
    {
        Code.RESERVATION_REFUSED: (
            "Jobs are not kept off the {nodes} node(s) of {window} before it begins: {said}. Long jobs may begin there,"
            " and its drain waits for them. Let the account that Fermata uses make reservations, or ask users to end"
            " their jobs in time."
        ),
        Code.RESERVATION_AWAITED: (
            "Nobody knows whether jobs are kept off the {nodes} node(s) of {window}: the scheduler gave no answer. It"
            " is asked again every five minutes; see that it runs: `fermata adapters doctor`."
        ),
        Code.RESERVATION_LEFT: (
            "{name} may keep jobs off nodes that nobody takes any more, and is not given up: {said}. Remove it there by"
            " hand, in Slurm with `scontrol delete reservationname=NAME`."
        ),
        Code.JOBS_UNKNOWN: (
            "The jobs on the {nodes} node(s) of {window} are not known: {said}. See that the scheduler runs: `fermata"
            " adapters doctor`."
        ),
        Code.FORECAST_AT_RISK: (
            "{window} is back by {promised} with {kept}, less than the {least} that a promise needs: nine times in ten"
            " {share} is back by {bound}. {helps}"
        ),
        Code.FORECAST_SAFE_AGAIN: (
            "{window} is back by {promised} with {kept}: its promise is safe again, and nothing need be done."
        ),
        Code.FORECAST_PAUSED: (
            "The run is paused, so nobody knows when {window} is back: `fermata resume` lets it go on, and the forecast"
            " follows within ten minutes."
        ),
        Code.FORECAST_UNSEEN: (
            "Of {units} unit(s) in {window}, {example} among them, the last word is too old to forecast from: see"
            " `fermata inventory sources`."
        ),
        Code.FORECAST_NO_BASELINE: (
            "None of the nodes that {window} took was in service when it opened: there is no capacity to wait for."
        ),
        Code.FORECAST_UNPLANNED: (
            "{windows} window(s) of {run}, {example} among them, did not open and are not planned anew: plan again"
            " before its end can be foretold."
        ),
        Code.FORECAST_NONE: (
            "{what} has no forecast: a window gets one within ten minutes after it opens, a run when it begins."
        ),
    }
)
