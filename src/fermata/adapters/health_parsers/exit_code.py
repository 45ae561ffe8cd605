"""Any command that says by its exit code whether the node is well: 0 yes, anything else no."""

from fermata.adapters.health_parsers.reading import OUTPUT_MAX
from fermata.domain.health import Findings, Unreadable, shorten


def parse(text: str, exit_code: int) -> Findings:
    """Healthy with 0; else the last line is the fault. Raises Unreadable."""
    if len(text) > OUTPUT_MAX:
        raise Unreadable(f"it is longer than {OUTPUT_MAX} characters")
    if exit_code == 0:
        return Findings()
    lines = [line for line in text.splitlines() if line.strip()]
    said = f": {shorten(lines[-1])}" if lines else ""
    return Findings(faults=(f"exit code {exit_code}{said}",))
