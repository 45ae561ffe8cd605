"""Process settings: environment variables (prefix FERMATA_) under what the command line says, read once per process."""

import ipaddress
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

DEFAULT_PORT = 8321


class Settings(BaseSettings):
    """What a process is told from outside. Each field is FERMATA_ and its name in capitals in the environment."""

    model_config = SettingsConfigDict(env_prefix="FERMATA_", frozen=True, extra="ignore")

    store: str = Field("fermata.db", description="SQLite file or SQLAlchemy URL of the store")
    host: str = Field("127.0.0.1", description="Address the server listens on; loopback only for now")
    port: int = Field(DEFAULT_PORT, ge=0, le=65535, description="Port the server listens on; 0 takes any free one")
    speed: float = Field(3000.0, gt=0, le=100_000, description="Virtual seconds a second, where the fleet is simulated")
    sources: Path | None = Field(None, description="File with the sources of inventory; none: nobody is asked for it")
    seed: int = Field(1, ge=0, description="Seed of the planner and of the simulated fleet")


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
