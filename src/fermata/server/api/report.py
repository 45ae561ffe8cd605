"""The report of a campaign."""

from typing import Annotated, Any

from fastapi import Query

from fermata.domain.report import Report
from fermata.formats.report import report_to_json
from fermata.server.api.nouns import open_noun
from fermata.server.context import Given
from fermata.services.report import make_report

router = open_noun("report")


@router.get("/report")
def get_report(given: Given, campaign: Annotated[str | None, Query(max_length=200)] = None) -> dict[str, Any]:
    """Planned against actual, window by window and node by node, schema fermata.report/1."""
    return report_to_json(make_report(given.db, campaign=campaign))


@router.get("/report/values")
def get_report_values(given: Given, campaign: Annotated[str | None, Query(max_length=200)] = None) -> Report:
    """The same as values, nothing rounded: what `fermata report --server` makes its tables and its page from."""
    return make_report(given.db, campaign=campaign)
