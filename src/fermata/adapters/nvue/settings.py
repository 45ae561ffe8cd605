"""Which switches there are, where their images are, and how we get in. The password stands elsewhere."""

import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, model_validator

from fermata.adapters.secrets import NamedSecret, choose
from fermata.domain.secrets import Secret

ADDRESS = r"^https?://[^/\s?#@]+$"
_FILE = re.compile(r"^[A-Za-z0-9_-][A-Za-z0-9._-]*$")


class Settings(BaseModel):
    """Everything about the switches of one site.

    `devices`: by name, scheme, host and port of each, for example https://leaf01:8765. `image_file`: name of an image
    that lies on the switch, with {component}, {version} and {update}. `build_id`: what the switch calls a version, with
    {version}. `install`: parameters of an install: the switch restarts by itself once the image is written. The
    password is the secret named by `password`, or stands in the environment variable `password_env` or in the file
    `password_file`. `memory`: file that
    remembers which step became which job, for all processes of this machine.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    devices: Mapping[str, str]
    user: str = Field(min_length=1)
    password: NamedSecret | None = None
    password_env: str | None = None
    password_file: Path | None = None
    image_file: str = "nvos-{version}.bin"
    build_id: str = "nvos-{version}"
    install: Mapping[str, bool | str] = {"force": True, "reboot": "yes"}
    restart_minutes: float = Field(20, gt=0, description="From asking until the new image has to run")
    memory: Path | None = None
    memory_url_env: str | None = None
    verify_tls: bool = True
    ca_file: Path | None = None
    calls_at_once: int = Field(64, ge=1, le=4096)
    connect_seconds: float = Field(5, gt=0)
    answer_seconds: float = Field(30, gt=0)
    busy_seconds: float = Field(60, gt=0, description="Until a switch is asked again that does not say when")

    @model_validator(mode="after")
    def _is_consistent(self) -> "Settings":
        if [self.password, self.password_env, self.password_file].count(None) != 2:
            raise ValueError("say where the password is: password, password_env or password_file, one of them")
        if self.memory is not None and self.memory_url_env is not None:
            raise ValueError("say where steps are remembered: memory or memory_url_env, one of the two")
        for name, address in self.devices.items():
            if not re.match(ADDRESS, address):
                raise ValueError(f"{name} is at no address of the form https://host:port")
        if self.build_id.count("{version}") != 1:
            raise ValueError("build_id names {version} once")
        if not _FILE.match(self.file_of("update", "component", "1.0")):
            raise ValueError("image_file is the name of a file on the switch, not a path")
        return self

    def file_of(self, update: str, component: str, version: str) -> str:
        """Name of the image. Raises ValueError for a template with other fields."""
        try:
            return self.image_file.format(update=update, component=component, version=version)
        except (KeyError, IndexError) as error:
            raise ValueError("image_file has a field that is none of update, component and version") from error

    def version_of(self, build_id: str) -> str:
        """What the catalogue calls what a switch calls `build_id`; as it stands where it has another form."""
        before, _, after = self.build_id.partition("{version}")
        fits = build_id.startswith(before) and build_id.endswith(after) and len(build_id) > len(before) + len(after)
        return build_id[len(before) : len(build_id) - len(after)] if fits else build_id

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
