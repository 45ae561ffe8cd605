"""A server that people sign in to, for `hostile.py`: its store, a process of its own, and what people
with a board, a script and a query ask of it.
"""

import asyncio
import itertools
import json
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import conduct
from fermata.domain.access import AccessBook
from fermata.domain.identity import Grant, GrantLevel, Principal, PrincipalKind, Role
from fermata.domain.pending import find_pending
from fermata.formats.scenario import Scenario, read_scenario
from fermata.server.app import create_app
from fermata.server.identity.admission import Admission
from fermata.server.live import Timing
from fermata.server.serving import bind_socket, serve_until_signal
from fermata.services.identity import NewToken, make_token
from fermata.services.requests import refresh_requests
from fermata.store.opening import open_database
from harness import collect_as_command

NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)
PATIENCE_SECONDS = 30.0  # then an answer is none
SERVE = "serve"
ROLES = (Role.CONDUCTOR, Role.APPROVER, Role.OPERATOR, Role.AUDITOR)
QUERY = {"query": "resources | summarize count() by location"}
Tokens = Mapping[str, str]  # by the address that it is used from


@dataclass(frozen=True, slots=True)
class Ask:
    """What people do. `every`: once in so many rounds."""

    method: str
    path: str
    body: Mapping[str, object] | None = None
    every: int = 1


STREAM = Ask("GET", "/board/stream")
ASKS = {
    "board": Ask("GET", "/api/v1/board"),
    "page": Ask("GET", "/"),
    "journal": Ask("GET", "/api/v1/journal?limit=20"),
    "imports": Ask("GET", "/api/v1/imports"),
    "word": Ask("POST", "/api/v1/approvals", {}),
    "query": Ask("POST", "/api/v1/query", QUERY, every=2),
    "node": Ask("GET", "/nodes/{node}", every=2),
    "requests": Ask("GET", "/requests", every=4),
    "pending": Ask("GET", "/api/v1/pending?limit=100", every=4),
}


class StillClock:
    """It is always NOW."""

    def now(self) -> datetime:
        return NOW

    def wait_until(self, instant: datetime, stop: object) -> datetime:
        return instant


@dataclass
class Seen:
    """What people saw: seconds of each answer by what was asked, and answers that were none."""

    seconds: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    refused: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Seen") -> None:
        """What was seen elsewhere, too."""
        for kind, took in other.seconds.items():
            self.seconds[kind] += took
        self.refused += other.refused

    @property
    def every(self) -> list[float]:
        """All of them, in order."""
        return sorted(itertools.chain.from_iterable(self.seconds.values()))

    def p(self, share: float, kind: str | None = None) -> float:
        """In milliseconds; 0 where nothing was answered."""
        ordered = self.every if kind is None else sorted(self.seconds[kind])
        return round(1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1) if ordered else 0.0


def prepare(scenario: str, store: str, known: Sequence[str]) -> tuple[Tokens, str]:
    """Fills the store: fleet, consent to all of it, a plan in force. A token for each of those addresses, and a
    node on which work is due."""
    read = _let_decide(read_scenario(Path(scenario)), [f"someone at {address}" for address in known])
    db = open_database(store)
    conduct.fill(db, read, conduct.make_plan(read))
    refresh_requests(db, now=NOW)
    grants, numbers = frozenset(Grant(role=role, level=GrantLevel.EVERYTHING) for role in ROLES), count()
    tokens = {}
    for address in known:
        by = Principal(name=f"someone at {address}", kind=PrincipalKind.PERSON, grants=grants)
        wanted = NewToken(label="benchmark", grants=grants, life=timedelta(days=30))
        made = make_token(db, wanted, by, now=NOW, new_id=lambda prefix: f"{prefix}_bench{next(numbers)}")
        tokens[address] = made.secret
    db.close()
    return tokens, min(find_pending(read.fleet, read.catalogue).nodes)


def _let_decide(given: Scenario, people: Sequence[str]) -> Scenario:
    """Those people approve for every customer, too."""
    customers = {
        name: replace(one, approvers=(*one.approvers, *people)) for name, one in given.policy.customers.items()
    }
    return replace(given, policy=replace(given.policy, customers=customers))


