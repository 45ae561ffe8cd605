"""What a site says of how to reach an API server of Kubernetes, whichever adapter goes there."""

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from fermata.adapters.secrets import NamedSecret, choose
from fermata.domain.secrets import Secret


class ServerSettings(BaseModel):
    """Which API server, and the bearer token for it: without one, the server must let us in by the network alone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(pattern=r"^https?://[^\s@]+$")
    token: NamedSecret | None = Field(None, description="Bearer token; read anew when the server refuses it")
    token_file: Path | None = Field(None, description="File that holds it, where no token is named")
    ca_file: Path | None = None

    @model_validator(mode="after")
    def _names_one_token(self) -> Self:
        if self.token is not None and self.token_file is not None:
            raise ValueError("token and token_file are two ways to say where it is: name one")
        return self

    @property
    def secret(self) -> Secret | None:
        """Where the token is."""
        return choose(self.token, self.token_file)
