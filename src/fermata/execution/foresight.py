"""What forecasts of a run remember between two of them; a restart reads it again from the journal and the store."""

from dataclasses import dataclass, field

from fermata.domain.forecasts import Forecast
from fermata.domain.ids import WindowId
from fermata.planning.forecast.evidence import Evidence
from fermata.planning.forecast.standing import Layout


@dataclass(kw_only=True)
class Memory:
    """`seq`: of the last journal line that was learned from. `latest`: None until it was read from the store."""

    evidence: Evidence = field(default_factory=Evidence)
    seq: int = 0
    layouts: dict[WindowId, Layout] = field(default_factory=dict)
    latest: dict[WindowId | None, Forecast] | None = None
