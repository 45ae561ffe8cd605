"""Whether a body is of a shape that may be read at all, judged on its bytes before any parser sees them. Pure."""

import re

from fermata.server.limits.bounds import Bounds
from fermata.server.limits.refusals import LimitCode, OverLimit

_STRING = re.compile(rb'"[^"]*"')
_ONE_KIND = bytes.maketrans(b"{}", b"[]")
_ALL_ELSE = bytes(byte for byte in range(256) if byte not in b'[]{}"')
_FORM = "application/x-www-form-urlencoded"


def is_judged(media_type: str) -> bool:
    """False for uploads: their parts are files, which their readers judge."""
    return not media_type.strip().lower().startswith("multipart/")


def judge_body(body: bytes, media_type: str, bounds: Bounds) -> None:
    """Raises OverLimit for a form of too many fields, and for JSON of too many values or lists, or too deep.

    While a parser makes lists and objects no other thread goes on, so there may not be many of them.
    """
    if media_type.strip().lower().startswith(_FORM):
        if body.count(b"&") >= bounds.fields_max:
            sentence = f"A form holds at most {bounds.fields_max:,} fields: send it in parts. Nothing was changed."
            raise OverLimit(LimitCode.BODY_TOO_MANY_VALUES, sentence)
        return
    if body.count(b",") > bounds.values_max:
        sentence = f"A body holds at most {bounds.values_max:,} values: send it in parts. Nothing was changed."
        raise OverLimit(LimitCode.BODY_TOO_MANY_VALUES, sentence)
    if (opened := body.count(b"[") + body.count(b"{")) > bounds.brackets_max:
        sentence = (
            f"A body holds at most {bounds.brackets_max:,} lists and objects, this one {opened:,}: send it in parts."
            " Nothing was changed."
        )
        raise OverLimit(LimitCode.BODY_TOO_MANY_VALUES, sentence)
    if is_too_deep(body, bounds.depth_max):
        sentence = (
            f"The brackets of the body stand more than {bounds.depth_max} deep within each other, or do not close:"
            " send what the API's description names. Nothing was changed."
        )
        raise OverLimit(LimitCode.BODY_TOO_DEEP, sentence)


def is_too_deep(body: bytes, depth_max: int) -> bool:
    """True as well when more than `depth_max` brackets open and not all of them close: no JSON either way.

    Each round takes away the innermost pairs, so that as many rounds as levels leave nothing; a loop over the brackets
    themselves would hold up everybody for as long as it takes Python to count to four million. No round is begun that
    would take little away.
    """
    if body.count(b"[") + body.count(b"{") <= depth_max:
        return False
    marks = body.replace(b"\\\\", b"").replace(b'\\"', b"").translate(_ONE_KIND, _ALL_ELSE)
    brackets = _STRING.sub(b"", marks.replace(b'""', b"")).replace(b'"', b"")
    too_many = b"[" * (depth_max + 1)
    for _ in range(depth_max):
        if not brackets:
            return False
        fewer = brackets.replace(b"[]", b"")
        if too_many in brackets or len(fewer) == len(brackets):
            return True
        brackets = fewer
    return bool(brackets)
