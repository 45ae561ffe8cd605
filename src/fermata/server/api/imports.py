"""What was imported."""

from fastapi import APIRouter

from fermata.server.context import Given
from fermata.services import records

router = APIRouter(tags=["imports"])


@router.get("/imports")
def get_imports(given: Given) -> records.ImportsLine:
    """Counts of what the store holds, and which inputs are still missing."""
    return records.list_imports(given.db)
