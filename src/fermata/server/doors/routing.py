"""Routes that do not care about case, as Azure's do not: its own clients disagree about `resourceGroups`."""

import re
from typing import Any

from starlette.routing import Route


class AnyCaseRoute(Route):
    """Matches its path without case; what stands in the path's parameters keeps its own. In no API description."""

    def __init__(self, path: str, endpoint: Any, *, method: str) -> None:
        super().__init__(path, endpoint, methods=[method], include_in_schema=False)
        self.path_regex = re.compile(self.path_regex.pattern, re.IGNORECASE)
