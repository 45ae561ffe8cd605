"""What a site says of its Kubernetes."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from fermata.adapters.kubernetes_access import ServerSettings

_SOURCE = r"^(kernelVersion|kubeletVersion|osImage|containerRuntimeVersion|label:\S+|annotation:\S+)$"


class MaintenanceOperator(BaseModel):
    """NVIDIA's maintenance-operator: a node is emptied once it granted our NodeMaintenance in `namespace`. `drains`: it
    empties the node; else we do.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    namespace: str = Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")
    requestor: str = Field("maintenance.fermata.io", pattern=r"^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])$")
    drains: bool = False


class Settings(ServerSettings):
    """Which API server, and how nodes are emptied there. `components`: by name of a component, what of a node tells its
    version: a field of its nodeInfo, `label:KEY` or `annotation:KEY`.
    """

    prefix: str = Field("maintenance.fermata.io", pattern=r"^[a-z0-9]([a-z0-9.-]{0,60}[a-z0-9])?$")
    drain_minutes_max: int = Field(60, ge=1)
    again_seconds: int = Field(30, ge=1)
    evict_bare_pods: bool = False
    maintenance_operator: MaintenanceOperator | None = None
    unfit_conditions: frozenset[str] = frozenset()
    components: dict[str, Annotated[str, Field(pattern=_SOURCE)]] = Field(default_factory=dict)
    answer_seconds: float = Field(30.0, gt=0)