@dataclass(frozen=True, slots=True)
class Served:
    """A server that runs. Memory is of its process and of those that answer its queries."""

    port: int
    process: int

    def memory_mib(self) -> float:
        """Resident now."""
        tasks = Path(f"/proc/{self.process}/task")
        if not tasks.exists():  # no Linux
            return 0.0
        children = [child for task in tasks.iterdir() for child in (task / "children").read_text().split()]
        return sum(_resident_kib(one) for one in (str(self.process), *children)) / 1024

    def cpu_seconds(self) -> float:
        """User and system time so far, queries left out."""
        told = Path(f"/proc/{self.process}/stat")
        if not told.exists():
            return 0.0
        fields = told.read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100


def _resident_kib(process: str) -> int:
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:  # it just ended
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmRSS")), 0)


@contextmanager
def serving(store: str) -> Iterator[Served]:
    """In a process of its own, as `fermata serve --access` does; ended at once."""
    with subprocess.Popen(
        [sys.executable, __file__, SERVE, store], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as server:
        assert server.stdout is not None
        try:
            yield Served(int(server.stdout.readline()), server.pid)
        finally:
            server.kill()  # what its threads still answer is nobody's business


def serve(store: str) -> None:
    """The server that is measured; prints its port."""
    collect_as_command()
    listener, numbers = bind_socket("127.0.0.1", 0), count()
    print(listener.getsockname()[1], flush=True)
    app = create_app(
        open_database(store),
        StillClock(),
        new_id=lambda prefix: f"{prefix}_{next(numbers):08}",
        timing=Timing(warms=True),
        access=Admission(book=AccessBook()),
    )
    serve_until_signal(app, listener, threading.Event())


@dataclass
class Person:
    """Somebody with a token who asks for one thing after the other, `rate` times a second, whatever comes of it: an
    answer that is late makes the next ones late too, and all of that is counted.
    """

    port: int
    address: str
    token: str
    node: str
    rate: float
    turn: int = 0
    asks: Mapping[str, Ask] = field(default_factory=lambda: ASKS)

    async def use(self, seconds: float, seen: Seen) -> None:
        """For so many seconds."""
        loop = asyncio.get_running_loop()
        due, until = loop.time() + self.turn * 0.618 % 1 / self.rate, loop.time() + seconds
        while due < until:
            for kind, asked in self.asks.items():
                if self.turn % asked.every or due >= until:
                    continue
                await asyncio.sleep(max(0.0, due - loop.time()))
                status = await self.ask(asked)
                if 200 <= status < 300:
                    seen.seconds[kind].append(loop.time() - due)
                else:
                    seen.refused[f"{kind} {status}"] += 1
                due = max(due + 1 / self.rate, loop.time())
            self.turn += 1

    async def ask(self, asked: Ask) -> int:
        """The status; 0 for no answer at all. A connection of its own, as a script's is."""
        try:
            return await asyncio.wait_for(self._exchange(asked), PATIENCE_SECONDS)
        except (OSError, IndexError, ValueError):  # a time-out is an OSError
            return 0

    async def _exchange(self, asked: Ask) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, local_addr=(self.address, 0))
        try:
            writer.write(self.request(asked))
            answer = await reader.readline()
            while await reader.read(1 << 18):
                pass
            return int(answer.split(b" ", 2)[1])
        finally:
            writer.close()

    def request(self, asked: Ask) -> bytes:
        """As it goes over the connection."""
        body = b"" if asked.body is None else json.dumps(asked.body or self._word()).encode()
        lines = [f"{asked.method} {asked.path.format(node=self.node)} HTTP/1.1", "Host: 127.0.0.1", "Connection: close"]
        lines += [f"Authorization: Bearer {self.token}"]
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"] if body else []
        return "\r\n".join([*lines, "", ""]).encode() + body

    def _word(self) -> Mapping[str, object]:
        order = {"scope": {"level": "node", "name": self.node}, "reason": f"turn {self.turn}, {time.monotonic()}"}
        return {"orders": [order]}


async def use(people: Sequence[Person], seconds: float) -> Seen:
    """What they see in so many seconds."""
    seen = Seen()
    await asyncio.gather(*(person.use(seconds, seen) for person in people))
    return seen


if __name__ == "__main__" and sys.argv[1:2] == [SERVE]:
    serve(sys.argv[2])
