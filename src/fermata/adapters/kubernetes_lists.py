"""Lists of an API server, read page by page and as a whole."""

from collections.abc import Iterator, Mapping
from typing import Any

from fermata.adapters.inventory_http import PAGES_MAX, Access, Asking, Gone, listed
from fermata.ports import Refused

PAGE_SIZE = 500
AGREED = "maintenance.fermata.io/agreed"  # annotation of an object of somebody else, whose customers let it begin
BEGINNINGS_MAX = 3  # a list whose place ran out (410) is begun anew


def read_list(access: Access, path: str, params: Mapping[str, str], page_size: int = PAGE_SIZE) -> list[Any]:
    """All objects at `path`. Raises TryLater or Refused."""
    with Asking(access) as asking:
        for _ in range(BEGINNINGS_MAX):
            try:
                return list(_items(asking, path, {"limit": str(page_size), **params}))
            except Gone:
                continue
    raise Refused(f"{access.url} forgets its list of {path} while it is read, {BEGINNINGS_MAX} times in a row")


def _items(asking: Asking, path: str, params: Mapping[str, str]) -> Iterator[Any]:
    for _ in range(PAGES_MAX):
        answer = asking.get(path, params)
        yield from listed(answer, "items", asking.access.url)
        following = (answer.get("metadata") or {}).get("continue")
        if not following:
            return
        params = {**params, "continue": str(following)}
    raise Refused(f"{asking.access.url} lists {path} without end")
