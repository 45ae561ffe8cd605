"""What may be asked of a run and of a work order."""

from enum import StrEnum


class RunChange(StrEnum):
    """What may be wanted of a run that goes on."""

    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"
    ABORT = "abort"


class OrderEnding(StrEnum):
    """How a work order may be ended."""

    COMPLETE = "complete"
    CANCEL = "cancel"
