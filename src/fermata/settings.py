"""Process settings: environment variables (prefix FERMATA_) under what the command line says, read once per process."""

import ipaddress
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

DEFAULT_PORT = 8321


class Settings(BaseSettings):
    """What a process is told from outside. Each field is FERMATA_ and its name in capitals in the environment."""

    model_config = SettingsConfigDict(env_prefix="FERMATA_", frozen=True, extra="ignore")

    store: str = Field("fermata.db", description="SQLite file or SQLAlchemy URL of the store")
    host: str = Field("127.0.0.1", description="Address the server listens on; loopback only for now")
    port: int = Field(DEFAULT_PORT, ge=0, le=65535, description="Port the server listens on; 0 takes any free one")
    tls_cert: Path | None = Field(None, description="Certificate of the server, in PEM; none: plain http")
    tls_key: Path | None = Field(None, description="Its key, if it does not stand in the same file")
    speed: float = Field(3000.0, gt=0, le=100_000, description="Virtual seconds a second, where the fleet is simulated")
    sources: Path | None = Field(None, description="File with the sources of inventory; none: nobody is asked for it")
    metrics: Path | None = Field(None, description="File with the metrics that gates may name; none: there are none")
    site: Path | None = Field(None, description="File with the adapters to a real fleet; none: nothing is conducted")
    seed: int = Field(1, ge=0, description="Seed of the planner and of the simulated fleet")
    public_url: str = Field("", description="Where subscribers reach this server, to agree to notices by hand")
    local_targets: bool = Field(False, description="Notices may go to this machine, its link, and over plain http")
    smtp_host: str = Field("", description="Mail server for notices; none without it")
    smtp_port: int = Field(25, ge=1, le=65535, description="Its port")
    smtp_sender: str = Field("fermata@localhost", description="Whom mail is from")
    smtp_user: str = Field("", description="Who signs in there; nobody when empty")
    smtp_password: SecretStr = Field(SecretStr(""), description="The password for that")
    smtp_starttls: bool = Field(False, description="Encrypt the session, and check the server's certificate")
    channel_secrets: Path | None = Field(
        None, description="Folder of channels' secrets, each in HOST/NAME; none: no secrets"
    )
    notice_days: float = Field(90, ge=1, le=36_500, description="How long a notice stays once it was delivered")
    brake: Path | None = Field(None, description="File of this machine's brake, if not the one beside the store")
    trains: bool = Field(False, description="Impactless work that is near no window is done on nodes in service")
    node_secret: Path | None = Field(None, description="File with the secret that keys of nodes follow from")
    event_minutes: float = Field(60, ge=0, le=10_080, description="How long before its window a node sees its event")
    question_days: float = Field(7, ge=0, le=365, description="How long before its due date a node sees a question")


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
