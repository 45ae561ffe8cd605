"""Callers that mean harm, for `hostile.py`: kinds of attack, each over and over from each of some addresses.

`python attackers.py PORT TOKENS` reads a line for each bout, `KIND SECONDS`, and answers with a line of JSON: how many
requests ended with which status, 0 where the connection was just closed. Those who signed in have a token and an
address each; nobody knows the others.
"""

import asyncio
import json
import os
import secrets
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress

BOMB = (
    "resources | extend k = 1 | join kind=inner (resources | extend k = 1) on k"
    " | join kind=inner (resources | extend k = 1) on k | summarize count() by name, name1"
)
GRAPH = "/providers/Microsoft.ResourceGraph/resources?api-version=2022-10-01"
STREAMS = 10_000
OPENING = 50  # of them at the same time
READ_SECONDS = 10.0
PAUSE_SECONDS = 0.005
JSON = b"application/json"
COSTLY = (
    "/api/v1/pending", "/fleet", "/api/v1/report", "/api/v1/requests", "/campaign", "/metrics", "/fleet/cells",
    "/api/v1/journal?limit=1000", "/query.csv?q=resources", "/requests", "/api/v1/plans",
)  # fmt: skip
JUNK = (
    "/.env", "/wp-login.php", "/api/v1/../../etc/passwd", "/admin", "/api/v9/nodes", "/nodes/%00", "/static/../app.py",
    "/api/v1/nodes/" + "a" * 4000, "/%ff%fe", "//", "/api/v1/runs/x/forecasts/y/z", "/metadata/instance",
)  # fmt: skip
GONE = (OSError, EOFError, asyncio.LimitOverrunError, TimeoutError, ValueError)
Attack = Callable[["Attacker"], Awaitable[None]]


class Attacker:
    """One address. `token` "": nobody. `told`: how its requests ended, by status."""

    def __init__(self, port: int, address: str, token: str) -> None:
        self.port, self.address, self.token = port, address, token
        self.told = Counter[int]()

    async def over_and_over(self, attack: Attack) -> None:
        """Until it is cancelled."""
        while True:
            with suppress(*GONE):
                await attack(self)
            await asyncio.sleep(PAUSE_SECONDS)

    def head(self, method: str, path: str, *, token: str | None = None, **more: str) -> bytes:
        """The head of a request, its end included."""
        shown = self.token if token is None else token
        lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
        lines += [f"Authorization: Bearer {shown}"] if shown else []
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in more.items()]
        return "\r\n".join([*lines, "", ""]).encode()

    def post(self, path: str, size: int, media_type: bytes = JSON, **more: str) -> bytes:
        """The head of a request with a body."""
        return self.head("POST", path, Content_Length=str(size), Content_Type=media_type.decode(), **more)

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection from this address."""
        return await asyncio.open_connection("127.0.0.1", self.port, local_addr=(self.address, 0))

    async def send(self, *parts: bytes, wait: float = READ_SECONDS) -> None:
        """Sends it over a connection of its own, and reads how it ended."""
        reader, writer = await self.open()
        try:
            with suppress(ConnectionError):  # it may have said why before it closed
                for part in parts:
                    writer.write(part)
                    await asyncio.wait_for(writer.drain(), wait)
            await self.read_status(reader, wait)
        finally:
            writer.close()

    async def read_status(self, reader: asyncio.StreamReader, wait: float = READ_SECONDS) -> int:
        """The status of the next answer, which is counted."""
        try:
            line = await asyncio.wait_for(reader.readline(), wait)
        except ConnectionError:
            line = b""
        status = int(line.split()[1]) if line.startswith(b"HTTP/1.1 ") else 0
        self.told[status] += 1
        return status

    async def drip(self, head: bytes, rest: bytes) -> None:
        """A byte a second."""
        reader, writer = await self.open()
        try:
            with suppress(ConnectionError):
                writer.write(head)
                for byte in rest:
                    writer.write(bytes([byte]))
                    await writer.drain()
                    await asyncio.sleep(1)
                    if reader.at_eof():
                        break
            await self.read_status(reader, 1)
        finally:
            writer.close()


async def flood(by: Attacker) -> None:
    """As fast as the server answers."""
    await by.send(by.head("GET", "/api/v1/imports"))


async def flood_kept(by: Attacker) -> None:
    """Likewise, over one connection for a hundred."""
    reader, writer = await by.open()
    try:
        for _ in range(100):
            writer.write(by.head("GET", "/api/v1/imports"))
            if not await by.read_status(reader):
                return
            size = 0
            while line := (await reader.readline()).strip().lower():
                size = int(line.partition(b":")[2]) if line.startswith(b"content-length:") else size
            await reader.readexactly(size)
    finally:
        writer.close()


async def guess_token(by: Attacker) -> None:
    """Another one each time."""
    await by.send(by.head("GET", "/api/v1/imports", token=f"fmt_{secrets.token_urlsafe(32)}"))


async def guess_session(by: Attacker) -> None:
    """A browser's secret, likewise."""
    cookie = f"__Host-fermata={secrets.token_urlsafe(32)}; fermata={secrets.token_urlsafe(32)}"
    await by.send(by.head("GET", "/", Cookie=cookie))


