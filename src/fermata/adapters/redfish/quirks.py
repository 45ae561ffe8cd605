"""What vendors do in their own way, as data. Each row names where the vendor says so in public."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirks:
    """How one kind of controller differs from DSP0266.

    `staged_states`: states of a task whose image is written and waits for a reset. `apply_times`: its words for ours,
    an empty one is not sent. `sends_targets`: the image says itself where it goes if not. `targets_max`: of one update;
    None: any number. `oem_part`: a third part of a multipart push, JSON by component, "" for the others.
    `graceful` and `hard`: kinds of reset, the best first. `source`: where that is said.
    """

    source: str
    staged_states: frozenset[str] = frozenset({"Pending", "Suspended"})
    apply_times: Mapping[str, str] = field(default_factory=lambda: {"immediate": "Immediate", "on_reset": "OnReset"})
    sends_targets: bool = True
    targets_max: int | None = None
    oem_part: str = ""
    graceful: tuple[str, ...] = ("GracefulRestart", "ForceRestart")
    hard: tuple[str, ...] = ("PowerCycle", "ForceRestart")


QUIRKS: Mapping[str, Quirks] = {
    "standard": Quirks(source="DMTF DSP0266, DSP2046, DSP2062"),
    # an image that waits for a reset pauses its task: state Stopping; an update takes a single target
    "openbmc": Quirks(
        source="github.com/openbmc/bmcweb, redfish-core/lib/update_service.hpp",
        staged_states=frozenset({"Pending", "Suspended", "Stopping"}),
        targets_max=1,
    ),
    # UpdateParameters={}: the package knows its components
    "nvidia-bluefield": Quirks(
        source="docs.nvidia.com, BlueField BMC Software, CEC and BMC Firmware Operations",
        staged_states=frozenset({"Pending", "Suspended", "Stopping"}),
        sends_targets=False,
    ),
    # targets are the system or the manager (`target` of a component says which), and no apply time is known
    "supermicro": Quirks(
        source="supermicro.com, FAQ 45630",
        apply_times={"immediate": "", "on_reset": ""},
    ),
    # a push needs OemParameters beside UpdateParameters, which `oem` of a component holds
    "ami": Quirks(
        source="pubs.lenovo.com, TSM, BMC Firmware update; github.com/ansible-collections/community.general issue 8825",
        oem_part="OemParameters",
    ),
}
