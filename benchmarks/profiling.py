"""Where the time of a case goes: for `harness.py --profile`."""

import cProfile
import io
import pstats
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Place = Mapping[str, str]
PROFILED_PARTS, PROFILED = 10, 15  # lines of a profile
BUILT_IN = "~"  # what cProfile calls the file of a function in C
_Function = tuple[str, int, str]  # of a profile: file, line, name


def tell_profile(call: Callable[[Place], object], place: Place) -> str:
    """What a call does in its own thread, by part of the program and by function, by their own time."""
    profile = cProfile.Profile()
    profile.runcall(call, place)
    stats = pstats.Stats(profile, stream=io.StringIO())
    rows: dict[_Function, Any] = stats.stats  # type: ignore[attr-defined]
    total = stats.total_tt  # type: ignore[attr-defined]
    told = [f"{total:.1f} s with the profiler's own", "  own s   share  by part; what is built in is its caller's"]
    told += [f"{own:7.2f} {own / total:6.1%}  {part}" for part, own in _by_part(rows).most_common(PROFILED_PARTS)]
    told.append("  own s   share   with its calls s      calls  function")
    for (file, _, function), (_, calls, own, below, _) in sorted(rows.items(), key=lambda row: -row[1][2])[:PROFILED]:
        where = "" if file == BUILT_IN else ".".join(Path(file).with_suffix("").parts[-2:]) + "."
        told.append(f"{own:7.2f} {own / total:6.1%} {below:18.2f} {calls:10,}  {where}{function}")
    return "\n".join([*told, ""])


def _by_part(rows: Mapping[_Function, Any]) -> Counter[str]:
    """Own seconds by package: ours by the one below `fermata`."""
    found = Counter[str]()
    for (file, _, _), (_, _, own, _, callers) in rows.items():
        if file != BUILT_IN:
            found[_part_of(file)] += own
        for caller, (_, _, of_caller, _) in callers.items() if file == BUILT_IN else ():
            found[_part_of(caller[0])] += of_caller
    return found


def _part_of(file: str) -> str:
    parts = Path(file).with_suffix("").parts
    if "fermata" in parts:
        return ".".join(parts[len(parts) - parts[::-1].index("fermata") - 1 :][:2])
    return parts[parts.index("site-packages") + 1] if "site-packages" in parts else "the rest"
