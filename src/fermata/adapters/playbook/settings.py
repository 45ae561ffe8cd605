"""Which playbooks there are, which units each is about, and how Ansible is run. Secrets stand elsewhere."""

import re
from collections.abc import Mapping
from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

UNIT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")  # nothing that Ansible reads as a pattern
_PATH = re.compile(r"[A-Za-z0-9/._-]+")
LIMIT_WORDS = frozenset({"all", "ungrouped", "localhost"})


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Act(_Strict):
    """One playbook that changes a unit, and the one that reads what came of it."""

    run_file: Path
    read_file: Path
    minutes: float = Field(30, gt=0, le=24 * 60, description="From its beginning until a run is stopped")


class Component(Act):
    """`activates`: at_once: what was written runs; reboot: it runs after the next one. `nodes` or `devices`: names or
    patterns of the units that have this component; neither: every host that is no device.
    """

    activates: Literal["at_once", "reboot"] = "at_once"
    nodes: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> "Component":
        if self.nodes and self.devices:
            raise ValueError("name nodes or devices, not both: two entries may run one playbook")
        return self


class Settings(_Strict):
    """Everything about the playbooks of one site.

    `folder`: private to us, on this machine: runs, and which step became which run. `inventory_file`: Ansible's own,
    a file or a folder; or `units`: by name, the variables of each host. `host`: what Ansible calls `{unit}`.
    `secret_vars_file` and `vault_password_file` are handed to Ansible by their paths. `environment`: of the runs, which
    get none of ours; no secrets.
    """

    folder: Path
    components: Mapping[str, Component] = Field(default_factory=dict)
    reboot: Act | None = None
    reset: Act | None = None
    inventory_file: Path | None = None
    units: Mapping[str, Mapping[str, Any]] = Field(default_factory=dict)
    host: str = Field("{unit}", pattern=r"^[A-Za-z0-9._-]*\{unit\}[A-Za-z0-9._-]*$")
    variables: Mapping[str, Any] = Field(default_factory=dict)
    secret_vars_file: Path | None = None
    vault_password_file: Path | None = None
    environment: Mapping[str, str] = Field(default_factory=dict)
    programs: Path | None = None
    forks: int = Field(50, ge=1, le=1000)
    runs_at_once: int = Field(4, ge=1, le=64)
    read_minutes: float = Field(5, gt=0, description="How long a look may take")
    settle_minutes: float = Field(10, ge=0, description="How long a unit whose run was cut off is looked at again")
    look_seconds: float = Field(60, ge=0, description="How old a look may be that is used again")
    answer_seconds: float = Field(60, gt=0, description="How long a program that changes nothing may take")
    keep_days: float = Field(30, gt=0, description="How long what is left of a run is kept")

    @model_validator(mode="after")
    def _is_consistent(self) -> "Settings":
        if (self.inventory_file is None) == (not self.units):
            raise ValueError("say which hosts there are: inventory_file or units, one of the two")
        if not _PATH.fullmatch(str(self.folder.absolute())):
            raise ValueError(f"folder {self.folder} has letters in its path that Ansible's --limit cannot bear")
        if not (self.components or self.reboot or self.reset):
            raise ValueError("name a playbook: in components, reboot or reset")
        ours = sorted(name for name in self.variables if name.startswith("fermata_"))
        if ours:
            raise ValueError(f"variables: {ours[0]} is a name that we give")
        return self

    @model_validator(mode="after")
    def _has_sound_units(self) -> "Settings":
        for name in self.units:
            if not is_unit(name):
                raise ValueError(f"{name!r} cannot be a host: Ansible would read it as a pattern")
            if self.is_device(name) and len(self.components_of(name)) > 1:
                raise ValueError(f"device {name} has {len(self.components_of(name))} components: a device has one")
        return self

    def is_device(self, unit: str) -> bool:
        """True of what a component names as a device."""
        return any(_matches(unit, part.devices) for part in self.components.values())

    def components_of(self, unit: str) -> Mapping[str, Component]:
        """By name, in the order of the settings."""
        if self.is_device(unit):
            return {name: part for name, part in self.components.items() if _matches(unit, part.devices)}
        of_nodes = {name: part for name, part in self.components.items() if not part.devices}
        return {name: part for name, part in of_nodes.items() if not part.nodes or _matches(unit, part.nodes)}

    def host_of(self, unit: str) -> str:
        """What Ansible calls it."""
        return self.host.replace("{unit}", unit)

    def playbooks(self) -> Mapping[Path, str]:
        """Every one, with the first component that it is for, "" for none."""
        found: dict[Path, str] = {}
        acts = [*self.components.items(), *(("", act) for act in (self.reboot, self.reset) if act is not None)]
        for name, act in acts:
            for path in (act.run_file, act.read_file):
                found.setdefault(path, name)
        return found

    @property
    def settle(self) -> timedelta:
        """See `settle_minutes`."""
        return timedelta(minutes=self.settle_minutes)


def is_unit(name: str) -> bool:
    """True of a name that means one host and nothing else to Ansible's --limit."""
    return UNIT.fullmatch(name) is not None and name not in LIMIT_WORDS


def _matches(unit: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(unit, pattern) for pattern in patterns)
