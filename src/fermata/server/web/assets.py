"""Files that pages ask for: packed once a process, and kept by browsers for ever under an address that names what they
are.
"""

import gzip
import hashlib
import os
from functools import cache
from pathlib import Path

from starlette.datastructures import Headers, QueryParams
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

STATIC = Path(__file__).parent / "static"
FOR_EVER = "public, max-age=31536000, immutable"
ASK_AGAIN = "no-cache"
"""Kept, and asked for each time whether it is still so: of who did not say which content is meant."""
PACKING = 6


def asset_url(path: str) -> str:
    """The address of a static file, with its content's digest so that a browser may keep it for ever."""
    return f"/static/{path}?v={_digest(str(STATIC / path))}"


class Assets(StaticFiles):
    """Static files that do not change while the process runs."""

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        plain = super().file_response(full_path, stat_result, scope, status_code)
        path = str(full_path)
        is_named = QueryParams(scope["query_string"]).get("v") == _digest(path)
        plain.headers["Cache-Control"] = FOR_EVER if is_named else ASK_AGAIN
        asked = Headers(scope=scope)
        if not isinstance(plain, FileResponse) or "range" in asked or "gzip" not in asked.get("accept-encoding", ""):
            return plain
        kept = {name: plain.headers[name] for name in ("etag", "last-modified", "cache-control")}
        packed = {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
        return Response(_packed(path), media_type=plain.media_type, headers=kept | packed)


@cache
def _digest(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:12]


@cache
def _packed(path: str) -> bytes:
    return gzip.compress(Path(path).read_bytes(), PACKING, mtime=0)
