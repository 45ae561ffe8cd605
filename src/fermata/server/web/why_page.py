"""An explanation as one HTML file that stands alone: what `fermata why --html` writes."""

from fermata.domain.plans import Mode
from fermata.formats.why import group_pending
from fermata.planning.why import ClusterWhy, Explanation, NodeWhy
from fermata.planning.why_window import WindowWhy, list_names
from fermata.server.web import alone

NO_TIMES = "UTC"  # what has no window has no times to show
STEP_WORDS = {
    "drain": "Drain",
    "device_apply": "Update of devices",
    "node_apply": "Update",
    "reboot": "Reboot",
    "verify": "Verify and return",
}


def render_why(found: Explanation) -> str:
    """One HTML document; every text from outside is escaped. Times are those of the campaign's zone."""
    about = found.about
    windows = _windows_of(found)
    timezone = windows[0].timezone if windows else NO_TIMES
    return (
        alone.environment(timezone)
        .get_template("why.html")
        .render(
            found=found,
            about=about,
            title=name_of(found),
            windows=windows,
            pending=group_pending(about.pending) if isinstance(about, NodeWhy) else (),
            timezone=timezone,
            step_words=STEP_WORDS,
            list_names=list_names,
            Mode=Mode,
        )
    )


def name_of(found: Explanation) -> str:
    """What was asked for."""
    match found.about:
        case WindowWhy():
            return found.about.id
        case ClusterWhy():
            return found.about.cluster
        case NodeWhy():
            return found.about.node


def _windows_of(found: Explanation) -> tuple[WindowWhy, ...]:
    match found.about:
        case WindowWhy():
            return (found.about,)
        case ClusterWhy():
            return found.about.windows
        case NodeWhy():
            return (found.about.window,) if found.about.window is not None else ()
