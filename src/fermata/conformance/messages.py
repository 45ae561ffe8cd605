"""Messages of HTTP/1.1 as the fault proxy passes them on: read whole, written with their length in front."""

import asyncio
from dataclasses import dataclass

_BODILESS = (204, 304)
_OF_A_HOP = ("transfer-encoding", "connection", "keep-alive", "expect", "content-length")


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """`start`: its first line. `headers` as they came."""

    start: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str:
        """The value under a name in lower case; "" when there is none."""
        return next((value for key, value in self.headers if key.lower() == name), "")


def status_of(answer: Message | None) -> int:
    """0 for no answer."""
    return int(answer.start.split(" ")[1]) if answer is not None else 0


async def read_message(reader: asyncio.StreamReader, *, is_request: bool, is_head: bool = False) -> Message | None:
    """None when the other side closed before it began."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError as end:
        if end.partial:
            raise
        return None
    start, *lines = head[:-4].split("\r\n")
    headers = tuple((name.strip(), value.strip()) for name, _, value in (line.partition(":") for line in lines))
    message = Message(start=start, headers=headers, body=b"")
    if is_head or (not is_request and status_of(message) in _BODILESS):
        return message
    if message.header("transfer-encoding").lower() == "chunked":
        body = await _read_chunks(reader)
    elif message.header("content-length"):
        body = await reader.readexactly(int(message.header("content-length")))
    else:
        body = b"" if is_request else await reader.read()
    return Message(start=start, headers=headers, body=body)


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int((await reader.readline()).split(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readline()
    while (await reader.readline()).strip():
        pass  # trailers
    return body


def as_bytes(message: Message, method: str, *, close: bool = False) -> bytes:
    """With its length in front; what a hop says about itself is left out."""
    kept = [(name, value) for name, value in message.headers if name.lower() not in _OF_A_HOP]
    has_no_body = message.start.startswith("HTTP/") and status_of(message) in _BODILESS
    if method == "HEAD":
        kept += [(name, value) for name, value in message.headers if name.lower() == "content-length"]
    elif not has_no_body and (message.body or message.start.startswith("HTTP/") or message.header("content-length")):
        kept.append(("Content-Length", str(len(message.body))))
    if close:
        kept.append(("Connection", "close"))
    head = "\r\n".join([message.start, *(f"{name}: {value}" for name, value in kept)])
    return head.encode("latin-1") + b"\r\n\r\n" + message.body
