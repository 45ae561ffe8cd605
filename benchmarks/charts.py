"""Cost curves as SVG, small and the same bytes for the same figures. Colours are those of Okabe and Ito; markers say
the same as colours.
"""

from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from curves import fit

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#8a8a8a", "#222222")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
SETTINGS = {"svg.hashsalt": "fermata", "svg.fonttype": "none", "font.size": 9.0, "path.simplify": True}


def draw(title: str, curves: Mapping[str, Mapping[int, float]], file: Path) -> None:
    """Seconds by nodes, both logarithmic; a line for each case, its exponent in the legend."""
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(7.2, 3.4), layout="constrained")
        axes = figure.add_subplot()
        for number, (name, seconds) in enumerate(curves.items()):
            found = fit(seconds)
            label = name if found is None else f"{name} ({found.exponent:.2f})"
            axes.plot(
                list(seconds), list(seconds.values()), label=label, linewidth=1.4, markersize=4,
                color=COLOURS[number % len(COLOURS)], marker=MARKERS[number % len(MARKERS)],
            )  # fmt: skip
        axes.set_xscale("log")
        axes.set_yscale("log")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(LogLocator(numticks=8))
            axis.set_minor_locator(NullLocator())
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}" if value < 1000 else f"{value:,.0f}"))
        axes.grid(visible=True, color="#e4e4e4", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_title(f"{title}: median seconds by nodes (exponent)", loc="left", fontsize=9)
        axes.set_xlabel("nodes")
        axes.set_ylabel("seconds")
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8)
        figure.savefig(file, metadata={"Date": None, "Creator": None})
    text = file.read_text(encoding="utf-8")
    file.write_text("\n".join(line.rstrip() for line in text.splitlines()) + "\n", encoding="utf-8")