async def look_around(by: Attacker) -> None:
    """Paths that are not there."""
    for path in JUNK:
        await by.send(by.head("GET", path))


async def ask_much(by: Attacker) -> None:
    """What takes the server long."""
    for path in COSTLY:
        await by.send(by.head("GET", path), wait=60)


async def ask_what_if(by: Attacker) -> None:
    """Plans anew, with another cap each time."""
    body = f"nodes_out={1000 + secrets.randbelow(2000)}".encode()
    await by.send(by.post("/campaign/what-if", len(body), b"application/x-www-form-urlencoded"), body, wait=60)
    body = b'{"time_limit": 20}'
    await by.send(by.post("/api/v1/campaigns/january-repave/plan", len(body)), body, wait=60)


async def bomb(by: Attacker) -> None:
    """A query that does not end by itself."""
    body = json.dumps({"query": BOMB}).encode()
    await by.send(by.post("/api/v1/query", len(body)), body, wait=60)


async def bomb_graph(by: Attacker) -> None:
    """Likewise at Resource Graph's door, with facets."""
    facets = [{"expression": name} for name in ("location", "type", "name")]
    body = json.dumps({"query": BOMB, "facets": facets}).encode()
    await by.send(by.post(GRAPH, len(body)), body, wait=60)


async def send_much(by: Attacker) -> None:
    """A form as large as may be."""
    size = 60 * 2**20
    await by.send(by.post("/api/v1/imports", size, b"multipart/form-data; boundary=x"), *[b"a" * 2**20] * 60)


async def claim_much(by: Attacker) -> None:
    """More than may be, by its length and without one."""
    await by.send(by.post("/api/v1/approvals", 10**12), b"[" * 1000)
    head = by.head("POST", "/api/v1/approvals", Transfer_Encoding="chunked", Content_Type=JSON.decode())
    await by.send(head, *[b"10000\r\n" + b" " * 0x10000 + b"\r\n"] * 80)


async def send_packed(by: Attacker) -> None:
    """What would be a thousand times as large."""
    body = b"\x78\x9c" + b"\0" * 4000
    await by.send(by.post("/api/v1/approvals", len(body), Content_Encoding="deflate"), body)


async def nest(by: Attacker) -> None:
    """Brackets in brackets."""
    body = b"[" * 4_000_000
    await by.send(by.post("/api/v1/approvals", len(body)), body)


async def list_many(by: Attacker) -> None:
    """As many values as may be where a few belong, and more."""
    for many in (390_000, 1_000_000):
        body = b'{"orders": [' + b"1," * many + b"1]}"
        await by.send(by.post("/api/v1/approvals", len(body)), body)


async def list_objects(by: Attacker) -> None:
    """Objects of which each is wrong."""
    body = b'{"orders": [' + b",".join([b'{"scope": {"level": "node"}}'] * 100_000) + b"]}"
    await by.send(by.post("/api/v1/approvals", len(body)), body)


async def order_much(by: Attacker) -> None:
    """Words for nodes that are not there, many at once."""
    orders = [{"scope": {"level": "node", "name": f"n{secrets.token_hex(4)}"}, "reason": "x"} for _ in range(2000)]
    body = json.dumps({"orders": orders}).encode()
    await by.send(by.post("/api/v1/approvals", len(body)), body)


async def drip_head(by: Attacker) -> None:
    """A byte a second."""
    await by.drip(b"", by.head("GET", "/", X_Slow="yes, very slow indeed"))


async def drip_body(by: Attacker) -> None:
    """Likewise, once there is a head."""
    await by.drip(by.post("/api/v1/approvals", 100_000), b" " * 120)


