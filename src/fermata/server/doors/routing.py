"""Routes that do not care about case, as Azure's do not: its own clients disagree about `resourceGroups`."""

import re
from typing import Any

from fastapi.routing import APIRoute


class AnyCaseRoute(APIRoute):
    """Matches its path without case; what stands in the path's parameters keeps its own."""

    def __init__(self, path: str, *arguments: Any, **options: Any) -> None:
        super().__init__(path, *arguments, **options)
        self.path_regex = re.compile(self.path_regex.pattern, re.IGNORECASE)
