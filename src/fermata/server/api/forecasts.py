"""Forecasts: when capacity is back, how sure that is, and what would help."""

from fermata.domain.ids import CampaignId, RunId
from fermata.server.api.bodies import Name
from fermata.server.api.nouns import open_noun
from fermata.server.context import Given
from fermata.services.forecasts import Forecasts, show_forecasts

router = open_noun("runs")


@router.get("/runs/{run}/forecasts")
def get_forecasts_of_run(given: Given, run: Name, window: Name | None = None) -> Forecasts:
    """The newest of the run and of its open windows; with `window` every one that was kept of it, oldest first."""
    return show_forecasts(given.db, run=RunId(run), window=window)


@router.get("/forecasts")
def get_forecasts(given: Given, campaign: Name | None = None, window: Name | None = None) -> Forecasts:
    """The same of the newest run, of that campaign if one is named."""
    return show_forecasts(given.db, CampaignId(campaign) if campaign else None, window=window)
