"""What units run, as the read playbooks tell it: one run for many units, kept for a moment, never part of a step."""

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from fermata.adapters.playbook.events import End, HostEnd
from fermata.adapters.playbook.programs import AGAIN, Programs
from fermata.adapters.playbook.runs import LOOK, LOOK_AGAIN_SECONDS, Order, Runs
from fermata.adapters.playbook.settings import Settings, is_unit
from fermata.domain.fleet import NodeState
from fermata.domain.ids import DeviceId, NodeId
from fermata.domain.observations import DeviceSeen, NodeSeen
from fermata.ports import CALL_SIZE_MAX, Clock, OutcomeUnknown, Refused, TryLater

K = TypeVar("K", NodeId, DeviceId)
READS_AT_ONCE = 4
DEAD_AFTER = 20  # looks at a run's folder between two looks at its processes


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one playbook told of one unit as of `at` (UTC), when it began to read."""

    at: datetime
    end: HostEnd

    @property
    def is_told(self) -> bool:
        """True when the playbook was seen to its end there."""
        return self.end.end is End.DONE

    @property
    def is_away(self) -> bool:
        """True when the unit did not answer."""
        return self.end.end in (End.UNREACHED, End.UNKNOWN)

    @property
    def boot(self) -> str | None:
        """What changes with each boot."""
        found = self.end.facts.get("fermata_boot")
        return found if isinstance(found, str) and found else None

    def version(self, component: str, *, staged: bool = False) -> str | None:
        """None: it tells none. A number is none: YAML makes 1.1 of 1.10."""
        found = self.end.facts.get("fermata_staged" if staged else "fermata_versions")
        version = found.get(component) if isinstance(found, dict) else None
        return version if isinstance(version, str) and version else None


class Looks:
    """Reads units, as often as somebody asks and a kept reading is too old."""

    def __init__(self, *, settings: Settings, programs: Programs, runs: Runs, clock: Clock) -> None:
        self._settings, self._programs, self._runs, self._clock = settings, programs, runs, clock
        self._lock = threading.Lock()
        self._kept: dict[tuple[Path, str], Reading] = {}
        self._last: dict[tuple[str, str], str] = {}  # versions, by unit and component
        self._not_before: dict[str, datetime] = {}

    def changed(self, units: Iterable[str], at: datetime) -> None:
        """What was read of them before `at` is not used again."""
        with self._lock:
            self._not_before |= dict.fromkeys(units, at)

    def known(self, units: Iterable[str]) -> Sequence[str]:
        """Those that are hosts of Ansible's inventory. Raises TryLater or OutcomeUnknown: an inventory that cannot be
        read will be mended.
        """
        sound = [unit for unit in units if is_unit(unit)]
        if not sound:
            return []
        try:
            hosts = self._programs.hosts([self._settings.host_of(unit) for unit in sound])
        except Refused as refused:
            raise TryLater(AGAIN, refused.why) from refused
        return [unit for unit in sound if self._settings.host_of(unit) in hosts]

    def read(self, playbook: Path, units: Sequence[str]) -> Mapping[str, Reading]:
        """Anew; a unit about which the run said nothing is absent. Raises TryLater, Refused or OutcomeUnknown."""
        if self._programs.is_closed:
            raise TryLater(AGAIN, "the adapter is closed")
        at = self._clock.now()
        hosts = {self._settings.host_of(unit): unit for unit in units}
        name = self._runs.name(LOOK)
        variables = {**self._settings.variables, "fermata_nodes": list(hosts)}
        minutes = self._settings.read_minutes
        try:
            self._runs.write(name, Order(playbook=playbook, hosts=tuple(hosts), minutes=minutes, variables=variables))
            self._runs.begin(name, playbook)
            self._wait(name)
            ended = self._runs.end(name)
        except OSError as error:
            raise TryLater(AGAIN, f"{playbook.name} cannot be run: {error.strerror or error}") from error
        finally:
            self._runs.stop(name)
            self._runs.remove(name)
        if not ended.hosts or all(end.end is End.LEFT_OUT for end in ended.hosts.values()):
            raise Refused(f"{playbook.name} reads nothing of {units[0]}: {ended.says or 'it does not say why'}")
        found = {hosts[host]: Reading(at=at, end=end) for host, end in ended.hosts.items()}
        with self._lock:
            self._kept |= {(playbook, unit): reading for unit, reading in found.items()}
        return found

    def _wait(self, name: str) -> None:
        """Until a run is over. Raises TryLater when it takes too long, OutcomeUnknown when the adapter is closed."""
        ends = time.monotonic() + self._settings.read_minutes * 60
        rounds = 0
        while not self._runs.is_written(name):
            rounds += 1
            if self._programs.is_closed:
                raise OutcomeUnknown("the adapter was closed meanwhile")
            if time.monotonic() > ends:
                raise TryLater(AGAIN, f"a look takes longer than {self._settings.read_minutes:g} minutes")
            if (
                rounds % DEAD_AFTER == 0
                and self._runs.is_over(name, self._runs.find_alive())
                and not self._runs.is_written(name)
            ):
                raise TryLater(AGAIN, f"a look was cut off: {self._runs.end(name).says or 'it does not say why'}")
            time.sleep(LOOK_AGAIN_SECONDS)

    def recent(self, playbooks: Mapping[str, Sequence[Path]]) -> Mapping[tuple[Path, str], Reading]:
        """By playbook and unit, what is known of the playbooks of each unit: kept, or read now. Raises as `read`, if
        nothing could be read at all.
        """
        wanted = [(path, unit) for unit, paths in playbooks.items() for path in paths]
        found = {place: kept for place in wanted if (kept := self._find_kept(*place)) is not None}
        missing: dict[Path, list[str]] = {}
        for path, unit in wanted:
            if (path, unit) not in found:
                missing.setdefault(path, []).append(unit)
        faults: list[Exception] = []
        with ThreadPoolExecutor(max_workers=READS_AT_ONCE) as pool:
            for path, future in [(path, pool.submit(self.read, path, units)) for path, units in missing.items()]:
                try:
                    found |= {(path, unit): reading for unit, reading in future.result().items()}
                except (TryLater, Refused, OutcomeUnknown) as error:
                    faults.append(error)
        if faults and not found:
            raise faults[0]
        return found

    def _find_kept(self, playbook: Path, unit: str) -> Reading | None:
        with self._lock:
            kept = self._kept.get((playbook, unit))
            since = self._not_before.get(unit)
        age_max = timedelta(seconds=self._settings.look_seconds)
        if kept is None or (since is not None and kept.at < since) or self._clock.now() - kept.at > age_max:
            return None
        return kept

    def nodes(self, names: Sequence[NodeId]) -> Mapping[NodeId, NodeSeen]:
        """Ansible knows no scheduler: `state` is in service, so that by this word alone nothing begins, and `locked` is
        unknown, so that nothing is given back. Both come from the workload manager.
        """
        return {
            name: NodeSeen(
                node=name,
                reachable=reachable,
                state=NodeState.IN_SERVICE,
                versions=versions,
                repaired_at=None,
                observed_at=at,
                locked=None,
            )
            for name, (at, reachable, versions) in self._see(names, devices=False).items()
        }

    def devices(self, names: Sequence[DeviceId]) -> Mapping[DeviceId, DeviceSeen]:
        """A device has one component; one that answers and tells no version of it is left out."""
        found: dict[DeviceId, DeviceSeen] = {}
        for name, (at, reachable, versions) in self._see(names, devices=True).items():
            version = next(iter(versions.values()), "")
            if version or not reachable:
                found[name] = DeviceSeen(
                    device=name, reachable=reachable, version=version, repaired_at=None, observed_at=at
                )
        return found

    def _see(self, names: Sequence[K], *, devices: bool) -> dict[K, tuple[datetime, bool, dict[str, str]]]:
        """When each was read, whether it answered, and its versions; of one that did not, the last ones known."""
        if len(names) > CALL_SIZE_MAX:
            raise ValueError(f"{len(names)} items in a call, at most {CALL_SIZE_MAX} are allowed")
        known = frozenset(self.known(name for name in names if self._settings.is_device(name) is devices))
        parts = {name: self._settings.components_of(name) for name in names if name in known}
        playbooks = {name: tuple(dict.fromkeys(part.read_file for part in of.values())) for name, of in parts.items()}
        readings = self.recent({name: paths for name, paths in playbooks.items() if paths})
        seen: dict[K, tuple[datetime, bool, dict[str, str]]] = {}
        for name, paths in playbooks.items():
            told = [readings[path, name] for path in paths if (path, name) in readings]
            if len(told) == len(paths) and told and all(one.is_told or one.is_away for one in told):
                versions = self._versions(
                    name, {part: readings[of.read_file, name] for part, of in parts[name].items()}
                )
                seen[name] = (min(one.at for one in told), all(one.is_told for one in told), versions)
        return seen

    def _versions(self, unit: str, readings: Mapping[str, Reading]) -> dict[str, str]:
        with self._lock:
            for component, reading in readings.items():
                if reading.is_told:
                    self._last.pop((unit, component), None)
                    if (version := reading.version(component)) is not None:
                        self._last[unit, component] = version
            return {part: self._last[unit, part] for part in readings if (unit, part) in self._last}
