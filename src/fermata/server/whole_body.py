"""A body that middleware reads before the handler does: read as a whole, and handed on as if nobody had."""

from starlette.types import Message, Receive

from fermata.server.errors import BodyTooLarge


async def read_all(receive: Receive) -> bytes | None:
    """The whole body, which the guard bounds; None when the other end has left."""
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


async def read_at_most(receive: Receive, bytes_max: int) -> bytes | None:
    """The whole body; None when the other end has left. Raises BodyTooLarge as soon as more has come."""
    parts, size = list[bytes](), 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > bytes_max:
            raise BodyTooLarge(bytes_max)
        if not message.get("more_body", False):
            return b"".join(parts)


def replay(body: bytes, receive: Receive) -> Receive:
    """Gives that body, once, and then whatever still comes."""
    is_given = False

    async def give() -> Message:
        nonlocal is_given
        if is_given:
            return await receive()
        is_given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return give
