"""slurmctld, through slurmrestd where that is configured and can do it, else through scontrol and squeue."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from fermata.adapters.slurm import jobs as job_lists
from fermata.adapters.slurm import nodes as node_lists
from fermata.adapters.slurm.commands import CHARACTERS_MAX, Commands, NotDone
from fermata.adapters.slurm.hostlist import chunks, compress, is_name
from fermata.adapters.slurm.nodes import SlurmNode
from fermata.adapters.slurm.rest import Rest
from fermata.adapters.slurm.settings import Settings
from fermata.domain.jobs import Job
from fermata.ports import OutcomeUnknown, Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is written to nodes in one call; None: left as it is. `state` in scontrol's words."""

    state: str | None = None
    reason: str | None = None
    comment: str | None = None


class Controller:
    """Reads raise TryLater or Refused. Writes answer by node name why it was not done, or None where it is not known
    whether it was; nodes that are not in the answer are done.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._commands = Commands(settings)
        self._rest = Rest(settings) if settings.rest_url is not None else None

    def close(self) -> None:
        """Ends what still runs."""
        self._commands.close()
        if self._rest is not None:
            self._rest.close()

    def nodes(self, wanted: Collection[str] | None = None) -> dict[str, SlurmNode]:
        """The nodes by name; those that Slurm does not know are absent. `wanted` None: all."""
        names = None if wanted is None else frozenset(wanted)
        if names is not None and not names:
            return {}
        try:
            if self._rest is not None:
                found = node_lists.parse_json(self._rest.nodes(names), names)
            else:
                found = node_lists.parse_lines(self._show_nodes(names), names)
            return {node.name: node for node in found}
        except ValueError as error:
            raise Refused(f"Slurm's list of nodes is not understood: {error}") from error

    def _show_nodes(self, names: Collection[str] | None) -> str:
        """Asked for by name: printing and reading all of 20,000 nodes takes more than twice as long as 1,000 of them.
        What cannot be a name is left out, since a list, or an option, would be taken for something else.
        """
        if names is None:
            return self.run("show", "nodes", "-o")
        known = sorted(name for name in names if is_name(name))
        parts = [compress(part) for part in chunks(known, CHARACTERS_MAX)]
        scontrol = self.settings.scontrol
        asked = (
            self._commands.read(scontrol, "show", "node", part, "-o", lacking=node_lists.NOT_FOUND) for part in parts
        )
        return "".join(asked)

    def jobs(self) -> list[Job]:
        """Every job that has nodes."""
        try:
            if self._rest is not None:
                return job_lists.parse_json(self._rest.listed("jobs"))
            words = ("-h", "-t", job_lists.STATES, "-O", job_lists.FORMAT)
            return job_lists.parse_lines(self._commands.read(self.settings.squeue, *words))
        except ValueError as error:
            raise Refused(f"Slurm's list of jobs is not understood: {error}") from error

    def reservations(self) -> Sequence[Mapping[str, Any]] | str:
        """As slurmrestd tells them, or the lines of scontrol."""
        if self._rest is not None:
            return self._rest.listed("reservations")
        return self.run("show", "reservations", "-o")

    def change(self, names: Sequence[str], change: Change) -> dict[str, str | None]:
        """Writes the same to many nodes."""
        if self._rest is not None and self._rest.abilities().changes_nodes:
            rest, words = self._rest, _to_json(change)
            return self._in_chunks(names, lambda listed: rest.change_nodes(listed, words))
        told = {"state": change.state, "reason": change.reason, "comment": change.comment}
        pairs = [f"{key}={value}" for key, value in told.items() if value is not None]
        return self._in_chunks(names, lambda listed: self.act("update", f"nodename={listed}", *pairs))

    def reboot(self, names: Sequence[str], reason: str) -> dict[str, str | None]:
        """Has nodes reboot as soon as they are empty, and stay down afterwards. No slurmrestd can do this."""
        words = ("reboot", "ASAP", "nextstate=DOWN", f"reason={reason}")
        return self._in_chunks(names, lambda listed: self.act(*words, listed))

    def run(self, *words: str) -> str:
        """What scontrol prints. Raises TryLater or Refused."""
        return self._commands.read(self.settings.scontrol, *words)

    def act(self, *words: str) -> None:
        """Has scontrol do it. Raises NotDone, Refused or OutcomeUnknown."""
        self._commands.act(self.settings.scontrol, *words)

    def run_reset(self, program: str, names: Sequence[str]) -> None:
        """Has another program reset nodes. How it ended is not told: the time at which each boots is."""
        with suppress(NotDone, Refused, OutcomeUnknown):
            self._commands.act(program, *names)

    def probe(self) -> Mapping[str, str]:
        """Who answers, and by which way each verb goes. Raises TryLater or Refused."""
        found = {"product": "Slurm"}
        if self._rest is not None:
            abilities = self._rest.abilities(anew=True)
            changing = "slurmrestd" if abilities.changes_nodes else "scontrol"
            found |= {"version": self._rest.release(), "rest": abilities.base, "reads": "slurmrestd"}
            self._rest.listed("reservations")
        else:
            changing = "scontrol"
            found |= {"version": read_version(self.run("show", "config")), "reads": "scontrol"}
        return {**found, "drains": changing, "reboots": "scontrol", "reservations": "scontrol", **self._rights()}

    def _rights(self) -> Mapping[str, str]:
        """What scontrol may do: it is asked to change a node that is not there, which changes nothing."""
        try:
            self.act("update", "nodename=fermata-asks-who-it-is", "comment=nothing")
        except NotDone as error:
            if "user id" in error.why.lower() or "denied" in error.why.lower():
                return {"scontrol": "may not change nodes"}
            return {"scontrol": "does not answer" if error.is_away else "may change nodes"}
        except (Refused, OutcomeUnknown):
            return {"scontrol": "cannot be run"}
        return {"scontrol": "may change nodes"}

    def _in_chunks(self, names: Sequence[str], act: Callable[[str], None]) -> dict[str, str | None]:
        missed: dict[str, str | None] = {}
        for part in chunks(names, CHARACTERS_MAX):
            try:
                act(compress(part))
            except NotDone as error:
                missed |= dict.fromkeys(part, None if error.is_lost else error.why)
            except Refused as error:
                missed |= dict.fromkeys(part, error.why)
            except OutcomeUnknown:
                missed |= dict.fromkeys(part, None)
        return missed


def read_version(config: str) -> str:
    """The version in what `scontrol show config` prints."""
    for line in config.splitlines():
        key, _, value = line.partition("=")
        if key.strip() == "SLURM_VERSION":
            return value.strip()
    return "unknown"


def _to_json(change: Change) -> dict[str, Any]:
    told: dict[str, Any] = {}
    if change.state is not None:
        told["state"] = [change.state.upper()]
    if change.reason is not None:
        told["reason"] = change.reason
    if change.comment is not None:
        told["comment"] = change.comment
    return told