async def read_nothing(by: Attacker) -> None:
    """Asks for pages and takes none."""
    _, writer = await by.open()
    try:
        writer.write(by.head("GET", "/api/v1/openapi.json") * 10)
        await asyncio.sleep(40)
    finally:
        writer.close()


async def say_nothing(by: Attacker) -> None:
    """Holds a connection for as long as the server lets it."""
    reader, writer = await by.open()
    try:
        await by.read_status(reader, 60)
    finally:
        writer.close()


async def pipeline(by: Attacker) -> None:
    """A thousand requests at once."""
    await by.send(by.head("GET", "/api/v1/imports") * 1000)


async def long_address(by: Attacker) -> None:
    """Of a megabyte."""
    await by.send(b"GET /?" + b"a" * 2**20, b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")


async def many_headers(by: Attacker) -> None:
    """Of a megabyte."""
    await by.send(by.head("GET", "/")[:-2], b"X-A: b\r\n" * 2**17, b"\r\n")


async def open_stream(by: Attacker) -> asyncio.StreamWriter | None:
    """A stream of the board, to be held for as long as the server lets it; None where it does not."""
    reader, writer = await by.open()
    writer.write(by.head("GET", "/board/stream"))
    if await by.read_status(reader) == 200:
        return writer
    writer.close()
    return None


Bout = tuple[tuple[int, Attack], ...]  # so many times at once from each address
KNOWN: Mapping[str, Bout] = {  # by those who signed in
    "floods": ((30, flood), (10, flood_kept)),
    "costly": ((8, ask_much), (2, ask_what_if)),
    "queries": ((4, bomb), (2, bomb_graph)),
    "bodies": ((2, send_much), (2, claim_much), (2, send_packed), (4, nest), (2, list_many), (2, list_objects)),
    "words": ((4, order_much),),
    "slow": ((20, drip_head), (10, drip_body), (8, read_nothing)),
    "heads": ((4, pipeline), (4, long_address), (4, many_headers)),
    "streams": (),  # `open_all_streams`
}
UNKNOWN: Mapping[str, Bout] = {  # by nobody
    "nobody": ((20, flood), (10, flood_kept), (4, ask_much), (2, nest)),
    "guesses": ((20, guess_token), (10, guess_session)),
    "junk": ((20, look_around),),
    "connections": ((130, say_nothing), (10, flood)),
}
KINDS = (*KNOWN, *UNKNOWN)
ALL = "all"  # of them at the same time


async def open_all_streams(attackers: Sequence[Attacker], held: list[asyncio.StreamWriter]) -> None:
    """STREAMS tries in all, from all addresses in turn, as fast as the server answers them; then again."""

    async def some(number: int) -> None:
        for index in range(number, STREAMS, OPENING):
            with suppress(*GONE):
                opened = await open_stream(attackers[index % len(attackers)])
                if opened is not None:
                    held.append(opened)

    while True:
        await asyncio.gather(*(some(number) for number in range(OPENING)))


async def attack(port: int, kind: str, tokens: Mapping[str, str], seconds: float) -> Counter[int]:
    """How all requests ended, in so many seconds."""
    known = [Attacker(port, address, token) for address, token in tokens.items()]
    nobody = [Attacker(port, address.replace(".1.", ".2."), "") for address in tokens]
    wanted = [(by, bout) for bouts, group in ((KNOWN, known), (UNKNOWN, nobody))
              for name, bout in bouts.items() if kind in (name, ALL) for by in group]  # fmt: skip
    held = list[asyncio.StreamWriter]()
    work = [
        asyncio.create_task(by.over_and_over(one)) for by, bout in wanted for many, one in bout for _ in range(many)
    ]
    if kind in ("streams", ALL):
        work.append(asyncio.create_task(open_all_streams(known, held)))
    await asyncio.wait(work, timeout=seconds)
    for task in work:
        task.cancel()
    await asyncio.wait(work, timeout=5)
    for writer in held:
        writer.transport.abort()
    return sum((by.told for by in (*known, *nobody)), Counter[int]())


async def serve_bouts(port: int, tokens: Mapping[str, str]) -> None:
    """One after the other, until there is no further line."""
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        kind, seconds = line.split()
        print(json.dumps(await attack(port, kind, tokens, float(seconds))), flush=True)


if __name__ == "__main__":
    os.nice(5)  # they are other people's machines
    asyncio.run(serve_bouts(int(sys.argv[1]), json.loads(sys.argv[2])))
    os._exit(0)  # what is still open is nobody's business
