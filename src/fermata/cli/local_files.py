"""What commands ask of files alone, and how they ask a query desk."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from fermata.domain.ids import RequestId
from fermata.domain.pending_lines import PendingFilter
from fermata.domain.policy_trial import Trial
from fermata.services import policy, requests
from fermata.services import query as queries
from fermata.wiring import clocks
from fermata.wiring.stores import Database


@dataclass(frozen=True, slots=True)
class FolderListing:
    """What is pending and asked for by files alone."""

    inputs: requests.Inputs

    def page_pending(self, wanted: PendingFilter, *, superseded: bool, limit: int | None) -> requests.PendingPage:
        return requests.page_pending(self.inputs, wanted, superseded=superseded, limit=limit, now=clocks.utc_now())

    def list_requests(self, wanted: PendingFilter, *, ended: bool) -> Sequence[requests.RequestView]:
        return requests.list_requests(self.inputs, wanted, now=clocks.utc_now(), ended=ended)

    def show_request(self, request: RequestId) -> requests.RequestView:
        return requests.show_request(self.inputs, request, now=clocks.utc_now())

    def try_policy(self, node: str, update: str, at: datetime) -> Trial:
        return policy.try_update(self.inputs, node, update, at=at)

    def query(self, text: str, *, limit: int, customers: Sequence[str]) -> queries.Answer:
        return ask_desk(queries.QueryDesk.of_files(self.inputs), self.inputs, text, limit, customers)


def ask_desk(
    desk: queries.QueryDesk, source: Database | requests.Inputs, text: str, limit: int, customers: Sequence[str]
) -> queries.Answer:
    named = queries.name_customers(source, customers)
    try:
        return desk.ask(queries.Question(text=text, now=clocks.utc_now(), limit=limit), named)
    finally:
        desk.close()
