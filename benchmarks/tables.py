"""What `make bench`, `make bench-full` and `make bench-long` measure: which script with which arguments, for how many
nodes, how often, and within how many seconds. The order is that of the run: large fleets last, as the time that others
leave is theirs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

BENCH_SECONDS, FULL_SECONDS = 15 * 60, 90 * 60  # what was promised, on 2 cores
JANUARY = 19_514  # nodes of the packaged scenario
MULTIPLES = {1: JANUARY, 5: 92_000, 50: 924_000}  # nodes of so many Januaries in one campaign, about


@dataclass(frozen=True, kw_only=True)
class Table:
    """One call of a script. `nodes`: of its fleet, as the page tells it. `arguments`: beside `--runs` and `--json`.

    `seconds`: within which all of it has to be done on a quiet machine, its preparation included.
    """

    script: str
    nodes: int
    seconds: int
    arguments: Sequence[str] = ()
    runs: int = 5
    variant: str = ""

    @property
    def name(self) -> str:
        """Of its file, without the ending."""
        return "-".join(part for part in (self.script, self.variant, str(self.nodes)) if part)

    @property
    def command(self) -> str:
        """Which makes its figures again, from the root of the tree."""
        return " ".join(["python", f"benchmarks/{self.script}.py", "--runs", str(self.runs), *self.arguments])


def _of(script: str, seconds: dict[int, int], *more: str, runs: int = 5) -> list[Table]:
    """The script for fleets of these sizes, each with its seconds."""
    return [
        Table(script=script, nodes=nodes, seconds=allowed, runs=runs, arguments=("--nodes", str(nodes), *more))
        for nodes, allowed in seconds.items()
    ]


def _january(script: str, seconds: int, *more: str, runs: int = 3) -> Table:
    """The script for January as packaged."""
    return Table(script=script, nodes=JANUARY, seconds=seconds, runs=runs, arguments=more)


def _campaign(times: int, seconds: int, runs: int = 1) -> Table:
    """HiGHS takes longer than all else, and is left out."""
    arguments = ("--times", str(times), "--without-highs")
    return Table(script="campaigns", nodes=MULTIPLES[times], seconds=seconds, runs=runs, arguments=arguments)


BENCH = (
    *_of("importing", {20_000: 85}),
    *_of("pending", {20_000: 55}),
    *_of("approving", {20_000: 70}, runs=3),
    _january("planning", 60),
    _campaign(1, 50, runs=3),
    _january("deciding", 65, runs=1),
    *_of("transitions", {600: 120}, "--workers", "2", runs=1),
    *_of("rolling", {500: 45}, runs=3),
    *_of("doors", {20_000: 55}),
    *_of("viewing", {20_000: 70}, "--seconds", "10", runs=2),
    *_of("querying", {20_000: 40}),
    *_of("auditing", {20_000: 15}),
    *_of("starting", {20_000: 60}, runs=2),
    *_of("simulating", {200: 55}, runs=1),
    *_of("controllers", {1000: 30}, runs=3),
)

FULL = (
    *_of("importing", {1000: 30, 10_000: 50}),
    *_of("pending", {1000: 20, 10_000: 35}),
    *_of("approving", {1000: 20, 10_000: 45}),
    *_of("planning", {1000: 20, 10_000: 50}, runs=3),
    *_of("deciding", {100: 15, 1000: 45}, runs=1),
    _january("deciding", 65, runs=1),
    *_of("transitions", {600: 290, 200: 70}, runs=1),
    *_of("rolling", {300: 35, 1000: 100}, runs=3),
    *_of("doors", {1000: 30, 10_000: 45}),
    *_of("viewing", {1000: 60, 10_000: 70}, runs=1),
    *_of("querying", {1000: 20, 10_000: 30}),
    *_of("auditing", {1000: 15, 10_000: 15}),
    *_of("starting", {1000: 60, 10_000: 70}, runs=3),
    *_of("simulating", {200: 60}, runs=1),
    _january("planning", 60),
    _campaign(1, 30),
    _january("sequencing", 60, runs=1),
    _january("replan", 60, runs=1),
    _january("running", 80, runs=1),
    _january("risk", 70, runs=1),
    _january("standing", 90, runs=1),
    _january("varied", 140, runs=1),
    *_of("wall", {20_000: 40}, runs=3),
    *_of("controllers", {1000: 30}, runs=3),
    Table(script="gating", nodes=0, seconds=40, runs=1, arguments=("--campaigns", "200")),
    *_of("auditing", {100_000: 40}, runs=3),
    *_of("querying", {100_000: 50}, runs=3),
    *_of("doors", {100_000: 100}, runs=3),
    *_of("viewing", {100_000: 80}, runs=1),
    *_of("starting", {100_000: 90}, runs=3),
    *_of("approving", {100_000: 70}, runs=1),
    *_of("pending", {100_000: 70}, runs=3),
    *_of("importing", {100_000: 130}, runs=3),
    _campaign(5, 130),
    *_of("auditing", {1_000_000: 90}, runs=1),
    *_of("querying", {1_000_000: 100}, runs=3),
    *_of("doors", {1_000_000: 250}, runs=1),
    *_of("viewing", {1_000_000: 200}, runs=1),
    *_of("starting", {1_000_000: 200}, runs=1),
    *_of("approving", {1_000_000: 330}, runs=1),
    *_of("pending", {1_000_000: 330}, runs=1),
    *_of("importing", {1_000_000: 560}, runs=1),
    _campaign(50, 400),
)

LONG = (
    _january("conducting", 400, runs=1),
    *_of("simulating", {500: 200}, runs=1),
    _january("simulating", 1500, runs=1),
    Table(
        script="simulating", nodes=MULTIPLES[50], seconds=7200, runs=1, arguments=("--times", "50"), variant="fifty"
    ),
)  # fmt: skip
PLANS = {"bench": BENCH, "full": FULL, "long": LONG}
PROMISED = {"bench": BENCH_SECONDS, "full": FULL_SECONDS}


LEAST_SECONDS = 10  # for any table, however long those before it took


def allowed(table: Table, spare: float, patience: float) -> int:
    """Whole seconds for a table: its own, as many times as a busy machine asks for, and what those before it left, or
    took of others' time.
    """
    return max(LEAST_SECONDS, ceil(table.seconds * patience + spare))
