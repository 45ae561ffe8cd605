"""Every kind of id, one line each, and the keys derived from them. Minting happens in `services`."""

from typing import NewType

ClusterId = NewType("ClusterId", str)
SupercomputerId = NewType("SupercomputerId", str)
CustomerId = NewType("CustomerId", str)
RackId = NewType("RackId", str)
NodeId = NewType("NodeId", str)
DeviceId = NewType("DeviceId", str)
UpdateId = NewType("UpdateId", str)
TeamId = NewType("TeamId", str)
CampaignId = NewType("CampaignId", str)
RequestId = NewType("RequestId", str)
OrderId = NewType("OrderId", str)
ApprovalId = NewType("ApprovalId", str)
FreezeId = NewType("FreezeId", str)
ExemptionId = NewType("ExemptionId", str)
SubscriptionId = NewType("SubscriptionId", str)
PlanId = NewType("PlanId", str)
WindowId = NewType("WindowId", str)
ServiceId = NewType("ServiceId", str)
RunId = NewType("RunId", str)
SignalId = NewType("SignalId", str)
StepKey = NewType("StepKey", str)
SourceId = NewType("SourceId", str)
HoldId = NewType("HoldId", str)
AdapterId = NewType("AdapterId", str)
BreakGlassId = NewType("BreakGlassId", str)


def step_key(run: RunId, window: WindowId, subject: str, step: str, attempt: int) -> StepKey:
    """The idempotency key an adapter gets: the same step asked twice carries the same key.

    `attempt` counts from 1 and grows only when a decision orders a new try, never on a restart.
    """
    return StepKey(f"{run}/{window}/{subject}/{step}/{attempt}")
