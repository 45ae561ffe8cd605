"""What all_reduce_perf and its siblings print: a line a size, then the average and how many values were wrong.

Documented in NVIDIA's nccl-tests (README.md and doc/PERFORMANCE.md: what bus bandwidth means). Columns: size, count,
type, redop, root, then time, algbw, busbw and #wrong out of place, and the same in place. Bandwidth in GB/s.
"""

import re
from collections.abc import Iterator

from fermata.adapters.health_parsers.reading import bounded, to_number
from fermata.domain.health import Figure, Findings, Unreadable

SIZES_MAX = 100  # from 8 B to 128 GB by factors of two are 35
COLUMNS = 13
GB_PER_SECOND = "GB/s"
_AVERAGE = re.compile(r"^#\s*Avg bus bandwidth\s*:\s*(\S{1,40})", re.MULTILINE)
_OUT_OF_BOUNDS = re.compile(r"^#\s*Out of bounds values\s*:\s*(\d{1,12})\s+(\w{1,12})", re.MULTILINE)
_LINE = re.compile(r"^\s*(\d{1,15})\s+(\d{1,15})\s+\w{1,20}\s+\w{1,20}\s+-?\d{1,6}\s+(\S.{0,200})$")


def parse(text: str, _exit_code: int) -> Findings:
    """Figures: busbw (of the largest size, the lower of out of place and in place), busbw_<size> of each size,
    busbw_average, out_of_bounds. Wrong values are a fault. Raises Unreadable for a run that did not end.
    """
    text = bounded(text)
    rows = list(_rows(text))
    average, wrong = _AVERAGE.search(text), _OUT_OF_BOUNDS.search(text)
    mean = to_number(average[1]) if average else None
    if not rows or mean is None or wrong is None:
        raise Unreadable("it has no line of a size, no average or no count of values out of bounds: it did not end")
    off = int(wrong[1])
    faults = [f"{off} values out of bounds"] if off or wrong[2] != "OK" else []
    faults += [f"{count:.0f} wrong values at {size} B" for size, _, count in rows if count]
    largest = max(rows)
    figures = [
        Figure(name="busbw", value=largest[1], unit=GB_PER_SECOND),
        Figure(name="busbw_average", value=mean, unit=GB_PER_SECOND),
        Figure(name="out_of_bounds", value=off),
        *(Figure(name=f"busbw_{size}", value=speed, unit=GB_PER_SECOND) for size, speed, _ in rows),
    ]
    return Findings(faults=tuple(faults), figures=tuple(figures))


def _rows(text: str) -> Iterator[tuple[int, float, float]]:
    """Size in bytes, the lower bus bandwidth, and the number of wrong values."""
    count = 0
    for line in text.splitlines():
        found = _LINE.match(line)
        if found is None:
            continue
        count += 1
        if count > SIZES_MAX:
            raise Unreadable(f"it has more than {SIZES_MAX} sizes")
        words = found[3].split()
        if len(words) != COLUMNS - 5:
            raise Unreadable("a line of it has other columns than the tool prints")
        speeds = [to_number(words[2]), to_number(words[6])]
        if speeds[0] is None or speeds[1] is None:
            raise Unreadable("a bandwidth of it is no number")
        yield int(found[1]), min(speeds[0], speeds[1]), sum(to_number(word) or 0.0 for word in (words[3], words[7]))
