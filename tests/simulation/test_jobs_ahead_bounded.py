"""Jobs are kept off no more nodes than their customer lets go."""

from dataclasses import replace
from pathlib import Path

from tests.simulation import small
from tests.simulation.test_jobs_ahead import LATER, MINUTE, rig

from fermata.domain.policy import Conditions
from fermata.domain.reasons import Code
from fermata.store import consent, journal


def test_none_is_kept_free_where_so_many_a_day_were_approved_before_it_is_known_which(tmp_path: Path) -> None:
    found = rig(tmp_path, LATER)
    few = replace(small.approval(small.catalogue(), seq=2), conditions=Conditions(nodes_per_day=3))
    with found.stage.database.begin() as conn:
        consent.append_entry(conn, few)
        journal.append(conn, journal.Entry(at=small.NOW, actor="x", event="consent.said", subject="x", why=""))
    found.conduct(until=small.NOW + 15 * MINUTE)
    assert found.scheduler.stands() == {}
    known = found.known()
    assert known is not None
    assert known.why is not None
    assert known.why.code is Code.APPROVED_SOME
