"""What a site says of its Slurm."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from fermata.adapters.secrets import NamedSecret, choose
from fermata.domain.secrets import Secret


class Settings(BaseModel):
    """How Slurm is reached, and what may be asked of it.

    Reading goes through slurmrestd where `rest_url` is given, else through `scontrol`; what slurmrestd of the
    installed version cannot do is done by `scontrol` in any case. `config`: the file that SLURM_CONF names. The token
    is the secret that `rest_token` names, or is read from `rest_token_file`, or from the environment variable named
    `rest_token_env`, before each call.

    `owner` stands before each reason that we write: whoever shares it shares the drains. `jobs`: whether a drain waits
    for the jobs on a node, or has those requeued that may be (the others are waited for; nothing is killed).
    `reset_program`: a program, by its path, that is given names of nodes and cuts their power; None: it is refused.
    `components`: by name of a component, which field of Slurm is its version. `reserve_hours_ahead`: how long before a
    window no job begins that would run into it: as long as the longest limit of a job; 0: no reservation is made.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    scontrol: str = "scontrol"
    squeue: str = "squeue"
    config: str | None = None
    rest_url: str | None = Field(default=None, pattern=r"^https?://")
    rest_user: str | None = None
    rest_token: NamedSecret | None = None
    rest_token_file: str | None = None
    rest_token_env: str | None = None
    rest_ca_file: str | None = None
    owner: str = Field(default="fermata", pattern=r"^[A-Za-z0-9_-]{1,40}$")
    jobs: Literal["wait", "requeue"] = "wait"
    reset_program: str | None = Field(default=None, pattern=r"^/")
    reset_minutes_max: int = Field(default=30, ge=1)
    reservation_user: str = Field(default="root", pattern=r"^[A-Za-z0-9._-]+$")
    reserve_hours_ahead: float = Field(default=168.0, ge=0, le=336)
    components: dict[str, Literal["os", "slurmd"]] = Field(default_factory=dict)
    answer_seconds_max: float = Field(default=60.0, gt=0)

    @model_validator(mode="after")
    def _token_is_named(self) -> "Settings":
        ways = [self.rest_token, self.rest_token_file, self.rest_token_env]
        if self.rest_url is not None and ways.count(None) != 2:
            raise ValueError("rest_url needs rest_token, rest_token_file or rest_token_env, one of them")
        return self

    @property
    def secret(self) -> Secret:
        """Where the token is."""
        found = choose(self.rest_token, self.rest_token_file, self.rest_token_env)
        assert found is not None, "settings with a rest_url say where it is"
        return found
