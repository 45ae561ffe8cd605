"""The capacity ledger of a campaign, added up."""

from fermata.domain.capacity_ledger import CapacityView, GroupBy, add_up, total_of
from fermata.services.errors import refusing_unknown
from fermata.services.report import choose_campaign
from fermata.store import capacity, runs
from fermata.store.database import Database


def show_capacity(db: Database, *, campaign: str | None = None, by: GroupBy = GroupBy.CUSTOMER) -> CapacityView:
    """The ledger of that campaign, or of the only one, over all its runs, as of the last instant worked on.

    Raises Refusal when there is no such campaign, or several and none is named. Before the first run everything is 0.
    """
    with refusing_unknown(), db.read() as conn:
        found = choose_campaign(conn, campaign)
        conducted = runs.list_runs(conn, found.id)
        accounts = capacity.load_accounts(conn, [run.id for run in conducted])
        sums = capacity.load_sums(conn, [run.id for run in conducted])
    return CapacityView(
        campaign=found.id,
        as_of=conducted[-1].clock_at if conducted else None,
        by=by,
        lines=add_up(accounts, sums, by),
        total=total_of(accounts, sums),
    )
