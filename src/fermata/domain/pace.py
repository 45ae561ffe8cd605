"""When the plan's own steps of a window end: what is back before it is ahead of the plan."""

from datetime import datetime, timedelta

from fermata.domain.plans import VerifyStep
from fermata.domain.scripts import WindowScript

MINUTE = timedelta(minutes=1)


def bare_end(script: WindowScript, verify: timedelta) -> datetime:
    """When the plan's steps end without the spare time that the verify step pools; `verify`: what one node needs."""
    start = next(step.start for step in script.steps if isinstance(step, VerifyStep))
    return min(start + verify, script.window.end)
