"""Devices of a NetBox as facts: those that the query of the settings lists, page by page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fermata.adapters.inventory_fields import flat
from fermata.adapters.inventory_http import AGAIN, PAGES_MAX, Access, Asking, Gone, listed
from fermata.adapters.secrets import PLAIN, bind
from fermata.domain.fleet import NodeState
from fermata.domain.inventory_reports import Facts
from fermata.domain.secrets import SecretSource
from fermata.domain.sources import NetBox
from fermata.ports import Refused, TryLater

PATH = "/api/dcim/devices/"
PAGE_SIZE = 500
STATES: Mapping[str, NodeState] = {
    "active": NodeState.IN_SERVICE,
    "offline": NodeState.OUT_OF_SERVICE,
    "planned": NodeState.OUT_OF_SERVICE,
    "staged": NodeState.OUT_OF_SERVICE,
    "failed": NodeState.OUT_OF_SERVICE,
    "inventory": NodeState.OUT_OF_SERVICE,
    "decommissioning": NodeState.OUT_OF_SERVICE,
}  # NetBox's own; of one that a site added only the site knows what it means


@dataclass(frozen=True, slots=True)
class NetBoxDevices:
    """Collects the devices of one NetBox. Pages are asked for by number, in the order of ids: the list's own links
    name the server as it knows itself, which need not be how we reach it.
    """

    reach: NetBox
    page_size: int = PAGE_SIZE
    secrets: SecretSource = PLAIN

    def __call__(self) -> Sequence[Facts]:
        """Every device of the query. Raises TryLater or Refused."""
        access = Access(
            url=self.reach.url, scheme="Token", token=bind(self.reach.token, self.secrets), ca_file=self.reach.ca_file
        )
        found: dict[int, Facts] = {}
        with Asking(access) as asking:
            for page in range(PAGES_MAX):
                answer = self._page(asking, page)
                items = listed(answer, "results", self.reach.url)
                for item in items:
                    number, facts = _to_facts(item, self.reach.url)
                    found[number] = facts
                if not answer.get("next"):
                    return self._whole(answer, found)
                if not items:
                    break
        raise Refused(f"{self.reach.url} lists devices without end")

    def _page(self, asking: Asking, page: int) -> Any:
        params = {"limit": str(self.page_size), "offset": str(page * self.page_size), "ordering": "id"}
        try:
            return asking.get(PATH, {**self.reach.query, **params})
        except Gone as gone:
            raise Refused(f"{self.reach.url} answers 410: is it the server that the settings mean?") from gone

    def _whole(self, answer: Any, found: Mapping[int, Facts]) -> Sequence[Facts]:
        """Devices that came or went meanwhile may have hidden others between two pages."""
        if answer.get("count") != len(found):
            raise TryLater(
                AGAIN, f"{self.reach.url} lists {answer.get('count')} devices, and gave {len(found)} of them"
            )
        return list(found.values())


def _to_facts(item: Any, url: str) -> tuple[int, Facts]:
    """Fields as in the object, and `state` where its status is one of NetBox's own. A device may lack a name: it is
    then called by its id, so that it is told rather than passed over.
    """
    try:
        number = int(item["id"])
        name = item.get("name") or f"device {number}"
        status = str((item.get("status") or {}).get("value", ""))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Refused(f"{url} lists a device that is none: {type(error).__name__} {error}") from error
    fields = {key: value for key, value in item.items() if key != "tags"}
    tags = ",".join(str(tag.get("slug")) for tag in item.get("tags") or [] if isinstance(tag, dict))
    state = {"state": STATES[status].value} if status in STATES else {}
    return number, Facts(name=str(name), fields={**flat(fields), "tags": tags, **state})
