"""Which controllers there are, what their components are called, and how we get in. Secrets stand elsewhere."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from fermata.adapters.redfish.quirks import QUIRKS, Quirks
from fermata.adapters.secrets import NamedSecret, choose
from fermata.domain.secrets import Secret


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Component(_Strict):
    """One component in our words, by what the controllers call it.

    `inventory`: ids below FirmwareInventory; its version counts where all of them agree. `apply_time`: on_reset stages
    the image, so that one reboot activates all that wait. `target`: what updates name instead of the inventory's
    addresses. `image` overrides the template of all. `oem`: parameters of the vendor, for a push.
    """

    inventory: tuple[str, ...] = Field(min_length=1)
    apply_time: Literal["immediate", "on_reset"] = "on_reset"
    target: str | None = None
    image: str | None = None
    oem: dict[str, str] = Field(default_factory=dict)


class Model(_Strict):
    """Machines of one make: its `vendor` is a row of the quirks. `resets`: what a reboot or a reset acts on."""

    vendor: str = "standard"
    components: Mapping[str, Component]
    resets: Literal["system", "manager"] = "system"
    boot_minutes: float = Field(15, gt=0, description="Where a controller does not tell whether its machine is up")

    @model_validator(mode="after")
    def _knows_its_vendor(self) -> "Model":
        if self.vendor not in QUIRKS:
            raise ValueError(f"vendor {self.vendor} is none of {', '.join(QUIRKS)}")
        return self

    @property
    def quirks(self) -> Quirks:
        """Of its vendor."""
        return QUIRKS[self.vendor]


class Unit(_Strict):
    """Where the controller of one node or device is: scheme, host, port and what comes before /redfish/v1/.

    `system`: id of the machine, None: the only one.
    """

    address: str = Field(pattern=r"^https?://[^/\s?#@]+(/[^\s?#]*)?$")
    model: str
    system: str | None = None


class Settings(_Strict):
    """Everything about the controllers of one site.

    The password is the secret named by `password`, or stands in the environment variable `password_env` or in the file
    `password_file`. `image` says where
    images are, with {component}, {version} and {update}: http and https addresses are pulled by the controller, a
    path is pushed to it. `memory`: file that remembers which step became which task, for all processes of this machine;
    `memory_url_env`: the variable with the URL of a PostgreSQL that does, for those of all machines.
    """

    nodes: Mapping[str, Unit] = Field(default_factory=dict)
    devices: Mapping[str, Unit] = Field(default_factory=dict)
    models: Mapping[str, Model]
    user: str = Field(min_length=1)
    password: NamedSecret | None = None
    password_env: str | None = None
    password_file: Path | None = None
    sign_in: Literal["session", "basic"] = "session"
    image: str = "http://images/{component}-{version}.bin"
    memory: Path | None = None
    memory_url_env: str | None = None
    verify_tls: bool = True
    ca_file: Path | None = None
    calls_at_once: int = Field(256, ge=1, le=4096)
    calls_per_controller: int = Field(2, ge=1, le=32)
    connect_seconds: float = Field(5, gt=0)
    answer_seconds: float = Field(30, gt=0)
    push_seconds: float = Field(600, gt=0)
    busy_seconds: float = Field(60, gt=0, description="Until a controller is asked again that does not say when")

    @model_validator(mode="after")
    def _is_consistent(self) -> "Settings":
        if [self.password, self.password_env, self.password_file].count(None) != 2:
            raise ValueError("say where the password is: password, password_env or password_file, one of them")
        if self.memory is not None and self.memory_url_env is not None:
            raise ValueError("say where steps are remembered: memory or memory_url_env, one of the two")
        for name, unit in (*self.nodes.items(), *self.devices.items()):
            if unit.model not in self.models:
                raise ValueError(f"{name} is of the model {unit.model}, which models does not describe")
        for name, unit in self.devices.items():
            if len(self.models[unit.model].components) != 1:
                raise ValueError(f"device {name} needs a model with exactly one component")
        for template in (self.image, *(part.image for model in self.models.values() for part in _images(model))):
            fill(template or "", "update", "component", "version")
        return self

    def find(self, name: str) -> Unit | None:
        """The controller of a node or device."""
        return self.nodes.get(name) or self.devices.get(name)

    def model_of(self, unit: Unit) -> Model:
        """Its make."""
        return self.models[unit.model]

    @property
    def secret(self) -> Secret:
        """Where the password is."""
        found = choose(self.password, self.password_file, self.password_env)
        assert found is not None, "settings say where it is"
        return found

    @property
    def busy(self) -> timedelta:
        """See `busy_seconds`."""
        return timedelta(seconds=self.busy_seconds)


def _images(model: Model) -> list[Component]:
    return [part for part in model.components.values() if part.image is not None]


def fill(template: str, update: str, component: str, version: str) -> str:
    """Where the image is. Raises ValueError for a template with other fields."""
    try:
        return template.format(update=update, component=component, version=version)
    except (KeyError, IndexError) as error:
        raise ValueError(f"{template} has a field that is none of update, component and version") from error
