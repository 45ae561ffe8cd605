"""Process settings: environment variables (prefix FERMATA_) under what the command line says, read once per process."""

import ipaddress
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from fermata.domain.reach import Network, parse_networks
from fermata.domain.secrets import parse_ref

DEFAULT_PORT = 8321


class Settings(BaseSettings):
    """What a process is told from outside. Each field is FERMATA_ and its name in capitals in the environment."""

    model_config = SettingsConfigDict(env_prefix="FERMATA_", frozen=True, extra="ignore")

    store: str = Field("fermata.db", description="SQLite file or SQLAlchemy URL of the store")
    host: str = Field(
        "127.0.0.1", description="Address the server listens on; beyond loopback only with access and TLS"
    )
    port: int = Field(DEFAULT_PORT, ge=0, le=65535, description="Port the server listens on; 0 takes any free one")
    names: str = Field("", description="What the server answers to beside loopback, with commas between names")
    access: Path | None = Field(None, description="File that says who may sign in, and as what; none: loopback only")
    tls_cert: Path | None = Field(None, description="Certificate of the server, in PEM; none: plain http")
    tls_key: Path | None = Field(None, description="Its key, if it does not stand in the same file")
    speed: float = Field(3000.0, gt=0, le=100_000, description="Virtual seconds a second, where the fleet is simulated")
    sources: Path | None = Field(None, description="File with the sources of inventory; none: nobody is asked for it")
    metrics: Path | None = Field(None, description="File with the metrics that gates may name; none: there are none")
    site: Path | None = Field(None, description="File with the adapters to a real fleet; none: nothing is conducted")
    seed: int = Field(1, ge=0, description="Seed of the planner and of the simulated fleet")
    public_url: str = Field("", description="Where subscribers reach this server, to agree to notices by hand")
    local_targets: bool = Field(False, description="Notices may go to this machine, and over plain http")
    outbound_allow: str = Field("", description="Networks that notices may go to beside the internet: 10.20.0.0/16,...")
    smtp_host: str = Field("", description="Mail server for notices; none without it")
    smtp_port: int = Field(25, ge=1, le=65535, description="Its port")
    smtp_sender: str = Field("fermata@localhost", description="Whom mail is from")
    smtp_user: str = Field("", description="Who signs in there; nobody when empty")
    smtp_password: SecretStr = Field(SecretStr(""), description="The password for that")
    smtp_password_from: str = Field("", description="Name of the secret that is the password, instead of that")
    smtp_starttls: bool = Field(False, description="Encrypt the session, and check the server's certificate")
    channel_secrets: Path | None = Field(
        None, description="Folder of channels' secrets, each in HOST/NAME; none: no secrets"
    )
    seal_key: str | None = Field(
        None, description="File with the key that secrets in the store are sealed with, or its name"
    )
    notice_days: float = Field(90, ge=1, le=36_500, description="How long a notice stays once it was delivered")
    brake: Path | None = Field(None, description="File of this machine's brake, if not the one beside the store")
    trains: bool = Field(False, description="Impactless work that is near no window is done on nodes in service")
    secrets: Path | None = Field(None, description="File that says which commands and which vault have secrets")
    node_secret: str | None = Field(
        None, description="File with the secret that keys of nodes follow from, or its name"
    )
    event_minutes: float = Field(60, ge=0, le=10_080, description="How long before its window a node sees its event")
    question_days: float = Field(7, ge=0, le=365, description="How long before its due date a node sees a question")

    @field_validator("outbound_allow")
    @classmethod
    def _names_networks(cls, text: str) -> str:
        parse_networks(text)
        return text

    @field_validator("smtp_password_from")
    @classmethod
    def _names_a_secret(cls, text: str) -> str:
        if text:
            parse_ref(text)
        return text

    @property
    def outbound_networks(self) -> tuple[Network, ...]:
        """See `outbound_allow`."""
        return parse_networks(self.outbound_allow)


class BadSetting(ValueError):
    """A setting that cannot be used; says which, and why."""


def read_settings(**given: Any) -> Settings:
    """The environment's settings under those given; a given None leaves the environment's. Raises BadSetting."""
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        faults = (f"FERMATA_{str(fault['loc'][0]).upper()}, or its option: {fault['msg']}" for fault in error.errors())
        raise BadSetting("; ".join(faults)) from error


def is_loopback(host: str) -> bool:
    """True when only this machine can reach `host`; a name other than localhost is not trusted to stay that way."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
