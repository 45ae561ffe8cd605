"""Who brought an update as it stands in the catalogue, by the journal: nobody promotes alone what they registered."""

from collections.abc import Iterable, Iterator, Mapping

from fermata.domain.ids import UpdateId
from fermata.domain.two_people import judge_registration
from fermata.domain.updates import Catalogue
from fermata.services.errors import refuse_all
from fermata.services.speaking import find_speaker
from fermata.store import inventory, journal
from fermata.store.database import Connection, NotStored
from fermata.store.journal import Entry

PAGE = 1000
REGISTERED, IMPORTED = "update.registered", "updates.imported"


def find_registrants(conn: Connection, names: Iterable[UpdateId]) -> Mapping[UpdateId, frozenset[str]]:
    """Of each update, who registered it last, and everybody who imported a whole catalogue since: what an import
    changed of it, the journal does not say, so each of them counts.
    """
    imported = tuple(_lines(conn, "updates", IMPORTED))
    found = {}
    for name in names:
        registered = next(_lines(conn, f"update:{name}", REGISTERED), None)
        since = registered.seq if registered is not None else 0
        actors = {line.actor for line in imported if line.seq > since}
        found[name] = frozenset(actors | ({registered.actor} if registered is not None else set()))
    return found


def refuse_import_alone(conn: Connection, catalogue: Catalogue, actor: str) -> None:
    """For who is signed in, an import is no way around the second person: in a store that has a catalogue, nothing
    becomes production-ready by it that two did not see. Whoever works on the store itself brings what they want.
    """
    if find_speaker() is None:
        return
    try:
        known = inventory.load_catalogue(conn).updates
    except NotStored:
        return
    changed = [update for name, update in sorted(catalogue.updates.items()) if known.get(name) != update]
    registrants = find_registrants(conn, [update.id for update in changed])
    refuse_all(judge_registration(changed, known, registrants, actor))


def _lines(conn: Connection, subject: str, event: str) -> Iterator[Entry]:
    """Lines of that event about that subject, the newest first."""
    before: int | None = None
    while lines := journal.read_latest(conn, subject, PAGE, before_seq=before):
        yield from (line for line in lines if line.event == event)
        before = lines[-1].seq
