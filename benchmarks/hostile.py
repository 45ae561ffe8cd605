"""Times what five people who signed in see of a server, in turns alone and beside callers that mean harm: floods,
guessed tokens, junk, huge and deep bodies, slow ones, queries that do not end, ten thousand streams. A real server on
loopback; everybody has an address of its own, and those hostile ones who signed in a token.

Baseline: the same people on the same server in the same minutes, alone. `--seconds` of attacks in slices of `--slice`,
between each two of them half as long alone; `--kinds each` takes one kind of attack after the other.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import harness
from attackers import ALL, KINDS
from fleets import write_scenario
from harness import Benchmark, Case, Place, Sample, Watch
from served import ASKS, Person, Seen, Served, prepare, serving, use

NODES = 2000
SECONDS = 600.0
SLICE_SECONDS = 20.0
SETTLE_SECONDS = 3.0  # at either end of an attack, counted on neither side
FIRST_SECONDS = 20.0  # what is read for the first time is not counted
PEOPLE = tuple(f"127.0.0.{10 + number}" for number in range(5))
HOSTILE = tuple(f"127.0.1.{1 + number}" for number in range(4))
RATE = 1.0  # what each of the people asks for in a second
EACH = "each"
TIMES_MOST = 2.0  # what p99 beside hostile callers may be of p99 alone


def main() -> None:
    """Prepares the store once, then measures."""
    parser = harness.options_parser(__doc__ or "", runs=1)
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"of attacks in all (default {SECONDS:g})")
    parser.add_argument("--slice", type=float, default=SLICE_SECONDS, help=f"of each (default {SLICE_SECONDS:g})")
    kinds = f"{ALL}, {EACH}, or some of {', '.join(KINDS)}"
    parser.add_argument("--kinds", default=ALL, help=f"of attack: {kinds} (default {ALL})")
    asked = parser.parse_args()
    wanted = KINDS if asked.kinds == EACH else tuple(asked.kinds.split(","))
    if unknown := set(wanted) - {*KINDS, ALL}:
        parser.error(f"no such kind of attack: {', '.join(sorted(unknown))}")
    options = harness.to_options(asked)
    size = options.nodes or NODES
    with tempfile.TemporaryDirectory(prefix="fermata-bench-") as name:
        scenario = write_scenario(Path(name, "scenario"), size)
        tokens, node = harness.in_own_process(prepare, str(scenario), f"sqlite:///{name}/fleet.db", (*PEOPLE, *HOSTILE))
        harness.run(
            Benchmark(
                name="hostile",
                title=f"{len(PEOPLE)} people, {size:,} nodes; {asked.seconds:g} s of attacks: {asked.kinds}",
                cases=[
                    Case(
                        name="people beside hostile callers",
                        run=partial(measure, kinds=wanted, seconds=asked.seconds, each=asked.slice),
                    )
                ],
                each_run=lambda: _copied(Path(name, "fleet.db"), tokens=json.dumps(tokens), node=node),
            ),
            options,
        )


def measure(place: Place, *, kinds: Sequence[str], seconds: float, each: float) -> Sample:
    """What people see alone, and beside each kind of attack in turn."""
    tokens = json.loads(place["tokens"])
    with serving(place["store"]) as server, _attackers(server, {name: tokens[name] for name in HOSTILE}) as attackers:
        people = [
            Person(server.port, address, tokens[address], place["node"], RATE, turn)
            for turn, address in enumerate(PEOPLE)
        ]
        asyncio.run(use(people, FIRST_SECONDS))
        with Watch() as watch:
            seen = _in_turns(server, attackers, people, (kinds, max(len(kinds), round(seconds / each)), each))
    return watch.sample(**_told(seen, kinds))


class _Taken:
    """What was seen alone and beside each kind of attack, and what it took of the server."""

    def __init__(self) -> None:
        self.alone = Seen()
        self.beside = defaultdict[str, Seen](Seen)
        self.ended = defaultdict[str, Counter[str]](Counter)
        self.cpu = defaultdict[str, float](float)  # of the server, in seconds
        self.memory = list[float]()


def _in_turns(
    server: Served,
    attackers: "subprocess.Popen[str]",
    people: Sequence[Person],
    turns: tuple[Sequence[str], int, float],
) -> _Taken:
    kinds, many, each = turns
    taken = _Taken()
    taken.memory.append(server.memory_mib())
    assert attackers.stdin is not None
    assert attackers.stdout is not None
    for turn in range(many):
        kind = kinds[turn % len(kinds)]
        taken.alone.add(asyncio.run(use(people, each / 2)))
        attackers.stdin.write(f"{kind} {SETTLE_SECONDS + each}\n")
        attackers.stdin.flush()
        asyncio.run(use(people, SETTLE_SECONDS))
        before = server.cpu_seconds()
        seen = asyncio.run(use(people, each))
        taken.cpu[kind] += server.cpu_seconds() - before
        taken.beside[kind].add(seen)
        taken.memory.append(server.memory_mib())
        taken.ended[kind] += Counter(json.loads(attackers.stdout.readline()))
        asyncio.run(use(people, SETTLE_SECONDS))
        print(
            f"{turn + 1}/{many} {kind}: p99 {seen.p(0.99):g} ms, alone so far {taken.alone.p(0.99):g};"
            f" {taken.memory[-1]:.0f} MiB, load {os.getloadavg()[0]:.1f}",
            file=sys.stderr,
            flush=True,
        )
    return taken


def _told(taken: _Taken, kinds: Sequence[str]) -> dict[str, float]:
    """Figures; and beside them a table by kind of attack, and by what people asked."""
    every = Seen()
    for kind in dict.fromkeys(kinds):
        seen, ended = taken.beside[kind], taken.ended[kind]
        every.add(seen)
        times = seen.p(0.99) / max(taken.alone.p(0.99), 0.1)
        print(
            f"{kind:12} p50 {seen.p(0.5):8.1f} ms  p99 {seen.p(0.99):8.1f} ms  {times:5.2f} x alone"
            f"  server {taken.cpu[kind]:6.1f} s of CPU  hostile by status {dict(sorted(ended.items()))}"
            f"  refused to people {dict(seen.refused)}"
        )
    for kind in ASKS:
        print(
            f"  {kind:10} alone p50 {taken.alone.p(0.5, kind):8.1f} p99 {taken.alone.p(0.99, kind):8.1f} ms,"
            f" beside p50 {every.p(0.5, kind):8.1f} p99 {every.p(0.99, kind):8.1f} ms"
        )
    tries = sum(ended.total() for ended in taken.ended.values())
    return {
        "alone_answered": float(len(taken.alone.every)),
        "alone_refused": float(taken.alone.refused.total()),
        "alone_p50_ms": taken.alone.p(0.5),
        "alone_p99_ms": taken.alone.p(0.99),
        "beside_answered": float(len(every.every)),
        "beside_refused": float(every.refused.total()),
        "beside_p50_ms": every.p(0.5),
        "beside_p99_ms": every.p(0.99),
        "p99_times": round(every.p(0.99) / max(taken.alone.p(0.99), 0.1), 2),
        "hostile_tries": float(tries),
        "server_mib_before": round(taken.memory[0]),
        "server_mib_most": round(max(taken.memory)),
        "server_mib_after": round(taken.memory[-1]),
    }


@contextmanager
def _attackers(server: Served, tokens: dict[str, str]) -> "Iterator[subprocess.Popen[str]]":
    command = [sys.executable, str(Path(__file__).with_name("attackers.py")), str(server.port), json.dumps(tokens)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as attackers:
        try:
            yield attackers
        finally:
            attackers.kill()


@contextmanager
def _copied(store: Path, **more: str) -> Iterator[Place]:
    with tempfile.TemporaryDirectory(prefix="fermata-bench-") as name:
        target = Path(name, "fleet.db")
        target.write_bytes(store.read_bytes())
        yield {"store": f"sqlite:///{target}", **more}


if __name__ == "__main__":
    main()
