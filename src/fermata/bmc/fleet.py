"""What the emulator's file describes: the controllers, what each is made of, and what goes wrong."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

BMCS_MAX = 20_000


class BadFleet(ValueError):
    """The file cannot be used; says where and why."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Activation(StrEnum):
    """When a written version begins to run."""

    AT_ONCE = "at_once"
    HOST_RESET = "host_reset"
    BMC_RESET = "bmc_reset"


class Component(_Strict):
    """One member of FirmwareInventory. `image`: what its image files are named after, its id where empty."""

    id: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")
    name: str = ""
    version: str = "1.0.0"
    activates: Activation = Activation.HOST_RESET
    write_seconds: float = Field(300, ge=0)
    install_seconds: float = Field(60, ge=0, description="What it adds to the boot that activates it")
    updateable: bool = True
    image: str = ""


ACCELERATORS = tuple(
    Component(id=f"GPU_{number}", name=f"GPU {number}", version="96.00.61", image="GPU") for number in range(8)
)
STANDARD_COMPONENTS = (
    Component(id="BMC", name="BMC firmware", version="24.1.0", activates=Activation.BMC_RESET, write_seconds=240),
    Component(id="BIOS", name="System firmware", version="1.4.0", write_seconds=180, install_seconds=120),
    Component(id="NIC_0", name="Network adapter", version="28.39.1002", image="NIC"),
    Component(id="CPLD_0", name="CPLD", version="0.11", activates=Activation.HOST_RESET, image="CPLD"),
    *ACCELERATORS,
)


class Profile(_Strict):
    """What a controller and its machine are like. Durations in seconds of the emulator's clock."""

    manufacturer: str = "Contoso"
    model: str = "GPU server"
    components: Sequence[Component] = STANDARD_COMPONENTS
    boot_seconds: float = Field(240, ge=0)
    shutdown_seconds: float = Field(30, ge=0)
    bmc_boot_seconds: float = Field(120, ge=0)
    sessions_max: int = Field(16, ge=1)
    session_seconds: float = Field(1800, ge=30)
    updates_at_once: int = Field(8, ge=1)
    retry_after_seconds: int = Field(30, ge=1)
    tasks_survive_reboot: bool = False
    down_answers_503: bool = Field(False, description="While the controller reboots; else connections are dropped")
    pull: bool = Field(True, description="SimpleUpdate")
    push: bool = Field(True, description="MultipartHttpPushUri")
    staged: bool = Field(True, description="The apply time OnReset")
    boot_progress: bool = True
    last_reset_time: bool = True
    jitter: float = Field(0.1, ge=0, lt=1, description="Share by which durations differ between controllers")

    @model_validator(mode="after")
    def _has_distinct_components(self) -> "Profile":
        ids = [component.id for component in self.components]
        if len(ids) != len(set(ids)):
            raise ValueError("two components have one id")
        return self


class FaultKind(StrEnum):
    """What goes wrong."""

    DIES = "dies"  # does not answer any more, for `seconds` or for good
    UPDATE_FAILS = "update_fails"  # at `percent`
    UPDATE_HANGS = "update_hangs"  # at `percent`, for good
    KEEPS_OLD = "keeps_old"  # the task completes, the old version runs
    REPORTS = "reports"  # the inventory says `version`, whatever runs
    LOSES_STAGED = "loses_staged"  # what waits for a reset is gone after it
    SLOW = "slow"  # durations are `factor` times as long
    SLOW_ANSWERS = "slow_answers"  # every answer takes `seconds` of real time
    BUSY = "busy"  # 503 and Retry-After
    LOSES_SESSIONS = "loses_sessions"  # every session is gone, once
    DROPS_ANSWER = "drops_answer"  # a request that changes something is carried out, and its answer lost
    RESET_IGNORED = "reset_ignored"  # a reset is answered, and nothing happens


class Fault(_Strict):
    """One thing that goes wrong on the controllers named by `bmc` ("*": all), or on a seeded `share` of them.

    It begins `after_seconds` from the start (for `dies`: of an update, if `percent` is given) and lasts `seconds`,
    None: for good. `times`: how often it strikes each controller at most. `component` "*": any.
    """

    kind: FaultKind
    bmc: str = "*"
    share: float = Field(1.0, gt=0, le=1)
    component: str = "*"
    after_seconds: float = Field(0, ge=0)
    seconds: float | None = Field(None, gt=0)
    times: int | None = Field(None, ge=1)
    percent: int | None = Field(None, ge=0, le=100)
    factor: float = Field(3.0, gt=0)
    version: str = "0.0.0"


class Bmcs(_Strict):
    """Some controllers of one profile: named one by one, or counted: `prefix` and a number of `digits` from `first`."""

    names: Sequence[str] = ()
    prefix: str = "node"
    digits: int = Field(4, ge=1, le=8)
    first: int = Field(1, ge=0)
    count: int = Field(0, ge=0, le=BMCS_MAX)
    profile: str = "standard"

    def every_name(self) -> tuple[str, ...]:
        """In order."""
        counted = (f"{self.prefix}{number:0{self.digits}d}" for number in range(self.first, self.first + self.count))
        return (*self.names, *counted)


class Fleet(_Strict):
    """The whole file. `user` and `password` are those of the account that every controller is born with."""

    seed: int = 1
    user: str = Field("admin", min_length=1)
    password: str = Field("password", min_length=1)
    bmcs: Sequence[Bmcs] = (Bmcs(count=1),)
    profiles: dict[str, Profile] = Field(default_factory=dict)
    faults: Sequence[Fault] = ()

    @model_validator(mode="after")
    def _is_consistent(self) -> "Fleet":
        names = self.profile_by_name()
        if not names:
            raise ValueError("no controller is described")
        if len(names) > BMCS_MAX:
            raise ValueError(f"{len(names)} controllers are described, at most {BMCS_MAX} are emulated by one process")
        return self

    def profile_by_name(self) -> dict[str, Profile]:
        """Every controller's profile. Raises ValueError for a name that comes twice or a profile that nobody knows."""
        profiles = {"standard": Profile(), **self.profiles}
        found: dict[str, Profile] = {}
        for group in self.bmcs:
            if group.profile not in profiles:
                raise ValueError(f"there is no profile {group.profile}")
            for name in group.every_name():
                if name in found or not name or "/" in name:
                    raise ValueError(f"{name!r} is no name for one controller, or stands there twice")
                found[name] = profiles[group.profile]
        return found


def read_fleet(path: Path) -> Fleet:
    """The JSON file's fleet. Raises BadFleet."""
    try:
        return Fleet.model_validate_json(path.read_bytes())
    except OSError as error:
        raise BadFleet(f"{path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        said = "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'file'}: {fault['msg']}" for fault in error.errors())
        raise BadFleet(f"{path}: {said}") from error
