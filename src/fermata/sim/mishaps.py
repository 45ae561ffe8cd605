"""What becomes of a step: when and how it ends, from the seed, its key and its machine alone."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from fermata.domain.ids import UpdateId
from fermata.domain.updates import NODE_TARGET, Catalogue, Duration, Update
from fermata.sim.fates import Dice, Faults
from fermata.sim.machines import Machine, Step

HALF_DONE = "0-half-written"  # older than any version, and none that was ever asked for
BREAKS_WITHIN = timedelta(hours=100)  # of a node in twenty: most within five hours
SAID = {
    "fails": "the image was not accepted",
    "fails and is done anyway": "no answer from the updater",
    "is not taken by a part": "the part does not start with it",
}
MINUTE = timedelta(minutes=1)
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
INSTANT = ("lock", "give_back", "release")  # done as soon as they are accepted


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One item of a call, with its key cut to what does not change from run to run."""

    op: str
    key: str
    unit: str
    update: Update | None = None


class Fates:
    """Draws the fate of every command; `happened` counts what went wrong. `grain`: steps end on multiples of it."""

    def __init__(
        self, dice: Dice, faults: Faults, catalogue: Catalogue, happened: Counter[str], grain: timedelta = MINUTE
    ) -> None:
        self._dice = dice
        self._grain = grain
        self._faults = faults
        self._catalogue = catalogue
        self._happened = happened

    def of(self, command: Command, machine: Machine, now: datetime) -> Step:
        """When and how it ends, from the seed and the key alone."""
        key, faults = command.key, self._faults
        step = Step(op=command.op, key=key, unit=command.unit, at=now, ends_at=now)
        if command.op in INSTANT:
            step.settled = True
            return step
        takes = self._dice.minutes(self._duration(command), key)
        luck = self._dice.draw(key, "luck")
        match command.op:
            case "drain":
                takes = self._drain_time(takes, machine, luck)
            case "apply":
                self._apply_fate(step, command, machine, luck)
            case "check":
                self._check_fate(step, machine, luck)
            case "reboot" if machine.reboots == 0 and self._dice.draw(command.unit, "fallout") < faults.fallout:
                self._happened["node never returns"] += 1
                step.ends_at = None
            case "reset" if machine.gone_since is not None and luck >= self._faults.revives:
                step.ends_at = None
            case _:
                pass
        if step.ends_at is not None:
            step.ends_at = self._on_grain(now, now + self._cut_short(step, takes))
        return step

    def _on_grain(self, now: datetime, ends_at: datetime) -> datetime:
        """The instant of the grain that is nearest to the end, and after `now`."""
        if self._grain <= MINUTE:
            return ends_at
        found = EPOCH + round((ends_at - EPOCH) / self._grain) * self._grain
        return found if found > now else found + self._grain

    def _drain_time(self, takes: timedelta, machine: Machine, luck: float) -> timedelta:
        if not machine.in_service:
            return timedelta(minutes=1)  # nothing runs there
        if luck < self._faults.slow_drain:
            self._happened["drain is slow"] += 1
            return takes * self._faults.slow_factor
        return takes

    def _check_fate(self, step: Step, machine: Machine, luck: float) -> None:
        if luck < self._faults.unhealthy:
            self._happened["node is unhealthy"] += 1
            step.failed = "unhealthy"
        elif self.is_sick(machine, step.at):
            self._happened["bad update breaks a node"] += 1
            step.failed = "errors since an update"

    def is_sick(self, machine: Machine, now: datetime) -> bool:
        """True for a node that the bad update broke: some hours after its last change, or since another reboot."""
        bad = self._catalogue.updates.get(UpdateId(self._faults.bad_update))
        if bad is None or machine.versions.get(bad.component) != bad.to_version or machine.changed_at is None:
            return False
        if machine.repaired_at is not None:
            return False
        luck = self._dice.draw(machine.name, "breaks")
        return luck < self._faults.breaks and (machine.reboots > 1 or now - machine.changed_at > luck * BREAKS_WITHIN)

    def _cut_short(self, step: Step, takes: timedelta) -> timedelta:
        """A step that fails ends early; all spans are whole minutes."""
        share = self._dice.draw(step.key, "share") if step.failed else 1.0
        return timedelta(minutes=max(1, round(takes * share / timedelta(minutes=1))))

    def _apply_fate(self, step: Step, command: Command, machine: Machine, luck: float) -> None:
        update = command.update
        assert update is not None
        step.update, step.component, step.version = update.id, update.component, update.to_version
        step.with_reboot = update.needs_reboot
        fate = self._pick_fate(command.unit, update, luck)
        if fate:
            self._happened[f"update {fate}"] += 1
        step.failed = SAID.get(fate, "")
        match fate:
            case "hangs":
                step.ends_at = None
            case "lies":
                step.effective = False
            case "is half done":
                step.version = HALF_DONE
            case "fails and is done anyway":
                step.done_anyway = True
            case "kills its device":
                step.ends_at = None
                machine.gone_since = step.at
                machine.repair_at = step.at + self._dice.repair(self._faults.mean_days_to_repair, step.key)
            case _:
                pass

    def _pick_fate(self, unit: str, update: Update, luck: float) -> str:
        """What becomes of a write, "" for nothing odd. What no reboot has to make active can be seen at once."""
        faults, is_node = self._faults, update.target == NODE_TARGET
        is_forward = update == self._catalogue.updates[update.id]  # what is written back was fine before
        bad = faults.bad_updates.get(update.id, 0.0) if is_forward else 0.0
        if self._dice.draw(unit, f"bad {update.id}") < bad:
            return "is not taken by a part"
        return pick(
            luck,
            (
                ("fails", faults.fails if is_node else faults.device_fails),
                ("hangs", faults.hangs),
                ("lies", faults.false_done),
                ("is half done", faults.half_done),
                ("fails and is done anyway", 0.0 if update.needs_reboot else faults.done_anyway),
                ("kills its device", 0.0 if is_node else faults.device_dies),
            ),
        )

    def _duration(self, command: Command) -> Duration:
        if command.update is not None:
            return command.update.duration_minutes
        defaults = self._catalogue.defaults
        return {"drain": defaults.drain_minutes, "check": defaults.verify_minutes}.get(
            command.op, defaults.reboot_minutes
        )


def pick(luck: float, fates: Iterable[tuple[str, float]]) -> str:
    """The fate that `luck` (uniform in (0, 1)) falls on, "" when it falls on none."""
    for name, share in fates:
        if luck < share:
            return name
        luck -= share
    return ""
