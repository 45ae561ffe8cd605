"""A simulation as one HTML file that stands alone: chances, limits and windows, with a histogram as inline SVG."""

from collections.abc import Sequence
from dataclasses import dataclass

from fermata.domain.campaign import Campaign
from fermata.domain.ids import PlanId
from fermata.planning.risk.figures import CampaignRisk, ModeRisk, Spread, WindowRisk
from fermata.server.web import alone

BINS = 10  # a bar for each ten per cent
WIDTH, HEIGHT = 600.0, 150.0  # of the histogram's plot in SVG units; the page scales it to the column
BAR, GAP = 24.0, 3.0  # width of a bar, and between the two of a bin
ROUNDING = 1e-9  # 1 - 0.9 is a little less than a tenth
LATE_SHOWN = 25  # windows in the open; the others unfold
SMALL, LEAST_SHOWN = 10, 0.1  # between these a figure without its decimal says little
RARE = 0.01  # below it a chance is not told in whole per cents


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """So many windows, in a bar from `x` on."""

    windows: int
    x: float
    height: float

    @property
    def top(self) -> float:
        """Where it begins, from above."""
        return round(HEIGHT - self.height, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Windows with a chance of `first` to `last` per cent of ending late: as played, and by the plan's confidence."""

    first: int
    last: int
    middle: float
    played: Bar
    promised: Bar


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """One line of what a campaign comes to: what the plan says of it, and how it spreads over the runs."""

    name: str
    planned: float
    spread: Spread


def render_simulation(plan: PlanId, campaign: Campaign, risk: CampaignRisk) -> str:
    """One HTML document; every text from outside is escaped."""
    environment = alone.environment(campaign.timezone)
    environment.filters |= {"chance": say_chance, "figure": say_figure}
    return environment.get_template("simulation.html").render(
        plan=plan,
        campaign=campaign,
        risk=risk,
        planned=risk.planned,
        modes=[
            (mode, _quantities(mode, risk), draw_histogram(mode.windows), _by_lateness(mode)) for mode in risk.modes
        ],
        shown=LATE_SHOWN,
        width=WIDTH,
        height=HEIGHT,
        bar=BAR,
        rare=RARE,
    )


def draw_histogram(windows: Sequence[WindowRisk]) -> tuple[Bin, ...]:
    """How many windows have which chance of ending late; a chance on the edge counts to the bin above."""
    played = _count([window.late for window in windows])
    promised = _count([1 - window.promised for window in windows])
    top = max(*played, *promised, 1)

    def bar(count: int, x: float) -> Bar:
        return Bar(windows=count, x=round(x, 1), height=round(HEIGHT * count / top, 1))

    step = WIDTH / BINS
    return tuple(
        Bin(
            first=100 * number // BINS,
            last=100 * (number + 1) // BINS,
            middle=(number + 0.5) * step,
            played=bar(played[number], (number + 0.5) * step - BAR - GAP / 2),
            promised=bar(promised[number], (number + 0.5) * step + GAP / 2),
        )
        for number in range(BINS)
    )


def _count(chances: Sequence[float]) -> list[int]:
    bins = [min(int(chance * BINS + ROUNDING), BINS - 1) for chance in chances]
    return [bins.count(number) for number in range(BINS)]


def say_chance(share: float) -> str:
    """Whole per cents; what happened in fewer runs than that is not called never."""
    if 0 < share < RARE:
        return "under 1 %"
    return f"{100 * share:.0f} %" if share <= 1 - RARE or share == 1 else "over 99 %"


def _quantities(mode: ModeRisk, risk: CampaignRisk) -> tuple[Quantity, ...]:
    planned = risk.planned
    always = (
        Quantity(name="windows that keep their end", planned=planned.kept, spread=mode.kept),
        Quantity(name="late node-days", planned=planned.late_node_days, spread=mode.late_node_days),
        Quantity(name="capacity lost, node-hours", planned=planned.lost_node_hours, spread=mode.lost_node_hours),
    )
    if not mode.gated:
        return always
    return (
        *always,
        Quantity(name="windows that open late", planned=0, spread=mode.waited_windows),
        Quantity(name="windows that miss their day", planned=0, spread=mode.missed_windows),
        Quantity(name="nodes that then need a new plan", planned=0, spread=mode.missed_nodes),
    )


def _by_lateness(mode: ModeRisk) -> tuple[WindowRisk, ...]:
    return tuple(sorted(mode.windows, key=lambda window: (-window.late, window.window)))


def say_figure(value: float) -> str:
    """A mean or a percentile: small ones with a decimal, and what is not nought is not called so."""
    if 0 < value < LEAST_SHOWN:
        return f"under {LEAST_SHOWN:g}"
    return f"{value:,.1f}" if value < SMALL and not value.is_integer() else f"{value:,.0f}"
