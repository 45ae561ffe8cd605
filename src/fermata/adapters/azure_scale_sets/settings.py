"""What a site says of its scale sets in Azure."""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from fermata.adapters.secrets import NamedSecret, choose
from fermata.domain.secrets import Secret

_SOURCE = r"^(osVersion|agentVersion|tag:\S+)$"
_LOOPBACK = re.compile(r"^http://(127\.0\.0\.1|localhost|\[::1\])(:[0-9]+)?/?$")
GROUP_SIZE = 100  # instances that a placement group takes, as Azure documents it


class Settings(BaseModel):
    """Which scale sets, as whom, and how many instances at once. `components`: by name of a component, what of an
    instance tells its version.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    subscription: str = Field(pattern=r"^[0-9a-fA-F-]{36}$")
    resource_group: str = Field(pattern=r"^[^/\s]{1,90}$")
    scale_sets: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")], ...] = Field(min_length=1)
    node_name: Literal["vm", "computer"] = "vm"
    url: str = Field("https://management.azure.com", pattern=r"^https?://[^\s@?#]+$")
    scope: str = "https://management.azure.com/.default"
    token: NamedSecret | None = None
    token_file: Path | None = None
    tenant_id: str | None = None
    client_id: str | None = None
    secret: NamedSecret | None = None
    secret_file: Path | None = None
    authority: str = Field("https://login.microsoftonline.com", pattern=r"^https://[^\s@?#]+$")
    ca_file: Path | None = None
    proxy: str | None = Field(None, pattern=r"^https?://[^\s@]+$")
    prefix: str = Field("fermata", pattern=r"^[a-z0-9][a-z0-9.-]{0,40}$")
    starts: Literal["together", "singly"] = "together"
    chunk_max: int = Field(GROUP_SIZE, ge=1, le=1000)
    drain_minutes_max: int = Field(30, ge=1)
    return_minutes_max: int = Field(60, ge=1)
    again_seconds: int = Field(60, ge=1)
    components: dict[str, Annotated[str, Field(pattern=_SOURCE)]] = Field(default_factory=dict)
    calls_at_once: int = Field(32, ge=1, le=256)
    poll_seconds: float = Field(15.0, gt=0)
    answer_seconds: float = Field(30.0, gt=0)

    @model_validator(mode="after")
    def _fit(self) -> Self:
        if self.url.startswith("http://") and not _LOOPBACK.match(self.url):
            raise ValueError("url is https, but on this machine: a token that goes over http is everybody's")
        if self.client_secret is not None and not (self.tenant_id and self.client_id):
            raise ValueError("secret and secret_file need tenant_id and client_id")
        if [self.token, self.token_file, self.secret, self.secret_file].count(None) < 3:
            raise ValueError("token, token_file, secret and secret_file are ways to sign in: name one")
        return self

    @property
    def ready_token(self) -> Secret | None:
        """Where a token is that somebody else keeps fresh."""
        return choose(self.token, self.token_file)

    @property
    def client_secret(self) -> Secret | None:
        """Where the secret of the application is."""
        return choose(self.secret, self.secret_file)
