"""A real site: its file read, its adapters built, and their ports put together for the campaigns of a store."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from fermata.adapters.secrets import in_context
from fermata.domain.ids import AdapterId
from fermata.domain.routing import Gap, Unit, component_of, find_gaps, list_units
from fermata.domain.updates import Catalogue
from fermata.formats.site import SiteBook, read_site
from fermata.ports import AdapterPorts, Clock, OutcomeUnknown, Refused, Site, TryLater
from fermata.services.unit_notices import StoreOutbox
from fermata.store import inventory, plans
from fermata.store.database import Connection, Database, NotStored
from fermata.wiring.errors import SiteUnusable
from fermata.wiring.kinds import KindBook, list_kinds
from fermata.wiring.named_secrets import open_secrets
from fermata.wiring.routed import Switchboard, route_site

LOOK_AGAIN = timedelta(minutes=1)  # for a unit that is not in the fleet: units join it while a campaign runs


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """What an adapter of a site says of its target. `wrong`: what is wrong and what to do; "" when nothing is."""

    adapter: AdapterId
    kind: str
    target: Mapping[str, str]
    wrong: str = ""


@dataclass(kw_only=True)
class RealSite(AbstractContextManager["RealSite"]):
    """The adapters of one file. Closed at the end of the block."""

    book: SiteBook
    clock: Clock
    adapters: Mapping[AdapterId, AdapterPorts]
    unbuilt: Mapping[AdapterId, str] = field(default_factory=dict)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for ports in self.adapters.values():
            ports.close()

    def __enter__(self) -> Self:
        return self

    def probe(self) -> Sequence[Probed]:
        """Asks every target who it is, in the order of the file."""
        return [self._probe(adapter, entry.kind) for adapter, entry in self.book.adapters.items()]

    def require(self, database: Database) -> None:
        """Raises SiteUnusable when an adapter could not be built, or when not all that the plans in force need is
        served: nodes would be taken out for nothing.
        """
        wrong = [f"{adapter}: {why}" for adapter, why in self.unbuilt.items()]
        for route in self.book.table.routes:
            ports = self.adapters.get(route.adapter)
            lacking = sorted(port for port in route.ports if ports is not None and getattr(ports, port) is None)
            wrong += [f"{route.adapter}: with its settings it serves no {port}" for port in lacking]
        wrong += [say_gap(gap) for gap in self.find_gaps(database)]
        if wrong:
            raise SiteUnusable("\n".join(dict.fromkeys(wrong)))

    def over(self, database: Database) -> Site:
        """The ports of the whole site for the fleet of a store."""
        self.attach(database)
        fleet = _FleetBook(database, self.clock)
        board = Switchboard(
            adapters=self.adapters, table=self.book.table, find_unit=fleet.find, component_of=fleet.component_of
        )
        return route_site(board)

    def attach(self, database: Database) -> None:
        """Gives the outbox of a store to the adapters that tell by it."""
        for ports in self.adapters.values():
            attach(ports, database, self.clock)

    def find_gaps(self, database: Database) -> Sequence[Gap]:
        """What nobody serves of all that the plans in force of a store need."""
        with database.read() as conn:
            in_force = [plans.published_plan_id(conn, campaign.id) for campaign in inventory.list_campaigns(conn)]
            windows = [window for plan in in_force if plan for window in plans.load_plan(conn, plan).windows]
            catalogue = _catalogue(conn)
            return find_gaps(self.book.table, windows, inventory.load_fleet(conn), catalogue) if catalogue else ()

    def _probe(self, adapter: AdapterId, kind: str) -> Probed:
        if adapter in self.unbuilt:
            return Probed(adapter=adapter, kind=kind, target={}, wrong=self.unbuilt[adapter])
        target, wrong = probe(self.adapters[adapter])
        return Probed(adapter=adapter, kind=kind, target=target, wrong=wrong)


def attach(ports: AdapterPorts, database: Database, clock: Clock) -> None:
    """Gives the outbox of a store to an adapter that tells by it."""
    if ports.attach is not None:
        ports.attach(StoreOutbox(database, clock))


def probe(ports: AdapterPorts) -> tuple[Mapping[str, str], str]:
    """What the target says of itself, and what is wrong with it, "" when nothing is."""
    try:
        return ports.probe(), ""
    except TryLater as busy:
        return {}, f"it does not answer: {busy}. See that it runs and can be reached from here."
    except Refused as refused:
        return {}, f"it does not want us: {refused.why}. See its settings and what its credentials may do."
    except OutcomeUnknown as lost:
        return {}, f"its answer was lost ({lost}). Ask again; if it stays so, look at what is between it and here."
    except Exception as error:  # noqa: BLE001 - what others wrote may raise anything, and doctor is there to say so
        return {}, f"the adapter itself fails: {type(error).__name__}: {error}. Tell whoever wrote it."


def say_gap(gap: Gap) -> str:
    """The sentence about it."""
    what = f"{gap.port} ({gap.component})" if gap.component is not None else str(gap.port)
    units = f"{gap.kind} {gap.units[0]}" + (f" and {len(gap.units) - 1:,} more" if len(gap.units) > 1 else "")
    return f"{gap.cluster}: no adapter serves {what} for {units}: add it to the site's file"


@dataclass(kw_only=True)
class _Known:
    units: Mapping[str, Unit]
    components: dict[str, str | None]
    read_at: datetime


class _FleetBook:
    """The fleet and catalogue as routes need them; read again when a name is not known, a minute apart at least."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._known = self._read()

    def find(self, name: str) -> Unit | None:
        """A unit of the fleet."""
        if name not in self._known.units:
            self._look_again()
        return self._known.units.get(name)

    def component_of(self, step: str) -> str | None:
        """The component that a step writes."""
        if step not in self._known.components:
            self._known.components[step] = component_of(step, self._catalogue) if self._catalogue is not None else None
        return self._known.components[step]

    def _look_again(self) -> None:
        if self._clock.now() - self._known.read_at >= LOOK_AGAIN:
            self._known = self._read()

    def _read(self) -> _Known:
        with self._database.read() as conn:
            units = list_units(inventory.load_fleet(conn))
            self._catalogue = _catalogue(conn)
        return _Known(units=units, components={}, read_at=self._clock.now())


def _catalogue(conn: Connection) -> Catalogue | None:
    try:
        return inventory.load_catalogue(conn)
    except NotStored:
        return None


def open_site(path: Path, clock: Clock, *, book: KindBook | None = None) -> RealSite:
    """The site that a file describes, its adapters built; nobody is called. Raises BadInput.

    An adapter that cannot be built stands in `unbuilt`, so that one fault does not hide the others.
    """
    known = book or list_kinds()
    unusable = {name: found.why for name, found in known.unusable.items()}
    read = read_site(path, known.kinds, unusable=unusable, context=in_context(open_secrets(), path.parent))
    adapters: dict[AdapterId, AdapterPorts] = {}
    unbuilt: dict[AdapterId, str] = {}
    for adapter, entry in read.adapters.items():
        try:
            adapters[adapter] = known.kinds[entry.kind].open(entry.settings, clock)
        except (TryLater, Refused, OutcomeUnknown) as error:
            unbuilt[adapter] = f"{error}. See its settings."
        except Exception as error:  # noqa: BLE001 - what others wrote may raise anything, and must be told by name
            unbuilt[adapter] = f"the adapter itself fails: {type(error).__name__}: {error}. Tell whoever wrote it."
    return RealSite(book=read, clock=clock, adapters=adapters, unbuilt=unbuilt)
